"""Ctrl-C and the like, where they reach code that a compiled program calls.

XLA turns whatever such code raises into an error of its own, which looks like any other failure. So what is no
`Exception` (KeyboardInterrupt, SystemExit, asyncio's CancelledError) is kept here, and `reraising` raises it again, as
it was, to whoever ran the program. In other threads programs may go on after an interrupt: they are ended as well.
"""

import contextlib
import itertools
import re
from collections.abc import Iterator

import jax
from jax.errors import JaxRuntimeError

KEPT = 8  # interrupts that nobody has asked for; they hold the frames that they were raised in
MARK = re.compile(r"headstart's interrupt (\d+)")
INTERRUPTED = re.compile(r"^(?:\w+: )*KeyboardInterrupt\b", re.MULTILINE)  # raised in JAX's own part of a callback


class InterruptedProgramError(Exception):
    """Stands for an interrupt while XLA passes it on."""


_numbers = itertools.count()
_kept: dict[int, BaseException] = {}
_overheard: list[BaseException] = []
_stopping = False
_calls = 0  # of callbacks


def carry(interrupt: BaseException) -> InterruptedProgramError:
    """Keeps an interrupt that a callback raised. Returns the error to be raised in its place."""
    number = next(_numbers)
    _kept[number] = interrupt
    for old in list(_kept)[:-KEPT]:
        del _kept[old]
    return InterruptedProgramError(f"headstart's interrupt {number}")


def check() -> None:
    """Raises an interrupt that was overheard, and InterruptedProgramError where programs are to end.

    Each callback asks first.
    """
    global _calls
    _calls += 1
    if _overheard:
        raise _overheard.pop()
    if _stopping:
        raise InterruptedProgramError("the program was interrupted")


def overhear(interrupt: BaseException) -> None:
    """Keeps an interrupt that came where a callback cannot raise. The next `check`, or `reraising`, raises it."""
    _overheard.append(interrupt)


@contextlib.contextmanager
def reraising() -> Iterator[None]:
    """Raises an interrupt of a program that is run meanwhile as it was, and not as XLA's error."""
    global _stopping
    _stopping, calls = False, _calls
    try:
        yield
        if _overheard:
            raise _overheard.pop()
    except JaxRuntimeError as error:
        text = str(error)
        if (mark := MARK.search(text)) and (interrupt := _kept.pop(int(mark[1]), None)) is not None:
            raise interrupt from None
        if INTERRUPTED.search(text):
            raise KeyboardInterrupt from None
        raise
    except Exception:
        raise
    except BaseException:  # it reached this thread, while another may still run the program
        if _calls > calls:
            stop()
        raise


def stop() -> None:
    """Ends every program that calls back, and waits for what was being computed."""
    global _stopping
    _stopping = True
    for array in jax.live_arrays():
        with contextlib.suppress(RuntimeError):  # the program was ended, or the array deleted
            array.block_until_ready()
