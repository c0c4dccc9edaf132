# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) SmoothNet contributors
"""CSV with one row a frame: columns make joints by name, or by place where they have no names."""

from __future__ import annotations

import csv
import functools
import re
from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from itertools import pairwise
from pathlib import Path

import numpy as np

from ..utils.errors import SmoothNetError
from ..utils.files import atomic_write
from .content import Content
from .layout import Layout
from .meaning import Meaning, are_boxes, holds_labels, is_one_over, of_table, refuse_rows_of_joints, tells_time
from .recording import Recording, Track
from .rotations import looks_like
from .tables import (
    DECIMAL_COMMA,
    Table,
    all_numbers,
    by_axes,
    come_again,
    drop_empty,
    frame_count,
    is_number,
    make_table,
    make_track,
    no_number,
    number_frames,
    number_in,
    order_rows,
    rate,
    read_lines,
    refuse_ragged,
    split_row,
)
from .timeline import by_times

TIMES = {"time", "t", "timestamp", "timestamps", "seconds", "sec", "time_s", "time(s)", "time (s)", "time_sec", "时间"}
FRAMES = {"frame", "frames", "frame#", "frame_id", "frame_idx", "frame_index", "frame_number", "framenum", "fnum"}
FRAMES |= {"frame_num", "frame_no", "frame_nr", "frame_count", "frame_counter", "image_number", "帧", "帧号"}
IMAGES = {"image", "image_id", "image_name", "image_path", "image_file", "filename", "file", "file_name"}
IMAGES |= {"img", "img_id", "img_name", "img_path", "frame_name", "frame_path"}
CLOCKS = {"time_ms", "timestamp_ms", "time_us", "timestamp_us", "timestamp_usec", "time_ns", "timestamp_ns"}
_SECONDS = {"s", "sec", "secs", "second", "seconds"}
# Who is in a row, whatever else is in the table.
PEOPLE = {
    *("track", "track_id", "tracking_id", "person", "person_id", "individual", "individuals", "instance", "subject"),
    *("instance_id", "subject_id", "animal", "animal_id", "player", "player_id", "body", "body_id", "body_index"),
    *("skeleton", "skeleton_id", "user", "user_id", "actor", "actor_id", "object_id", "obj_id", "person_idx", "pid"),
    *("tracker_id", "tracklet", "tracklet_id", "participant", "participant_id", "patient", "patient_id", "agent_id"),
    "person_index",
}
# What is the same in all rows of one recording.
RECORDINGS = {
    *("video", "video_id", "video_name", "clip", "clip_id", "trial", "trial_id", "take", "session", "session_id"),
    *("sequence", "sequence_id", "seq", "seq_id", "recording", "recording_id", "filename", "file", "file_name"),
    *("camera", "camera_id", "cam", "cam_id", "view"),
}
# Which joint is in a row.
JOINTS = {
    *("kp", "kp_id", "kp_idx", "kp_name", "kpt", "kpt_id", "kpt_idx", "kpt_name"),
    *("body_part", "part_name", "marker_name"),
    *("keypoint_index", "keypoint_idx", "joint_index", "joint_idx"),
    *("landmark", "landmark_id", "landmark_index", "landmark_idx", "landmark_name", "keypoint", "keypoint_id"),
    *("keypoint_name", "keypoints", "joint", "joint_id", "joint_name", "joint_type", "bodypart", "marker"),
    *("bone", "bone_id", "bone_name"),
}
MAYBE_JOINTS = {"node", "point", "part", "name", "landmark_type", "type", "model"}
VIDEOS = (".mp4", ".avi", ".mov", ".mkv", ".webm")
# What pandas' describe and spreadsheets call the rows they add below the frames.
_SUMMARIES = {"mean", "average", "avg", "std", "sd", "stdev", "median", "min", "max", "sum", "total", "count"}
_INDICES = {"", "unnamed: 0", "index", "idx", "id"}
SCORES = {"score", "scores", "conf", "confidence", "likelihood", "visibility", "presence", "prob", "probability"}
SCORES |= {"c", "p", "s", "v", "vis", "visible", "置信度", "得分", "分数"}
_SEPARATORS = " \t_.-:/"
# Words of names that have x and y without being points.
_NO_POINTS = {
    *("bbox", "box", "crop", "size", "vel", "speed", "acc", "accel", "gyro", "mag", "force", "torque", "moment"),
    *("euler", "rot", "rotation", "orient", "orientation", "quat", "quaternion", "angle", "rpy"),
    *("gaze", "dir", "direction", "normal", "forward", "scale", "gravity", "grf", "jerk"),
    *("rotate", "eulers", "gyr", "omega", "angvel", "velo", "acce", "twist", "linear", "angular"),
    *("gyroscope", "accelerometer", "magnetometer", "magnetic", "power", "momentum", "vector", "vec", "heading"),
    *("delta", "diff", "displacement", "disp", "flow", "bias", "std", "sd", "var", "error", "err", "sigma", "cov"),
}
_NO_POINTS_ENDS = ("angles", "velocity", "velocities", "acceleration", "accelerations", "rotation", "orientation")
# Units of what has x and y and is no length: x-axis (g), VX (cm/s), v_x [m s^-1]; so is all that has a / or s^-.
_NO_LENGTHS = {
    *("g", "mg", "G", "N", "mN", "kN", "Nm", "N.m", "N m", "Nmm", "W", "V", "mV", "Hz", "T", "mT", "uT", "µT", "dps"),
    *("rad", "rads", "radian", "radians", "deg", "degs", "degree", "degrees", "°"),
}
# What may stand behind a name, or in its place: nose_x_px, pos_x.
UNITS = {"px", "pixel", "pixels", "mm", "cm", "m", "norm", "normalized", "normalised", "pos", "position", "coord"}
# Words by which a name says that it is another point's, in another unit or at another time: nose_norm_x, nose_raw_x.
_COPIES = UNITS | {"raw", "filtered", "filt", "smoothed", "smooth", "interpolated", "interp"}
# Letters for velocity, acceleration, angular velocity and turn beside X or P for the place: Hips-V-x beside Hips-X-x.
_KINDS, _PLACE_KINDS = {"v", "a", "w", "q"}, ("x", "p")
BOX = {"1", "2"}  # what x1, y1, x2, y2 make
# Places and turns that have an axis behind a letter: Hips_px beside Hips_rx, Hips.posX beside Hips.rotX.
_PLACED, _TURNED = (
    re.compile(rf"(.*?)(?:(?<![^ _.\-:/])|(?<=[a-z0-9])(?=[A-Z]))(?i:{words})[_.]?([xyzXYZ])")
    for words in ("p|pos|t|trans|translate|loc", "r|rot|rotate|eul|euler|ang|angle")
)
_QUATERNION = ("qw", "qx", "qy", "qz")
_SEPARATOR = re.compile(r'\ufeff?"?sep=[,;\t|]?"?', re.IGNORECASE)  # a first line by which Excel parts the cells
_BLANKS = str.maketrans(dict.fromkeys(_SEPARATORS, " "))
_AXES_AND_COUNTS = tuple("xyzuvw0123456789")  # what the names of coordinates end in
_LONGEST_NAME = 200  # of a column that can be a joint's


