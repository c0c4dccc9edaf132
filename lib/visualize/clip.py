# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) SmoothNet contributors
"""A clip: what every kind of picture is drawn from."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from ..dataset.skeletons import LEFT, RIGHT, SKELETONS, Skeleton, skeleton_for, skeleton_from_names
from ..formats.text import printable
from ..utils.errors import SmoothNetError

INPUT, SMOOTHED, TRUTH = "input", "smoothed", "ground truth"

# The mean of these joints tells where up is.
_UPPER = ("head", "nose", "face", "neck")
_LOWER = ("ankle", "foot", "toe", "heel")
_AXES = {"+x": (0, 1), "-x": (0, -1), "+y": (1, 1), "-y": (1, -1), "+z": (2, 1), "-z": (2, -1)}


@dataclass(frozen=True)
class Curve:
    """One number a frame for each series, and the mean that the evaluation reports for the whole sequence."""

    name: str
    unit: str
    values: Mapping[str, np.ndarray]  # series -> (frames,)
    means: Mapping[str, float]  # series -> mean over the sequence


@dataclass(frozen=True)
class Mesh:
    """Surfaces instead of sticks: series -> vertices (frames, vertices, 3), and triangles (faces, 3)."""

    vertices: Mapping[str, np.ndarray]
    faces: np.ndarray


@dataclass(frozen=True)
class Look:
    """What a user may say of how poses are drawn; None: the likeliest. See make_clip."""

    skeleton: str | None = None
    edges: Sequence[tuple[int, int]] | None = None
    up: str | None = None


@dataclass(frozen=True)
class Clip:
    """Poses to look at: the same frames as estimated, smoothed and, where it exists, measured.

    Attributes:
        series: name -> (frames, joints, dims) float64 in `unit`, NaN = missing; dims 2 (pixels, y down) or 3.
        skeleton: names, edges and sides of the joints.
        fps: frames a second.
        unit: "m", "mm", "px" or "" (unknown).
        title: one line over the picture.
        first_frame: number of the first frame in the recording.
        curves: numbers over time, drawn below the poses.
        mesh: surfaces, drawn in place of the skeletons.
        axes: (3, 3) rotation, rows right, up and towards the viewer; None for 2D.
    """

    series: Mapping[str, np.ndarray]
    skeleton: Skeleton
    fps: float
    unit: str
    title: str
    first_frame: int = 0
    curves: tuple[Curve, ...] = ()
    mesh: Mesh | None = None
    axes: np.ndarray | None = None

    @property
    def frames(self) -> int:
        return len(next(iter(self.series.values())))

    @property
    def dims(self) -> int:
        return next(iter(self.series.values())).shape[2]


def make_clip(
    series: Mapping[str, np.ndarray],
    *,
    fps: float,
    unit: str = "",
    title: str = "",
    skeleton: str | Skeleton | None = None,
    edges: Sequence[tuple[int, int]] | None = None,
    up: str | None = None,
    first_frame: int = 0,
    curves: Sequence[Curve] = (),
    mesh: Mesh | None = None,
) -> Clip:
    """Check and complete what the pictures need.

    Args:
        series: name -> (frames, joints, dims), all of one shape, in the order of the panels.
        fps: frames a second.
        skeleton: a key of SKELETONS or a Skeleton; None guesses by the joint count.
        edges: pairs of joint numbers, in place of the skeleton's where that is not given as one.
        up: the axis that points up ("+y", "-z", ...); None guesses from head and feet, else "-y".

    Raises:
        SmoothNetError: shapes differ, no frames, a skeleton or an edge that does not fit.
    """
    if not fps > 0 or not np.isfinite(fps):
        raise SmoothNetError(f"the frame rate is {fps}; give one above 0 with --fps")
    series = {name: np.asarray(values, dtype=np.float64) for name, values in series.items()}
    shapes = {values.shape for values in series.values()}
    if len(shapes) != 1 or len(shape := shapes.pop()) != 3:
        raise SmoothNetError(f"series to draw differ in shape: { {n: v.shape for n, v in series.items()} }")
    frames, joints, dims = shape
    if frames == 0:
        raise SmoothNetError("there is no frame to draw; check VIS.START and VIS.END")
    if dims not in (2, 3):
        raise SmoothNetError(f"poses with {dims} coordinates a joint cannot be drawn; 2 or 3 are needed")

    reference = list(series.values())[-1]
    if not isinstance(skeleton, Skeleton):
        skeleton = find_skeleton(Look(skeleton, edges), joints, reference)
    if len(skeleton.joints) != joints:
        raise SmoothNetError(f"the skeleton has {len(skeleton.joints)} joints, the poses have {joints}")
    axes = viewing_axes(reference, skeleton, up) if dims == 3 else None
    return Clip(series, skeleton, float(fps), unit, printable(title), first_frame, tuple(curves), mesh, axes)


def of_people(skeleton: Skeleton, people: int) -> Skeleton:
    """The skeleton of several people whose joints stand one after the other."""
    if people == 1:
        return skeleton
    count = len(skeleton.joints)
    joints = tuple(f"{name} ({person})" for person in range(1, people + 1) for name in skeleton.joints)
    edges = tuple((a + person * count, b + person * count) for person in range(people) for a, b in skeleton.edges)
    return Skeleton(joints, edges, skeleton.root)


def find_skeleton(look: Look, joints: int, poses: np.ndarray, names: Sequence[str] | None = None) -> Skeleton:
    """The skeleton to draw (frames, joints, dims) poses with: as the look says, by the joints' names, by their count.

    Raises:
        SmoothNetError: there is no skeleton of that name, or it or an edge does not fit.
    """
    skeleton = None
    if look.skeleton is not None:
        if look.skeleton not in SKELETONS:
            raise SmoothNetError(f"there is no skeleton {look.skeleton!r}; there are {', '.join(SKELETONS)}")
        skeleton = SKELETONS[look.skeleton]
    elif names and len(names) == joints:
        named = skeleton_from_names(names)
        # A few names may agree by chance; then the joint count says more.
        if look.edges is not None or 2 * len(named.edges) >= len(named.joints):
            skeleton = named
    if skeleton is None:
        likely = skeleton_for(joints, poses.shape[2], poses)
        skeleton = SKELETONS[likely] if likely else Skeleton(tuple(f"joint {j}" for j in range(joints)), (), (0,))
    if len(skeleton.joints) != joints:
        raise SmoothNetError(f"the skeleton has {len(skeleton.joints)} joints, the poses have {joints}")
    if look.edges is None:
        return skeleton
    for a, b in look.edges:
        if not (0 <= a < joints and 0 <= b < joints):
            raise SmoothNetError(f"edge {a}-{b} names a joint outside 0 to {joints - 1}")
    return Skeleton(skeleton.joints, tuple((a, b) for a, b in look.edges), skeleton.root)


def viewing_axes(poses: np.ndarray, skeleton: Skeleton, up: str | None = None) -> np.ndarray:
    """Turn the body upright and towards the viewer: (3, 3) rotation whose rows are right, up, to the viewer.

    Up is the coordinate axis nearest to the mean direction from feet to head; right is the body's left,
    so that the person faces the viewer. Where the joints do not tell, up is -y (camera
    coordinates) and right is +x.
    """
    if up is not None and up not in _AXES:
        raise SmoothNetError(f"up is {up!r}; it must be one of {', '.join(_AXES)}")
    if up is None:
        direction = _mean_point(poses, _named(skeleton, _UPPER)) - _mean_point(poses, _named(skeleton, _LOWER))
        if np.isfinite(direction).all() and np.abs(direction).max() > 0:
            axis = int(np.abs(direction).argmax())
            sign = np.sign(direction[axis])
        else:
            axis, sign = _AXES["-y"]
    else:
        axis, sign = _AXES[up]
    vertical = np.zeros(3)
    vertical[axis] = sign

    sides = np.asarray(skeleton.sides)
    right = _mean_point(poses, np.flatnonzero(sides == LEFT)) - _mean_point(poses, np.flatnonzero(sides == RIGHT))
    right = right - vertical * (right @ vertical)
    if not np.isfinite(right).all() or np.linalg.norm(right) < 1e-9:
        right = np.zeros(3)
        right[0 if axis != 0 else 1] = 1.0
    right /= np.linalg.norm(right)
    return np.stack([right, vertical, np.cross(right, vertical)])


def _named(skeleton: Skeleton, words: tuple[str, ...]) -> np.ndarray:
    return np.array([j for j, name in enumerate(skeleton.joints) if any(w in name for w in words)], dtype=int)


def _mean_point(poses: np.ndarray, joints: np.ndarray) -> np.ndarray:
    """Mean position of some joints over all frames, NaN where none is there."""
    points = poses[:, joints].reshape(-1, poses.shape[2])
    points = points[np.isfinite(points).all(axis=1)]
    return points.mean(axis=0) if len(points) else np.full(poses.shape[2], np.nan)


def motion_curves(series: Mapping[str, np.ndarray], unit: str) -> tuple[Curve, ...]:
    """What can be said without ground truth: how much each series jitters, and how far smoothing moved it.

    Acceleration is the mean over joints of the length of the second difference over time: of the motion
    itself, where the evaluation's Accel is that of its error. The first and last frame have none.
    """
    factor, shown = (1000.0, "mm") if unit == "m" else (1.0, unit or "unit")
    accelerations = {}
    for name, values in series.items():
        second = np.diff(values, n=2, axis=0)
        length = _mean_over_joints(np.linalg.norm(second, axis=-1)) * factor
        accelerations[name] = np.concatenate([[np.nan], length, [np.nan]])[: len(values)]
    curves = [_curve("Acceleration", f"{shown}/frame²", accelerations)]
    if INPUT in series and SMOOTHED in series:
        moved = _mean_over_joints(np.linalg.norm(series[SMOOTHED] - series[INPUT], axis=-1)) * factor
        curves.append(_curve("Moved by smoothing", shown, {SMOOTHED: moved}))
    return tuple(curves)


def _mean_over_joints(lengths: np.ndarray) -> np.ndarray:
    """Mean over the joints that are there; NaN in frames without any."""
    there = np.isfinite(lengths)
    count = there.sum(axis=1)
    total = np.where(there, lengths, 0.0).sum(axis=1)
    return np.where(count > 0, total / np.maximum(count, 1), np.nan)


def _curve(name: str, unit: str, values: Mapping[str, np.ndarray]) -> Curve:
    means = {key: float(np.nanmean(v)) if np.isfinite(v).any() else float("nan") for key, v in values.items()}
    return Curve(name, unit, values, means)


def trail_joints(clip: Clip, count: int = 4) -> list[int]:
    """The joints whose path is drawn behind them: hands and feet, else those that move most."""
    names = [name.partition(" (")[0] for name in clip.skeleton.joints]  # of several people, see of_people
    ends = [j for j, n in enumerate(names) if n.endswith(("wrist", "ankle")) or n in ("left_foot", "right_foot")]
    if ends:
        return ends[: count * names.count(names[ends[0]])]
    values = next(iter(clip.series.values()))
    seen = np.isfinite(values).any(axis=0)  # what is never seen has no spread, over which numpy would warn
    spread = np.nanstd(np.where(seen, values, 0.0), axis=0).sum(axis=1) if seen.any() else []
    return list(np.argsort(spread)[::-1][:count])


def changed_most(clip: Clip, count: int) -> list[int]:
    """The joints that smoothing moved most (root mean square over time), most first.

    A joint within two edges of one already taken tells the same story and comes only when no other is left.
    """
    joints = len(clip.skeleton.joints)
    if INPUT not in clip.series or SMOOTHED not in clip.series:
        return list(range(min(count, joints)))
    square = ((clip.series[SMOOTHED] - clip.series[INPUT]) ** 2).sum(axis=-1)
    there = np.isfinite(square)
    mean = np.where(there, square, 0.0).sum(axis=0) / np.maximum(there.sum(axis=0), 1)
    order = [int(j) for j in np.argsort(mean, kind="stable")[::-1]]
    near = np.eye(joints, dtype=int)
    for a, b in clip.skeleton.edges:
        near[a, b] = near[b, a] = 1
    near = near @ near
    taken: list[int] = []
    for joint in order:
        if not any(near[joint, other] for other in taken):
            taken.append(joint)
    taken += [joint for joint in order if joint not in taken]
    return taken[:count]
