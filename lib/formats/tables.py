# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) SmoothNet contributors
"""Text tables with one row a frame: what CSV, DeepLabCut CSV and TRC share.

A table is kept as the lines of the file. Writing replaces single cells; header, time and index columns, line
ends, quotes and untouched rows stay byte for byte.
"""

from __future__ import annotations

import codecs
import math
import re
from collections import defaultdict
from collections.abc import Hashable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from ..utils.errors import SmoothNetError
from ..utils.files import atomic_write
from .numbers import number_style
from .recording import Recording, Track
from .rotations import from_6d, to_6d
from .timeline import by_times, doubt_pictures, refuse_sequences, timeline

_MISSING = {"", "nan", "na", "n/a", "none", "null", "-nan", "nan(ind)", "-nan(ind)", "#n/a"}
_MISSING |= {"-", "--", "."}  # EthoVision, EyeLink, SAS
_HEAD = 10  # lines in which names and units stand
# 1,5 and 1.234,5
DECIMAL_COMMA = re.compile(r"[+-]?(\d+|\d{1,3}(\.\d{3})+),\d+")
_LONGEST_STEP = 1  # second between two frames of a motion: 4 and the like are milliseconds


@dataclass
class Table:
    path: Path
    lines: list[str]  # with their line ends
    delimiter: str
    first_row: int  # index of the first line of data
    rows: list[int]  # indices of the lines of data: blank lines are left out
    cells: list[list[str]]  # of the lines of data
    frames: np.ndarray  # (rows,) frame of each row, no two the same; files leave out frames without anybody
    notes: list[str] = field(default_factory=list)  # what people must know of the rows

    _columns: dict[int, np.ndarray] = field(default_factory=dict, repr=False)

    def column(self, index: int, name: str) -> np.ndarray:
        """Numbers of a column, NaN where a cell is empty or says so."""
        values = self.plain_column(index)
        if values is None:
            values = np.array([self.number(row, index, name) for row in range(len(self.rows))], dtype=np.float64)
            self._columns[index] = values
        return values.copy()

    def plain_column(self, index: int) -> np.ndarray | None:
        """The same where all cells are numbers, else None: whole columns are read many times faster."""
        if index not in self._columns:
            try:
                values = np.array([float(cells[index]) for cells in self.cells], dtype=np.float64)
            except (ValueError, IndexError):
                return None
            values[~np.isfinite(values)] = math.nan
            self._columns[index] = values
        return self._columns[index]

    def number(self, row: int, index: int, name: str) -> float:
        cells = self.cells[row]
        text = cells[index].strip().strip('"').strip() if index < len(cells) else ""
        if text.lower() in _MISSING:
            return math.nan
        try:
            value = float(text)
        except ValueError:
            raise no_number(self.path, self.rows[row] + 1, name, text, self.delimiter) from None
        return value if math.isfinite(value) else math.nan


def no_number(path: Path, line: int, column: str, text: str, delimiter: str = ";") -> SmoothNetError:
    """The error for a cell that should be a number."""
    advice = ""
    if DECIMAL_COMMA.fullmatch(text):
        parted = "\\t" if delimiter == "\t" else delimiter
        thousands = ', thousands="."' if "." in text else ""
        advice = (
            ", it has a comma for a decimal point; write points: import pandas; "
            f'pandas.read_csv("{path.name}", sep="{parted}", decimal=","{thousands}).to_csv("points.csv", index=False)'
        )
    elif re.fullmatch(r"[+-]?\d{1,3}(,\d{3})+(\.\d+)?", text):
        advice = ", it has commas between thousands; write it without them"
    elif text.replace("\u2212", "-") != text:
        advice = ", its minus is another sign; write -"
    elif line <= _HEAD:
        advice = "; remove lines that are no frames, such as units or a second line of names"
        advice += ", which is to stand in the first: nose_x" if text.lower() in ("x", "y", "z") else ""
    return SmoothNetError(f"{path}, line {line}, column {column}: {text!r} is not a number{advice}")


def read_lines(path: Path) -> list[str]:
    try:
        raw = path.read_bytes()
    except OSError as error:
        raise SmoothNetError(f"cannot read {path}: {error.strerror or error}") from error
    if raw.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        raise SmoothNetError(f"{path} is text in UTF-16; save it as UTF-8 (in Excel: CSV UTF-8)")
    text = raw.decode("utf-8", errors="surrogateescape")
    if "\0" in text[:4096]:
        raise SmoothNetError(f"{path} is a binary file, not a table of text")
    return re.findall(r"[^\r\n]*(?:\r\n|\r|\n)|[^\r\n]+", text)