def column_role(name: str) -> tuple[str, str] | None:
    """(joint, "x" | "y" | "z" | "score") of a column name: nose_x, noseX, x3, "Left hip.z", nose_conf, x.

    None where the name is of another kind. A unit behind it (nose_x (px), nose_x_px) is not part of the name.
    """
    name = re.sub(r"[\[(]([xyzXYZ])[\])]$", r"_\1", name.strip())  # nose[x]
    if name.startswith("('") and name.endswith("')"):  # ('nose', 'x'), as str() writes pandas' names in two rows
        name = "_".join(re.findall(r"'([^']*)'", name))
    if not name or len(name) > _LONGEST_NAME or _is_no_length(name):
        return None
    if name.lower() in ("x", "y", "z"):
        return "", name.lower()
    return _suffixed(name) or _suffixed(_without_unit(name)) or _camel(name) or _prefixed(name)


def is_world(joint: str) -> bool:
    """Whether a joint stands in metres beside others in pixels (MediaPipe's world landmarks)."""
    return "world" in joint.lower()


@functools.lru_cache(maxsize=4096)  # of keys in JSON too, which come again in every frame
def is_point(joint: str) -> bool:
    """Whether what has x and y can be a point by its name: no box, no velocity, no angles."""
    words = _name_words(re.sub(r"(?<=[a-z])(?=[A-Z])", " ", joint))
    return not any(
        word in _NO_POINTS or word.removesuffix("s") in _NO_POINTS or word.endswith(_NO_POINTS_ENDS) for word in words
    )


def copies_among(names: list[str]) -> Callable[[str, str], bool]:
    """Whether a column, by its name and its joint's, is of the same point as others of these, which stays: nose_x_norm,
    nose_norm_x or raw_nose_x beside nose_x, or how it moves."""
    known = set(names)
    places = {_name_words(role[0]) for name in names if (role := column_role(name)) and role[1] == "x"}

    def is_again(name: str, joint: str) -> bool:
        bare = _without_unit(name)
        return (bare != name and bare in known) or not places.isdisjoint(_others_of(_name_words(joint)))

    return is_again


def _others_of(words: tuple[str, ...]) -> list[tuple[str, ...]]:
    """Whose copy a joint of such a name would be."""
    first, last = 0, len(words)
    while first < last and words[first] in _COPIES:
        first += 1
    while first < last and words[last - 1] in _COPIES:
        last -= 1
    others = [words[first:last]] if last - first < len(words) else []
    if len(words) > 1 and words[-1] in _KINDS:
        others += [(*words[:-1], place) for place in _PLACE_KINDS]
    return others


def _name_words(name: str) -> tuple[str, ...]:
    return tuple(name.lower().translate(_BLANKS).split())


def _unit_of(name: str) -> str | None:
    """The unit in brackets behind a column's name."""
    unit = re.search(r"[\[(]([^\[\]()]+)[\])]\s*$", name)
    return None if unit is None else unit[1].strip()


def _is_no_length(name: str) -> bool:
    """Whether a column's name has a unit in brackets behind it that no position has."""
    unit = _unit_of(name)
    return unit is not None and (unit in _NO_LENGTHS or "/" in unit or "s^-" in unit)


def _is_no_place(name: str) -> bool:
    """Whether a column of numbers has an axis and is called a rotation, a velocity, a force or the like."""
    if _is_no_length(name):
        return True
    role = column_role(name)
    joint = role[0] if role else name if name[-1:].lower() in ("x", "y", "z") else ""
    return bool(joint) and not is_point(joint)


# What has x, y and z behind it in tables of sensors and force plates: ax, gy, Fz; mx, of moments or magnetometers.
_SENSORS = {"a", "g", "m", "f", "v", "w", "acc", "gyr", "mag", "cop"}


def box_columns(joints: dict[str, dict[str, int]]) -> list[int]:
    """The columns x1, y1, x2, y2 where no other joint has a number for a name, which can be the corners of boxes."""
    numbered = {name for name in joints if name.isdigit()}
    if numbered != BOX or any(not {"x", "y"} <= joints[name].keys() or "z" in joints[name] for name in BOX):
        return []
    return [joints[name][axis] for name in ("1", "2") for axis in "xy"]


