"""Base learners: they train on one task, and methods replace a function or two of them.

They fail where every learner fails: no exploration, no reward, too few steps. `ppo` is on-policy actor-critic, `sac`
and `dqn` are off-policy, `qlearning` has a table; `uniform` acts at random and learns nothing. The other files are what
several methods use: encodings of the episode as context (`context_encoder`), params of several tasks (`teachers`), and
the outputs that distillation compares (`outputs`).
"""
