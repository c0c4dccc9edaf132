# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) SmoothNet contributors
"""A run of training or evaluation: its folder, whose it is, its log, and how it is asked to stop."""

from __future__ import annotations

import logging
import os
import signal
import socket
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import datetime
from pathlib import Path
from typing import Any, TextIO

from .. import config
from ..utils.errors import SmoothNetError
from ..utils.files import write_text
from .arguments import BROKEN_PIPE, PACKAGE, drop_output

log = logging.getLogger(__name__)


def make_run_folder(cfg: Any) -> Path:
    """Create the run folder: LOGDIR, or OUTPUT_DIR/<time>_<EXP_NAME>, a new one even if two runs start together.

    Raises:
        SmoothNetError: it cannot be created.
    """
    folder = Path(cfg.LOGDIR or cfg.OUTPUT_DIR)
    try:
        if cfg.LOGDIR:
            folder.mkdir(parents=True, exist_ok=True)
            return folder
        stem = f"{datetime.now():%Y-%m-%d_%H-%M-%S}_{cfg.EXP_NAME}"
        Path(cfg.OUTPUT_DIR).mkdir(parents=True, exist_ok=True)
        for number in range(1000):
            folder = Path(cfg.OUTPUT_DIR) / (f"{stem}_{number}" if number else stem)
            with suppress(FileExistsError):
                folder.mkdir()
                return folder
        raise SmoothNetError(f"{cfg.OUTPUT_DIR} has a thousand runs of this second; clean it up")
    except OSError as error:
        raise SmoothNetError(
            f"cannot create the run folder {folder}: {error.strerror}; choose another with --logdir"
        ) from error


def holds_training(folder: Path) -> bool:
    """Whether a training run was started in this folder."""
    return any((folder / name).exists() for name in ("checkpoint.pth.tar", "train_log.txt"))


def refuse_to_mix(folder: Path, resume: bool) -> None:
    """Raises SmoothNetError if a training here would replace what another run, not to be resumed, has left."""
    if (folder / "checkpoint.pth.tar").exists() and not resume:
        raise SmoothNetError(
            f"{folder} already holds a training run; go on with --resume auto or name another --logdir"
        )
    if (folder / "eval_config.yaml").exists() and not holds_training(folder):
        raise SmoothNetError(f"{folder} holds an evaluation, whose metrics.json would go; name another --logdir")


@contextmanager
def hold(folder: Path) -> Iterator[None]:
    """Keep a run folder from other trainings until the block ends, or the process, however it does.

    The system's lock on the file .lock is what counts; what the file says is for people.

    Raises:
        SmoothNetError: another process holds it; says which.
    """
    try:
        import fcntl
    except ImportError:  # Windows
        yield
        return
    try:
        file = open(folder / ".lock", "a+", encoding="utf-8")  # noqa: SIM115  (closed below)
    except OSError as error:
        raise SmoothNetError(f"cannot write into {folder}: {error.strerror}; name another --logdir") from error
    now = f"{datetime.now():%Y-%m-%d %H:%M:%S}"
    with file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            file.seek(0)
            holder = " ".join(file.read(200).split()) or "another process"
            raise SmoothNetError(
                f"{folder} is in use by {holder}; wait until it ends, or name another --logdir"
            ) from error
        except OSError as error:
            log.warning("%s cannot be locked (%s): start no second training in it", folder, error.strerror)
        with suppress(OSError):  # a full disk, which what is written next will name
            os.truncate(file.fileno(), 0)
            os.write(file.fileno(), f"process {os.getpid()} on {socket.gethostname()} since {now}\n".encode())
        yield


def start_run(cfg: Any, folder: Path, device: Any, prefix: str, out: TextIO) -> None:
    """Log to stdout (`out`) and to the run folder, and say what is known by now.

    An evaluation keeps its settings there; a training does so once it is sure that it goes on, so that a refused resume
    leaves what the folder says of its run.

    Args:
        prefix: "train" or "eval", of the names of the files.
    """
    from ..utils.device import apply_cudnn, describe_device

    logger = logging.getLogger(PACKAGE)
    logger.setLevel(logging.DEBUG if cfg.DEBUG else logging.INFO)
    logger.propagate = False
    logger.handlers.clear()
    file = logging.FileHandler(folder / f"{prefix}_log.txt", encoding="utf-8", errors="surrogateescape")
    for handler in (logging.StreamHandler(out), file):
        handler.setFormatter(logging.Formatter("%(asctime)s %(message)s", "%H:%M:%S"))
        logger.addHandler(handler)
    text = config.as_yaml(cfg)
    if prefix != "train":
        write_text(folder / f"{prefix}_config.yaml", text)
    print(f"{text}\ndevice: {describe_device(device)}\nrun folder: {folder}", file=out, flush=True)
    for sentence in config.ignored(cfg):
        log.warning(sentence)
    if not apply_cudnn(device, cfg.CUDNN.ENABLED, cfg.CUDNN.BENCHMARK, cfg.CUDNN.DETERMINISTIC):
        for key, value in config.changed(cfg, "CUDNN.").items():
            log.warning("%s %s does nothing on %s, which has no cudnn", key, value, device)


class StopOnSignal:
    """Turns the first SIGINT, SIGTERM or SIGHUP into a request to stop after the current step.

    A signal that is ignored stays so: `nohup` makes a run outlive its terminal.
    """

    def __init__(self) -> None:
        self.number = 0
        self.terminals = [fd for fd in (1, 2) if os.isatty(fd)]
        for name in ("SIGINT", "SIGTERM", "SIGHUP"):
            number = getattr(signal, name, None)  # Windows has no SIGHUP
            if number is not None and signal.getsignal(number) != signal.SIG_IGN:
                signal.signal(number, self._note)

    def _note(self, number: int, frame: Any) -> None:
        if self.number:  # asked twice: at once
            sys.exit(128 + number)
        self.number = number
        if number == getattr(signal, "SIGHUP", None):  # the terminal is gone, and what is written there an error
            for fd in self.terminals:
                os.dup2(os.open(os.devnull, os.O_WRONLY), fd)

    def __call__(self) -> bool:
        return bool(self.number)

    @property
    def status(self) -> int:
        """Exit status: 129, 130, 143 after SIGHUP, SIGINT, SIGTERM, 141 when nobody reads the output; else 0."""
        return 128 + self.number if self.number else 0


class Output:
    """stdout for a run that has more to lose than its output: where nobody reads it any more, the run is asked to stop.

    So a run in `... | tee log` writes its checkpoint even if Ctrl-C ends tee first.
    """

    def __init__(self, stop: StopOnSignal) -> None:
        self.stop = stop

    def write(self, text: str) -> None:
        """Write, or note that nobody reads."""
        with self._noted():
            sys.stdout.write(text)

    def flush(self) -> None:
        """Flush, or note that nobody reads."""
        with self._noted():
            sys.stdout.flush()

    @contextmanager
    def _noted(self) -> Iterator[None]:
        try:
            yield
        except OSError:
            drop_output()
            self.stop.number = self.stop.number or BROKEN_PIPE - 128