def refuse_boxes(path: Path, joints: dict[str, dict[str, int]]) -> None:
    """Raises SmoothNetError where columns that hold boxes are all there is."""
    if not any({"x", "y"} <= own.keys() for name, own in joints.items() if name not in BOX):
        raise SmoothNetError(
            f"{path}: columns x1, y1, x2, y2 hold boxes (left, top, right, bottom), no joints; if they are two points, "
            "call them a_x, a_y, b_x, b_y"
        )


def drop_others(
    names: list[str], joints: dict[str, dict[str, int]], column_of: Callable[[int, str], np.ndarray]
) -> list[int]:
    """Take out of the joints, in place, what is no coordinate of theirs, and give its columns: z of a picture, which
    never has a number, and x, y of a box whose width and height stand beside them."""
    dropped = []

    def is_empty(column: int) -> bool:
        return not np.isfinite(column_of(column, names[column])).any()

    for own in joints.values():
        if {"x", "y", "z"} <= own.keys() and is_empty(own["z"]) and not is_empty(own["x"]):
            dropped.append(own.pop("z"))
    spelt, box = {name.lower() for name in names}, joints.get("", {})
    others = any({"x", "y"} <= own.keys() for name, own in joints.items() if name)
    if others and {"x", "y"} <= box.keys() and ({"w", "h"} <= spelt or {"width", "height"} <= spelt):
        dropped += [box.pop(axis) for axis in "xyz" if axis in box]
    return dropped


def _what(word: str) -> str | None:
    word = word.lower()
    return word if word in ("x", "y", "z") else "score" if word in SCORES else None


def _suffixed(name: str) -> tuple[str, str] | None:
    """nose_x: a joint, separators, what it is."""
    cut = max(name.rfind(separator) for separator in _SEPARATORS)
    joint, what = name[: cut + 1].rstrip(_SEPARATORS), _what(name[cut + 1 :])
    return (joint.strip(_SEPARATORS), what) if joint and what else None


def _without_unit(name: str) -> str:
    before, separator, unit = name.rpartition("_")
    if separator and unit.lower() in UNITS:
        return before
    start = min((i for i in (name.find("("), name.find("[")) if i > 0), default=None)
    return name[:start].rstrip() if start and name[-1] in ")]" else name


def _camel(name: str) -> tuple[str, str] | None:
    """noseX, Hip2Y"""
    before = name[-2:-1]
    if name[-1] in "XYZ" and (before.islower() or before.isdigit() or before == ")") and before.isascii():
        return name[:-1].strip(_SEPARATORS), name[-1].lower()
    return None


def _prefixed(name: str) -> tuple[str, str] | None:
    """x3, x_nose, score.12"""
    word = name.rstrip("0123456789")
    if word != name and (what := _what(word.rstrip(_SEPARATORS))):
        return name[len(word) :], what
    cut = min((i for i in map(name.find, _SEPARATORS) if i > 0), default=0)
    what = _what(name[:cut]) if cut else None
    joint = name[cut:].strip(_SEPARATORS)
    return (joint, what) if what and joint else None


def is_named(name: str, words: set[str]) -> bool:
    """Whether a column has one of these names, however it is spelt: track_id, TrackID, "Track ID"."""
    return name.lower() in words or _spelt(name) in words


def is_time(name: str) -> bool:
    """Whether a column tells the time by its name, in whatever unit: time, timestamp_ms, Time [s], Timestamp (ms)."""
    return is_named(name, TIMES | CLOCKS) or (name.strip()[-1:] in ("]", ")") and is_named(_without_unit(name), TIMES))


def is_seconds(name: str) -> bool:
    """Whether a column tells the time in seconds, or does not say its unit."""
    return is_named(name, TIMES) or (is_time(name) and (_unit_of(name) or "").lower() in _SECONDS)


@functools.lru_cache(maxsize=4096)  # of keys in JSON too, which come again in every frame
def _spelt(name: str) -> str:
    """BodyID, "Body ID" and body-id as body_id."""
    return re.sub(r"(?<=[a-z])(?=[A-Z])|[\s_-]+", "_", name.strip()).lower()


@dataclass
class _Columns:
    """The columns of a table, by what they are."""

    joints: dict[str, dict[str, int]] = field(default_factory=lambda: defaultdict(dict))  # joint -> what -> column
    plain: list[int] = field(default_factory=list)  # numbers under other names, or none
    fps: float | None = None


def sniff_csv(path: Path) -> bool:
    return path.suffix.lower() in (".csv", ".tsv") and path.is_file()


