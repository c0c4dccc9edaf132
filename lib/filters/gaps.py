"""What is done about missing points before a filter sees them: bridge short gaps, cut at long ones.

A point is missing where one of its coordinates is NaN or infinite.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

MAX_GAP = 10  # frames in a row without any point that are bridged


def shown_points(points: np.ndarray) -> np.ndarray:
    """(..., D) coordinates -> (...) bool, whether the point is there."""
    return np.isfinite(points).all(axis=-1)


def bridge(x: np.ndarray, hold: bool = False) -> np.ndarray:
    """(L, C) floats -> a copy without gaps: what is not finite is taken from a straight line between its neighbours.

    Before the first and after the last value of a channel that value is held; a channel without any becomes 0.

    Args:
        hold: hold the last value over gaps inside as well, for filters that do not know the future.
    """
    bridged = x.copy()
    frames = np.arange(len(x))
    good = np.isfinite(x)
    for c in np.flatnonzero(~good.all(axis=0)):
        known = frames[good[:, c]]
        if not len(known):
            bridged[:, c] = 0.0
        elif hold:
            bridged[:, c] = x[known[np.maximum(np.searchsorted(known, frames, side="right") - 1, 0)], c]
        else:
            bridged[:, c] = np.interp(frames, known, x[known, c])
    return bridged


def segments(points: np.ndarray, max_gap: int = MAX_GAP) -> Iterator[slice]:
    """The runs of frames of (L, K, D) points that gaps of more than `max_gap` frames without any point separate."""
    frames = np.flatnonzero(shown_points(points).any(axis=1))
    for part in np.split(frames, np.flatnonzero(np.diff(frames) > max_gap + 1) + 1):
        if len(part):
            yield slice(int(part[0]), int(part[-1]) + 1)
