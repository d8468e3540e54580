"""Turns errors into one sentence and an exit code.

Exit codes: 0 success, 1 every row of a study failed, 2 invalid input or a file that cannot be written, 3 out of memory,
130 Ctrl-C.
"""

import codecs
import contextlib
import errno
import os
import sys
from collections.abc import Iterator

from headstart.core.errors import InputError
from headstart.lab.checkpoint.files import is_text
from headstart.lab.cli.argument_types import ArgumentError

ASCII_SUBSTITUTES = str.maketrans(
    {"→": "->", "–": "-", "—": "-", "…": "...", "·": "|", "▼": "v", "×": "x", "−": "-", "≥": ">="}
)
MEMORY_ERRORS = (
    "RESOURCE_EXHAUSTED",
    "out of memory",
    "cannot allocate memory",
    "failed to map segment",
    "start new thread",
)


@contextlib.contextmanager
def exit_with_message(argv: list[str]) -> Iterator[None]:
    """Runs the body of the `with` statement and turns its errors into a sentence and an exit code.

    Exits with 0 if standard output was closed by its reader.
    """
    prepare_output()
    try:
        check_text(argv)
        yield
        sys.stdout.flush()
    except (InputError, ArgumentError) as error:
        _exit_with(str(error), 2)
    except KeyboardInterrupt as interrupt:
        study = "Finished cells are saved; the same command resumes the study." if argv[:1] == ["compare"] else ""
        _exit_with(f"stopped. {str(interrupt) or study}".rstrip(), 130)
    except BrokenPipeError:
        discard_output()
        sys.exit(0)
    except Exception as error:
        if is_memory(error):
            note = "; what was finished is saved" if argv[:1] in (["compare"], ["train"]) else ""
            _exit_with(f"this process ran out of memory{note}. Give it more memory, or reduce the settings.", 3)
        if isinstance(error, OSError) and error.strerror:  # no permission to write, or no space on the disk
            _exit_with(f"{error.filename or 'a file'}: {error.strerror}; choose another place.", 2)
        raise


def prepare_output() -> None:
    """Makes standard output and error accept any text in any encoding, and opens closed ones to /dev/null.

    Otherwise a file that is opened later could get the descriptor of a closed stream, and libraries would write to it.
    """
    codecs.register_error("headstart", _replace_characters)
    for number, name in enumerate(("stdin", "stdout", "stderr")):
        with contextlib.suppress(OSError):
            os.fstat(number)
            continue
        os.open(os.devnull, os.O_RDWR)  # gets the lowest free descriptor, which is this one
        os.set_inheritable(number, True)  # for child processes that write to it
        setattr(sys, name, open(number, "w" if number else "r", encoding="utf-8", closefd=False))  # noqa: SIM115
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="headstart")  # pyright: ignore[reportAttributeAccessIssue]


def check_text(argv: list[str]) -> None:
    """Raises InputError if an argument holds undecodable bytes, which no report or record can hold."""
    for argument in argv:
        if not is_text(argument):
            encoding = sys.getfilesystemencoding()
            raise InputError(f"{argument!a} holds bytes that are not text in {encoding}; write it without them.")


def discard_output() -> None:
    """Redirects standard output to /dev/null, so that Python's flush at exit does not fail."""
    with contextlib.suppress(OSError, ValueError, AttributeError):
        devnull = os.open(os.devnull, os.O_WRONLY)
        os.dup2(devnull, sys.stdout.fileno())


def is_memory(error: BaseException) -> bool:
    """Returns whether an error of Python, the system, a library or XLA means that memory ran out."""
    text = str(error).lower()
    is_enomem = isinstance(error, OSError) and error.errno == errno.ENOMEM
    return isinstance(error, MemoryError) or is_enomem or any(marker.lower() in text for marker in MEMORY_ERRORS)


def _replace_characters(error: UnicodeError) -> tuple[str, int]:
    """Replaces characters that an encoding lacks: symbols by similar ASCII ones, others by escapes."""
    assert isinstance(error, UnicodeEncodeError)
    text = error.object[error.start : error.end].translate(ASCII_SUBSTITUTES)
    return text.encode("ascii", "backslashreplace").decode("ascii"), error.end


def _exit_with(sentence: str, code: int) -> None:
    with contextlib.suppress(OSError, ValueError):
        print(f"headstart: {sentence}", file=sys.stderr)
    sys.exit(code)
