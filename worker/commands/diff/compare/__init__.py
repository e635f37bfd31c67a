"""Two sets of labels become pairs, counts, scores and a verdict. It reads the store and prints nothing.

pairs, counting  SQL: everything that is counted over pairs of answers
statistics  McNemar's test and its relatives, Holm's correction, intervals
comparing   counts into findings: `segments`, `scoring`, `grading`, `moved` and `explaining` have a part each
report      the findings, as `--json` has them: every rendering starts from there
verdict, notices  the findings in a sentence; what their reader should know
"""
