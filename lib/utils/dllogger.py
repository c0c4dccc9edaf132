# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) SmoothNet contributors
"""Log lines as the Tecorigin ModelZoo's tools read them, one for each iteration and process.

TCAPPDLL 2025-05-15 14:20:10.930385 - Epoch: 0 Iteration: 0  rank : 0  train.loss : 1  train.ips : 9.0 imgs/s
"""

from __future__ import annotations

import datetime
from contextlib import suppress
from pathlib import Path
from typing import Any, TextIO

from .errors import SmoothNetError

UNITS = {"train.ips": "imgs/s", "train.time": "s", "val.ips": "imgs/s"}  # the tools' word: here an image is a window
METADATA = {
    "train.loss": {"unit": "", "GOAL": "MINIMIZE", "STAGE": "TRAIN"},
    "train.ips": {"unit": "imgs/s", "format": ":.3f", "GOAL": "MAXIMIZE", "STAGE": "TRAIN"},
    "train.lr": {"unit": "", "STAGE": "TRAIN"},
    "train.time": {"unit": "s", "format": ":.6f", "GOAL": "MINIMIZE", "STAGE": "TRAIN"},
    "val.loss": {"unit": "", "GOAL": "MINIMIZE", "STAGE": "VALID"},
    "val.ips": {"unit": "imgs/s", "format": ":.3f", "GOAL": "MAXIMIZE", "STAGE": "VALID"},
}
FORMATS = {"train.ips": ".2f", "train.time": ".6f", "val.ips": ".2f"}


def format_line(epoch: int, iteration: int, values: dict[str, float], now: datetime.datetime) -> str:
    """One log line. Fields are `name : value unit`, joined by a space, so an empty unit leaves two."""
    fields = [f"{name} : {value:{FORMATS.get(name, '')}} {UNITS.get(name, '')}" for name, value in values.items()]
    when = now.isoformat(sep=" ", timespec="microseconds")
    return f"TCAPPDLL {when} - Epoch: {epoch} Iteration: {iteration}  {' '.join(fields)}".rstrip()


class IterationLog:
    """Writes the lines of one process to `dllogger_rank<N>.log` in the run folder, and to a stream if given.

    Where the vendor's tcap_dllogger is installed it gets the same values: it writes the stream's lines, if there is a
    stream, and `dllogger_rank<N>.json`.

    Args:
        folder: the run folder; the file is appended to, so a resumed run goes on in it.
        rank: number of this process.
        echo: where else the lines go, usually stdout; None: nowhere.

    Raises:
        SmoothNetError: the file cannot be written.
    """

    def __init__(self, folder: Path, rank: int, echo: TextIO | None):
        self.rank = rank
        self.echo = echo
        self.path = folder / f"dllogger_rank{rank}.log"
        try:
            self.file = open(self.path, "a", encoding="utf-8", buffering=1)  # noqa: SIM115  (closed by close)
            self.vendor = _vendor_logger(self.path.with_suffix(".json"), echo is not None)
        except OSError as error:
            raise SmoothNetError(f"cannot write {self.path}: {error.strerror}") from error

    def log(self, epoch: int, iteration: int, **values: float) -> None:
        """Write one line, e.g. log(0, 0, **{"train.loss": 0.5, "train.ips": 1e4}); both count from 0."""
        values = {"rank": self.rank, **values}
        line = format_line(epoch, iteration, values, datetime.datetime.now())
        try:
            self.file.write(line + "\n")
        except OSError as error:
            with suppress(OSError):  # of what still waits to be written
                self.file.close()
            raise SmoothNetError(
                f"cannot write {self.path}: {error.strerror}; make room, and go on with --resume auto"
            ) from error
        if self.vendor is not None:
            self.vendor.log(step=(epoch, iteration), data=values)
        elif self.echo is not None:
            self.echo.write(line + "\n")

    def close(self) -> None:
        """Close the file."""
        self.file.close()


def _vendor_logger(path: Path, echo: bool) -> Any:
    """The vendor's logger, to a JSON file and, if `echo`, to stdout; None where it is not installed."""
    try:
        from tcap_dllogger import JSONStreamBackend, Logger, StdOutBackend, Verbosity
    except ImportError:
        return None
    stdout = [StdOutBackend(Verbosity.DEFAULT)] if echo else []
    logger = Logger([*stdout, JSONStreamBackend(Verbosity.VERBOSE, str(path))])
    for name, metadata in METADATA.items():
        logger.metadata(name, metadata)
    return logger
