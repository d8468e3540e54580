"""People and machines: the only floor that prints, logs, reads the clock and touches the disk.

Importing it imports nothing else, so that the command line answers at once.
`report` makes one HTML file of a study, and `plots` the figures of the README and the benchmarks.
"""
