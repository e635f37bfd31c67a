"""`moderate diff`: may a new checkpoint replace the old one? Two sets of labels, joined by post.

sources     what LEFT and RIGHT name: topics or files
reading     their records, in bounded pieces
store       DuckDB on the disk: answers of both sides, the last of each post, joined by post
posts       community, language and length of the posts that were labelled
truth       what people say of them
counting    SQL: everything that is counted over pairs of answers
statistics  McNemar and its kin, Holm, intervals
comparing   counts into findings: `slicing`, `scoring`, `calibration`, `moved`, `explaining` have a part each
report      the findings, as `--json` has them: every rendering starts from there
verdict     the findings in a sentence
terminal, html, plots, page  for a person at a terminal, and for a browser
following   the same over and over, as topics grow
"""
