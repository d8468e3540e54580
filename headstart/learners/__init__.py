"""Base learners: what one task is learned with, and what every method changes a function or two of.

They fail where every learner fails: no exploration, no reward, too few steps. `ppo` is on-policy actor-critic, `sac`
and `dqn` learn off-policy by networks, `qlearning` by a table; `uniform` acts at random and learns nothing. The other
files are what several methods build on: being told (`telling`), knowledge of several tasks (`groups`), and what
knowledge would do (`opinions`).
"""
