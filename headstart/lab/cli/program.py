"""The program `headstart`: parses the command line and runs its command. JAX is imported only by a command."""

import dataclasses
import re
import shlex
import sys

import tyro

import headstart
from headstart.lab.cli.arguments import Command
from headstart.lab.cli.examples import EXAMPLES
from headstart.lab.cli.exit_codes import exit_with_message


@dataclasses.dataclass(frozen=True)
class Program:
    """The type that tyro parses. For the bare union, tyro would show a docstring from the source of `typing`."""

    command: Command


def main(argv: list[str] | None = None) -> None:
    """Runs the program. `headstart.lab.cli.exit_codes` lists its exit codes."""
    argv = sys.argv[1:] if argv is None else argv
    with exit_with_message(argv):
        if argv == ["--version"]:
            print(f"headstart {headstart.__version__}")
            return
        run(parse(argv), shlex.join(["headstart", *argv]))


def parse(argv: list[str]) -> Command:
    """Returns the arguments of one command. Exits with 2 if they are invalid, and with 0 after it shows --help."""
    program = tyro.cli(
        Program,
        prog="headstart",
        args=argv or ["--help"],
        description=f"Transfer reinforcement learning. --version prints the version.\n\n{EXAMPLES}",
        config=(tyro.conf.OmitArgPrefixes, tyro.conf.OmitSubcommandPrefixes),
    )
    return program.command


def run(args: Command, command_line: str) -> None:
    """Runs the function of `headstart.lab.cli.commands` that is named like the arguments' class."""
    from headstart.lab import compilation_cache  # these three import JAX
    from headstart.lab.cli import commands
    from headstart.tasks.host.timeouts import call_timeout

    compilation_cache.enable()
    name = "_".join(re.findall("[A-Z][a-z]*", type(args).__name__)).lower()
    with call_timeout(getattr(args, "step_timeout", None)):
        getattr(commands, name)(args, command_line)