def read_csv(path: Path, dims: int | None = None, layout: Layout | None = None) -> Recording:
    """One row a frame. Columns make joints by name; without names, some columns (told by their values) make one."""
    table, names = _read_table(path)
    said = layout is not None and (layout.columns is not None or layout.axes is not None)
    columns = _sort_columns(table, names, said)
    if not said:
        _refuse_sensors(path, columns.joints, names)
        columns.plain = sorted([*columns.plain, *drop_others(names, columns.joints, table.column)])
    box = None if said else box_columns(columns.joints)
    if box and are_boxes(np.stack([table.column(column, names[column]) for column in box], axis=1)):
        refuse_boxes(path, columns.joints)
        columns.plain = sorted([*columns.plain, *box])
        columns.joints = {name: own for name, own in columns.joints.items() if name not in BOX}
    if not said:
        _part_turns(columns, names)
    turns, others = _quaternions(table, columns, names)
    groups = by_axes(others.joints)
    if len(others.joints) == 1 and groups and not said:
        _refuse_rows_of_joints(table, names)
    if (groups or (turns and not others.plain)) and not said:
        columns = others
        apart = [
            (axes, [name for name in order if is_world(name) == w]) for axes, order in groups for w in (False, True)
        ]
        tracks = [_named_track(table, columns.joints, axes, order) for axes, order in apart if order]
        if turns:
            w_last = all(w > z for w, _, _, z in turns.values())  # so that people read the order that they have
            columns_of = [[x, y, z, w] if w_last else [w, x, y, z] for w, x, y, z in turns.values()]
            form = "xyzw" if w_last else "wxyz"
            track = make_track(table, 0, columns_of, [None] * len(turns), list(turns), form)
            track.part = "rotations"
            tracks.append(track)
        if [track.points.shape[1] for track in tracks] == [1] and tracks[0].kind == "points":
            refuse_rows_of_joints(tracks[0].points[:, 0], str(path))
        joint_names = tuple(name for name in columns.joints if {"x", "y"} <= columns.joints[name].keys())
        recording = Recording(path, "csv", tracks, frame_count(table), columns.fps, source=table, notes=table.notes)
        recording.names = (joint_names or tuple(turns)) if len(tracks) == 1 else None
        used = {i for name in joint_names for i in columns.joints[name].values()}
        scoreless = [i for group in columns.joints.values() for i in group.values() if i not in used]
        recording.left_alone = [names[i] for i in sorted({*columns.plain, *scoreless})]
        return recording
    # Names such as p1, p2 only looked like joints: they are channels without a name for their axis.
    named = [column for group in columns.joints.values() for column in group.values()]
    plain = sorted(columns.plain + [column for column in named if all_numbers(table, column)])
    no_points = [] if said else [i for i in plain if _is_no_place(names[i])]
    if not said and len(no_points) < len(plain) and {names[i][:-1].lower() for i in plain} <= _SENSORS:
        no_points = plain
    rest = [i for i in plain if i not in no_points]
    # The size of a pupil beside gazes, clocks and counters beside accelerations.
    if no_points and not any(names[i][-1:].lower() in _AXES_AND_COUNTS for i in rest):
        raise _no_positions(path, names[no_points[0]])
    recording = _plain_recording(table, names, rest, columns.fps, dims, layout)
    recording.left_alone = [names[i] for i in no_points]
    return recording


def _no_positions(path: Path, name: str) -> SmoothNetError:
    return SmoothNetError(
        f"{path}: columns such as {name} hold no positions by their names (rotations, velocities, sizes and the like); "
        "if they do, say --layout x,y or x,y,z"
    )


def _refuse_sensors(path: Path, joints: dict[str, dict[str, int]], names: list[str]) -> None:
    """Refuse tables of a_x, a_y, a_z, g_x, ..., whose joints are letters of sensors, two or more."""
    if len(joints) > 1 and {name.lower() for name in joints} <= _SENSORS:
        raise _no_positions(path, names[min(next(iter(joints.values())).values())])


def _read_table(path: Path) -> tuple[Table, list[str]]:
    """The rows of data, and the name of each column, "" without a header."""
    lines = read_lines(path)
    top = header_at(lines)
    if top is None:
        raise SmoothNetError(f"{path} is empty; a .csv needs one row a frame")
    delimiter = delimiter_of(lines[top:])
    first = names_in(lines[top], delimiter)
    for column, cell in enumerate(first):  # no header would be called that
        if DECIMAL_COMMA.fullmatch(cell):
            raise no_number(path, top + 1, str(column + 1), cell, delimiter)
    has_header = not all(is_number(cell) or not cell for cell in first) or _counted_header(first, lines, top, delimiter)
    has_header = has_header and not _is_row(first, lines, top, delimiter)
    table = make_table(path, lines, delimiter, top + 1 if has_header else top)
    refuse_ragged(table, len(first), "the first line")
    if has_header and any(is_named(name, FRAMES | IMAGES) or is_time(name) for name in first):
        drop_empty(table)
    return table, first if has_header else [""] * len(first)


def header_at(lines: list[str]) -> int | None:
    """Which line is the header, or the first row of a table without one: the first that is neither blank nor a comment
    (#) nor Excel's "sep=;", or the comment right above rows of numbers that has as many cells (numpy.savetxt)."""
    comment = None
    for i, line in enumerate(lines):
        if i == 0 and _SEPARATOR.fullmatch(line.strip()):
            continue
        if line.lstrip("\ufeff").startswith("#"):
            comment = i
        elif line.strip():
            delimiter = delimiter_of([line])
            cells = split_row(line, delimiter)
            if comment is not None and all(is_number(cell) or not cell.strip() for cell in cells):
                return comment if len(split_row(lines[comment], delimiter)) == len(cells) else i
            return i
    return comment


def names_in(line: str, delimiter: str) -> list[str]:
    """The names of a header's cells, without quotes and the sign of a comment."""
    return [cell.strip().strip('"').strip() for cell in split_row(line.lstrip("\ufeff").lstrip("#"), delimiter)]


def delimiter_of(lines: list[str]) -> str:
    """Of comma, semicolon and tab the one that parts the first line into most cells; where others stand beside them,
    commas between digits are decimal points: 1,5;2,5."""
    first = next((line for line in lines if line.strip()), "")
    if ";" in first or "\t" in first:
        first = re.sub(r"(?<=\d),(?=\d)", "", first)
    return max(",;\t", key=first.count)


def _is_row(first: list[str], lines: list[str], top: int, delimiter: str) -> bool:
    """Whether the first row is one of data that has a text in it (a label, a name of a file): most of its cells are
    numbers, which do not count, and the row below has texts and numbers at the same places."""
    below = next((line for line in lines[top + 1 :] if line.strip()), None)
    numbers = [number for number in map(number_in, first) if number is not None]
    counts = all(number.is_integer() for number in numbers) and all(a < b for a, b in pairwise(numbers))
    if below is None or counts or 2 * len(numbers) <= len(first):
        return False
    return [is_number(cell) for cell in first] == [is_number(cell) for cell in split_row(below, delimiter)]


