"""Losses and estimators as pure functions of one stream or one sample, with the paper's symbols and equation numbers.

They have no batch axis, except for losses of a whole batch: `vmap` adds it. Each is tested with numbers that can be
checked on paper.
"""
