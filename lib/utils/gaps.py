# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) SmoothNet contributors
"""Missing points, for all that smooths: where a recording is cut, and how a gap is bridged.

A point is missing where one of its coordinates is NaN or infinite.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise
from typing import Any

import numpy as np

from .arguments import check_whole
from .blocks import blocks
from .errors import SmoothNetError

FARTHEST = 1e15  # beyond, doubles and the network's floats cannot tell positions of a body apart
MAX_GAP = 10  # frames in a row without any point that are bridged


def check_max_gap(max_gap: Any) -> None:
    """Raises SmoothNetError unless it is a number of frames."""
    check_whole("max_gap", max_gap)
    if max_gap is None or max_gap < 0:
        raise SmoothNetError(f"max_gap must be 0 frames or more, not {max_gap}")


def shown_points(points: np.ndarray) -> np.ndarray:
    """(..., D) coordinates -> (...) bool, whether the point is there."""
    return np.isfinite(points).all(axis=-1)


def refuse_far(points: np.ndarray) -> None:
    """Refuse coordinates (of (T, K, D) or (K, D) floats) that no recording reaches, which all others would feel.

    Raises:
        SmoothNetError: names the largest.
    """
    for part in (points[frames] for frames in blocks(len(points))):
        if not (np.abs(part) > FARTHEST).any():  # as ever
            continue
        largest = np.abs(part).max(initial=0, where=np.isfinite(part))
        if largest > FARTHEST:
            raise SmoothNetError(
                f"a coordinate is {largest:.3g}; no recording reaches that far; make it NaN if the point is missing"
            )


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


def spline(x: np.ndarray) -> np.ndarray:
    """(L, C) floats -> a copy whose gaps inside are bridged by cubic Hermite curves, with the slopes of both sides.

    A slope is that of the parabola through the three values beside the gap, of the line through two where there are
    no more. A curve leaves the range of its channel by at most half of it. Before the first and after the last value
    that value is held, as bridge does.
    """
    bridged = bridge(x)
    good = np.isfinite(x)
    for c in np.flatnonzero(~good.all(axis=0) & good.any(axis=0)):
        known = np.flatnonzero(good[:, c])
        low, high = x[known, c].min(), x[known, c].max()
        for a, b in pairwise(known.tolist()):
            if b - a > 1:
                h, t = b - a, np.arange(1, b - a) / (b - a)
                line = (x[b, c] - x[a, c]) / h
                start, end = -_slope(x[a::-1, c][:3], -line), _slope(x[b:, c][:3], line)
                curve = (2 * t**3 - 3 * t**2 + 1) * x[a, c] + (3 * t**2 - 2 * t**3) * x[b, c]
                curve += h * ((t**3 - 2 * t**2 + t) * start + (t**3 - t**2) * end)
                bridged[a + 1 : b, c] = np.clip(curve, low - (high - low) / 2, high + (high - low) / 2)
    return bridged


def _slope(values: np.ndarray, otherwise: float) -> float:
    """The slope at the first of up to three values a frame apart."""
    if len(values) > 2 and np.isfinite(values).all():
        return float(-1.5 * values[0] + 2 * values[1] - 0.5 * values[2])
    return float(values[1] - values[0]) if len(values) > 1 and np.isfinite(values[1]) else otherwise


def bridge_windows(windows: np.ndarray, missing: np.ndarray) -> np.ndarray:
    """(N, K, D, W) windows with the `missing` frames (N, K, W) replaced as bridge does, each window from itself.

    A joint that is missing in all frames stays as it is.
    """
    frames = windows.shape[-1]
    missing = missing & ~missing.all(axis=-1, keepdims=True)
    time = np.arange(frames)
    before = np.maximum.accumulate(np.where(missing, -1, time), axis=-1)
    after = np.minimum.accumulate(np.where(missing, frames, time)[..., ::-1], axis=-1)[..., ::-1]
    before, after = np.where(before < 0, after, before), np.where(after == frames, before, after)
    share = ((time - before) / np.maximum(after - before, 1)).astype(windows.dtype)[:, :, None]
    start, end = (np.take_along_axis(windows, side[:, :, None], axis=-1) for side in (before, after))
    return start + share * (end - start)


def uncut(found: Any, max_gap: int) -> list[tuple[int, int]]:
    """(L,) of bool -> spans [first, last) that begin and end with a found frame; no gap in them is over `max_gap`."""
    frames = np.flatnonzero(found)
    if not len(frames):
        return []
    cuts = np.flatnonzero(np.diff(frames) > max_gap + 1)
    firsts = frames[np.r_[0, cuts + 1]]
    lasts = frames[np.r_[cuts, len(frames) - 1]] + 1
    return [(int(first), int(last)) for first, last in zip(firsts, lasts, strict=True)]


def segments(points: np.ndarray, max_gap: int = MAX_GAP) -> Iterator[slice]:
    """The runs of frames of (L, K, D) points that gaps of more than `max_gap` frames without any point separate."""
    for first, last in uncut(shown_points(points).any(axis=1), max_gap):
        yield slice(first, last)