def _counted_header(first: list[str], lines: list[str], top: int, delimiter: str) -> bool:
    """Whether the first row is the header that pandas gives columns without names: (nothing,) 0, 1, 2, ..."""
    with_index = not first[0]
    numbers = first[1:] if with_index else first
    if len(numbers) < 2 or numbers not in ([f"{i}{end}" for i in range(len(numbers))] for end in ("", ".0")):
        return False
    below = next((line for line in lines[top + 1 :] if line.strip()), None)
    if below is None:
        return with_index
    cells = [cell.strip().strip('"').strip() for cell in split_row(below, delimiter)]
    if with_index:  # an index of its own stands below nothing
        return bool(cells[0])
    if len(numbers) == 2:  # one point, which may well begin at (0, 1)
        return any(not cell.lstrip("-").isdigit() for cell in cells) and cells[0] != "1"
    # A row of data may count too, but then the next counts as well, or goes on where this one began.
    row = [number_in(cell) for cell in cells]
    return any(b is None or a is None or b - a != 1 for a, b in pairwise(row))


def _sort_columns(table: Table, names: list[str], said: bool) -> _Columns:
    """The columns by what they are; `said`: what they hold goes by their order, not by their names."""
    columns = _Columns()
    header = any(names)
    frames, times, who, texts, indices = [], [], [], [], []
    _refuse_summaries(table, names)
    capital = _also_in_capitals(names)
    is_again = copies_among(names)
    for column, name in enumerate(names):
        if header and is_named(name, RECORDINGS) and _tell_apart(table, column):
            raise SmoothNetError(
                f"{table.path}: rows are of several recordings, by the column {name}; give each a file of its own"
            )
        role = column_role(name) if header else None
        if header and is_time(name):
            if all_numbers(table, column):
                times.append(column)
                if is_seconds(name):
                    moments = np.unique(table.column(column, name))  # of a clock of whole seconds they give no rate
                    columns.fps = rate(moments) if len(moments) > len(table.cells) / 2 else None
        elif header and is_named(name, FRAMES):
            if all_numbers(table, column) or len({cells[column] for cells in table.cells}) == len(table.cells):
                frames.append(column)
        elif header and is_named(name, IMAGES):
            if len({cells[column] for cells in table.cells}) == len(table.cells):
                frames.append(column)
        elif header and is_named(name, PEOPLE | {"id", "idx"}):
            who.append(column)
        elif header and name.lower() in _INDICES:
            indices.append(column)
        elif role is not None and is_point(role[0]) and (said or not is_again(name, role[0])):
            joint, what = role
            if joint in capital and not name.strip().islower():
                joint = f"{joint} 3D"
            if what not in columns.joints[joint]:
                columns.joints[joint][what] = column
            elif said or what == "score":  # visibility and presence
                columns.plain.append(column)
            else:
                raise SmoothNetError(
                    f"{table.path}: two columns stand for {what} of {joint or 'the point'}; say --layout x,y or x,y,z "
                    "if they are joints one after the other"
                )
        elif all_numbers(table, column):
            columns.plain.append(column)
        else:
            texts.append(column)
    point = columns.joints.get("", {})
    scores = [column for column in columns.plain if len(names[column]) > 1 and is_named(names[column], SCORES)]
    if scores and not said and {"x", "y"} <= point.keys() and "score" not in point:  # of x, y, likelihood
        point["score"] = scores[0]
        columns.plain.remove(scores[0])
    if header:
        _set_frames(table, names, frames, times, who, [*texts, *columns.plain])
        if not frames and not times and indices:
            _order_by_index(table, indices[0], names[indices[0]] or "1")
    return columns


def _also_in_capitals(names: list[str]) -> set[str]:
    """Joints that have x and y twice, in small letters and in capitals: pixels x_0 and millimetres X_0 of OpenFace."""
    spelt = {name.strip() for name in names}
    pairs = [name for name in spelt if name.islower() and name.upper() in spelt]
    roles = [role for name in pairs if (role := column_role(name)) and role[1] in ("x", "y")]
    return {joint for joint, _ in roles}


def _refuse_summaries(table: Table, names: list[str]) -> None:
    """Refuse rows of means and the like below the frames, which would be smoothed with them."""
    for row in range(max(len(table.cells) - 9, 1), len(table.cells)):
        for column, cell in enumerate(table.cells[row]):
            word = cell.strip().strip('"').lower()
            if word in _SUMMARIES and table.cells[0][column].strip().strip('"').lower() != word:
                raise SmoothNetError(
                    f"{table.path}, line {table.rows[row] + 1}: {word} in the column {names[column] or column + 1}: "
                    "rows that sum up others are no frames; remove them"
                )


def _set_frames(
    table: Table, names: list[str], frames: list[int], times: list[int], who: list[int], others: list[int]
) -> None:
    """Put the rows in the order of their frames, or of their times where no column numbers the frames.

    Raises:
        SmoothNetError: rows are of several people, of which one would be made.
    """
    for column in who:
        if not frames and _tell_apart(table, column):
            raise SmoothNetError(
                f"{table.path}: {names[column]} names several people, and no column numbers the frames; add a column "
                "frame, or give each person a file"
            )
    if frames:
        number_frames(table, frames[0], names[frames[0]])
    elif times:
        order_rows(table, times[0], names[times[0]])
        for column in others:
            if _tell_apart(table, column, times[0]):
                raise SmoothNetError(
                    f"{table.path}: rows of one {names[times[0]]} differ in {names[column] or 'a nameless column'}; "
                    "name that column track_id if it tells people, else remove it"
                )


