"""The user interface: the Python API (`api`), the command line (`cli`), studies, reports and checkpoints.

This is the only floor that prints, logs, reads the clock and uses the disk.
Its rooms import each other in one direction: checkpoint, watch, report, study, api, cli.
"""
