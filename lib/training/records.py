# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) SmoothNet contributors
"""What a training run leaves beside its checkpoints: iteration lines, TensorBoard, the progress bar, a profile."""

from __future__ import annotations

import logging
import threading
from pathlib import Path
from typing import Any, TextIO

import torch
from tqdm import tqdm
from yacs.config import CfgNode

from ..utils import device as devices
from ..utils.distributed import World
from ..utils.dllogger import IterationLog
from ..utils.errors import SmoothNetError
from ..utils.files import write_text
from .meter import Meter
from .state import Position

log = logging.getLogger(__name__)


class Records:
    """The records of one process; `with` closes them.

    Args:
        run: the run folder.
        progress: show a progress bar.
        echo: where the iteration lines go besides the run folder.
    """

    def __init__(
        self, cfg: CfgNode, run: Path, device: torch.device, world: World, progress: bool, echo: TextIO | None
    ):
        self.cfg, self.shown = cfg, progress and world.main
        self.lines = IterationLog(run, world.rank, echo)
        self.profile = start_profiler(cfg, device, world.rank) if cfg.TRAIN.PROFILER else None
        self.board = TensorBoard(run / "tensorboard") if world.main else None

    def __enter__(self) -> Records:
        return self

    def __exit__(self, *error: object) -> None:
        self.lines.close()
        if self.profile is not None:
            self.profile.stop()
        if self.board is not None:
            self.board.close()

    def bar(self, position: Position, batches: int) -> tqdm:
        """The progress bar of an epoch."""
        return tqdm(
            total=batches,
            initial=position.batch,
            desc=f"epoch {position.epoch + 1}/{self.cfg.TRAIN.EPOCH}",
            unit="batch",
            disable=None if self.shown else True,  # None: off where stderr is no terminal
            leave=False,
        )

    def step(self, position: Position, meter: Meter, bar: tqdm) -> None:
        """The loss was read after an iteration."""
        if self.board is not None:
            bar.set_postfix_str(f"loss {meter.loss:.5f}, {meter.rate:.0f} windows/s", refresh=False)
            self.board.add("train/loss", meter.loss, position.iteration)

    def profiled(self) -> None:
        """One iteration more for the profile."""
        if self.profile is not None:
            self.profile.step()

    def epoch(self, position: Position, loss: float, rows: list[dict[str, Any]]) -> None:
        """The mean loss and the results of an epoch."""
        if self.board is None:
            return
        for row in rows:
            for key, value in row["metrics"].items():
                self.board.add(f"{row['dataset']}_{row['estimator']}/{key}", value, position.epoch)
        self.board.add("train/epoch_loss", loss, position.epoch)


class TensorBoard:
    """Its files. They are for looking at: where the disk takes no more of them, the run goes on without.

    What cannot be written any more and counts, a checkpoint, says so itself.

    Raises:
        SmoothNetError: the files cannot be begun.
    """

    def __init__(self, folder: Path):
        from torch.utils.tensorboard import SummaryWriter  # takes seconds to import, and only training needs it

        self.folder, self.others = folder, threading.excepthook
        threading.excepthook = self._of_thread
        try:
            self.writer: Any = SummaryWriter(str(folder))
        except OSError as error:
            threading.excepthook = self.others
            raise SmoothNetError(f"cannot write {folder}: {error.strerror or error}; name another --logdir") from error

    def add(self, name: str, value: float, at: int) -> None:
        """A number of a curve."""
        if self.writer is not None:
            try:
                self.writer.add_scalar(name, value, at)
            except OSError as error:
                self._without(error)

    def close(self) -> None:
        """Write what waits."""
        try:
            if self.writer is not None:
                self.writer.close()
        except OSError as error:
            self._without(error)
        finally:
            threading.excepthook = self.others

    def _without(self, error: OSError) -> None:
        self.writer = None
        log.warning("the curves in %s end here: %s", self.folder, error.strerror or error)

    def _of_thread(self, failed: threading.ExceptHookArgs) -> None:
        """The traceback of TensorBoard's thread is left out: its error comes again where the next number is added."""
        if not (issubclass(failed.exc_type, OSError) and type(failed.thread).__module__.startswith("tensorboard")):
            self.others(failed)


def start_profiler(cfg: CfgNode, device: torch.device, rank: int) -> torch.profiler.profile:
    """Profile steps 3 to 7; writes trace_rank<N>.json (for chrome://tracing) and a table to TRAIN.PROFILER_PATH."""
    folder = Path(cfg.TRAIN.PROFILER_PATH)

    def write(profile: torch.profiler.profile) -> None:
        profile.export_chrome_trace(str(folder / f"trace_rank{rank}.json"))
        write_text(folder / f"operators_rank{rank}.txt", profile.key_averages().table(row_limit=40) + "\n")

    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise SmoothNetError(
            f"cannot create {folder} for the profile: {error.strerror}; see --profiler_path"
        ) from error
    profile = torch.profiler.profile(
        activities=devices.profiler_activities(device),
        schedule=torch.profiler.schedule(wait=1, warmup=1, active=5, repeat=1),
        on_trace_ready=write,
    )
    profile.start()
    return profile
