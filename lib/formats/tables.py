"""Text tables: CSV with one row a frame, DeepLabCut CSV and OpenSim TRC.

A table is kept as the lines of the file. Writing replaces single cells; header, time and index columns, line
ends, quotes and untouched rows stay byte for byte.

Where the facts come from: DeepLabCut writes pandas' multi-row header (scorer, bodyparts, coords; with
individuals before bodyparts for several animals); OpenSim's "Marker (.trc) Files" page describes the three
header lines, the two rows of labels and the blank row of a TRC.
"""

from __future__ import annotations

import math
import re
from collections import defaultdict
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from ..utils.errors import SmoothNetError
from ..utils.files import atomic_write
from .numbers import number_style
from .recording import Recording, Track
from .timeline import timeline

_MISSING = {"", "nan", "na", "n/a", "none", "null", "-nan", "nan(ind)", "-nan(ind)", "#n/a"}


@dataclass
class Table:
    path: Path
    lines: list[str]  # with their line ends
    delimiter: str
    first_row: int  # index of the first line of data
    rows: list[int]  # indices of the lines of data: blank lines are left out
    cells: list[list[str]]  # of the lines of data
    frames: np.ndarray  # (rows,) frame of each row, increasing: files leave out frames without anybody

    def column(self, index: int, name: str) -> np.ndarray:
        """Numbers of a column, NaN where a cell is empty or says so."""
        return np.array([self.number(row, index, name) for row in range(len(self.rows))], dtype=np.float64)

    def number(self, row: int, index: int, name: str) -> float:
        cells = self.cells[row]
        text = cells[index].strip().strip('"').strip() if index < len(cells) else ""
        if text.lower() in _MISSING:
            return math.nan
        try:
            value = float(text)
        except ValueError:
            raise SmoothNetError(
                f"{self.path}, line {self.rows[row] + 1}, column {name}: {text!r} is not a number"
            ) from None
        return value if math.isfinite(value) else math.nan


def read_lines(path: Path) -> list[str]:
    try:
        text = path.read_bytes().decode("utf-8", errors="surrogateescape")
    except OSError as error:
        raise SmoothNetError(f"cannot read {path}: {error.strerror or error}") from error
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


def _table(path: Path, lines: list[str], delimiter: str, first_row: int) -> Table:
    rows = [i for i in range(first_row, len(lines)) if lines[i].strip()]
    cells = [split_row(lines[i], delimiter) for i in rows]
    return Table(path, lines, delimiter, first_row, rows, cells, np.arange(len(rows)))


def _number_frames(table: Table, column: int, name: str) -> None:
    """Take the frames of the rows from a column that numbers them."""
    numbers = table.column(column, name)
    repeated = np.flatnonzero(np.diff(numbers) == 0)
    if len(repeated):
        raise SmoothNetError(
            f"{table.path}, line {table.rows[repeated[0] + 1] + 1}: a second row for frame "
            f"{numbers[repeated[0]]:g}; a table of several people needs columns of its own for each"
        )
    if len(numbers) and np.isfinite(numbers).all() and (numbers == np.round(numbers)).all():
        frames = timeline([int(number) for number in numbers])
        order = np.array([frames[int(number)] for number in numbers])
        if (np.diff(order) > 0).all():
            table.frames = order


def _frame_count(table: Table) -> int:
    return int(table.frames[-1]) + 1 if len(table.frames) else 0


def _track(table: Table, id, joints: list[list[int]], scores: list[int | None], names: list[str]) -> Track:
    """A track of the columns `joints`, one list of coordinate columns a joint, and of the score columns."""
    dims = len(joints[0])
    points = np.full((_frame_count(table), len(joints), dims), np.nan)
    for k, columns in enumerate(joints):
        for d, column in enumerate(columns):
            points[table.frames, k, d] = table.column(column, f"{column + 1} ({names[k]})")
    # A joint with one coordinate missing is missing.
    points[np.isnan(points).any(axis=2)] = np.nan
    values = None
    if any(column is not None for column in scores):
        values = np.full(points.shape[:2], np.nan)
        for k, column in enumerate(scores):
            if column is not None:
                values[table.frames, k] = table.column(column, f"{column + 1} (score of {names[k]})")
    in_file = np.zeros(points.shape[:2], dtype=bool)
    in_file[table.frames] = True
    return Track(id, points, scores=values, in_file=in_file, where=np.array(joints))


