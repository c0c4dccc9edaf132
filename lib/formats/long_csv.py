# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) SmoothNet contributors
"""CSV with several rows a frame: one for each person (SLEAP, scripts around trackers) or one for each point (tables of
landmarks in long form, as people write MediaPipe's results).

Columns are known by their names: which frame, which person, which joint, and coordinates as in plain_csv.py.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Hashable
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np

from ..utils.errors import SmoothNetError
from .detections import Detection, make_tracks
from .documents import Slot, Spanned
from .meaning import are_boxes
from .plain_csv import (
    BOX,
    FRAMES,
    IMAGES,
    JOINTS,
    MAYBE_JOINTS,
    PEOPLE,
    RECORDINGS,
    SCORES,
    UNITS,
    VIDEOS,
    box_columns,
    column_role,
    copies_among,
    delimiter_of,
    drop_others,
    header_at,
    is_named,
    is_point,
    is_seconds,
    is_time,
    is_world,
    names_in,
    refuse_boxes,
)
from .recording import Recording
from .rotations import looks_like
from .spans import Cell, cells_of
from .tables import by_axes, come_again, is_number, label_in, no_number, number_in, rate, read_lines, split_row
from .timeline import by_times, doubt_pictures, refuse_sequences, timeline

_PEOPLE = PEOPLE | {
    *("id", "idx", "pose", "pose_id", "pose_idx", "hand", "hand_id", "hand_index", "handedness", "hand_label"),
    *("face", "face_id"),
}
_JOINTS = JOINTS | MAYBE_JOINTS
# What the coordinates of rows of points are called beside x and y: pos_x, x_px; u and v.
_PLACES = UNITS | {
    *("loc", "location", "coords", "coordinate", "point", "keypoint", "kp", "landmark"),
    *("joint", "image", "img", "screen", "2d", "3d"),
}
_IN_IMAGES = {"u": "x", "v": "y"}
_NO_POINT = ("bbox", "box", "veloc", "accel", "size", "angle")  # in any name; see is_point for words
_MOST_JOINTS = 5000
_LOOKED_AT = 100  # lines in which the header stands


@dataclass
class _Columns:
    frame: int | None = None
    time: int | None = None
    people: list[int] = field(default_factory=list)
    joints: list[int] = field(default_factory=list)
    roles: dict[str, dict[str, int]] = field(default_factory=lambda: defaultdict(dict))  # joint -> what -> column
    other: list[str] = field(default_factory=list)

    @property
    def long(self) -> bool:
        """A row a point: x and y stand under their own names, beside the name or number of the joint."""
        return bool(self.joints) and {"x", "y"} <= self.roles.get("", self.roles.get("world", {})).keys()


def _sort(names: list[str]) -> _Columns:
    columns, numbered = _Columns(), False
    spelt = {name.lower() for name in names}
    is_again = copies_among(names)
    in_images = {"u", "v"} <= spelt and not {"x", "y"} & spelt and any(is_named(name, _JOINTS) for name in names)
    for column, name in enumerate(names):
        lowered = name.lower()
        role = column_role(name) if not any(word in lowered for word in _NO_POINT) else None
        role = role if role and is_point(role[0]) and not is_again(name, role[0]) else None
        if is_named(name, FRAMES | IMAGES) and (columns.frame is None or (not numbered and is_named(name, FRAMES))):
            columns.frame, numbered = column, is_named(name, FRAMES)  # a number before the name of a file
        elif is_time(name) and columns.time is None:
            columns.time = column
        elif is_named(name, _PEOPLE):
            columns.people.append(column)
        elif is_named(name, _JOINTS):
            columns.joints.append(column)
        elif in_images and lowered in _IN_IMAGES:
            columns.roles[""][_IN_IMAGES[lowered]] = column
        elif lowered in SCORES and "score" not in columns.roles[""]:
            columns.roles[""]["score"] = column
        elif role is not None and role[1] not in columns.roles[role[0]]:
            columns.roles[role[0]][role[1]] = column
        elif name:
            columns.other.append(name)
    points = [name for name, roles in columns.roles.items() if {"x", "y"} <= roles.keys()]
    if columns.joints and len(points) == 1 and points[0].lower() in _PLACES:
        columns.roles[""] |= columns.roles.pop(points[0])
    return columns


def _header(path: Path) -> tuple[list[str], str, int]:
    """The names of the columns, what parts them, and in which line they stand."""
    with path.open("rb") as file:
        raw = islice(iter(lambda: file.readline(2**20), b""), _LOOKED_AT)
        lines = [line.decode("utf-8", "replace") for line in raw]
    top = header_at(lines) or 0
    delimiter = delimiter_of(lines[top:])
    return names_in(lines[top], delimiter) if lines else [""], delimiter, top


def sniff_long(path: Path) -> bool:
    """A header with frames, people or joints, and more than one row of a frame."""
    if path.suffix.lower() not in (".csv", ".tsv") or not path.is_file():
        return False
    names, delimiter, top = _header(path)
    columns = _sort(names)
    frame = columns.frame if columns.frame is not None else columns.time
    points = any({"x", "y"} <= role.keys() for role in columns.roles.values())
    if frame is None or not points or not (columns.long or columns.people or columns.frame is not None):
        return False
    if columns.long:
        return True
    rows = [split_row(line, delimiter) for line in read_lines(path)[top + 1 :] if _is_filled(line)]
    labels = [cells[frame] if frame < len(cells) else "" for cells in rows]
    if len(set(labels)) == len(labels):  # people who follow one another are people too
        return any(_several(rows, names, i) for i in columns.people)
    if len(set(labels)) == 1 and not is_number(labels[0]):  # a video's name in all rows numbers no frame
        return False
    return bool(columns.people) or any(not is_number(label) for label in labels)


def _is_filled(line: str) -> bool:
    return bool(line.strip(' \t,;"\r\n')) and not line.startswith("#")


def _several(rows: list[list[str]], names: list[str], column: int) -> bool:
    words = [cells[column] for cells in rows if column < len(cells)]
    return is_named(names[column], PEOPLE) and come_again(words)


def read_long(path: Path, **_: Any) -> Recording:
    lines = read_lines(path)
    if not lines or path.suffix.lower() not in (".csv", ".tsv"):
        raise SmoothNetError(f"{path} is no .csv with several rows a frame")
    names, delimiter, top = _header(path)
    columns = _sort(names)
    frame = columns.frame if columns.frame is not None else columns.time
    if frame is None or not any({"x", "y"} <= role.keys() for role in columns.roles.values()):
        raise SmoothNetError(f"{path} needs a column that numbers the frames, and columns x and y or nose_x, nose_y")
    starts = np.cumsum([0, *map(len, lines)]).tolist()
    rows = [(i, cells_of(line, delimiter, starts[i])) for i, line in enumerate(lines) if i > top and _is_filled(line)]
    for number, cells in rows:
        if len(cells) != len(names):
            raise SmoothNetError(f"{path}, line {number + 1}: {len(cells)} cells where the header has {len(names)}")

    def column_of(column: int, _: str) -> np.ndarray:
        return np.array([_float(cells[column].text) for _, cells in rows])

    columns.other += [names[column] for column in drop_others(names, columns.roles, column_of)]
    box = box_columns(columns.roles)
    if box and are_boxes(np.array([[_float(cells[column].text) for column in box] for _, cells in rows])):
        refuse_boxes(path, columns.roles)
        columns.other += [names[column] for column in box]
        columns.roles = {name: own for name, own in columns.roles.items() if name not in BOX}
    _refuse_quaternions(path, columns, names, rows)
    texts = [cells[frame].text.strip().strip('"') for _, cells in rows]
    _refuse_several(path, names, rows, texts)
    note = ""
    if columns.frame is None:
        ordered = sorted(set(texts), key=lambda t: (_float(t), t))
        moments, note = by_times(np.array([_float(text) for text in ordered]))
        order = dict(zip(ordered, moments.tolist(), strict=True))
        labels: list = [order[text] for text in texts]
    else:
        labels = [label_in(t) for t in texts]
        refuse_sequences(path, labels)
    numbers = timeline(labels)
    spans: list[tuple[int, int]] = []
    read = _read_points if columns.long else _read_people
    detections, joint_names = read(path, columns, rows, [numbers[label] for label in labels], spans)
    source = [Spanned(path, "".join(lines), np.array(spans, np.int64).reshape(-1, 2))]
    tracks = make_tracks(path, detections)
    recording = Recording(path, "long-csv", tracks, max(numbers.values(), default=-1) + 1, source=source)
    recording.names = joint_names
    recording.left_alone = columns.other
    recording.notes = [*([note] if note else []), *doubt_pictures(labels)]
    if columns.time is not None and is_seconds(names[columns.time]):
        recording.fps = rate(np.unique([_float(cells[columns.time].text) for _, cells in rows]))
    return recording


def _refuse_several(path: Path, names: list[str], rows: list, frames: list[str]) -> None:
    """Refuse rows of several recordings, and rows that belong to no frame."""
    for column, name in enumerate(names):
        words = [cells[column].text for _, cells in rows] if is_named(name, RECORDINGS) else []
        pictures = is_named(name, IMAGES) and not all(word.strip('"').lower().endswith(VIDEOS) for word in words)
        if come_again(words) and not pictures:
            raise SmoothNetError(
                f"{path}: rows are of several recordings, by the column {name}; give each a file of its own"
            )
    unnumbered = [row for row, text in enumerate(frames) if number_in(text) is None]
    if 0 < len(unnumbered) < len(frames) / 2:
        line, text = rows[unnumbered[0]][0] + 1, frames[unnumbered[0]]
        raise SmoothNetError(f"{path}, line {line}: {text!r} numbers no frame; number the row, or remove it")


def _refuse_quaternions(path: Path, columns: _Columns, names: list[str], rows: list) -> None:
    """Refuse x, y, z that are the greater part of quaternions, whose w stands beside them."""
    spelt = {name.lower(): column for column, name in enumerate(names)}
    for joint, role in columns.roles.items():
        w = next((spelt[n] for s in ("", "_", ".", " ", "-") if (n := f"{joint}{s}w".lower()) in spelt), None)
        if w is None or not {"x", "y", "z"} <= role.keys():
            continue
        four = [w, *(role[axis] for axis in "xyz")]
        if looks_like("wxyz", np.array([[_float(cells[column].text) for column in four] for _, cells in rows])):
            listed = ", ".join(names[column] for column in four)
            raise SmoothNetError(
                f"{path}: columns {listed} hold quaternions, which are read with one row a frame and columns such as "
                "hip_qw, hip_qx, hip_qy, hip_qz; turn the table"
            )


def _float(text: str) -> float:
    text = text.strip().strip('"')
    number = number_in(text)
    return np.nan if number is None else number


def _person(columns: _Columns, cells: list[Cell]) -> Hashable | None:
    words = [cells[column].text.strip().strip('"') for column in columns.people]
    if not any(words):
        return None
    return int(words[0]) if len(words) == 1 and words[0].isdigit() and len(words[0]) < 10 else "/".join(words)


def _number(path: Path, line: int, cell: Cell, name: str, spans: list[tuple[int, int]]) -> float:
    """The number of a cell; its place is added to `spans`."""
    bare = cell.text.strip().strip('"').strip()
    start = cell.start + (cell.text.index(bare) if bare else 0)
    spans.append((start, start + len(bare)))
    if not bare or is_number(bare):
        return _float(bare)
    raise no_number(path, line + 1, name, bare)


def _groups(roles: dict[str, dict[str, int]]) -> list[tuple[str, str, list[str]]]:
    """Joints of the same unit and axes: (part, axes, names)."""
    found = []
    for world in (False, True):
        for axes, order in by_axes({name: role for name, role in roles.items() if is_world(name) == world}):
            found.append((f"{len(axes)}D{' world' if world else ''}", axes, order))
    return found


def _read_people(
    path: Path, columns: _Columns, rows: list, frames: list[int], spans: list[tuple[int, int]]
) -> tuple[list[Detection], tuple[str, ...] | None]:
    """A row a person."""
    groups, detections = _groups(columns.roles), []
    for (line, cells), frame in zip(rows, frames, strict=True):
        parts = {}
        for part, axes, order in groups:
            first = len(spans)
            values = [_number(path, line, cells[columns.roles[n][a]], f"{n} {a}", spans) for n in order for a in axes]
            points = np.array(values).reshape(len(order), len(axes))
            points[np.isnan(points).any(axis=1)] = np.nan
            scores = None
            if any("score" in columns.roles[name] for name in order):
                scored = [columns.roles[name].get("score") for name in order]
                scores = np.array([np.nan if c is None else _float(cells[c].text) for c in scored])
            places = first + np.arange(points.size).reshape(points.shape)
            parts[part] = (points, scores, [Slot(0, places, slice(0, len(points)), len(axes))])
        detections.append(Detection(frame, _person(columns, cells), parts))
    return detections, tuple(groups[0][2]) if len(groups) == 1 else None


def _read_points(
    path: Path, columns: _Columns, rows: list, frames: list[int], spans: list[tuple[int, int]]
) -> tuple[list[Detection], tuple[str, ...] | None]:
    """A row a point; joints in the order in which they come first."""
    groups = [  # pixels beside shares of the picture: each by itself
        (part if len(order) == 1 else f"{part} {name}".rstrip(), axes, [name])
        for part, axes, order in _groups(columns.roles)
        for name in order
    ]
    words = [tuple(cells[column].text.strip().strip('"') for column in columns.joints) for _, cells in rows]
    # Of several columns that say which joint it is (number and name) the one with most words, names before numbers.
    column = max(
        range(len(columns.joints)),
        key=lambda i: (len({word[i] for word in words}), not any(word[i].isdigit() for word in words)),
    )
    whose = [(frame, _person(columns, cells)) for (_, cells), frame in zip(rows, frames, strict=True)]
    joints = [word[column] for word in words]
    if len(set(zip(whose, joints, strict=True))) < len(rows):  # number 0 of the face, and that of a hand
        joints = ["/".join(word) for word in words]
    number = {name: k for k, name in enumerate(dict.fromkeys(joints))}
    if len(number) > _MOST_JOINTS:
        raise SmoothNetError(f"{path}: {len(number)} joints by their names, which no body has")
    people: dict[tuple[int, Hashable | None], dict[int, int]] = defaultdict(dict)  # joint -> row
    for row, ((line, _), (frame, id)) in enumerate(zip(rows, whose, strict=True)):
        rows_of = people[frame, id]
        joint = number[joints[row]]
        if joint in rows_of:
            raise SmoothNetError(
                f"{path}, line {line + 1}: a second row for {joints[row]} of frame {frame}; "
                "several people need a column person or track_id"
            )
        rows_of[joint] = row
    detections = []
    for (frame, id), rows_of in people.items():
        parts = {}
        for part, axes, order in groups:
            roles = columns.roles[order[0]]
            points = np.full((len(number), len(axes)), np.nan)
            scores = np.full(len(number), np.nan)
            slots, score = [], roles.get("score", columns.roles[""].get("score"))
            for run in _runs(sorted(rows_of)):
                first = len(spans)
                for joint in run:
                    line, cells = rows[rows_of[joint]]
                    points[joint] = [_number(path, line, cells[roles[axis]], axis, spans) for axis in axes]
                    if score is not None:
                        scores[joint] = _float(cells[score].text)
                places = first + np.arange(len(run) * len(axes)).reshape(len(run), len(axes))
                slots.append(Slot(0, places, slice(run[0], run[-1] + 1), len(axes), named=True))
            points[np.isnan(points).any(axis=1)] = np.nan
            parts[part] = (points, scores if score is not None else None, slots)
        detections.append(Detection(frame, id, parts))
    names = tuple(number)
    return detections, None if all(name.isdigit() for name in names) else names


def _runs(joints: list[int]) -> list[list[int]]:
    """Neighbouring numbers together."""
    runs: list[list[int]] = []
    for joint in joints:
        if runs and runs[-1][-1] == joint - 1:
            runs[-1].append(joint)
        else:
            runs.append([joint])
    return runs
