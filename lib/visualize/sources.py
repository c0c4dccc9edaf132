# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) SmoothNet contributors
"""Clips of a user's file; evaluated.py makes those of a dataset."""

from __future__ import annotations

import logging
import os
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from ..formats.recording import Recording, Track
from ..inference.methods import Smoothing
from ..utils.errors import SmoothNetError
from ..utils.files import printable
from ..utils.rotations import sixd_to_axis_angle
from .clip import (
    INPUT,
    SMOOTHED,
    Clip,
    Look,
    Mesh,
    find_skeleton,
    make_clip,
    motion_curves,
    of_people,
)  # fmt: skip

log = logging.getLogger(__name__)

DEFAULT_RATE = 30.0


def surfaces(body: Any, pose: np.ndarray, betas: np.ndarray, root: list[int] | None) -> np.ndarray:
    """(n, 72) axis-angle or (n, 144) 6D -> vertices (n, V, 3) float32 in metres."""
    pose = pose if pose.shape[1] == 72 else sixd_to_axis_angle(pose)
    parts = []
    for chunk in body.chunks(len(pose)):
        joints, vertices = body(pose[chunk], betas[chunk])
        parts.append(vertices - joints[:, root].mean(axis=1, keepdims=True) if root else vertices)
    return np.concatenate(parts)


