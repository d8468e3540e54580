"""Checkpoints and trainings in progress on disk, and the files, records and locks that they consist of.

A checkpoint is `params.safetensors` and `recipe.json`. `save_load.load` returns a `Trained`, which gives a `Policy`.
`resume` saves a training while it runs and continues it bit-exactly on a CPU.
All files are replaced atomically, and JSON records end in a checksum of themselves.
"""
