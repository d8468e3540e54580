"""What is on disk: checkpoints, trainings in progress, and the files, records and locks that they are made of.

A checkpoint is `params.safetensors` and `recipe.json` (`save_load`); `trained` and `policy` are what it loads into.
`resume` saves a training while it runs and continues it bit-exactly on a CPU.
All files are replaced atomically, and JSON records end in a checksum of themselves.
"""