def _order_by_index(table: Table, column: int, name: str) -> None:
    """Put the rows in the order of pandas' index, if it is one: rows that were dropped are missing frames."""
    numbers = table.plain_column(column)
    if numbers is None or not np.isfinite(numbers).all() or (numbers != np.round(numbers)).any():
        return
    if len(np.unique(numbers)) == len(numbers):
        number_frames(table, column, name)


def _tell_apart(table: Table, column: int, time: int | None = None) -> bool:
    """Whether the words of a column come again; with `time`, and do so only in rows of another time, of which each
    may have several."""
    words = [cells[column].strip() for cells in table.cells]
    again = come_again(words)
    if not again or time is None:
        return again
    moments = [cells[time].strip() for cells in table.cells]
    return len(set(moments)) < len(moments) == len(set(zip(moments, words, strict=True)))


def _refuse_rows_of_joints(table: Table, names: list[str]) -> None:
    """Refuse rows of a joint each, whose frames no column numbers: they would be one joint that leaps about."""
    for column, name in enumerate(names):
        if not is_named(name, JOINTS | MAYBE_JOINTS):
            continue
        words = [cells[column].strip() for cells in table.cells]
        if come_again(words):
            raise SmoothNetError(
                f"{table.path}: rows are of several joints, by the column {name}, and no column numbers the frames; "
                f'add one: import pandas; t = pandas.read_csv("{table.path.name}"); '
                f't["frame"] = t.groupby("{name}").cumcount(); t.to_csv("frames.csv", index=False)'
            )
        if is_named(name, JOINTS) and len(words) > 1 and len(set(words)) == len(words):
            raise SmoothNetError(
                f"{table.path} holds one pose: its rows are joints, by the column {name}; poses of several frames are "
                "smoothed, with a column frame"
            )


def _by_joint(pattern: re.Pattern[str], columns: list[int], names: list[str]) -> dict[str, dict[str, int]]:
    """Joint -> axis -> column, of joints with all three axes by names of this pattern."""
    found: dict[str, dict[str, int]] = defaultdict(dict)
    for column in columns:
        if match := pattern.fullmatch(names[column].strip()):
            found[match[1].strip(_SEPARATORS)].setdefault(match[2].lower(), column)
    return {joint: axes for joint, axes in found.items() if len(axes) == 3}


def _part_turns(columns: _Columns, names: list[str]) -> None:
    """Make joints of places that stand beside turns (Hips_px beside Hips_rx), which would be taken for joints too."""
    if by_axes(columns.joints) or not _by_joint(_TURNED, columns.plain, names):
        return
    for joint, axes in _by_joint(_PLACED, columns.plain, names).items():
        columns.joints[joint] = axes
        columns.plain = [column for column in columns.plain if column not in axes.values()]


def _quaternions(table: Table, columns: _Columns, names: list[str]) -> tuple[dict[str, list[int]], _Columns]:
    """Joint -> columns of w, x, y, z, where columns of these names (or qw, qx, qy, qz) hold unit quaternions; and what
    is left of the columns."""
    parts: dict[str, dict[str, int]] = defaultdict(dict)
    for column in columns.plain:
        name = _without_unit(names[column].strip())  # q_RS_w []
        cut = max(name.rfind(separator) for separator in _SEPARATORS) + 1
        word = name[cut:].strip().lower()
        if word in ("w", *_QUATERNION):
            parts[name[:cut].strip(_SEPARATORS)][word] = column
    turns: dict[str, list[int]] = {}
    points = dict(columns.joints)
    beside: dict[str, dict[str, int]] = defaultdict(dict)  # of rotations by their name, which are no points
    for column in columns.plain:
        if role := column_role(names[column]):
            beside[role[0]][role[1]] = column
    for joint, words in parts.items():
        own = points.get(joint) or beside.get(joint, {})
        if words.keys() >= set(_QUATERNION):
            places = [words[word] for word in _QUATERNION]
        elif "w" in words and own.keys() >= {"x", "y", "z"}:
            places = [words["w"], *(own[axis] for axis in "xyz")]
        else:
            continue
        values = [table.column(column, f"{column + 1} {names[column]}") for column in places]
        if looks_like("wxyz", np.stack(values, axis=1)):
            turns[joint] = places
            if places[1] in own.values():
                points.pop(joint, None)
    taken = {column for places in turns.values() for column in places}
    plain = [column for column in columns.plain if column not in taken]
    return turns, _Columns(points, plain, columns.fps)


def _named_track(table: Table, joints: dict[str, dict[str, int]], axes: str, order: list[str]) -> Track:
    columns = [[joints[name][axis] for axis in axes] for name in order]
    track = make_track(table, 0, columns, [joints[name].get("score") for name in order], order)
    track.part = f"{len(axes)}D{' world' if is_world(order[0]) else ''}"
    return track


# (1.5, 2.5), [1.5 2.5] and the like in one cell
_SEVERAL = re.compile(r"""['"(\[\s]*[+-]?[\d.]+(e[+-]?\d+)?([\s,;]+[+-]?[\d.]+(e[+-]?\d+)?)+['")\]\s]*""")


