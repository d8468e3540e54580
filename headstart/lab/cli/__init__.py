"""The command line: `headstart COMMAND`.

`program` parses the arguments (`arguments`), runs one function of `commands` and turns errors into exit codes.
The modules here print; every result that they print comes from the rooms beside this one or from `headstart.lab.api`.
JAX is imported by `commands`, so that `--help` and wrong arguments are answered at once.
"""

from headstart.lab.cli.program import main

__all__ = ["main"]
