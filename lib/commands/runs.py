"""A run of training or evaluation: its folder, its log, and how it is asked to stop."""

from __future__ import annotations

import logging
import signal
import sys
from datetime import datetime
from pathlib import Path
from typing import Any

from ..utils.errors import SmoothNetError
from .arguments import PACKAGE


def make_run_folder(cfg: Any, resume: bool = False) -> Path:
    """Create the run folder: LOGDIR, or OUTPUT_DIR/<time>_<EXP_NAME>, a new one even if two runs start together.

    Raises:
        SmoothNetError: LOGDIR already holds a run that is not being resumed, or cannot be created.
    """
    try:
        if cfg.LOGDIR:
            folder = Path(cfg.LOGDIR)
            folder.mkdir(parents=True, exist_ok=True)
            if (folder / "checkpoint.pth.tar").exists() and not resume:
                raise SmoothNetError(
                    f"{folder} already holds a training run; go on with --resume auto or name another --logdir"
                )
            return folder
        stem = f"{datetime.now():%Y-%m-%d_%H-%M-%S}_{cfg.EXP_NAME}"
        Path(cfg.OUTPUT_DIR).mkdir(parents=True, exist_ok=True)
        for number in range(1000):
            folder = Path(cfg.OUTPUT_DIR) / (f"{stem}_{number}" if number else stem)
            try:
                folder.mkdir()
                return folder
            except FileExistsError:
                continue
        raise SmoothNetError(f"{cfg.OUTPUT_DIR} has a thousand runs of this second; clean it up")
    except OSError as error:
        raise SmoothNetError(
            f"cannot create the run folder {cfg.LOGDIR or cfg.OUTPUT_DIR}: {error.strerror}; "
            "choose another with --logdir"
        ) from error


def start_logging(folder: Path, name: str, debug: bool = False) -> None:
    """Send the package's log to stdout and to a file in the run folder."""
    log = logging.getLogger(PACKAGE)
    log.setLevel(logging.DEBUG if debug else logging.INFO)
    log.propagate = False
    log.handlers.clear()
    for handler in (logging.StreamHandler(sys.stdout), logging.FileHandler(folder / name, encoding="utf-8")):
        handler.setFormatter(logging.Formatter("%(asctime)s %(message)s", "%H:%M:%S"))
        log.addHandler(handler)


class StopOnSignal:
    """Turns the first SIGINT or SIGTERM into a request to stop after the current step."""

    def __init__(self) -> None:
        self.number = 0
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, self._note)

    def _note(self, number: int, frame: Any) -> None:
        if self.number:  # asked twice: at once
            sys.exit(128 + number)
        self.number = number

    def __call__(self) -> bool:
        return bool(self.number)

    @property
    def status(self) -> int:
        """Exit status: 130 after SIGINT, 143 after SIGTERM, else 0."""
        return 128 + self.number if self.number else 0
