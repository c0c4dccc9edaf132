# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) SmoothNet contributors
"""OpenSim marker files, as its page "Marker (.trc) Files" describes them: three header lines, two rows of labels, a
blank row."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from ..utils.errors import SmoothNetError
from ..utils.files import atomic_write
from .content import Content, body_unit
from .recording import Recording
from .tables import Table, all_numbers, frame_count, make_table, make_track, number_frames, read_lines, split_row
from .timeline import by_times


def sniff_trc(path: Path) -> bool:
    if not path.is_file() or path.suffix.lower() not in (".trc", ".txt", ".tsv"):
        return False
    with path.open("rb") as file:
        return file.read(16).removeprefix(b"\xef\xbb\xbf").startswith(b"PathFileType")


def read_trc(path: Path, **_: Any) -> Recording:
    lines = read_lines(path)
    if len(lines) < 5 or not lines[0].lstrip("\ufeff").startswith("PathFileType"):
        raise SmoothNetError(f"{path} is not a .trc file: its first line must start with PathFileType")
    keys, values = lines[1].split(), lines[2].split()
    rate = dict(zip(keys, values, strict=False)).get("DataRate")
    try:
        fps = float(rate) if rate is not None else None
    except ValueError:
        raise SmoothNetError(f"{path}, line 3: DataRate {rate!r} is not a number") from None
    labels = [cell.strip() for cell in split_row(lines[3], "\t")]
    markers = {column: label for column, label in enumerate(labels) if label and column >= 2}
    if not markers:
        raise SmoothNetError(f"{path}, line 4 names no markers (tab-separated, behind Frame# and Time)")
    if any((column - 2) % 3 for column in markers):
        raise SmoothNetError(f"{path}, line 4: each marker must span three columns (X, Y, Z)")
    table = make_table(path, lines, "\t", 5)
    width = max(markers) + 3
    for row, cells in zip(table.rows, table.cells, strict=True):
        if any(cell.strip() for cell in cells[width:]):
            raise SmoothNetError(f"{path}, line {row + 1}: {len(cells)} cells, the markers of line 4 need {width}")
    if all_numbers(table, 0):
        number_frames(table, 0, labels[0])
        notes = _look_at_times(table)
    else:
        notes = []
    columns = [[column, column + 1, column + 2] for column in markers]
    names = list(markers.values())
    track = make_track(table, 0, columns, [None] * len(columns), names)
    track.points[~track.points.any(axis=2)] = np.nan  # some exporters write 0 0 0 for a marker that was not seen
    return Recording(path, "trc", [track], frame_count(table), fps, tuple(names), table, notes=notes)


def _look_at_times(table: Table) -> list[str]:
    """What to say where times leave out frames, or are uneven, and Frame# counts the rows through."""
    times = table.plain_column(1)
    if times is None or frame_count(table) > len(table.cells) or (np.diff(times) < 0).any():
        return []
    frames, note = by_times(times)
    if len(frames) and frames[-1] >= len(frames):
        note = f"times leave out {frames[-1] + 1 - len(frames)} frames that Frame# counts through: taken as it counts"
    return [note] if note else []


def make_trc(content: Content, out: Path) -> None:
    """Markers of all people, ID:NAME where there are several; empty cells are missing."""
    labels = [" ".join(label.split()) for label in content.labels()]
    points, fps, unit = content.dense()[0], content.fps, body_unit(content)
    assert fps
    content.notes.append(f"the unit is taken for {unit}, by the size of the body")
    markers = points.reshape(len(points), -1)
    with atomic_write(out, "w") as file:
        file.write(f"PathFileType\t4\t(X/Y/Z)\t{out.name}\n")
        file.write(
            "DataRate\tCameraRate\tNumFrames\tNumMarkers\tUnits\tOrigDataRate\tOrigDataStartFrame\tOrigNumFrames\n"
        )
        facts = (f"{fps:g}", f"{fps:g}", len(points), len(labels), unit, f"{fps:g}", 1, len(points))
        file.write("\t".join(map(str, facts)) + "\n")
        file.write("\t".join(["Frame#", "Time", *(cell for label in labels for cell in (label, "", ""))]) + "\n")
        axes = (f"{axis}{k}" for k in range(1, len(labels) + 1) for axis in "XYZ")
        file.write("\t".join(["", "", *axes]) + "\n\n")
        for t, row in enumerate(markers.tolist()):
            cells = ("" if value != value else repr(value) for value in row)
            file.write("\t".join([str(t + 1), f"{t / fps:.6f}", *cells]) + "\n")
