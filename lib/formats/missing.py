# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) SmoothNet contributors
"""Which points of a recording are missing although the file has numbers there."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from .recording import Track

_MARKS = (0.0, -1.0)  # what estimators write for a point they did not find


def mark_missing(tracks: list[Track], missing: float | str = "auto") -> dict[float, int]:
    """Make NaN what a value marks as missing; how many points, by that value.

    A point is marked where all its coordinates are exactly the mark: 0, -1 or a number far outside of all others that
    comes more than once (-9999). 0 and -1 can be true positions too (the root that all others refer to), so a mark
    must stand apart: a whole pose of it, a jump away from the frames before and after, or a joint that always has it
    while it lies outside of the body.

    Args:
        tracks: of one part, in one unit.
        missing: "auto", "none", or the value the user says.
    """
    if missing == "none":
        return {}
    counts: dict[float, int] = {}
    for value in [missing] if isinstance(missing, float) else _candidates(tracks):
        others = None if isinstance(missing, float) else _others(tracks, value)
        for track in tracks:
            same = (track.points == value).all(axis=2)
            gone = same if others is None else _stands_apart(track, same, value, others)
            if gone.any():
                counts[value] = counts.get(value, 0) + int(gone.sum())
                track.points[gone] = np.nan
    return counts


def _candidates(tracks: list[Track]) -> list[float]:
    equal = [t.points[(t.points == t.points[..., :1]).all(axis=2)] for t in tracks if t.points.shape[2] > 1]
    if not equal:
        return []
    values, counts = np.unique(np.concatenate(equal)[:, 0], return_counts=True)
    repeated = (counts > 1) & ~np.isin(values, _MARKS)
    often = values[repeated][np.argsort(-counts[repeated])]
    return [*(mark for mark in _MARKS if mark in values), *map(float, often[:4])]


@dataclass(frozen=True)
class _Others:
    """The points of a part that are not the mark."""

    extent: float  # the largest of their box
    outside: bool  # the mark lies outside of their box, in every coordinate
    far: bool  # by more than its extent
    apart: bool  # it lies outside of where nearly all of them are, in every coordinate


def _others(tracks: list[Track], value: float) -> _Others:
    points = np.concatenate([t.points[np.isfinite(t.points).all(axis=2)] for t in tracks])
    points = points[~(points == value).all(axis=1)]
    if not len(points):
        return _Others(0.0, True, False, False)
    low, high = points.min(axis=0), points.max(axis=0)
    extent = float((high - low).max())
    outside = bool(((value < low) | (value > high)).all())
    far = outside and bool((np.maximum(low - value, value - high) > extent).all())
    low, high = np.quantile(points, (0.02, 0.98), axis=0)
    return _Others(extent, outside, far, bool(((value < low) | (value > high)).all()))


def _stands_apart(track: Track, same: np.ndarray, value: float, others: _Others) -> np.ndarray:
    """Of the points that are the mark, (frames, joints), those that can be no positions."""
    if not same.any():
        return same
    if value not in _MARKS:
        return same if others.far else np.zeros_like(same)
    several = track.points.shape[1] > 1
    whole = (same | np.isnan(track.points).all(axis=2)).all(axis=1)
    gone = same & whole[:, None] & several & (value == 0 or others.outside)
    for joint in np.flatnonzero((same & ~gone).any(axis=0)):
        marked = same[:, joint] & ~gone[:, joint]
        shown = np.isfinite(track.points[:, joint]).all(axis=1) & ~same[:, joint]
        if not shown.any():
            gone[marked, joint] = several and others.apart
        elif _jumps(track.points[:, joint], marked, shown, value, others.extent):
            gone[marked, joint] = True
    return gone


def _jumps(path: np.ndarray, marked: np.ndarray, shown: np.ndarray, value: float, extent: float) -> bool:
    """Whether a joint (frames, dims) goes to the mark and back in steps that it does not make otherwise."""
    frames = np.flatnonzero(shown)
    steps = np.linalg.norm(np.diff(path[frames], axis=0), axis=1)[np.diff(frames) == 1]
    usual = float(np.median(steps)) if len(steps) else 0.0
    after = np.clip(np.searchsorted(frames, np.flatnonzero(marked)), 0, len(frames) - 1)
    before = np.clip(after - 1, 0, None)
    nearest = np.minimum(
        np.linalg.norm(path[frames[after]] - value, axis=1), np.linalg.norm(path[frames[before]] - value, axis=1)
    )
    return bool(np.median(nearest) > max(5 * usual, 0.02 * extent))


def mark_absurd(tracks: list[Track]) -> list[str]:
    """Single coordinates of another magnitude than all others (one 1e30 among pixels) make their point missing."""
    values = np.concatenate([t.points[np.isfinite(t.points).all(axis=2)].ravel() for t in tracks])
    if len(values) < 20:
        return []
    if max(abs(values.min()), abs(values.max())) <= 1e6:
        return []
    low, middle, high = np.quantile(values, (0.1, 0.5, 0.9))
    with np.errstate(over="ignore"):
        scale = max(high - low, 1e-3 * abs(middle))
        if not 0 < scale < math.inf:
            return []
        count, worst = 0, 0.0
        for track in tracks:
            off = (np.abs(track.points - middle) > 1e4 * scale) & (np.abs(track.points) > 1e6)
            if off.any():
                count += int(off.any(axis=2).sum())
                worst = max(worst, float(np.abs(track.points[off]).max()))
                track.points[off.any(axis=2)] = np.nan
    if not count:
        return []
    return [f"{count} absurd point{'s' * (count > 1)} (as far as {worst:.2g}) taken as missing"]
