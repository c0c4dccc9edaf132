# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) SmoothNet contributors
"""The last look at smoothed tracks before they are written: no network may damage a recording without a word."""

from __future__ import annotations

import numpy as np

from ..utils.errors import SmoothNetError
from .recording import Recording, Track

# Smoothed columns of rotations get shorter where the input turned fast, and are made unit again. Columns shorter than
# this, or this close to parallel (sine of their angle), say no direction any more.
_SHORTEST = 0.01


def check_output(
    recording: Recording, smoothed: list[np.ndarray], min_score: float | None = None, margin: float = 1.0
) -> None:
    """Refuse smoothed tracks that cannot be the motion that was read.

    Args:
        recording: As read.
        smoothed: For each track an array like its `points`.
        min_score: Points with a score below this were taken as missing, and may be missing in the output.
        margin: How far beyond the range of its input a coordinate may lie, in sizes of that range: the largest extent
            of the track over all its frames and joints.

    Raises:
        SmoothNetError: a value is not finite where the input was, rotations are none any more, or a coordinate lies
            further away than the input's own range allows; names track, joint and frame.
    """
    for track, new in zip(recording.tracks, smoothed, strict=True):
        found = track.shown(min_score)
        _refuse(recording, track, found & ~np.isfinite(new).all(axis=2), new, "is not finite")
        if track.kind == "rotations":
            _refuse(recording, track, found & ~_are_rotations(new), new, "is no rotation any more")
        elif found.any():
            low, high = _range(track.points[found], margin)
            with np.errstate(invalid="ignore"):
                beyond = np.any((new < low) | (new > high), axis=2)
            limits = f"lies beyond what the input reaches, {low.min():.4g} to {high.max():.4g}"
            _refuse(recording, track, beyond, new, limits)


def _range(points: np.ndarray, margin: float) -> tuple[np.ndarray, np.ndarray]:
    """Least and largest coordinates (dims,) that may come of (N, dims) points."""
    low, high = points.min(axis=0), points.max(axis=0)
    # Rounding of float32 is no damage, also where nothing moves.
    room = margin * (high - low).max() + 1e-5 * np.abs(points).max()
    return low - room, high + room


def _are_rotations(sixd: np.ndarray) -> np.ndarray:
    """(frames, joints, 6) -> (frames, joints) bool: whether Gram-Schmidt makes a rotation of the two columns."""
    first, second = sixd[..., ::2], sixd[..., 1::2]
    with np.errstate(invalid="ignore", over="ignore"):
        lengths = np.linalg.norm(first, axis=-1), np.linalg.norm(second, axis=-1)
        area = np.linalg.norm(np.cross(first, second), axis=-1)
        return (lengths[0] > _SHORTEST) & (lengths[1] > _SHORTEST) & (area > _SHORTEST * lengths[0] * lengths[1])


def _refuse(recording: Recording, track: Track, bad: np.ndarray, new: np.ndarray, what: str) -> None:
    if not bad.any():
        return
    frame, joint = (int(index) for index in np.argwhere(bad)[0])
    names = recording.names or ()
    name = names[joint] if joint < len(names) else joint
    values = ", ".join(f"{value:.4g}" for value in new[frame, joint])
    raise SmoothNetError(
        f"{recording.path}: smoothing went wrong, nothing was written: ({values}) of track {track.id}, joint {name}, "
        f"frame {track.start + frame} ({track.part}) {what}; {int(bad.sum())} of {bad.size} points are like that. "
        "The network does not fit this recording: use the weights that come along, or check the checkpoint"
    )
