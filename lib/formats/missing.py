# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) SmoothNet contributors
"""Which points of a recording are missing although the file has numbers there."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np

from ..utils.blocks import blocks, by_frames
from .recording import Track

_MARKS = (0.0, -1.0)  # what estimators write for a point they did not find
_IN_ONE_PLACE = 2  # joints of a skeleton: Human3.6M's 32 have the root twice


def mark_missing(tracks: list[Track], missing: float | str = "auto") -> dict[float, int]:
    """Make NaN what a value marks as missing; how many points, by that value.

    A point is marked where all its coordinates are exactly the mark: 0, -1 or another number that comes more than once
    (-9999). Where that does not lie far outside of all others it can be a true position too (the root that all others
    refer to), so a mark must stand apart: a whole pose of it, a jump away from the frames before and after, or, of 0
    and -1, a joint that always has it while it lies outside of the body, or more joints that always have it than can
    be in one place (a second person of zeros behind the joints of the first).

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
            same = _is_mark(track.points, value)
            gone = same if others is None else _stands_apart(track, same, value, others)
            if gone.any():
                counts[value] = counts.get(value, 0) + int(gone.sum())
                track.points[gone] = np.nan
    return counts


def _is_mark(points: np.ndarray, value: float) -> np.ndarray:
    """(frames, joints) bool: whether all coordinates of a point are the value, compared as doubles."""
    return by_frames(points, lambda part: (part.astype(np.float64, copy=False) == value).all(axis=2))


def _candidates(tracks: list[Track]) -> list[float]:
    found, numbers = [np.empty(0)], [np.empty(0, int)]
    for track in tracks:
        for frames in blocks(len(track.points)) if track.points.shape[2] > 1 else ():
            part = track.points[frames].astype(np.float64, copy=False)
            equal, count = np.unique(part[(part == part[..., :1]).all(axis=2)][:, 0], return_counts=True)
            found.append(equal)
            numbers.append(count)
    values, place = np.unique(np.concatenate(found), return_inverse=True)
    counts = np.bincount(place, np.concatenate(numbers), len(values)).astype(int)
    repeated = (counts > 1) & ~np.isin(values, _MARKS)
    often = values[repeated][np.argsort(-counts[repeated])]
    return [*(mark for mark in _MARKS if mark in values), *map(float, often[:4])]


@dataclass(frozen=True)
class _Others:
    """The points of a part that are not the mark."""

    extent: float  # the largest of their box
    outside: bool  # the mark lies outside of their box, in every coordinate
    far: bool  # by more than its extent
    ends: Callable[[], list[np.ndarray]]  # low and high, (dims,): between them are nearly all of them
    value: float

    def apart(self) -> bool:
        """Whether the mark lies outside of where nearly all of them are, in every coordinate."""
        low, high = self.ends()
        return bool(((self.value < low) | (self.value > high)).all())


def _others(tracks: list[Track], value: float) -> _Others:
    def parts() -> Iterator[np.ndarray]:
        for track in tracks:
            for frames in blocks(len(track.points)):
                part = track.points[frames]
                yield part[np.isfinite(part).all(axis=2) & ~_is_mark(part, value)]

    def ends() -> list[np.ndarray]:
        by_axis = []
        for axis in range(tracks[0].points.shape[2]):  # one at a time, which is what there is memory for
            by_axis.append(_quantiles(np.concatenate([part[:, axis] for part in parts()]), (0.02, 0.98)))
        return list(np.array(by_axis).T)

    boxes = [box.astype(np.float64) for part in parts() if len(part) for box in (part.min(axis=0), part.max(axis=0))]
    if not boxes:
        nowhere = np.array([value])
        return _Others(0.0, True, False, lambda: [nowhere, nowhere], value)
    low, high = np.min(boxes, axis=0), np.max(boxes, axis=0)
    extent = float((high - low).max())
    outside = bool(((value < low) | (value > high)).all())
    far = outside and bool((np.maximum(low - value, value - high) > extent).all())
    return _Others(extent, outside, far, ends, value)


def _quantiles(values: np.ndarray, shares: tuple[float, ...]) -> list[float]:
    """As np.quantile has them of doubles, of (n,) floats, which are put into another order."""
    places = [share * (len(values) - 1) for share in shares]
    near = [(math.floor(place), math.ceil(place)) for place in places]
    values.partition(sorted({i for pair in near for i in pair}))
    ends = [values[list(pair)].astype(np.float64) for pair in near]
    return [float(np.quantile(pair, place - math.floor(place))) for pair, place in zip(ends, places, strict=True)]


