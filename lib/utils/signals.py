# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) SmoothNet contributors
"""Signals and temporary files: nothing half done is left when a process is asked to stop."""

from __future__ import annotations

import os
import signal
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any, NoReturn

# Windows has no SIGHUP.
ENDING = tuple(getattr(signal, name) for name in ("SIGTERM", "SIGHUP") if hasattr(signal, name))


def send_again_what_got_lost() -> None:
    """From now on send a signal again whose exception Python drops, since it came within a `__del__` or a callback.

    Otherwise Ctrl-C would now and then print "Exception ignored" and end nothing; so would it where it came while an
    object was made, whose `__del__` then misses an attribute. A hook that is there stays.
    """
    if sys.unraisablehook is sys.__unraisablehook__:
        sys.unraisablehook = _lost


def _lost(lost: Any) -> None:
    number = None
    if isinstance(lost.exc_value, KeyboardInterrupt):
        number = int(signal.SIGINT)
    elif isinstance(lost.exc_value, SystemExit) and isinstance(lost.exc_value.code, int):
        number = lost.exc_value.code - 128
    if number in (signal.SIGINT, *ENDING):
        threading.Timer(0.01, os.kill, (os.getpid(), number)).start()  # here it would be lost again
    elif not (isinstance(lost.exc_value, AttributeError) and getattr(lost.object, "__name__", "") == "__del__"):
        sys.__unraisablehook__(lost)


def _exit(number: int, frame: FrameType | None) -> NoReturn:
    sys.exit(128 + number)


@contextmanager
def ending_cleanly() -> Iterator[None]:
    """Let SIGTERM and SIGHUP end the block as an exception would, so that `finally` runs; exit status 128 + number.

    Signals that somebody handles or ignores already (nohup, a training that saves first) stay theirs. Outside of the
    main thread, where no handler can be set, nothing changes.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    default = [number for number in ENDING if signal.getsignal(number) is signal.SIG_DFL]
    for number in default:
        signal.signal(number, _exit)
    try:
        yield
    finally:
        for number in default:
            signal.signal(number, signal.SIG_DFL)


@contextmanager
def undisturbed() -> Iterator[None]:
    """Hold SIGINT, SIGTERM and SIGHUP back until the block is done: for a few renames that belong together."""
    if threading.current_thread() is not threading.main_thread():  # handlers run in the main thread alone
        yield
        return
    waiting: list[int] = []
    before: dict[int, Any] = {}
    for number in (signal.SIGINT, *ENDING):
        before[number] = signal.signal(number, lambda number, frame: waiting.append(number))
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
        for number in waiting[:1]:
            signal.raise_signal(number)
