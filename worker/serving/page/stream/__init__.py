"""The view at `/stream`: labelled posts as they come, a window and no store.

`reader`    the one consumer of the label topics, for all viewers
`joining`   label records to labelled posts
`filters`   which posts a viewer wants to see
`viewers`   a few of them for each viewer, drawn by chance
`figures`   counts, latency and shares of the last minutes
`plots`     the same as small pictures
`originals` the posts themselves, read at their positions
`hub`       all of it together
`view`      the routes
"""