def write_table(recording: Recording, smoothed: list[np.ndarray], out: Path) -> None:
    table: Table = recording.source
    habits, changes = [], defaultdict(dict)  # row -> column -> value
    for track, new in zip(recording.tracks, smoothed, strict=True):
        old, new = track.points[table.frames], new[table.frames]
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
            old = cells[column]
            bare = old.strip().strip('"').strip()
            cells[column] = old.replace(bare, style(value), 1) if bare else style(value)
        line = lines[table.rows[row]]
        end = line[len(line.rstrip("\r\n")) :]
        lines[table.rows[row]] = table.delimiter.join(cells) + end
    with atomic_write(out) as file:
        file.write("".join(lines).encode("utf-8", errors="surrogateescape"))


# ------------------------------------------------------------------------------------------------------- CSV

_TIMES = {
    "time",
    "t",
    "timestamp",
    "timestamps",
    "seconds",
    "sec",
    "time_s",
    "time(s)",
    "time (s)",
    "time_sec",
}
_FRAMES = {"frame", "frames", "frame#", "frame_id", "frame_idx", "frame_index", "frame_number", "framenum"}
_INDICES = {"", "unnamed: 0", "index", "idx", "id", "image_id", "person", "person_id", "track", "track_id"}
_INDICES |= {"time_ms", "timestamp_ms"}
_SCORE = r"score|scores|conf|confidence|likelihood|visibility|presence|prob|probability|c|p|s"
_SEPARATED = re.compile(rf"^(?P<joint>.+)[\s_.\-:/]+(?P<what>x|y|z|{_SCORE})(?:\s*[(\[].*[)\]])?$", re.IGNORECASE)
_CAMEL = re.compile(r"^(?P<joint>.*[a-z0-9)])(?P<what>[XYZ])$")
_PREFIX = re.compile(rf"^(?P<what>x|y|z|{_SCORE})[\s_.\-:/]*(?P<joint>\d+|[\s_.\-:/].+)$", re.IGNORECASE)


def _column_role(name: str) -> tuple[str, str] | None:
    """(joint, "x" | "y" | "z" | "score") of a column name: nose_x, noseX, x3, "Left hip.z", nose_conf, x."""
    name = name.strip()
    if name.lower() in ("x", "y", "z"):
        return "", name.lower()
    match = _SEPARATED.match(name) or _CAMEL.match(name) or _PREFIX.match(name)
    if match is None:
        return None
    what = match["what"].lower()
    return match["joint"].strip(" _.-:/"), what if what in "xyz" else "score"


def _sniff(lines: list[str]) -> str:
    first = next((line for line in lines if line.strip()), "")
    return max(",;\t", key=first.count)


def _is_number(text: str) -> bool:
    text = text.strip().strip('"').strip()
    if text.lower() in _MISSING:
        return bool(text)
    try:
        float(text)
    except ValueError:
        return False
    return True


def detect_csv(path: Path) -> bool:
    return path.suffix.lower() in (".csv", ".tsv") and path.is_file()


