"""The page of `moderate serve`: what the model sees, for whoever wants to look before they trust.

`outside`      what the page needs of the outside: a labeller, callers
`routes`       all of it, as routes behind those of the API
`visitors`     who is looking
`headers`      what every answer carries
`posted`       a form to a post's bytes
`picture_kinds`  what kind of picture a page may show again
`try_it`       the view at `/`: labels first, then why
`labels_view`, `reasons_view`  what the templates show of labels and of an explanation
`stream/`      the view at `/stream`: labelled posts as they come
`verdicts`     what people say of labels
`rendering`    the templates, with everything escaped
"""