def split_row(line: str, delimiter: str) -> list[str]:
    """Cells of a line as they stand, quotes and blanks included, so that joining them gives the line back."""
    line = line.rstrip("\r\n")
    parts = line.split(delimiter)
    if '"' not in line:
        return parts
    cells, quoted = [], []  # a cell goes on while its quotes are odd in number; after a lone quote, to the end
    for part in parts:
        quoted.append(part)
        if part.count('"') % 2 == (len(quoted) > 1):  # closes what is open, or opens nothing
            cells.append(delimiter.join(quoted))
            quoted = []
    return [*cells, delimiter.join(quoted)] if quoted else cells


def make_table(path: Path, lines: list[str], delimiter: str, first_row: int, end: int | None = None) -> Table:
    """The table of the lines from `first_row` to the one before `end`, without those that are blank or comments (#)."""
    end = len(lines) if end is None else end
    rows = [i for i in range(first_row, end) if lines[i].strip() and not lines[i].startswith("#")]
    cells = [split_row(lines[i], delimiter) for i in rows]
    return Table(path, lines, delimiter, first_row, rows, cells, np.arange(len(rows)))


def drop_empty(table: Table) -> None:
    """Leave out rows without anything in them, as spreadsheets write below the last: of a table whose frames a column
    numbers they belong to none."""
    filled = [row for row, cells in enumerate(table.cells) if any(cell.strip(' \t"') for cell in cells)]
    table.rows, table.cells = [table.rows[row] for row in filled], [table.cells[row] for row in filled]
    table.frames = np.arange(len(filled))


def number_frames(table: Table, column: int, name: str) -> None:
    """Take the frames of the rows from a column that numbers or names them; rows may stand in any order.

    Raises:
        SmoothNetError: two rows of one frame.
    """
    if all_numbers(table, column):
        numbers = table.column(column, name)
        if not np.isfinite(numbers).all():
            for row in np.flatnonzero(~np.isfinite(numbers)).tolist():
                if any(map(is_number, table.cells[row])):
                    raise SmoothNetError(
                        f"{table.path}, line {table.rows[row] + 1}: a row without a number in the column {name}; "
                        "number it, or remove it if it is no frame"
                    )
            return
        whole = (numbers == np.round(numbers)).all()
        labels: list = [int(number) for number in numbers] if whole else numbers.tolist()
    else:
        labels, whole = [cells[column].strip().strip('"') for cells in table.cells], True
        refuse_sequences(table.path, labels)
    seen: set = set()
    for row, label in zip(table.rows, labels, strict=True):
        if label in seen:
            raise SmoothNetError(
                f"{table.path}, line {row + 1}: a second row for frame {label}; a table of several people needs a "
                "column person or track_id, or columns of its own for each, one with a row a joint a column joint"
            )
        seen.add(label)
    if whole:
        frames = timeline(labels)
        table.notes += doubt_pictures(labels)
        table.frames = np.array([frames[label] for label in labels], dtype=np.int64)
    else:
        table.frames = np.argsort(np.argsort(labels))


def order_rows(table: Table, column: int, name: str) -> None:
    """Put the rows in the order of the times in a column, with gaps where an even clock leaves frames out. Where none
    goes back they stay: clocks of whole seconds give many rows the same.

    Raises:
        SmoothNetError: times come again after later ones, as where several people or recordings share a table.
    """
    times = table.column(column, name)
    if not np.isfinite(times).all():
        return
    back = np.flatnonzero(np.diff(times) < 0) + 1
    if len(back) and len(np.unique(times)) < len(times):
        raise SmoothNetError(
            f"{table.path}, line {table.rows[back[0]] + 1}: {name} goes back to {times[back[0]]:g}; a table of several "
            "people needs a column track_id, several recordings need a file each"
        )
    frames, note = by_times(np.sort(times))
    table.frames = frames[np.argsort(np.argsort(times, kind="stable"))]
    table.notes += [note] if note else []


def frame_count(table: Table) -> int:
    return int(table.frames.max()) + 1 if len(table.frames) else 0


def number_in(text: str) -> float | None:
    """The number that a word is; None for other words, those for missing values among them."""
    try:
        return float(text)
    except ValueError:
        return None


def label_in(text: str) -> int | str:
    """What names a frame: the whole number that a word is, else the word."""
    number = number_in(text)
    return text if number is None or not number.is_integer() else int(number)


def is_number(text: str) -> bool:
    text = text.strip().strip('"').strip()
    if text.lower() in _MISSING:
        return bool(text)
    try:
        float(text)
    except ValueError:
        return False
    return True


def all_numbers(table: Table, column: int) -> bool:
    """Whether most cells of a column are numbers (the odd bad cell is an error later)."""
    if table.plain_column(column) is not None:
        return True
    numbers = sum(is_number(cells[column]) for cells in table.cells)
    texts = sum(not is_number(cells[column]) and bool(cells[column].strip()) for cells in table.cells)
    return numbers > texts or (not table.cells and texts == 0)


