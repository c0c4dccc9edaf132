# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) SmoothNet contributors
"""Try work of a C library in a process apart, where a damaged file may crash it or hold it for ever."""

from __future__ import annotations

import faulthandler
import os
import signal
import time
import warnings
from collections.abc import Callable
from contextlib import suppress


def harm(work: Callable[[], object], seconds: float) -> str | None:
    """What the work does to a process: "takes more than 20 seconds", "ends with signal 11"; None where it just ends.

    It may raise what it likes: that is no harm. Where a process cannot be forked (Windows), nothing is tried.
    """
    if not hasattr(os, "fork"):
        return None
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # of forks beside threads: the child touches none of them
        child = os.fork()
    if child == 0:
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            signal.signal(number, signal.SIG_DFL)
        faulthandler.disable()
        with suppress(BaseException):
            os.dup2(os.open(os.devnull, os.O_WRONLY), 2)  # what a dying library says is not for the user
            work()
        os._exit(0)
    try:
        until, pause = time.monotonic() + seconds, 0.0005
        while time.monotonic() < until:
            done, status = os.waitpid(child, os.WNOHANG)
            if done:
                child = 0
                return f"ends with signal {os.WTERMSIG(status)}" if os.WIFSIGNALED(status) else None
            time.sleep(pause)
            pause = min(2 * pause, 0.02)
        return f"takes more than {seconds:g} seconds"
    finally:
        if child:
            with suppress(ProcessLookupError, ChildProcessError):
                os.kill(child, signal.SIGKILL)
                os.waitpid(child, 0)
