"""Interrupts such as Ctrl-C that arrive in a callback of a compiled program.

XLA replaces whatever a callback raises by an error of its own, which looks like any other failure. Therefore an
interrupt that is no `Exception` (KeyboardInterrupt, SystemExit, asyncio's CancelledError) is stored here, and
`reraising` raises the original in the code that ran the program.

XLA runs some programs in its own threads. Then Ctrl-C reaches the main thread only after the program has ended, or
while it still runs. Therefore a thread receives the signal itself (`signal.set_wakeup_fd`). From then on callbacks
fail, which ends their program, and the main thread waits for that.
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

MAX_STORED = 8  # stored interrupts that nobody collected; they hold the frames that they were raised in
MARK = re.compile(r"headstart's interrupt (\d+)")
REFUSED = "the program was interrupted"
INTERRUPTED = re.compile(rf"^(?:\w+: )*KeyboardInterrupt\b|{REFUSED}", re.MULTILINE)  # first: from JAX itself
PAUSE = 0.05  # s
QUIET_PAUSES = 60  # pauses without a callback, after which no program is assumed to run
MAX_PAUSES = 200


class InterruptedProgramError(Exception):
    """Stands for an interrupt while XLA passes an error on."""


_numbers = itertools.count()
_stored: dict[int, BaseException] = {}
_deferred: list[BaseException] = []
_stopping = False  # whether callbacks fail
_orphaned = False  # whether a program may still run without its caller; its next callback fails, which ends it
_scopes = 0  # active `reraising` contexts
_calls = _refused = 0  # callbacks so far, and those that failed
_last = 0  # the thread of the last callback
_inside: set[int] = set()  # the threads that are in a callback


def wrap(interrupt: BaseException) -> InterruptedProgramError:
    """Stores an interrupt that a callback raised. Returns the error to raise in its place."""
    number = next(_numbers)
    _stored[number] = interrupt
    for old in list(_stored)[:-MAX_STORED]:
        del _stored[old]
    return InterruptedProgramError(f"headstart's interrupt {number}")


@contextlib.contextmanager
def callback_scope() -> Iterator[None]:
    """Marks a callback as running in this context."""
    global _calls, _last
    thread = threading.get_ident()
    _calls, _last = _calls + 1, thread
    _inside.add(thread)
    try:
        yield
    finally:
        _inside.discard(thread)


def check() -> None:
    """Raises a deferred interrupt; raises InterruptedProgramError if programs are to end.

    Each callback calls this first.
    """
    global _refused, _orphaned
    if _deferred:
        raise _deferred.pop()
    if _stopping or _orphaned:
        _orphaned = False
        _refused += 1
        raise InterruptedProgramError(REFUSED)


def defer(interrupt: BaseException) -> None:
    """Stores an interrupt that arrived where a callback cannot raise. The next `check` or `reraising` raises it."""
    _deferred.append(interrupt)


@contextlib.contextmanager
def reraising() -> Iterator[None]:
    """Raises the original interrupt, instead of XLA's error, if one ends a program that runs in this context."""
    global _stopping, _orphaned
    _stopping, _orphaned, calls, refused = False, False, _calls, _refused
    try:
        with _listening():
            yield
        if _deferred:
            raise _deferred.pop()
    except JaxRuntimeError as error:
        text = str(error)
        if (mark := MARK.search(text)) and (interrupt := _stored.pop(int(mark[1]), None)) is not None:
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
        if _scopes == 0:  # programs outside of `reraising` are not stopped
            _stopping = False


def stop() -> None:
    """Ends every program at its next callback, and waits for pending computations."""
    global _stopping
    _stopping = True
    for array in jax.live_arrays():
        with contextlib.suppress(RuntimeError):  # the program ended with an error, or the array was deleted
            array.block_until_ready()


def _settle(refused: int) -> bool:
    """Waits for the end of an abandoned program in another thread: until one of its callbacks failed.

    Returns whether it ended. False if it made no callback for a while: it may have ended, or still compute.
    """
    me, pause, quiet, calls = threading.get_ident(), threading.Event(), 0, _calls
    for _ in range(MAX_PAUSES if _last != me else 0):
        if (_refused > refused or quiet >= QUIET_PAUSES) and not _inside - {me}:
            return _refused > refused
        pause.wait(PAUSE)
        quiet, calls = quiet + 1 if _calls == calls else 0, _calls
    return _last == me


@contextlib.contextmanager
def _listening() -> Iterator[None]:
    """Ends programs at their next callback on Ctrl-C, whatever thread they run in, while in this context."""
    global _scopes
    ours = _scopes == 0 and threading.current_thread() is threading.main_thread()
    before = signal.set_wakeup_fd(_signal_descriptor(), warn_on_full_buffer=False) if ours else -1
    if before != -1:  # other code uses the wakeup descriptor
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
def _signal_descriptor() -> int:
    """Returns the descriptor to which the system writes signal numbers; a thread reads them from now on."""
    reads, writes = os.pipe()
    os.set_blocking(writes, False)
    threading.Thread(target=_listen, args=(reads,), daemon=True, name="headstart signals").start()
    if hasattr(os, "register_at_fork"):  # a child process has the pipe, but not the thread
        os.register_at_fork(after_in_child=lambda: signal.set_wakeup_fd(-1) if _scopes else None)
    return writes


def _listen(reads: int) -> None:
    global _stopping
    while signals := os.read(reads, 64):
        # other handlers do not raise, such as the one that saves a training first
        if signal.SIGINT in signals and _scopes and signal.getsignal(signal.SIGINT) is signal.default_int_handler:
            _stopping = True
