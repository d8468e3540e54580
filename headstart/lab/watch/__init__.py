"""Progress in a terminal, TensorBoard scalars, and clips of policies.

Each training reports `ProgressEvent`s to a callback; `progress_bar` and `tensorboard` are such callbacks.
`clips` records episodes of a policy as WebP, GIF or PNG.
"""
