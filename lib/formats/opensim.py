# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) SmoothNet contributors
"""OpenSim's .mot and .sto: joint angles and translations, a row a frame (its pages on Storage and Motion files).

A name, lines such as inDegrees=yes up to endheader, a row of names, the table. Angles are smoothed as angles: without
the jumps of whole turns, which come back on writing. NAME_tx, NAME_ty, NAME_tz (and NAME_X, ...) are positions. Cells
of a DataType Quaternion (w, x, y, z, as OpenSense has them) are rotations, those of Vec3 points. Speeds, forces,
activations are left alone where they stand beside angles; files of them alone are refused.
"""

from __future__ import annotations

import re
from collections import defaultdict
from pathlib import Path
from typing import Any

import numpy as np

from ..utils.errors import SmoothNetError
from .recording import Recording, Track
from .rotations import from_6d, to_6d
from .spans import Rows, read_rows, unwrapped, write_rows
from .tables import rate, read_lines
from .timeline import by_times

_NUMBERS = {"double": 1, "vec3": 3, "quaternion": 4}
_NO_POSE = re.compile(
    r"force|torque|moment|power|activation|excitation|control|emg|fiber|tendon|/speed$|_u$|cop|grf|^f[xyz]\d*$|"
    r"^m[xyz]\d*$|_v[xyz]$|_p[xyz]$|_force",
    re.IGNORECASE,
)
_NO_POSES = re.compile(r"speed|velocit|accelerat|force|moment|power|activation|control", re.IGNORECASE)
_AXIS = re.compile(r"(?:(.*)_)?(?:t([xyz])|([XYZ]))$")


def sniff_opensim(path: Path) -> bool:
    if not path.is_file() or path.suffix.lower() not in (".mot", ".sto"):
        return False
    with path.open("rb") as file:
        return b"endheader" in file.read(2**16).lower()


def read_opensim(path: Path, **_: Any) -> Recording:
    lines = read_lines(path) if path.is_file() else []
    end = next((i for i, line in enumerate(lines[:1000]) if line.strip().lower().startswith("endheader")), None)
    if end is None:
        raise SmoothNetError(f"{path} is no .mot or .sto file: its header must end with endheader")
    header = {k.strip().lower(): v.strip() for k, _, v in (line.partition("=") for line in lines[:end])}
    titles = next((i for i in range(end + 1, len(lines)) if lines[i].strip()), len(lines))
    names = _names(lines[titles]) if titles < len(lines) else []
    if len(names) < 2:
        raise SmoothNetError(f"{path} has no row of names below endheader")
    kind = header.get("datatype", "double").lower()
    numbers = _NUMBERS.get(kind)
    if numbers is None:
        raise SmoothNetError(f"{path}: a DataType of {header['datatype']} is not read; known are {', '.join(_NUMBERS)}")
    text = "".join(lines)
    start = sum(map(len, lines[: titles + 1]))
    rows = read_rows(text, start, 1 + numbers * (len(names) - 1), path, " \t" if numbers == 1 else " \t,")
    rows.values[~np.isfinite(rows.values)] = np.nan
    names = names[1:]
    left: list[str] = []
    if numbers == 1:
        tracks, left = _scalars(path, rows, names, header, lines[0].strip())
    else:
        columns = 1 + np.arange(numbers * len(names)).reshape(len(names), numbers)
        form = "wxyz" if numbers == 4 else "points"
        values = rows.values[:, columns]
        points = to_6d(values, form) if numbers == 4 else values
        points[np.isnan(points).any(axis=2)] = np.nan
        tracks = [Track(0, points, kind="points" if numbers == 3 else "rotations", where=columns, form=form)]
    frames, notes = _frames(path, rows.values[:, 0])
    for track in tracks:
        track.points, track.in_file = _spread(track.points, frames)
    fps = rate(rows.values[:, 0])
    shared = tuple(names) if len(tracks) == 1 and len(names) == tracks[0].points.shape[1] else None
    count = int(frames[-1]) + 1 if len(frames) else 0
    source = (text, rows, frames)
    return Recording(path, "opensim", tracks, count, fps, shared, source=source, left_alone=left, notes=notes)


def _names(line: str) -> list[str]:
    """The names of the columns: parted by tabs where there are any, as names may have blanks (right knee)."""
    return [name.strip() for name in line.strip("\r\n").split("\t") if name.strip()] if "\t" in line else line.split()


