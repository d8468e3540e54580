"""What is claimed, and how it is shown: how learning in the target is counted, judged and compared.

It fails where the question is wrong: a target that does not differ, a budget that no row can use, too few seeds.
`transfer` spends the shots, `metrics` and `statistics` turn curves into numbers with intervals and a verdict.
"""
