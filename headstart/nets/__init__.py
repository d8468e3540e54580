"""Networks as unbatched modules: one vector in, one out, `vmap` outside. Their leaves are arrays and nothing else."""
