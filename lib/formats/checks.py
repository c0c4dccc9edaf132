# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) SmoothNet contributors
"""The last look at smoothed tracks before they are written: no network may damage a recording without a word."""

from __future__ import annotations

import numpy as np

from ..utils.blocks import blocks
from ..utils.errors import SmoothNetError
from .recording import Recording, Track

# Smoothed columns of rotations get shorter where the input turned fast, and are made unit again. Columns shorter than
# this, or this close to parallel (sine of their angle), say no direction any more.
_SHORTEST = 0.01


def check_output(
    recording: Recording,
    smoothed: list[np.ndarray],
    min_score: float | None = None,
    margin: float = 1.0,
    advice: str = "",
) -> None:
    """Refuse smoothed tracks that cannot be the motion that was read.

    Args:
        recording: As read.
        smoothed: For each track an array like its `points`.
        min_score: Points with a score below this were taken as missing, and may be missing in the output.
        margin: How far beyond the range of its input a coordinate may lie, in sizes of that range: the largest extent
            of the track over all its frames and joints.
        advice: What the error says to do.

    Raises:
        SmoothNetError: a value is not finite where the input was, rotations are none any more, or a coordinate lies
            further away than the input's own range allows; names track, joint and frame.
    """
    for track, new in zip(recording.tracks, smoothed, strict=True):
        found = track.shown(min_score)
        low, high = _range(track.points, found, margin) if track.kind != "rotations" else (None, None)
        lost, wrong = _Refused("is not finite"), _Refused("is no rotation any more")
        if low is not None and high is not None:
            wrong.what = f"lies beyond what the input reaches, {low.min():.4g} to {high.max():.4g}"
        for frames in blocks(len(found)):
            part, seen = new[frames], found[frames]
            lost.add(frames.start, seen & ~np.isfinite(part).all(axis=2), part)
            if track.kind == "rotations":
                wrong.add(frames.start, seen & ~_are_rotations(part.astype(np.float64)), part)
            elif low is not None:
                with np.errstate(invalid="ignore"):
                    wrong.add(frames.start, np.any((part < low) | (part > high), axis=2), part)
        for refused in (lost, wrong):
            refused.refuse(recording, track, found.size, advice)


def _range(points: np.ndarray, found: np.ndarray, margin: float) -> tuple[np.ndarray | None, np.ndarray | None]:
    """Least and largest coordinates (dims,) that may come of points (frames, joints, dims) that were found, if any."""
    ends = []
    for frames in blocks(len(found)):
        part = points[frames][found[frames]].astype(np.float64, copy=False)
        if len(part):
            ends += [part.min(axis=0), part.max(axis=0)]
    if not ends:
        return None, None
    low, high = np.min(ends, axis=0), np.max(ends, axis=0)
    # Rounding of float32 is no damage, also where nothing moves.
    room = margin * (high - low).max() + 1e-5 * max(np.abs(low).max(), np.abs(high).max())
    return low - room, high + room


def _are_rotations(sixd: np.ndarray) -> np.ndarray:
    """(frames, joints, 6) -> (frames, joints) bool: whether Gram-Schmidt makes a rotation of the two columns."""
    first, second = sixd[..., ::2], sixd[..., 1::2]
    with np.errstate(invalid="ignore", over="ignore"):
        lengths = np.linalg.norm(first, axis=-1), np.linalg.norm(second, axis=-1)
        area = np.linalg.norm(np.cross(first, second), axis=-1)
        return (lengths[0] > _SHORTEST) & (lengths[1] > _SHORTEST) & (area > _SHORTEST * lengths[0] * lengths[1])


class _Refused:
    """Points that cannot be: the first of them, and how many there are."""

    def __init__(self, what: str) -> None:
        self.what, self.count = what, 0
        self.first: tuple[int, int, np.ndarray] | None = None  # frame, joint, (dims,)

    def add(self, start: int, bad: np.ndarray, new: np.ndarray) -> None:
        """Take the `bad` ones (frames, joints) of the new points from the frame `start` on."""
        if not bad.any():
            return
        self.count += int(bad.sum())
        if self.first is None:
            frame, joint = (int(index) for index in np.argwhere(bad)[0])
            self.first = start + frame, joint, new[frame, joint]

    def refuse(self, recording: Recording, track: Track, points: int, advice: str) -> None:
        """Raise if there are any; `points` is how many were looked at."""
        if self.first is None:
            return
        frame, joint, values = self.first
        names = recording.names or ()
        name = names[joint] if joint < len(names) else joint
        said = ", ".join(f"{value:.4g}" for value in values)
        raise SmoothNetError(
            f"{recording.path}: smoothing went wrong, nothing was written: ({said}) of track {track.id}, joint {name}, "
            f"frame {track.start + frame} ({track.part}) {self.what}; {self.count} of {points} points are like that. "
            f"{advice}"
        )