def read_csv(path: Path, dims: int | None = None, **_) -> Recording:
    """One row a frame. Columns make joints by name; without names, `dims` columns make one (guessed)."""
    lines = read_lines(path)
    delimiter = _sniff(lines)
    top = next((i for i, line in enumerate(lines) if line.strip()), None)
    if top is None:
        raise SmoothNetError(f"{path} is empty; a .csv needs one row a frame")
    first = [cell.strip().lstrip("\ufeff").strip('"').strip() for cell in split_row(lines[top], delimiter)]
    has_header = not all(_is_number(cell) or not cell for cell in first)
    table = _table(path, lines, delimiter, top + 1 if has_header else top)
    width = len(first)
    for row, cells in zip(table.rows, table.cells, strict=True):
        if len(cells) != width:
            raise SmoothNetError(f"{path}, line {row + 1}: {len(cells)} cells where the first line has {width}")

    names = first if has_header else [""] * width
    fps = None
    joints: dict[str, dict[str, int]] = defaultdict(dict)
    plain = []
    for column, name in enumerate(names):
        lowered = name.lower()
        if has_header and lowered in _TIMES:
            fps = _rate(table.column(column, name)) if _all_numbers(table, column) else fps
        elif has_header and lowered in _FRAMES:
            if _all_numbers(table, column):
                _number_frames(table, column, name)
        elif has_header and lowered in _INDICES:
            continue
        elif (role := _column_role(name) if has_header else None) is not None:
            joint, what = role
            if what in joints[joint]:
                raise SmoothNetError(f"{path}: two columns stand for {what} of {joint or 'the point'}")
            joints[joint][what] = column
        elif _all_numbers(table, column):
            plain.append(column)

    if not any({"x", "y"} <= columns.keys() for columns in joints.values()):
        # Names such as p1, p2 only looked like joints: they are channels without a name for their axis.
        named = [column for columns in joints.values() for column in columns.values()]
        plain = sorted(plain + [column for column in named if _all_numbers(table, column)])
    complete = {name: columns for name, columns in joints.items() if {"x", "y"} <= columns.keys()}
    if complete:
        kinds = {tuple(axis for axis in "xyz" if axis in columns) for columns in complete.values()}
        tracks = []
        for axes in sorted(kinds):
            group = {n: c for n, c in complete.items() if tuple(a for a in "xyz" if a in c) == axes}
            order = list(group)
            columns = [[group[n][axis] for axis in axes] for n in order]
            track = _track(table, 0, columns, [group[n].get("score") for n in order], order)
            track.part = f"{len(axes)}D"
            tracks.append(track)
        joint_names = tuple(complete) if len(tracks) == 1 else None
        return Recording(path, "csv", tracks, _frame_count(table), fps, joint_names, table)

    if not has_header and plain and _counts_up(table.column(plain[0], "1")):
        plain = plain[1:]
    if not plain:
        raise SmoothNetError(f"{path} has no columns of coordinates (such as nose_x, nose_y) that hold numbers")
    dims = dims or guess_dims(len(plain))
    if len(plain) % dims:
        raise SmoothNetError(f"{path}: {len(plain)} columns of numbers are not whole joints of {dims}; give --dims")
    columns = [plain[i : i + dims] for i in range(0, len(plain), dims)]
    labels = [names[c[0]] or f"joint {i}" for i, c in enumerate(columns)]
    track = _track(table, 0, columns, [None] * len(columns), labels)
    return Recording(path, "csv", [track], _frame_count(table), fps, source=table)


def guess_dims(channels: int) -> int:
    """Numbers a joint where nothing says so: 3 if the channels divide by 3, else 2, else 1."""
    return 3 if channels % 3 == 0 else 2 if channels % 2 == 0 else 1


def _all_numbers(table: Table, column: int) -> bool:
    """Whether most cells of a column are numbers (the odd bad cell is an error later)."""
    numbers = sum(_is_number(cells[column]) for cells in table.cells)
    texts = sum(not _is_number(cells[column]) and bool(cells[column].strip()) for cells in table.cells)
    return numbers > texts or (not table.cells and texts == 0)


def _counts_up(values: np.ndarray) -> bool:
    return len(values) > 2 and values[0] in (0, 1) and bool(np.all(np.diff(values) == 1))


def _rate(times: np.ndarray) -> float | None:
    """Frames a second from a column of seconds, None where it is none."""
    steps = np.diff(times)
    steps = steps[np.isfinite(steps) & (steps > 0)]
    return round(float(1 / np.median(steps)), 4) if len(steps) else None


