"""Networks as modules without a batch axis: one vector in, one out, `vmap` outside. Their leaves are arrays only."""