def _plain_recording(
    table: Table, names: list[str], plain: list[int], fps: float | None, dims: int | None, layout: Layout | None
) -> Recording:
    """Columns without names for their joints: a leading one that counts or tells the time goes, the rest is a
    matrix."""
    notes = [*table.notes]
    plain, fps = _leading(table, names, plain, fps, notes)
    if not any(names) and len(plain) > 1 and holds_labels(_matrix(table, plain, names)):
        plain = plain[:-1]
        notes.append("the last column taken for labels")
    if not plain:
        first = table.cells[0] if table.cells else []
        if len(names) == 1 and first and 1 < len(names[0].split()) == len(first[0].split()):
            raise SmoothNetError(
                f"{table.path}: its cells are parted by blanks; part them by commas: import pandas; "
                f'pandas.read_csv("{table.path.name}", sep=r"\\s+").to_csv("commas.csv", index=False)'
            )
        several = next(
            ((names[i], cell) for i, cell in enumerate(first[: len(names)]) if _SEVERAL.fullmatch(cell)), None
        )
        if several:
            raise SmoothNetError(
                f"{table.path}: a cell of the column {several[0] or '?'} holds several numbers, {several[1].strip()}; "
                "write each into a column of its own, such as nose_x, nose_y"
            )
        apart = "" if len(names) > 1 else "; cells are parted by commas, semicolons or tabs"
        raise SmoothNetError(
            f"{table.path} has no columns of coordinates (such as nose_x, nose_y) that hold numbers{apart}"
        )
    said = layout is not None and (layout.columns is not None or layout.axes is not None)
    turned = {} if said else _by_joint(_TURNED, plain, names)
    words = {names[column].replace(".", "_").rpartition("_")[2].strip().lower() for column in plain}
    if words == {"rx", "ry", "rz"} and (layout is None or layout.columns is None):
        raise SmoothNetError(
            f"{table.path}: columns rx, ry, rz can be the axis times the angle of rotations; say --layout axis-angle, "
            "or --layout x,y,z if they are positions"
        )
    if turned:
        listed = ", ".join(names[column] for column in next(iter(turned.values())).values())
        raise SmoothNetError(
            f"{table.path}: columns such as {listed} are rotations by their names, not smoothed as positions: "
            "give the .bvh or .mot that they come from, or quaternions qw, qx, qy, qz; say --layout axis-angle where "
            "they are the axis times the angle, or --layout x,y,z if they are positions"
        )
    matrix = _matrix(table, plain, names)
    if dims is None and not said:
        _refuse_names_without_axes(table, names, plain)
    meaning = of_table(matrix, str(table.path), dims, layout)
    # Looked at in the same way, the numbers of the columns say where those of each joint stand: (joints, numbers).
    one_row = replace(meaning, shape=(1, *meaning.shape[1:]))
    places = one_row.view(np.array(plain))[0, 0, 0]
    if dims is None and (layout is None or layout.columns is None):
        _refuse_unknown(table, names, meaning, places)
    if places.shape[0] == 1 and dims is None and not said and len(meaning.pieces[0].numbers) > 1:
        one = [plain.index(column) for column in places[0, list(meaning.pieces[0].numbers)]]
        refuse_rows_of_joints(matrix[:, one], str(table.path))
    tracks = []
    for piece in meaning.pieces:
        columns = places[:, list(piece.numbers)].tolist()
        labels = [names[c[0]] or f"joint {i}" for i, c in enumerate(columns)]
        scores = [None] * len(columns) if piece.score is None else places[:, piece.score].tolist()
        track = make_track(table, 0, columns, scores, labels, piece.form)
        if len(meaning.pieces) > 1:
            track.part = "positions" if piece.form == "points" else "rotations"
        tracks.append(track)
    notes += [meaning.note] if meaning.note else []
    return Recording(table.path, "csv", tracks, frame_count(table), fps, source=table, notes=notes)


def _matrix(table: Table, columns: list[int], names: list[str]) -> np.ndarray:
    """(rows, columns) of numbers."""
    return np.stack([table.column(column, f"{column + 1} {names[column]}".strip()) for column in columns], axis=1)


def _leading(
    table: Table, names: list[str], plain: list[int], fps: float | None, notes: list[str]
) -> tuple[list[int], float | None]:
    """Leave out the columns before the coordinates that count the frames, tell their time or name somebody; gives the
    others, and the frame rate where one tells it."""
    if not any(names):
        _refuse_rows_of_several(table, plain)
        if len(plain) > 1 and _is_id(table, plain[0]) and _constant_step(table.column(plain[1], "2")) == 1:
            plain = plain[1:]
            notes.append("the first column taken for an id")
    if plain:
        leading = table.column(plain[0], "1")
        step = _constant_step(leading)
        counts = step == 1 and (leading[0] in (0, 1) or len(leading) >= 10)
        if counts or (step is not None and 0 < step < 1 and len(leading) >= 10):
            plain = plain[1:]
            fps = fps if counts else rate(leading)
            which, what = "next" if notes else "first", "a count of the rows" if counts else "the time"
            notes.append(f"the {which} column taken for {what}")
            if not any(names) and len(plain) > 3 and counts and tells_time(_matrix(table, plain, names)):
                fps, plain = rate(table.column(plain[0], "2")), plain[1:]
                notes.append("the column behind it for the time")
            if not any(names) and len(plain) > 1 and _is_id(table, plain[0]) and not _is_id(table, plain[1]):
                plain = plain[1:]
                notes.append("the column behind it for an id")
        elif not any(names) and len(plain) > 1 and (frames := _with_gaps(leading)) is not None:
            table.frames, plain = frames[0], plain[1:]
            notes += ["the first column taken for the frame or the time", frames[1]]
        elif not any(names) and tells_time(_matrix(table, plain, names)):
            table.frames, note = by_times(leading)
            fps, plain = rate(leading), plain[1:]
            notes += ["the first column taken for the time", *([note] if note else [])]
        elif not any(names) and is_one_over(len(plain)) and _is_id(table, plain[0]):
            plain = plain[1:]
            notes.append("the first column taken for an id")
    if not any(names):
        _refuse_text_between(table, plain)
    return plain, fps