def _stands_apart(track: Track, same: np.ndarray, value: float, others: _Others) -> np.ndarray:
    """Of the points that are the mark, (frames, joints), those that can be no positions."""
    if not same.any():
        return same
    if value not in _MARKS and others.far:
        return same
    several, many = track.points.shape[1] > 1, track.points.shape[1] > 2
    whole = (same | by_frames(track.points, lambda part: np.isnan(part).all(axis=2))).all(axis=1)
    gone = same & whole[:, None] & several & (value == 0 or others.outside or many)
    never = ~(by_frames(track.points, lambda part: np.isfinite(part).all(axis=2)) & ~same).any(axis=0)
    crowded = int((never & (same & ~gone).any(axis=0)).sum()) > _IN_ONE_PLACE
    for joint in np.flatnonzero((same & ~gone).any(axis=0)):
        marked = same[:, joint] & ~gone[:, joint]
        shown = np.isfinite(track.points[:, joint]).all(axis=1) & ~same[:, joint]
        if never[joint]:
            gone[marked, joint] = several and value in _MARKS and (crowded or others.apart())
        elif _jumps(track.points[:, joint].astype(np.float64, copy=False), marked, shown, value, others.extent):
            gone[marked, joint] = True
    return gone


def _jumps(path: np.ndarray, marked: np.ndarray, shown: np.ndarray, value: float, extent: float) -> bool:
    """Whether a joint (frames, dims) goes to the mark and back in steps that it does not make otherwise."""
    frames = np.flatnonzero(shown)
    steps = np.linalg.norm(np.diff(path[frames], axis=0), axis=1)[np.diff(frames) == 1]
    usual = 5 * float(np.median(steps)) if len(steps) else 0.0
    if value not in _MARKS and len(steps):  # rounded positions rest, and leap to where others are
        usual = max(usual, 2 * float(np.quantile(steps, 0.95)))
    after = np.clip(np.searchsorted(frames, np.flatnonzero(marked)), 0, len(frames) - 1)
    before = np.clip(after - 1, 0, None)
    nearest = np.minimum(
        np.linalg.norm(path[frames[after]] - value, axis=1), np.linalg.norm(path[frames[before]] - value, axis=1)
    )
    return bool(np.median(nearest) > max(usual, 0.02 * extent))


def mark_without_depth(tracks: list[Track]) -> list[str]:
    """Points of x, y and a depth of 0, where it was not measured, as cameras of depth write them, become missing.

    The depth of such a joint is otherwise far from 0, on one side of it, and leaps there and back.
    """
    count = 0
    for track in tracks:
        if track.points.shape[2] != 3:
            continue
        zero = by_frames(track.points, lambda part: part[..., 2] == 0)
        for joint in np.flatnonzero(zero.any(axis=0) & ~zero.all(axis=0)):
            depth = track.points[:, joint, 2].astype(np.float64)
            shown = np.isfinite(depth) & ~zero[:, joint]
            if _leaps_to_zero(depth, zero[:, joint], shown):
                track.points[zero[:, joint], joint] = np.nan
                count += int(zero[:, joint].sum())
    return [f"{count} point{'s' * (count > 1)} with a depth of 0 taken as missing"] if count else []


def _leaps_to_zero(depth: np.ndarray, zero: np.ndarray, shown: np.ndarray) -> bool:
    """Whether a depth (frames,) that is 0 where `zero` is far from it where it is `shown`, and right beside."""
    if shown.sum() < 5:
        return False
    known = depth[shown]
    low, high = np.quantile(known, (0.02, 0.98))
    if low < 0 < high or min(abs(low), abs(high)) < 0.25 * abs(np.median(known)):
        return False
    frames = np.flatnonzero(shown)
    steps = np.abs(np.diff(known))[np.diff(frames) == 1]
    usual = float(np.quantile(steps, 0.95)) if len(steps) else 0.0
    after = np.clip(np.searchsorted(frames, np.flatnonzero(zero)), 0, len(frames) - 1)
    before = np.clip(after - 1, 0, None)
    nearest = np.minimum(np.abs(depth[frames[after]]), np.abs(depth[frames[before]]))
    return bool(np.median(nearest) > 3 * usual)


def mark_absurd(tracks: list[Track]) -> list[str]:
    """Single coordinates of another magnitude than all others (one 1e30 among pixels) make their point missing."""
    if not any(_reaches(track.points, 1e6) for track in tracks):
        return []
    values = np.concatenate([t.points[np.isfinite(t.points).all(axis=2)].ravel() for t in tracks]).astype(np.float64)
    if len(values) < 20 or max(abs(values.min()), abs(values.max())) <= 1e6:
        return []
    low, middle, high = np.quantile(values, (0.1, 0.5, 0.9))
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


def _reaches(points: np.ndarray, limit: float) -> bool:
    """Whether a coordinate of a point that is there lies beyond the limit."""
    return any((np.abs(points[frames]) > limit).any() for frames in blocks(len(points)))