def rate(times: np.ndarray) -> float | None:
    """Frames a second from a column of seconds, None where it is none, as where it holds milliseconds or counts."""
    steps = np.diff(times)
    steps = steps[np.isfinite(steps) & (steps > 0)]
    if len(steps) and np.median(steps) >= _LONGEST_STEP:
        return None
    return round(float(1 / np.median(steps)), 4) or None if len(steps) else None


def come_again(words: Sequence[Hashable]) -> bool:
    """Whether different words come twice or more on average, as those do that tell recordings or people apart."""
    return 1 < len(set(words)) <= len(words) / 2


def refuse_ragged(table: Table, width: int, what: str) -> None:
    """Every row must have as many cells as the header, or as the first line."""
    for row, cells in zip(table.rows, table.cells, strict=True):
        if len(cells) != width:
            advice = "; remove lines above the names of the columns" if width <= len(cells) / 2 else ""
            raise SmoothNetError(f"{table.path}, line {row + 1}: {len(cells)} cells where {what} has {width}{advice}")


def by_axes(joints: dict[str, dict[str, int]]) -> list[tuple[str, list[str]]]:
    """Joints in groups of the same coordinates: ("xy" or "xyz", their names). Without x and y there is no joint."""
    groups: dict[str, list[str]] = defaultdict(list)
    for name, columns in joints.items():
        if {"x", "y"} <= columns.keys():
            groups["".join(axis for axis in "xyz" if axis in columns)].append(name)
    return sorted(groups.items())


def make_track(
    table: Table,
    id: Hashable,
    joints: list[list[int]],
    scores: list[int | None],
    names: list[str],
    form: str = "points",
) -> Track:
    """A track of the columns `joints`, one list of columns a joint, and of the score columns."""
    raw = _columns(table, joints, names)
    points = raw if form == "points" else to_6d(raw, form)
    # A joint with one coordinate missing is missing.
    points[np.isnan(points).any(axis=2)] = np.nan
    values = None
    if any(column is not None for column in scores):
        values = np.full(points.shape[:2], np.nan)
        for k, column in enumerate(scores):
            if column is not None:
                scored = table.column(column, f"{column + 1} (score of {names[k]})")
                if not (scored < 0).any():  # parameters of OpenFace are called p_0, too
                    values[table.frames, k] = scored
    in_file = np.zeros(points.shape[:2], dtype=bool)
    in_file[table.frames] = True
    kind = "points" if form == "points" else "rotations"
    return Track(id, points, scores=values, kind=kind, in_file=in_file, where=np.array(joints), form=form)


def _columns(table: Table, joints: list[list[int]], names: list[str]) -> np.ndarray:
    """(frames, joints, numbers) of the file."""
    values = np.full((frame_count(table), len(joints), len(joints[0])), np.nan)
    for k, columns in enumerate(joints):
        for d, column in enumerate(columns):
            values[table.frames, k, d] = table.column(column, f"{column + 1} ({names[k]})")
    return values


def _new_numbers(table: Table, track: Track, new: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """What the file has and what it gets for each row: (rows, joints, numbers) both, NaN where there is nothing."""
    if track.form == "points":
        return track.points[table.frames], new[table.frames]
    old = _columns(table, track.where.tolist(), [""] * len(track.where))
    changed = np.isfinite(new).all(axis=2) & (new != track.points).any(axis=2)
    result = old.copy()
    result[changed] = from_6d(new[changed], track.form, old[changed])
    return old[table.frames], result[table.frames]


def write_table(recording: Recording, smoothed: list[np.ndarray], out: Path) -> None:
    table: Table = recording.source
    habits: list[str] = []
    changes: dict[int, dict[int, float]] = defaultdict(dict)  # row -> column -> value
    for track, new in zip(recording.tracks, smoothed, strict=True):
        old, new = _new_numbers(table, track, new)
        for row, k, d in np.argwhere(np.isfinite(old)):
            habits.append(table.cells[row][track.where[k, d]].strip().strip('"'))
        for row, k, d in np.argwhere(np.isfinite(new) & (new != old)):
            changes[int(row)][int(track.where[k, d])] = new[row, k, d]
    style = number_style(habits)
    lines = list(table.lines)
    for row, columns in changes.items():
        cells = list(table.cells[row])
        for column, value in columns.items():
            cells += [""] * (column + 1 - len(cells))
            cell = cells[column]
            bare = cell.strip().strip('"').strip()
            cells[column] = cell.replace(bare, style(value), 1) if bare else style(value)
        line = lines[table.rows[row]]
        end = line[len(line.rstrip("\r\n")) :]
        lines[table.rows[row]] = table.delimiter.join(cells) + end
    with atomic_write(out) as file:
        file.write("".join(lines).encode("utf-8", errors="surrogateescape"))
