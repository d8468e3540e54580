"""Base learners: what one task is learned with, and what every method changes a function or two of.

They fail where every learner fails: no exploration, no reward, too few steps. `ppo` is on-policy actor-critic,
`uniform` acts at random and learns nothing.
"""
