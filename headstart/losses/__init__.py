"""Losses and estimators as pure functions of one stream or one sample, with the paper's symbols and equation numbers.

There is no batch axis here, but where a loss is one of whole batches: `vmap` makes the batch. Each is tested with
numbers that one can check on paper.
"""
