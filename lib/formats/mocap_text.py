# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) SmoothNet contributors
"""Text exports of motion capture: Vicon Nexus (.csv), Qualisys QTM (.tsv), OptiTrack Motive (.csv) and Visual3D (.txt),
which is how Theia's landmarks come as text.

Each has a head of its own above a table with one row a frame; `_HEADS` names the functions that read them, after the
manuals of these programs. Velocities, model outputs, analog devices, marker errors are left alone.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from ..utils.errors import SmoothNetError
from .recording import Recording
from .tables import all_numbers, frame_count, make_table, make_track, number_frames, read_lines, split_row

_SUFFIXES = (".csv", ".tsv", ".txt")


@dataclass
class _Head:
    delimiter: str
    first_row: int
    points: dict[str, list[int]] = field(default_factory=dict)  # name -> columns of x, y, z
    rotations: dict[str, list[int]] = field(default_factory=dict)  # name -> columns of x, y, z, w
    last_row: int | None = None  # the line behind the table; None: it ends with the file
    frame: int | None = None
    fps: float | None = None
    zeros_missing: bool = False
    left_alone: list[str] = field(default_factory=list)


def _cells(lines: list[str], row: int, delimiter: str) -> list[str]:
    line = lines[row].lstrip("\ufeff") if row < len(lines) else ""
    return [cell.strip().strip('"').strip() for cell in split_row(line, delimiter)]


def _float(text: str) -> float | None:
    try:
        return float(text)
    except ValueError:
        return None


def _axes(axes: list[str], names: list[str]) -> dict[str, dict[str, int]]:
    """Name -> axis -> column, of a row of names, each above the first of its columns, and a row of axes below it."""
    found: dict[str, dict[str, int]] = defaultdict(dict)
    name = ""
    for column, axis in enumerate(axes):
        name = names[column] if column < len(names) and names[column] else name
        if name and axis:
            found[name].setdefault(axis.upper(), column)
    return found


# ------------------------------------------------------------------------------------------------------- heads

_SECTIONS = ("Trajectories", "Devices", "Model Outputs", "Joints", "Segments", "Events", "Global Angle")


def _vicon(path: Path, lines: list[str]) -> _Head | None:
    """Sections with a title each; below it the rate, the names, Frame, Sub Frame and axes, units, the table."""
    starts = {_cells(lines, i, ",")[0]: i for i, line in enumerate(lines) if line.startswith(_SECTIONS)}
    if not starts or min(starts.values()) > 3 or not _cells(lines, min(starts.values()) + 1, ",")[0].isdigit():
        return None
    start = starts.get("Trajectories")
    if start is None:
        raise SmoothNetError(f"{path} of Vicon has no section Trajectories; export the trajectories with it")
    axes = _axes(_cells(lines, start + 3, ","), _cells(lines, start + 2, ","))
    points = {name: [of["X"], of["Y"], of["Z"]] for name, of in axes.items() if {"X", "Y", "Z"} <= of.keys()}
    end = next((i for i in range(start + 5, len(lines)) if not lines[i].strip(" ,\r\n")), None)
    left = [section.lower() for section in starts if section not in ("Trajectories", "Events")]
    rate = _float(_cells(lines, start + 1, ",")[0])
    return _Head(",", start + 5, points, last_row=end, frame=0, fps=rate, left_alone=left)


def _qualisys(path: Path, lines: list[str]) -> _Head | None:
    """Lines of a key and values, MARKER_NAMES among them; then, at will, a row of titles; then the table."""
    if not lines[0].lstrip("\ufeff").startswith("NO_OF_FRAMES"):
        return None
    head: dict[str, list[str]] = {}
    row = 0
    while row < len(lines) and re.fullmatch(r"[A-Z][A-Z_ ]+", (cells := _cells(lines, row, "\t"))[0]):
        head[cells[0]] = cells[1:]
        row += 1
    names = [name for name in head.get("MARKER_NAMES", []) if name]
    if not names:
        what = " ".join(head.get("DATA_INCLUDED", [])).strip() or "no markers"
        raise SmoothNetError(f"{path} of QTM holds {what}; export it with 3D data, which are positions of markers")
    first = 0
    titles = _cells(lines, row, "\t")
    if titles and _float(titles[0]) is None and titles[0]:
        first = sum(title.lower() in ("frame", "time") for title in titles[:2])
        row += 1
    elif len([cell for cell in titles if cell]) in (3 * len(names) + 2, 3 * len(names) + 1):
        first = len([cell for cell in titles if cell]) - 3 * len(names)
    points = {name: [first + 3 * k + i for i in range(3)] for k, name in enumerate(names)}
    rate = _float((head.get("FREQUENCY") or [""])[0])
    return _Head("\t", row, points, frame=0 if first == 2 else None, fps=rate, zeros_missing=True)


def _motive(path: Path, lines: list[str]) -> _Head | None:
    """A line of keys and values; rows Type, Name, ID, (Parent); what the columns are; axes; the table."""
    top = _cells(lines, 0, ",")
    if top[0] != "Format Version":
        return None
    facts = dict(zip(top[::2], top[1::2], strict=False))
    rows: dict[str, list[str]] = {}
    row = 1
    while row < min(len(lines), 12):
        cells = _cells(lines, row, ",")
        if cells[0] == "Frame":
            break
        if len(cells) > 2 and cells[1] in ("Type", "Name", "ID", "Parent", "Asset"):
            rows[cells[1]] = cells
        elif len(cells) > 2:
            rows["what"] = cells
        row += 1
    else:
        raise SmoothNetError(f"{path} of Motive has no row that begins with Frame")
    axes, names, what = _cells(lines, row, ","), rows.get("Name", []), rows.get("what", [])
    found: dict[tuple[str, str], dict[str, int]] = defaultdict(dict)
    for column in range(2, min(len(axes), len(names), len(what))):
        found[names[column], what[column]].setdefault(axes[column].upper(), column)
    points = {n: [of[a] for a in "XYZ"] for (n, w), of in found.items() if w == "Position" and {*"XYZ"} <= of.keys()}
    turned = {n: of for (n, w), of in found.items() if w == "Rotation"}
    rotations = {n: [of[a] for a in "XYZW"] for n, of in turned.items() if {*"XYZW"} <= of.keys()}
    left = [w.lower() for w in dict.fromkeys(w for _, w in found) if w not in ("Position", "Rotation") and w]
    if len(rotations) < len(turned):
        left.append("rotations as Euler angles (export them as Quaternion)")
    rate = _float(facts.get("Export Frame Rate", "")) or _float(facts.get("Capture Frame Rate", ""))
    return _Head(",", row + 1, points, rotations, frame=0, fps=rate, left_alone=left)


def _visual3d(path: Path, lines: list[str]) -> _Head | None:
    """Five rows of files, signals, their types, folders, and ITEM with the components; then the table."""
    if len(lines) < 6 or _cells(lines, 4, "\t")[0] != "ITEM":
        return None
    files, names, types, _, axes = (_cells(lines, row, "\t") for row in range(5))
    signals: dict[str, dict[str, int]] = defaultdict(dict)
    left: dict[str, None] = {}
    several = len({name for name in files if name}) > 1
    for column in range(1, min(map(len, (files, names, types, axes)))):
        if types[column] in ("TARGET", "LANDMARK"):
            name = f"{files[column]}:{names[column]}" if several else names[column]
            signals[name].setdefault(axes[column].upper(), column)
        elif names[column]:
            left[names[column]] = None
    points = {name: [of[a] for a in "XYZ"] for name, of in signals.items() if {*"XYZ"} <= of.keys()}
    if not points:
        raise SmoothNetError(
            f"{path} of Visual3D holds {', '.join(list(left)[:3]) or 'nothing'}, no TARGET or LANDMARK; export those, "
            "which are positions"
        )
    return _Head("\t", 5, points, frame=0, left_alone=list(left))


_HEADS: tuple[Callable[[Path, list[str]], _Head | None], ...] = (_vicon, _qualisys, _motive, _visual3d)
_BEGINNINGS = re.compile(
    rf"\A\ufeff?(?:NO_OF_FRAMES\t|\"?Format Version\"?,|(?:{'|'.join(_SECTIONS)})[,\s]*\r?\n\d+[,\s]*\r?\n|"
    r"(?:[^\r\n]*\r?\n){4}ITEM\t)"
)


# --------------------------------------------------------------------------------------------------------- reading


def sniff_mocap_text(path: Path) -> bool:
    if not path.is_file() or path.suffix.lower() not in _SUFFIXES:
        return False
    with path.open("rb") as file:
        return _BEGINNINGS.match(file.read(2**18).decode("utf-8", "replace")) is not None


def read_mocap_text(path: Path, **_: Any) -> Recording:
    lines = read_lines(path) if path.is_file() else []
    head = next((head for read in _HEADS if lines and (head := read(path, lines)) is not None), None)
    if head is None:
        raise SmoothNetError(f"{path} is no text export of Vicon, Qualisys, Motive or Visual3D")
    if not head.points and not head.rotations:
        raise SmoothNetError(f"{path} names no markers with X, Y and Z")
    table = make_table(path, lines, head.delimiter, head.first_row, head.last_row)
    if head.frame is not None and all_numbers(table, head.frame):
        number_frames(table, head.frame, "Frame")
    tracks = []
    for part, columns, form in (("points", head.points, "points"), ("rotations", head.rotations, "xyzw")):
        if columns:
            track = make_track(table, 0, list(columns.values()), [None] * len(columns), list(columns), form)
            track.part = part
            if head.zeros_missing:
                track.points[~track.points.any(axis=2)] = np.nan
            tracks.append(track)
    names = tuple(head.points) if len(tracks) == 1 and head.points else None
    return Recording(path, "mocap-text", tracks, frame_count(table), head.fps, names, table, left_alone=head.left_alone)
