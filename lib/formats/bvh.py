# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) SmoothNet contributors
"""BVH: a hierarchy of joints, and for each frame the position of the root and Euler angles of every joint.

Angles stand in the order of the CHANNELS, each about the axis that the ones before have turned (Biovision's
description): Zrotation Xrotation Yrotation is R = Rz Rx Ry. They are smoothed as rotations; of all angles that mean
the same rotation the ones nearest to the file's are written. Positions are points; those that never change, as of
joints below the root, stay.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from ..utils.errors import SmoothNetError
from ..utils.rotations import sixd_to_matrix
from .euler import euler_to_6d, nearest_euler
from .recording import Recording, Track
from .spans import Rows, read_rows, write_rows
from .tables import read_lines

_CHANNEL = re.compile(r"([XYZ])(position|rotation)", re.IGNORECASE)
_MOST_CHANNELS = 100_000


@dataclass
class _Source:
    text: str
    rows: Rows
    orders: list[str]  # of the track of rotations: the axes of each joint


def sniff_bvh(path: Path) -> bool:
    if not path.is_file() or path.suffix.lower() != ".bvh":
        return False
    with path.open("rb") as file:
        return file.read(64).removeprefix(b"\xef\xbb\xbf").split()[:1] == [b"HIERARCHY"]


def read_bvh(path: Path, **_: Any) -> Recording:
    text = "".join(read_lines(path)) if path.is_file() else ""
    motion = re.search(r"^\s*MOTION\s*\r?\n\s*Frames:\s*(\d{1,9})\s*\r?\n\s*Frame Time:\s*(\S+)[^\n]*\n", text, re.M)
    if not text.lstrip("\ufeff \t\r\n").startswith("HIERARCHY") or motion is None:
        raise SmoothNetError(f"{path} is no .bvh file: it needs HIERARCHY, MOTION, Frames: and Frame Time:")
    joints = _joints(path, text[: motion.start()])
    rows = read_rows(text, motion.end(), sum(len(channels) for _, channels in joints), path)
    if len(rows.values) != int(motion[1]):
        raise SmoothNetError(f"{path} has {len(rows.values)} rows of motion where Frames: says {motion[1]}")
    if not np.isfinite(rows.values).all():
        raise SmoothNetError(f"{path} has numbers in its motion that are not finite")
    try:
        step = float(motion[2])
    except ValueError:
        raise SmoothNetError(f"{path}: the Frame Time {motion[2]!r} is no number") from None
    tracks, orders, left = _tracks(rows, joints)
    if not tracks:
        raise SmoothNetError(f"{path} has no joint with three rotations and no position that moves")
    return Recording(
        path, "bvh", tracks, len(rows.values), 1 / step if step > 0 else None, source=_Source(text, rows, orders),
        left_alone=left,
    )  # fmt: skip


def _joints(path: Path, hierarchy: str) -> list[tuple[str, list[tuple[str, str]]]]:
    """Name and (axis, "position" | "rotation") of the channels of each joint, in file order."""
    joints: list[tuple[str, list[tuple[str, str]]]] = []
    name, total = "", 0
    for line in hierarchy.splitlines():
        words = line.split()
        if words[:1] in (["ROOT"], ["JOINT"]):
            name = " ".join(words[1:])
        elif words[:1] == ["CHANNELS"]:
            channels = [_CHANNEL.fullmatch(word) for word in words[2:]]
            if len(words) < 2 or words[1] != str(len(channels)) or None in channels:
                raise SmoothNetError(f"{path}: the channels of {name} are not understood: {line.strip()}")
            joints.append((name, [(match[1].upper(), match[2].lower()) for match in channels if match]))
            total += len(channels)
    if not 0 < total <= _MOST_CHANNELS:
        raise SmoothNetError(f"{path}: its joints have {total} channels")
    return joints


def _tracks(rows: Rows, joints: list[tuple[str, list[tuple[str, str]]]]) -> tuple[list[Track], list[str], list[str]]:
    positions, rotations, orders, left = [], [], [], []
    first = 0
    for number, (name, channels) in enumerate(joints):
        places = {axis: first + i for i, (axis, what) in enumerate(channels) if what == "position"}
        turned = [(axis, first + i) for i, (axis, what) in enumerate(channels) if what == "rotation"]
        first += len(channels)
        if len(places) == 3 and (number == 0 or np.ptp(rows.values[:, list(places.values())], axis=0).any()):
            positions.append([places[axis] for axis in "XYZ"])
        if len({axis for axis, _ in turned}) == 3 == len(turned):
            rotations.append([column for _, column in turned])
            orders.append("".join(axis for axis, _ in turned))
        elif turned:
            left.append(f"{name} (not three rotations)")
    tracks = []
    if positions:
        columns = np.array(positions)
        tracks.append(Track(0, rows.values[:, columns], part="positions", where=columns))
    if rotations:
        columns = np.array(rotations)
        sixd = np.stack(
            [euler_to_6d(rows.values[:, c], order) for c, order in zip(columns, orders, strict=True)], axis=1
        )
        tracks.append(Track(0, sixd, kind="rotations", part="rotations", where=columns, form="Euler angles"))
    return tracks, orders, left


def write_bvh(recording: Recording, smoothed: list[np.ndarray], out: Path) -> None:
    source: _Source = recording.source
    values = source.rows.values.copy()
    for track, new in zip(recording.tracks, smoothed, strict=True):
        changed = np.isfinite(new).all(axis=2) & (new != track.points).any(axis=2)
        for k, columns in enumerate(track.where.tolist()):
            at = np.flatnonzero(changed[:, k])
            if track.kind == "points":
                values[at[:, None], columns] = new[at, k]
            elif len(at):
                old = source.rows.values[at[:, None], columns]
                values[at[:, None], columns] = nearest_euler(sixd_to_matrix(new[at, k]), old, source.orders[k])
    write_rows(source.text, source.rows, values, out)