# ------------------------------------------------------------------------------------------------ DeepLabCut


def detect_deeplabcut(path: Path) -> bool:
    if path.suffix.lower() != ".csv" or not path.is_file():
        return False
    with path.open("rb") as file:
        return file.read(16).removeprefix(b"\xef\xbb\xbf").startswith(b"scorer,")


def read_deeplabcut(path: Path, **_) -> Recording:
    lines = read_lines(path)
    header = {}
    for count, line in enumerate(lines[:4]):
        cells = [cell.strip().strip('"') for cell in split_row(line.lstrip("\ufeff"), ",")]
        if cells[0] not in ("scorer", "individuals", "bodyparts", "coords"):
            break
        header[cells[0]] = cells
        first_row = count + 1
    if not {"scorer", "bodyparts", "coords"} <= header.keys():
        raise SmoothNetError(f"{path}: a DeepLabCut .csv starts with the rows scorer, bodyparts and coords")
    table = _table(path, lines, ",", first_row)
    width = len(header["coords"])
    for name, cells in header.items():
        if len(cells) != width:
            raise SmoothNetError(f"{path}: the header row {name} has {len(cells)} cells, coords has {width}")
    for row, cells in zip(table.rows, table.cells, strict=True):
        if len(cells) != width:
            raise SmoothNetError(f"{path}, line {row + 1}: {len(cells)} cells where the header has {width}")
    labels = list(zip(header.get("individuals", [""] * width), header["bodyparts"], header["coords"], strict=True))
    tracks, names = [], None
    for id, parts in deeplabcut_columns(labels).items():
        if not parts:
            continue
        order = list(parts)
        columns = [[parts[n][axis] for axis in "xyz" if axis in parts[n]] for n in order]
        tracks.append(_track(table, id, columns, [parts[n].get("likelihood") for n in order], order))
        names = tuple(order) if names in (None, tuple(order)) else ()
    if not tracks:
        raise SmoothNetError(f"{path} has no columns x and y below its bodyparts")
    return Recording(path, "deeplabcut", tracks, len(table.rows), names=names or None, source=table)


def deeplabcut_columns(labels: list[tuple[str, str, str]]) -> dict[str, dict[str, dict[str, int]]]:
    """individual -> bodypart -> x, y, (z,) (likelihood) -> column, from (individual, bodypart, coord)."""
    individuals: dict[str, dict[str, dict[str, int]]] = defaultdict(lambda: defaultdict(dict))
    for column, (individual, bodypart, coord) in enumerate(labels):
        if coord in ("x", "y", "z", "likelihood"):
            individuals[individual][bodypart][coord] = column
    return {
        individual: {name: columns for name, columns in parts.items() if {"x", "y"} <= columns.keys()}
        for individual, parts in individuals.items()
    }


# ------------------------------------------------------------------------------------------------------- TRC


def detect_trc(path: Path) -> bool:
    if not path.is_file() or path.suffix.lower() not in (".trc", ".txt", ".tsv"):
        return False
    with path.open("rb") as file:
        return file.read(16).removeprefix(b"\xef\xbb\xbf").startswith(b"PathFileType")


def read_trc(path: Path, **_) -> Recording:
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
    table = _table(path, lines, "\t", 5)
    width = max(markers) + 3
    for row, cells in zip(table.rows, table.cells, strict=True):
        if any(cell.strip() for cell in cells[width:]):
            raise SmoothNetError(f"{path}, line {row + 1}: {len(cells)} cells, the markers of line 4 need {width}")
    if _all_numbers(table, 0):
        _number_frames(table, 0, labels[0])
    columns = [[column, column + 1, column + 2] for column in markers]
    names = list(markers.values())
    track = _track(table, 0, columns, [None] * len(columns), names)
    track.points[~track.points.any(axis=2)] = np.nan  # some exporters write 0 0 0 for a marker that was not seen
    return Recording(path, "trc", [track], _frame_count(table), fps, tuple(names), table)
