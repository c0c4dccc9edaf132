# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) SmoothNet contributors
"""What the sequences of one file add up to, and what stops a file or a whole run while they are written."""

from __future__ import annotations

import errno
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np

from ..formats import Recording
from ..inference.report import Report, body_size
from ..utils.errors import SmoothNetError
from .storage import reason

OF_THIS_NAME = (errno.ENAMETOOLONG, errno.EILSEQ, errno.EINVAL)  # what a file system says of one file, not of itself


@dataclass
class Tally:
    """What the sequences of one file add up to. Means are over frames; the unit is the file's."""

    sequences: int = 0
    frames: int = 0
    people: int = 0
    bad: int = 0
    error: str | None = None
    fps: float | None = None
    warning: str | None = None
    moved_most: float | None = None
    sums: dict[str, list[float]] = field(default_factory=dict)  # column -> sum of value x frames, frames

    def add(self, recording: Recording, report: Report, fps: float | None, min_score: float | None) -> None:
        """Count one sequence; of its parts the one with most points says how much it jittered and moved."""
        self.sequences += 1
        self.frames += report.frames
        self.people += report.tracks
        self.fps = self.fps or fps
        self.warning = self.warning or report.warning()
        found: dict[str, int] = {}
        for track in recording.tracks:
            found[track.part] = found.get(track.part, 0) + int(track.shown(min_score).sum())
        name = max(found, key=lambda part: found[part], default=None)
        part = report.parts.get(name) if name is not None else None
        if part is None:
            return
        track = max((t for t in recording.tracks if t.part == name), key=lambda t: t.points.size)
        size = 180 / np.pi if part.unit == "deg" else body_size(track.points, track.shown(min_score))
        self._mean("size_of_body", size, report.frames)
        if part.jitter is not None:
            self._mean("jitter_before", part.jitter[0], report.frames)
            self._mean("jitter_after", part.jitter[1], report.frames)
        if part.moved is not None:
            self._mean("moved", part.moved[0], report.frames)
            self.moved_most = max(self.moved_most or 0.0, part.moved[2])

    def fail(self, what: str) -> None:
        """Count a sequence of a shard that stays as it is."""
        self.sequences += 1
        self.bad += 1
        self.error = self.error or what

    def values(self) -> dict[str, Any]:
        """The columns of manifest.RESULTS."""
        means = {name: total / frames for name, (total, frames) in self.sums.items() if frames}
        own = {k: v for k, v in asdict(self).items() if k != "sums"}
        if self.bad:
            own["error"] = f"{self.bad} of {self.sequences} sequences are as they were: {self.error}"
        return own | {name: value if np.isfinite(value) else None for name, value in means.items()}

    def _mean(self, name: str, value: float, frames: int) -> None:
        total = self.sums.setdefault(name, [0.0, 0.0])
        total[0] += float(value) * frames
        total[1] += frames


class OutputError(Exception):
    """The output's file system does not take any more."""


@contextmanager
def writing() -> Iterator[None]:
    """Tell what the output's file system refuses from what is wrong with one file."""
    try:
        yield
    except (OSError, SmoothNetError) as error:
        cause = error if isinstance(error, OSError) else error.__cause__
        if isinstance(cause, OSError) and cause.errno not in OF_THIS_NAME:
            raise OutputError(reason(error)) from error
        raise