def _refuse_text_between(table: Table, plain: list[int]) -> None:
    """Refuse tables without names that have texts among their numbers: nothing says where the coordinates begin."""
    text = next((column for column in range(plain[0], plain[-1]) if column not in plain), None) if plain else None
    if text is not None:
        raise SmoothNetError(
            f"{table.path}: column {text + 1} holds text among numbers; name the columns in a first line, such as "
            "frame,time,nose_x,nose_y"
        )


def _is_id(table: Table, column: int) -> bool:
    """Whether a column holds one whole number throughout."""
    values = table.column(column, str(column + 1))
    return len(values) > 2 and bool((values == np.round(values[0])).all())


def _refuse_rows_of_several(table: Table, plain: list[int]) -> None:
    """Refuse tables without names whose first column counts frames with several rows each, and the boxes of
    MOTChallenge: frame, id, left, top, width, height, confidence, -1, -1, -1."""
    values = [table.column(column, str(column + 1)) for column in plain]
    boxes = len(plain) == 10 and all((column == -1).all() for column in values[-3:])
    steps = np.unique(np.diff(values[0])) if values else np.empty(0)
    counts = len(steps) == 2 and steps.tolist() == [0, 1] and (np.round(values[0]) == values[0]).all()
    if boxes or (counts and len(np.unique(values[0])) <= len(values[0]) / 2):
        what = "boxes of MOTChallenge" if boxes else "several rows of each frame, by its first column"
        raise SmoothNetError(f"{table.path} has {what}; name its columns in a first line, such as frame,track_id,x,y")


def _refuse_unknown(table: Table, names: list[str], meaning: Meaning, places: np.ndarray) -> None:
    """Refuse columns whose names differ and do not say which is x, y or z: elbow_flexion, theta, area.

    Names that only count (c0, c1), or go on in each joint as coordinates do (head_px, head_py; nose_1, nose_2), may be
    points.
    """
    order = [names[column] for column in sorted(places.ravel().tolist())]
    if any(piece.form != "points" for piece in meaning.pieces) or len({re.sub(r"\d+", "", n) for n in order}) < 2:
        return
    coordinates = len(meaning.pieces[0].numbers)
    ends = {"".join(names[column][-1:] for column in joint[:coordinates]).lower() for joint in places.tolist()}
    if not (len(ends) == 1 and ends <= {"xy", "xyz", "uv", "01", "12", "012", "123"}):
        raise _unknown_axes(table, order)


def _refuse_names_without_axes(table: Table, names: list[str], plain: list[int]) -> None:
    """The same before values are looked at, where most names end in no letter or number of an axis: JawOpen."""
    order = [names[column] for column in plain]
    ends = sum(name[-1:].lower() in _AXES_AND_COUNTS for name in order)
    if all(order) and len({re.sub(r"\d+", "", name) for name in order}) > 2 and 2 * ends < len(order):
        raise _unknown_axes(table, order)


def _unknown_axes(table: Table, order: list[str]) -> SmoothNetError:
    return SmoothNetError(
        f"{table.path}: nothing says which of the columns {', '.join(order[:4])}{', ...' * (len(order) > 4)} is x, y "
        "or z; call them nose_x, nose_y and so on, or say --layout x,y or x,y,z (--dims 1: each is smoothed by itself)"
    )


def _constant_step(values: np.ndarray) -> float | None:
    """By how much a column grows from row to row, if always by the same (up to rounding)."""
    steps = np.diff(values)
    if len(steps) < 2 or not np.isfinite(steps).all() or steps.min() <= 0:
        return None
    step = float(np.median(steps))
    return step if np.abs(steps - step).max() <= max(0.02 * step, 2e-3 if step < 0.5 else 0) else None


def _with_gaps(values: np.ndarray) -> tuple[np.ndarray, str] | None:
    """The frames of rows by a column that counts or tells the time and leaves some out; None where it does neither."""
    steps = np.diff(values)
    if len(values) < 10 or not np.isfinite(steps).all() or steps.min() <= 0:
        return None
    step = float(np.median(steps))
    exact = np.abs(steps / step - np.round(steps / step)).max() < 0.02 + (2e-3 / step if step < 0.5 else 0)
    frames, note = by_times(values)
    return (frames, note) if exact and (step == 1 or step < 1) and frames[-1] >= len(frames) else None


def make_csv(content: Content, out: Path) -> None:
    """One row a frame, nose_x, nose_y, nose_z, nose_score, ...; of several people one row for each of a frame, by
    track_id. Empty cells are missing."""
    several = len(content.people) > 1
    scored = any(person.scores is not None for person in content.people)
    axes = "xyz"[: content.dims]
    header = ["frame", *(["time"] if content.fps else []), *(["track_id"] if several else [])]
    header += [f"{name}_{what}" for name in content.joint_names() for what in (*axes, *(["score"] if scored else []))]
    with atomic_write(out, "w") as file:
        rows = csv.writer(file, lineterminator="\n")
        rows.writerow(header)
        for frame, people in enumerate(content.by_frame()):
            time = [repr(frame / content.fps)] if content.fps else []
            for person, t in people:
                numbers = person.points[t]
                if scored:
                    none = np.full(content.joints, np.nan)
                    scores = none if person.scores is None else person.scores[t]
                    numbers = np.concatenate([numbers, scores[:, None]], axis=1)
                cells = ["" if value != value else repr(value) for value in numbers.ravel().tolist()]
                rows.writerow([frame, *time, *([person.id] if several else []), *cells])
            if not people and not several:
                rows.writerow([frame, *time, *[""] * (content.joints * (content.dims + scored))])
