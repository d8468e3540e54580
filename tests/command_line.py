"""Runs commands of the command line in the tests' process."""

from typing import Any

from headstart.lab.cli import main


def run(*words: Any) -> int:
    """Runs `headstart WORDS` and returns its exit status."""
    try:
        main([str(word) for word in words])
    except SystemExit as end:
        return int(end.code or 0)
    return 0
