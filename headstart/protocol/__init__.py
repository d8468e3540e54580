"""Experimental protocol: how adaptation to the target is measured and compared.

`transfer` spends the shots and evaluates the policy, `metrics` and `statistics` turn learning curves into numbers with
intervals, and `verdicts` tests differences. `shift` measures how source and target differ.
"""
