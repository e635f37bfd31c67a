"""Makes two sets of labels into pairs, counts, scores and a verdict. It reads the store and prints nothing.

pairs, counting  SQL: joins the answers and counts pairs
statistics  McNemar's test and its relatives, Holm's correction, intervals
comparing   makes findings of counts; `segments`, `scoring`, `grading`, `moved` and `explaining` do a part each
report      the findings, as `--json` has them; terminal and page show the same object
verdict, notices  the findings in a sentence; what a reader should know before trusting them
"""
