# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) SmoothNet contributors
"""Angles that stand in columns x, y and z or in an array of three numbers a joint, as positions do.

bvh-converter, for one, writes walk_worldpos.csv and walk_rotations.csv with the same names of columns. Smoothed as
positions, an angle that passes half a turn is drawn through all the degrees between 180 and -180.
"""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np

from ..utils.errors import SmoothNetError
from .meaning import steadiness
from .recording import Recording, Track

# Formats whose columns, keys and axes say no more than x, y and z.
_UNSAID = ("csv", "long-csv", "json", "jsonl", "npy", "npz")
_DERIVATIVES = re.compile(r"velocit(?:y|ies)|accelerations?|reprojection")
_WORDS = re.compile(r"rotations?|rot|euler\w*|angles?|orientations?|rpy|\w*(?:旋转|角度|欧拉)\w*")
# What Kalidokit, VRM and Unity turn: a bone between two joints, not a joint.
_BONE = re.compile(r"(?:upper|lower)[ _.]?(?:arm|leg)", re.IGNORECASE)
_TURN = 360.0  # degrees
_WRAP = 300.0  # from one frame to the next, which no body turns by and which a whole turn takes off
_MOST_RADIANS = 7.0
_UNSTEADY = 0.2  # of what may be metres as well: see meaning.steadiness
_LOOKED_AT = 5000  # frames
_ENOUGH = 2000  # frames that tell whether bones keep their length


def refuse_named_angles(recording: Recording) -> None:
    """Refuse points that are angles: by the file's name where their values can be, or by their values alone
    where they leap by whole turns.

    Raises:
        SmoothNetError: they are, and --layout did not say otherwise.
    """
    if recording.format not in _UNSAID:
        return
    single = [track for track in recording.tracks if track.kind == "points" and track.points.shape[2] == 1]
    if any(map(_wraps, single)):
        raise SmoothNetError(
            f"{recording.path} holds an angle in degrees that leaps by whole turns, through which smoothing would draw "
            "a line: write it without them, as numpy.unwrap(degrees, period=360, axis=0) does"
        )
    tracks = [track for track in recording.tracks if track.kind == "points"]
    other = _named(recording.path, _DERIVATIVES)
    if other is not None and tracks and all(map(_may_be_derivatives, tracks)):
        raise SmoothNetError(
            f"{recording.path} holds no positions, by {other!r} in its name; smooth the positions that they come from, "
            f"or say --layout {','.join('xyz'[: tracks[0].points.shape[2]])} if they are positions"
        )
    tracks = [track for track in tracks if track.points.shape[2] == 3]
    if not tracks or not all(map(_within_a_turn, tracks)):
        return
    wrapped = any(map(_wraps, tracks))
    named = _named(recording.path, _WORDS)
    bone = next((name for name in recording.names or () if _BONE.search(name)), None)
    if bone is not None and not all(map(_are_radians, tracks)):
        bone = None
    if not wrapped and bone is None and (named is None or not all(map(_may_be_angles, tracks))):
        return
    sign = "by leaps of a whole turn" if bone is None else f"by bones such as {bone} that keep no length"
    sign = sign if named is None else f"by {named!r} in its name"
    raise SmoothNetError(
        f"{recording.path} holds angles, {sign}, which are not smoothed as positions: give the .bvh or .mot "
        "that they come from, or save them as quaternions qw, qx, qy, qz; if they are positions, say --layout x,y,z"
    )


def _may_be_derivatives(track: Track) -> bool:
    """Whether joints lie no further from one another than each moves, as they do not in a body; one says nothing."""
    points = _whole_poses(track, _LOOKED_AT)
    if points.shape[1] < 2 or len(points) < 2:
        return True
    middles, motion = points.mean(axis=0).std(axis=0), points.std(axis=0).mean(axis=0)
    return bool((middles < motion).all())


def _named(path: Path, pattern: re.Pattern[str]) -> str | None:
    """The word in a file's name that says angles, or what else the pattern has."""
    words = re.sub(r"(?<=[a-z])(?=[A-Z])", " ", path.stem).lower()
    return next((word for word in re.split(r"[\W_\d]+", words) if pattern.fullmatch(word)), None)


def _whole_poses(track: Track, frames: int) -> np.ndarray:
    """(n, K, D) float64: of the first `frames` those in which every joint is shown."""
    points = track.points[:frames].astype(np.float64)
    return points[np.isfinite(points).all(axis=(1, 2))]


def _columns(track: Track) -> np.ndarray:
    """(frames, numbers) float64 of what is shown in the first frames."""
    part = track.points[:_LOOKED_AT].astype(np.float64)
    return part.reshape(len(part), part.shape[1] * part.shape[2])


def _within_a_turn(track: Track) -> bool:
    values = _columns(track)
    values = values[np.isfinite(values)]
    return len(values) > 0 and float(np.abs(values).max()) <= _TURN


def _wraps(track: Track) -> bool:
    """Whether a number leaps by a whole turn, back and forth between both ends of -180 to 180 or 0 to 360."""
    columns = _columns(track)
    leaps = np.abs(np.diff(columns, axis=0)) > _WRAP
    for column in columns[:, leaps.sum(axis=0) >= 2].T:
        known = column[np.isfinite(column)]
        low, high = known.min(), known.max()
        if not (-180 <= low < -150 < 150 < high <= 180 or 0 <= low < 30 < 330 < high <= _TURN):
            continue
        steps = np.diff(column)
        steps = steps[np.isfinite(steps)]
        if np.abs(steps - _TURN * np.round(steps / _TURN)).max() < 60:
            return True
    return False


def _are_radians(track: Track) -> bool:
    """Whether bones that have a name can be turned by these numbers, and cannot lie there; too few say nothing."""
    points = _whole_poses(track, _ENOUGH)
    if points.shape[1] < 3 or len(points) < 5 or np.abs(points).max() > _MOST_RADIANS:
        return False
    return steadiness(points) > _UNSTEADY


def _may_be_angles(track: Track) -> bool:
    """Whether joints keep no distance from one another, as they would on bones; too few say nothing.

    Angles of a walk swing together, and are steadier than others. Where they could be metres as well as radians (people
    call exercises rotations) they must be clear.
    """
    points = _whole_poses(track, _ENOUGH)
    if points.shape[1] < 3 or len(points) < 5:
        return True
    return steadiness(points) > (0.03 if np.abs(points).max() > _MOST_RADIANS else _UNSTEADY)
