"""Ctrl-C and the like, where they reach code that a compiled program calls.

XLA turns whatever such code raises into an error of its own, which looks like any other failure. So what is no
`Exception` (KeyboardInterrupt, SystemExit, asyncio's CancelledError) is kept here, and `reraising` raises it again, as
it was, to whoever ran the program.

XLA runs some programs in threads of its own. Ctrl-C then reaches the main thread only once the program is over, or
leaves it running. So a thread listens for the signal itself (`signal.set_wakeup_fd`); from then on callbacks are
refused, which ends their program, and the main thread waits for that.
"""

import contextlib
import functools
import itertools
import os
import re
import signal
import threading
from collections.abc import Iterator

import jax
from jax.errors import JaxRuntimeError

KEPT = 8  # interrupts that nobody has asked for; they hold the frames that they were raised in
MARK = re.compile(r"headstart's interrupt (\d+)")
REFUSED = "the program was interrupted"
INTERRUPTED = re.compile(rf"^(?:\w+: )*KeyboardInterrupt\b|{REFUSED}", re.MULTILINE)  # the first: in JAX's own part
PAUSE, QUIET, MOST = 0.05, 60, 200  # s; pauses without a call after which no program is taken to run; pauses at most


class InterruptedProgramError(Exception):
    """Stands for an interrupt while XLA passes it on."""


_numbers = itertools.count()
_kept: dict[int, BaseException] = {}
_overheard: list[BaseException] = []
_stopping = False  # callbacks are refused
_orphaned = False  # a program may still run that its caller has left; its next callback is refused, which ends it
_scopes = 0  # of `reraising`, that are under way
_calls = _refused = 0  # callbacks, and those that were refused
_last = 0  # the thread of the last callback
_inside: set[int] = set()  # threads that are in one


def carry(interrupt: BaseException) -> InterruptedProgramError:
    """Keeps an interrupt that a callback raised. Returns the error to be raised in its place."""
    number = next(_numbers)
    _kept[number] = interrupt
    for old in list(_kept)[:-KEPT]:
        del _kept[old]
    return InterruptedProgramError(f"headstart's interrupt {number}")


@contextlib.contextmanager
def inside() -> Iterator[None]:
    """A callback is under way meanwhile."""
    global _calls, _last
    thread = threading.get_ident()
    _calls, _last = _calls + 1, thread
    _inside.add(thread)
    try:
        yield
    finally:
        _inside.discard(thread)


def check() -> None:
    """Raises an interrupt that was overheard, and InterruptedProgramError where programs are to end.

    Each callback asks first.
    """
    global _refused, _orphaned
    if _overheard:
        raise _overheard.pop()
    if _stopping or _orphaned:
        _orphaned = False
        _refused += 1
        raise InterruptedProgramError(REFUSED)


def overhear(interrupt: BaseException) -> None:
    """Keeps an interrupt that came where a callback cannot raise. The next `check`, or `reraising`, raises it."""
    _overheard.append(interrupt)


@contextlib.contextmanager
def reraising() -> Iterator[None]:
    """Raises an interrupt of a program that is run meanwhile as it was, and not as XLA's error."""
    global _stopping, _orphaned
    _stopping, _orphaned, calls, refused = False, False, _calls, _refused
    try:
        with _listening():
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
            _orphaned = not _settle(refused)
        raise
    finally:
        if _scopes == 0:  # programs that are run without `reraising` are refused nothing
            _stopping = False


def stop() -> None:
    """Ends every program that calls back, and waits for what was being computed."""
    global _stopping
    _stopping = True
    for array in jax.live_arrays():
        with contextlib.suppress(RuntimeError):  # the program was ended, or the array deleted
            array.block_until_ready()


def _settle(refused: int) -> bool:
    """Waits for the end of a program of another thread, whose results nobody has: until a callback was refused.

    Returns whether it ended. False where it did not call back for a while: it may be over, or compute.
    """
    me, pause, quiet, calls = threading.get_ident(), threading.Event(), 0, _calls
    for _ in range(MOST if _last != me else 0):
        if (_refused > refused or quiet >= QUIET) and not _inside - {me}:
            return _refused > refused
        pause.wait(PAUSE)
        quiet, calls = quiet + 1 if _calls == calls else 0, _calls
    return _last == me


@contextlib.contextmanager
def _listening() -> Iterator[None]:
    """Meanwhile Ctrl-C ends programs at their next callback, whatever thread they run in."""
    global _scopes
    ours = _scopes == 0 and threading.current_thread() is threading.main_thread()
    before = signal.set_wakeup_fd(_ears(), warn_on_full_buffer=False) if ours else -1
    if before != -1:  # somebody else listens
        signal.set_wakeup_fd(before)
        ours = False
    _scopes += 1
    try:
        yield
    finally:
        _scopes -= 1
        if ours:
            signal.set_wakeup_fd(-1)


@functools.cache
def _ears() -> int:
    """Returns where the system writes the numbers of signals; a thread reads them from now on."""
    reads, writes = os.pipe()
    os.set_blocking(writes, False)
    threading.Thread(target=_listen, args=(reads,), daemon=True, name="headstart signals").start()
    if hasattr(os, "register_at_fork"):  # a child has the pipe, and not the thread
        os.register_at_fork(after_in_child=lambda: signal.set_wakeup_fd(-1) if _scopes else None)
    return writes


def _listen(reads: int) -> None:
    global _stopping
    while heard := os.read(reads, 64):
        # other handlers do not raise, such as that which keeps a training first
        if signal.SIGINT in heard and _scopes and signal.getsignal(signal.SIGINT) is signal.default_int_handler:
            _stopping = True
