"""Forward transfer with randomization: where the source domain can be shaped, make it so diverse that the target is
just one more draw.

It fails where the target lies outside of what was randomised, and where no single policy fits all of it.
Files: `randomize`, `epopt`; and for what a memoryless policy cannot serve, `recurrent`, `uposi` and its ceiling
`universal`.
"""
