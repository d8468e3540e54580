"""How the program `headstart` ends: with a sentence and an exit code, never with a traceback."""

import codecs
import contextlib
import errno
import os
import sys
from collections.abc import Iterator

from headstart.core.errors import InputError
from headstart.lab.checkpoint.files import is_text
from headstart.lab.cli.argument_types import UnreadableError

ASCII = str.maketrans({"→": "->", "–": "-", "—": "-", "…": "...", "·": "|", "▼": "v", "×": "x", "−": "-", "≥": ">="})
MEMORY = ("RESOURCE_EXHAUSTED", "out of memory", "cannot allocate memory", "failed to map segment", "start new thread")


@contextlib.contextmanager
def exit_with_message(words: list[str]) -> Iterator[None]:
    """Runs the program that these words ask for, and turns whatever ends it into a sentence and an exit code.

    Exits with 2 where the input cannot be used or a file cannot be written, 3 where memory runs out, 130 on Ctrl-C,
    and quietly where nobody reads standard output any more.
    """
    prepare_output()
    try:
        check_text(words)
        yield
        sys.stdout.flush()
    except (InputError, UnreadableError) as error:
        _stop(str(error), 2)
    except KeyboardInterrupt as end:
        study = "What was finished is kept; the same command goes on from there." if words[:1] == ["compare"] else ""
        _stop(f"stopped. {str(end) or study}".rstrip(), 130)
    except BrokenPipeError:
        discard_output()
        sys.exit(0)
    except Exception as error:
        if is_memory(error):
            kept = "; what was finished is kept" if words[:1] in (["compare"], ["train"]) else ""
            _stop(f"the memory that this process may have is not enough{kept}. Give it more, or ask for less.", 3)
        if isinstance(error, OSError) and error.strerror:  # no right to write there, no room on the disk
            _stop(f"{error.filename or 'a file'}: {error.strerror}; choose another place.", 2)
        raise


def prepare_output() -> None:
    """Lets standard output and error take any text, in whatever encoding, and stand for nothing where they are closed.

    A file that is opened later must not be given the number of a closed one: libraries would write into it.
    """
    codecs.register_error("headstart", _spelt)
    for number, name in enumerate(("stdin", "stdout", "stderr")):
        with contextlib.suppress(OSError):
            os.fstat(number)
            continue
        os.open(os.devnull, os.O_RDWR)  # takes the lowest free number, which is this one
        os.set_inheritable(number, True)  # libraries start programs that write to it
        setattr(sys, name, open(number, "w" if number else "r", encoding="utf-8", closefd=False))  # noqa: SIM115
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="headstart")  # pyright: ignore[reportAttributeAccessIssue]


def check_text(words: list[str]) -> None:
    """Raises InputError where an argument holds bytes that are no text: no report and no record could repeat it."""
    for word in words:
        if not is_text(word):
            encoding = sys.getfilesystemencoding()
            raise InputError(f"{word!a} holds bytes that are no text in {encoding}; write it without them.")


def discard_output() -> None:
    """Sends what is still to be printed nowhere: Python prints it as it exits, and would complain."""
    with contextlib.suppress(OSError, ValueError, AttributeError):
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, sys.stdout.fileno())


def is_memory(error: BaseException) -> bool:
    """Returns whether an error says that there is not enough memory: Python's, the system's, a library's or XLA's."""
    said = str(error).lower()
    known = isinstance(error, OSError) and error.errno == errno.ENOMEM
    return isinstance(error, MemoryError) or known or any(words.lower() in said for words in MEMORY)


def _spelt(error: UnicodeError) -> tuple[str, int]:
    """Spells what an encoding has no character for: signs by others that look alike, all else by its number."""
    assert isinstance(error, UnicodeEncodeError)
    text = error.object[error.start : error.end].translate(ASCII)
    return text.encode("ascii", "backslashreplace").decode("ascii"), error.end


def _stop(sentence: str, code: int) -> None:
    with contextlib.suppress(OSError, ValueError):
        print(f"headstart: {sentence}", file=sys.stderr)
    sys.exit(code)
