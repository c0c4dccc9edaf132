# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) SmoothNet contributors
"""What a reader hands on and a writer gets back: tracks of points, free of file formats."""

from __future__ import annotations

from collections.abc import Hashable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from ..utils.blocks import blocks, by_frames


@dataclass
class Track:
    """One person (or one rigid set of channels) over a run of frames.

    `points` is (frames, joints, dims) float64, or float32 where a large file is, in the unit of the file, NaN where
    the file has no value or its own mark for "not found". For kind "rotations" the last axis holds the 6 numbers r00
    r01 r10 r11 r20 r21.
    Frame t of the arrays is frame `start + t` of the recording.
    """

    id: Hashable
    points: np.ndarray
    start: int = 0
    scores: np.ndarray | None = None  # (frames, joints), the estimator's confidence, NaN where absent
    kind: str = "points"  # "points" | "rotations"
    part: str = "points"  # names what the numbers are, e.g. the array of an npz; tracks of a part share a unit
    in_file: np.ndarray | None = None  # (frames, joints) bool, where the file has a place for it; None: everywhere
    where: Any = None  # the format's own note of where in the file these numbers stand
    form: str = "points"  # of rotations: how the file writes them, a key of rotations.FORMS
    owner: str = "person"  # what a track stands for: "person" | "camera" | "person or camera"

    def shown(self, min_score: float | None = None) -> np.ndarray:
        """(frames, joints) bool: the points that are there. A score of NaN condemns nobody."""
        found = by_frames(self.points, lambda part: np.isfinite(part).all(axis=2))
        if min_score is not None and self.scores is not None:
            for frames in blocks(len(found)):
                found[frames] &= ~(self.scores[frames].astype(np.float64, copy=False) < min_score)
        return found


@dataclass
class Recording:
    """A file (or folder) of poses as read: the tracks, and all that is needed to write it back."""

    path: Path
    format: str
    tracks: list[Track]
    frame_count: int
    fps: float | None = None
    names: tuple[str, ...] | None = None  # joint names where the file has them and all tracks share them
    source: Any = field(default=None, repr=False)  # the parsed original, known to the format alone
    # Whether it is large and its writer asks for smoothed tracks a block of frames at a time: they may be a Spool.
    by_blocks: bool = False
    # For people, filled in by read_recording: one line on what the numbers were taken for.
    understood: str = ""
    # Numbers of the file that are no poses, by name ("bboxes", "betas"): they come back as they were.
    left_alone: list[str] = field(default_factory=list)
    # What a reader found that a user must know; part of `understood`.
    notes: list[str] = field(default_factory=list)