def recorded_clip(
    path: str | os.PathLike,
    smoothing: Smoothing,
    *,
    frames: tuple[int, int | None] = (0, None),
    track: str | None = None,
    prefer_2d: bool = False,
    load_body: Callable[[], Any] | None = None,
    look: Look = Look(),  # noqa: B008  (frozen)
) -> Clip:
    """The people of a user's file, before and after smoothing, which is that of files; there is no ground truth.

    Args:
        smoothing: what smooths, and how the file is read.
        frames: the first to draw and the one behind the last; None: to the end.
        track: id of a person; None draws all that the file has of the same kind. Of bodies (SMPL), one.
        prefer_2d: of a file with 2D and 3D arrays, take the 2D ones (to lie over a video).
        load_body: gives the SMPL body when the file holds SMPL rotations.
        look: how they are drawn.

    Raises:
        SmoothNetError: as read_recording, or there is no such track.
    """
    options = smoothing.options
    recording = smoothing.read(path)
    smoothed, report = smoothing(recording)
    log.info("%s: %s", path, recording.understood)
    log.info("%s: %s", path, report.text(smoothing.fps(recording)))
    if report.warning():
        log.warning("%s: %s", path, report.warning())
    main, people = _choose(recording, track, prefer_2d)
    series, start = _on_one_timeline(recording, people, smoothed, options.min_score)
    rows = shown_frames(*frames, len(series[INPUT]), str(path))
    series = {name: values[rows] for name, values in series.items()}
    mesh, unit = None, guess_unit(main.points)
    if main.kind == "rotations":
        if load_body is None or main.points.shape[1] < 22:
            raise SmoothNetError(f"{path} holds rotations that are not SMPL's; they cannot be drawn")
        series, mesh = _bodies(load_body(), series)
        unit, skeleton = "m", find_skeleton(replace(look, skeleton=look.skeleton or "lsp14"), 14, series[INPUT])
    else:
        joints = main.points.shape[1]
        one = find_skeleton(look, joints, main.points, recording.names)
        skeleton = of_people(one, series[INPUT].shape[1] // joints)
    name = printable(Path(path).name)
    return make_clip(
        series,
        fps=frame_rate(smoothing.fps(recording) or 0, str(path)),
        unit=unit,
        title=name if main.part in ("", "points") else f"{name} · {main.part}",
        skeleton=skeleton,
        up=look.up,
        first_frame=start + rows.start,
        curves=motion_curves(series, unit),
        mesh=mesh,
    )


def _choose(recording: Recording, wanted: str | None, prefer_2d: bool) -> tuple[Track, list[int]]:
    """The track that is most to see, and the numbers of all that are drawn with it: its like, or the wanted id's."""
    drawable = [t for t in recording.tracks if t.kind == "rotations" or t.points.shape[2] in (2, 3)]
    if not drawable:
        raise SmoothNetError(f"{recording.path} holds nothing that can be drawn (2D or 3D points, SMPL poses)")
    if wanted is not None:
        drawable = [t for t in drawable if str(t.id) == wanted]
        if not drawable:
            ids = ", ".join(dict.fromkeys(str(t.id) for t in recording.tracks))
            raise SmoothNetError(f"{recording.path} has no track {wanted!r}; it has {ids}")

    def rank(track: Track) -> tuple:
        preferred = track.points.shape[2] == 2 if prefer_2d else track.kind == "rotations"
        # Of several arrays the one with most joints is the pose; a single point may be its translation.
        return preferred, track.points.shape[1] > 1, int(np.isfinite(track.points).all(axis=2).sum())

    main = max(drawable, key=rank)
    alike = [
        t for t in drawable if (t.kind, t.part, t.points.shape[1:]) == (main.kind, main.part, main.points.shape[1:])
    ]
    if main.kind == "rotations":
        alike = [t for t in alike if t.id == main.id]
    chosen = {id(t) for t in alike}
    return main, [number for number, t in enumerate(recording.tracks) if id(t) in chosen]


def _on_one_timeline(
    recording: Recording, people: list[int], smoothed: list[np.ndarray], min_score: float | None
) -> tuple[dict[str, np.ndarray], int]:
    """The tracks numbered `people` before and after as series (frames, joints of all, dims), and their first frame.

    Tracks that share no frame share their columns: often they are one person, seen again.
    """
    tracks = [recording.tracks[number] for number in people]
    start = min(track.start for track in tracks)
    stop = max(track.start + len(track.points) for track in tracks)
    ends: list[int] = []  # of each group of columns, the frame behind its last
    places = []
    for number in sorted(people, key=lambda number: recording.tracks[number].start):
        track = recording.tracks[number]
        free = next((i for i, end in enumerate(ends) if end <= track.start), len(ends))
        ends[free : free + 1] = [track.start + len(track.points)]
        places.append((number, free))
    _, joints, dims = tracks[0].points.shape
    shape = (stop - start, len(ends) * joints, dims)
    series = {INPUT: np.full(shape, np.nan), SMOOTHED: np.full(shape, np.nan)}
    for number, place in places:
        track = recording.tracks[number]
        rows = slice(track.start - start, track.start - start + len(track.points))
        columns = slice(place * joints, (place + 1) * joints)
        found = track.shown(min_score)
        series[INPUT][rows, columns] = np.where(found[..., None], track.points, np.nan)
        series[SMOOTHED][rows, columns] = smoothed[number]
    return series, start


def _bodies(body: Any, series: dict[str, np.ndarray]) -> tuple[dict[str, np.ndarray], Mesh]:
    """SMPL rotations (n, J, 6), mean shape, root-relative: the 14 joints and the surfaces."""
    joints, vertices = {}, {}
    for name, rotations in series.items():
        pose = np.zeros((len(rotations), 72), np.float32)
        count = min(24, rotations.shape[1])
        # Axis-angle; frames without a pose keep the last one's place in the picture as missing joints.
        there = np.isfinite(rotations[:, :22]).all(axis=(1, 2))
        pose[there, : 3 * count] = sixd_to_axis_angle(rotations[there, :count].reshape(there.sum(), -1))
        betas = np.zeros((len(pose), 10), np.float32)
        points = body.joints(pose, betas).astype(np.float64)
        root = points[:, [2, 3]].mean(axis=1, keepdims=True)
        vertices[name] = surfaces(body, pose, betas, [2, 3])
        joints[name] = points - root
        joints[name][~there] = np.nan
        vertices[name][~there] = np.nan
    return joints, Mesh(vertices, body.faces)


def guess_unit(points: np.ndarray) -> str:
    """The likely unit from the height of a pose: m or mm in 3D, px in 2D; "" where neither is plausible."""
    there = np.isfinite(points).all(axis=2)
    rows = there.any(axis=1)
    if not rows.any():
        return ""
    low = np.where(there[..., None], points, np.inf).min(axis=1)[rows]
    high = np.where(there[..., None], points, -np.inf).max(axis=1)[rows]
    size = float(np.median((high - low).max(axis=1)))
    if points.shape[2] == 2:
        return "px" if size > 10 else ""
    return "m" if 0.2 < size < 5 else "mm" if 200 < size < 5000 else ""


def shown_frames(start: int, end: int | None, length: int, what: str) -> slice:
    """Frames `start` to `end` (not included) of a recording of `length` frames."""
    end = length if end is None else end
    stop = min(end, length)
    if start >= stop:
        raise SmoothNetError(f"{what} has {length} frames; VIS.START {start} and VIS.END {end} leave none of them")
    if stop - start < length:
        log.info("%s: frames %d to %d of %d are shown (VIS.START, VIS.END)", what, start, stop - 1, length)
    return slice(start, stop)


def frame_rate(fps: float, what: str) -> float:
    if fps > 0:
        return float(fps)
    log.warning("%s does not say its frame rate; %g is assumed, give another with --fps", what, DEFAULT_RATE)
    return DEFAULT_RATE