def _frames(path: Path, times: np.ndarray) -> tuple[np.ndarray, list[str]]:
    """The frame of each row, and what there is to say of the times."""
    back = np.flatnonzero(np.diff(times) < 0)
    if len(back):
        raise SmoothNetError(
            f"{path}: time goes back from {times[back[0]]:g} to {times[back[0] + 1]:g}; give each motion a file of its "
            "own, with its rows in the order of time"
        )
    frames, note = by_times(times)
    return frames, [note] if note else []


def _spread(points: np.ndarray, frames: np.ndarray) -> tuple[np.ndarray, np.ndarray | None]:
    """Rows at their frames, NaN in between, and (frames, joints) bool: which are in the file; None: all."""
    if not len(frames) or frames[-1] + 1 == len(frames):
        return points, None
    spread = np.full((int(frames[-1]) + 1, *points.shape[1:]), np.nan)
    spread[frames] = points
    in_file = np.zeros(spread.shape[:2], dtype=bool)
    in_file[frames] = True
    return spread, in_file


def _scalars(
    path: Path, rows: Rows, names: list[str], header: dict[str, str], title: str
) -> tuple[list[Track], list[str]]:
    """Tracks of angles and positions, and the names of what is neither."""
    plain = [n.removesuffix("/value").rsplit("/", 1)[-1] if n.endswith("/value") else n for n in names]
    left = [names[k] for k, name in enumerate(plain) if _NO_POSE.search(name)]
    states = any(name.endswith("/value") for name in names)
    if left and not states:
        raise SmoothNetError(
            f"{path} holds {left[0]}, which is no pose: forces, speeds and activations need a filter that is made for "
            "them, such as OpenSim's own low-pass; joint angles are read (the .mot of inverse kinematics)"
        )
    if _NO_POSES.search(title):
        raise SmoothNetError(f"{path} is called {title!r}: only positions and angles are smoothed")
    positions: dict[str, dict[str, int]] = defaultdict(dict)
    angles = []
    for k, name in enumerate(plain):
        match = _AXIS.match(name)
        if names[k] in left or (states and not names[k].endswith("/value")):
            left = [*left, names[k]] if names[k] not in left else left
        elif match:
            positions[match[1] or ""][(match[2] or match[3]).lower()] = k + 1
        else:
            angles.append(k + 1)
    tracks = []
    whole = [[axes[a] for a in "xyz"] for axes in positions.values() if len(axes) == 3]
    single = [[column] for axes in positions.values() if len(axes) < 3 for column in axes.values()]
    for part, columns in (("positions", whole), ("single positions", single)):
        if columns:
            points = rows.values[:, np.array(columns)]
            points[np.isnan(points).any(axis=2)] = np.nan
            tracks.append(Track(0, points, part=part, where=np.array(columns)))
    if angles:
        degrees = header.get("indegrees", "").lower()
        if degrees not in ("yes", "no"):
            raise SmoothNetError(
                f"{path} does not say whether {names[angles[0] - 1]} is an angle in degrees or in radians; "
                "add the line inDegrees=yes or inDegrees=no above endheader"
            )
        turned = unwrapped(rows.values[:, angles], 360.0 if degrees == "yes" else 2 * np.pi)
        unit = "degrees" if degrees == "yes" else "radians"
        tracks.append(Track(0, turned[..., None], part=f"angles in {unit}", where=np.array(angles)[:, None]))
    if not tracks:
        raise SmoothNetError(f"{path} holds no angles and no positions")
    return tracks, left


def write_opensim(recording: Recording, smoothed: list[np.ndarray], out: Path) -> None:
    text, rows, frames = recording.source
    values = rows.values.copy()
    for track, whole in zip(recording.tracks, smoothed, strict=True):
        read, new = track.points[frames], whole[frames]
        changed = np.isfinite(new).all(axis=2) & (new != read).any(axis=2)
        t, k = np.nonzero(changed)
        columns = track.where[k]
        old = rows.values[t[:, None], columns]
        if track.kind == "rotations":
            values[t[:, None], columns] = from_6d(new[changed], track.form, old)
        else:  # angles keep the turn that they have in the file
            values[t[:, None], columns] = (
                old + (new - read)[changed] if track.part.startswith("angles") else new[changed]
            )
    write_rows(text, rows, values, out)
