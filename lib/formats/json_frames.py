# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) SmoothNet contributors
"""JSON with a value a frame, as scripts and smaller tools write it: Azure Kinect, AlphaPose in its forms cmu and open,
TensorFlow.js, Apple's Vision, ZED's body tracking.

A frame is an object or a list of people, or one person; a person has `keypoints`, `joints` or the like, as lists
([[x, y, score], ...], nested or flat), objects ([{"x": 1, "y": 2}, ...], or [{"position": {"x": 1, "y": 2}}, ...] as
PoseNet has them) or by name ({"nose": [1, 2]}). Which numbers of a list are coordinates is told from all of the file,
as in an array.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np

from ..utils.errors import SmoothNetError
from .documents import read_document, read_numbers
from .frames import (
    ARRAYS,
    JOINTS,
    LISTS,
    NUMBERS,
    PERSON_IDS,
    Found,
    Person,
    id_of,
    ids_of,
    joint_labels,
    read_frames,
    sniff_frames,
)
from .layout import Layout, Piece
from .meaning import of_array
from .plain_csv import SCORES, is_named, is_point
from .recording import Recording

_PEOPLE = {"people", "persons", "instances", "bodies", "poses", "skeletons", "users", "detections", "body_list"}
_JOINTS = JOINTS | {"joint_positions", "pose_keypoints_2d", "keypoint_2d"}
_BONES = {"bones", "body"}  # of objects with a position each; lists of numbers below these say what is joined to what
_SCORE_LISTS = {
    *("scores", "keypoint_scores", "confidences", "keypoints_scores", "joint_scores", "keypoint_confidence"),
}
_TURN = ("qw", "qx", "qy", "qz")
_POSITION = {"position", "pos", "location"}  # where x and y stand if not in the joint itself, as keys or as a list
_WRAPPED = {"pose"}  # what ml5 has a person in, beside its skeleton
_BESIDE = {"name", "id", "part", "label", "index", "joint", *_TURN}  # what a point may have beside its numbers
_OF_POINTS = SCORES | _BESIDE
_POINT_ALONE = SCORES | {"x", "y", "z"}  # most joints, which are not looked at any closer
_TURNS = {
    *("rotation", "rot", "orientation", "quaternion", "rotation_quaternion", "euler", "euler_angles", "scale"),
    *_TURN,
}
_NO_ROTATIONS = "rotations are not read from JSON; save them as .npy, (frames, joints, numbers), and say what they are"
_MOST_NUMBERS = 10  # of a joint
_FEWEST_NAMED = 3  # joints by name that make a frame without a key of their own


@dataclass
class _Reader:
    """The people of frames; what is found in one frame holds for the others."""

    flat: bool  # the document is a list of objects, so that a list is no frame
    bare: str  # "poses" or "people": the document has lists alone, its frames are poses or lists of them; or ""
    layout: Layout
    numbered: bool  # each frame is a person with an id of its own, which is none of a person
    holder: dict | None = None  # the object of the document that has all frames in one of ARRAYS: no frame itself
    names: dict[str, int] = field(default_factory=dict)  # joints that are given by name
    # Lists of numbers, by their key, how deep they are and their length (flat) or the numbers a joint.
    lists: dict[tuple[str, int, int], list[np.ndarray]] = field(default_factory=lambda: defaultdict(list))
    # Of such lists the numbers a joint, and what they are.
    meanings: dict[tuple[str, int, int], tuple[int, Piece]] = field(default_factory=dict)

    beside: dict[str, None] = field(default_factory=dict)  # what joints have beside their position: rotations, sizes

    def people(self, value: Any, where: str) -> list[Person] | None:
        """See `frames.People`."""
        if value is self.holder and self.holder is not None:
            return None
        if isinstance(value, list) and self.bare:
            poses = [((), value)] if self.bare == "poses" else [((i,), pose) for i, pose in enumerate(value) if pose]
            if not all(_is_pose(pose) for _, pose in poses):
                return None
            return [Person(None, [self._found("", pose, path, {}, where)]) for path, pose in poses]
        if isinstance(value, list):
            members = [_unwrapped(item, (i,)) for i, item in enumerate(value) if isinstance(item, dict)]
            if self.flat or not value or len(members) < len(value) or not all(_joint_keys(who) for _, who in members):
                return None
        elif not isinstance(value, dict):
            return None
        elif key := next((key for key in value if is_named(key, _PEOPLE)), None):
            found = value[key] or []
            members = [
                _unwrapped(person, (key, place))
                for place, person in (found.items() if isinstance(found, dict) else enumerate(found))
                if isinstance(person, dict)
            ]
            if len(members) < len(found) or (members and not any(_joint_keys(person) for _, person in members)):
                return None
        elif _joint_keys(value) or _by_name(value, _FEWEST_NAMED):
            members = [((), value)]
        elif _joint_keys(_unwrapped(value, ())[1]):
            members = [_unwrapped(value, ())]
        else:
            return None
        return [
            person
            for path, member in members
            if (person := self._person(member, path, ", ".join([where, *map(str, path)]))) is not None
        ]

    def _person(self, person: dict, path: tuple, where: str) -> Person | None:
        keys = _joint_keys(person)
        parts = [(key, person[key], (*path, key)) for key in keys] or [("", person, path)]
        found = [self._found(key, value, place, person, where) for key, value, place in parts if value]
        for part, (key, _, _) in zip(found, [part for part in parts if part[1]], strict=True):
            part.part += f" {key}" if sum(other.part == part.part for other in found) > 1 else ""
        ids = PERSON_IDS if self.numbered and not path else PERSON_IDS | NUMBERS
        named = (id_of(value) for key, value in person.items() if is_named(key, ids))
        id = next((value for value in named if value is not None), None)
        return Person(id, found) if found else None

    def _found(self, key: str, value: Any, path: tuple, person: dict, where: str) -> Found:
        where = f"{where}, {key or 'joints'}"
        scores = next((person[name] for name in person if is_named(name, _SCORE_LISTS)), None)
        places: list[tuple[tuple, slice]] = []
        if isinstance(value, dict):
            joints = _by_name(value, 1)
            if not joints:
                raise SmoothNetError(f"{where} has no joints with x and y, nor lists of them")
            axes = _axes(next(iter(joints.values())))
            rows = [self.names.setdefault(name, len(self.names)) for name in joints]
            places = [
                ((*path, name, *_to_point(joint)), slice(row, row + 1))
                for (name, joint), row in zip(joints.items(), rows, strict=True)
            ]
            given = read_numbers([_numbers(joint, axes, where) for joint in joints.values()], where)
            if given.ndim != 2:
                raise SmoothNetError(
                    f"{where}: a joint must be one point of a frame; its numbers have shape {given.shape[1:]}"
                )
            table = np.full((max(rows) + 1, given.shape[1]), np.nan)
            table[rows] = given
        else:
            axes, apart = _axes(value[0]), any(_to_point(joint) for joint in value if isinstance(joint, dict))
            table = read_numbers([_numbers(joint, axes, where) for joint in value] if axes or apart else value, where)
            if apart:
                places = [((*path, i, *_to_point(joint)), slice(i, i + 1)) for i, joint in enumerate(value)]
        if axes:
            stride, numbers = len(axes), tuple(range(len(axes)))
            score = stride if table.shape[1] > stride else None
        else:
            table, stride, piece = self._meaning(key, table, where)
            numbers, score = piece.numbers, piece.score
        members = value if isinstance(value, list) else value.values()
        for joint in members:
            if isinstance(joint, dict) and not joint.keys() <= _POINT_ALONE:
                self.beside |= dict.fromkeys(_beside(joint))
        points = table[:, list(numbers)]
        points[~np.isfinite(points).all(axis=1)] = np.nan
        found = None if score is None else table[:, score]
        if found is None and isinstance(scores, list) and len(scores) == len(table):
            found = read_numbers(scores, f"{where}, scores")
        labels = joint_labels(value) if isinstance(value, list) and (axes or places) else None
        part = f"{len(numbers)}D"
        named = isinstance(value, dict)
        return Found(part, path, points, found, stride, axes, "", places, labels, named, numbers)

    def _meaning(self, key: str, table: np.ndarray, where: str) -> tuple[np.ndarray, int, Piece]:
        """The list as a row a joint, the numbers of a joint and what they are; a stand-in before `settle`."""
        if table.ndim not in (1, 2) or not table.shape[-1]:
            several = '; write an object for each of several: {"people": [{"keypoints": [[x, y], ...]}, ...]}'
            raise SmoothNetError(
                f"{where} must be [[x, y], ...] or [x, y, ...] of one person in one frame; it has shape {table.shape}"
                + several * (table.ndim == 3)
            )
        what = key, table.ndim, table.shape[-1]
        if what not in self.meanings:
            self.lists[what].append(table)
        stride, piece = self.meanings.get(what, (table.shape[-1] if table.ndim == 2 else 1, Piece((0,))))
        return table.reshape(-1, stride), stride, piece

    def settle(self, where: str, dims: int | None) -> list[str]:
        """Tell what the lists are from all that were found; gives what is left alone of them."""
        rest: dict[str, None] = {f"{', '.join(self.beside)} of each joint": None} if self.beside else {}
        for what, tables in self.lists.items():
            key, deep, _ = what
            rows = np.concatenate(tables)[:, None] if deep == 2 else np.stack(tables)
            layout = replace(self.layout, axes="tkd") if deep == 2 else self.layout
            meaning = of_array(rows, f"{where}, {key or 'joints'}", dims, layout)
            if self.bare == "poses" and self.layout.axes is None and len({len(table) for table in tables}) == 1:
                axes = of_array(np.stack(tables), where, dims, self.layout).axes
                if axes != "tkd":
                    raise SmoothNetError(f"{where}: its second axis is the time; write (frames, joints, numbers)")
            piece = next((piece for piece in meaning.pieces if piece.form == "points"), None)
            if piece is None:
                raise SmoothNetError(f"{where}, {key or 'joints'}: {_NO_ROTATIONS}")
            stride = meaning.shape[-1]
            self.meanings[what] = stride, piece
            others = [str(i + 1) for i in range(stride) if i not in (*piece.numbers, piece.score)]
            if others:
                rest[f"of each joint the number{'s' * (len(others) > 1)} {', '.join(others)}"] = None
        return list(rest)


def _unwrapped(person: dict, path: tuple) -> tuple[tuple, dict]:
    """Where the joints of a person stand, and what they stand in: the person, or the one object that holds it."""
    keys = [key for key, value in person.items() if is_named(key, _WRAPPED) and isinstance(value, dict)]
    return ((*path, keys[0]), person[keys[0]]) if len(keys) == 1 and not _joint_keys(person) else (path, person)


def _joint_keys(value: dict) -> list[str]:
    """The keys of a person below which joints stand; flat lists of boxes and the like have other names."""
    return [
        key
        for key, joints in value.items()
        if (is_named(key, _JOINTS) and _are_joints(joints)) or (is_named(key, _BONES) and _are_placed(joints))
    ]


def _are_placed(value: Any) -> bool:
    """Whether these are objects of bones that have a position each, by name or in a list."""
    members = list(value.values()) if isinstance(value, dict) else value if isinstance(value, list) else []
    return bool(members) and all(map(_to_point, members))


def _are_joints(value: Any) -> bool:
    if isinstance(value, dict):
        return not value or bool(_by_name(value, 1))
    if not isinstance(value, list):
        return False
    return not value or isinstance(value[0], int | float | list) or value[0] is None or _is_point(value[0])


def _by_name(value: dict, fewest: int) -> dict[str, Any]:
    """The joints of an object {"nose": {"x": 1, "y": 2}} or, below a key of joints, {"nose": [1, 2]}."""
    joints = {
        name: joint
        for name, joint in value.items()
        if is_point(name)
        if (_is_point(joint) and (fewest == 1 or _is_turned_alone(joint)))
        or (fewest == 1 and _is_joint(joint) and 2 <= len(joint) <= _MOST_NUMBERS)
    }
    return joints if len(joints) >= fewest else {}


def _is_turned_alone(joint: Any) -> bool:
    """Whether a joint without a key of joints above it has nothing but its rotation beside it: no camera, no light."""
    return all(is_named(key, _TURNS) for key in _beside(joint))


def _is_joint(joint: Any) -> bool:
    return isinstance(joint, list) and bool(joint) and all(n is None or isinstance(n, int | float) for n in joint)


def _is_pose(value: Any) -> bool:
    return isinstance(value, list) and bool(value) and (all(map(_is_joint, value)) or all(map(_is_point, value)))


def _is_point(joint: Any) -> bool:
    if not isinstance(joint, dict):
        return False
    if _to_point(joint):  # which says that it is one, whatever else it has
        return True
    axes = _axes(joint)
    return len(axes) > 1 and all(key in axes or is_named(key, _OF_POINTS) for key in joint)


def _to_point(joint: Any) -> tuple[str, ...]:
    """The key of what in a joint holds its x and y; () where the joint does."""
    if not isinstance(joint, dict) or "x" in joint or "X" in joint:
        return ()
    return tuple(key for key, value in joint.items() if is_named(key, _POSITION) and _is_place(value))[:1]


def _point_of(joint: Any) -> Any:
    """What holds the coordinates of a joint: what stands below its position, or the joint."""
    for key in _to_point(joint):
        joint = joint[key]
    return joint


def _is_place(value: Any) -> bool:
    if isinstance(value, dict):
        return len(_axes(value)) > 1 and all(is_named(key, SCORES | {"x", "y", "z"}) for key in value)
    return _is_joint(value) and len(value) in (2, 3)


def _beside(joint: dict) -> list[str]:
    """What a joint has beside its position that could be smoothed too: rotations, sizes."""
    position = (*_to_point(joint), *_axes(joint))
    return [
        key
        for key, value in joint.items()
        if position and key not in position
        if (isinstance(value, dict | list | float) or key in _TURN) and not is_named(key, SCORES)
    ]


def _axes(joint: Any) -> tuple[str, ...]:
    """The keys of a joint's coordinates, in small letters or else in capitals; none of a list."""
    point = _point_of(joint)
    if not isinstance(point, dict):
        return ()
    axes = "XYZ" if "X" in point and "x" not in point else "xyz"
    return tuple(axis for axis in axes if axis in point) if axes[0] in point else ()


def _numbers(joint: Any, axes: tuple[str, ...], where: str) -> list:
    point = _point_of(joint)
    if not axes:
        return point
    if not isinstance(point, dict) or any(axis not in point for axis in axes):
        raise SmoothNetError(f"{where}: each joint needs {', '.join(axes)}")
    return [*(point[axis] for axis in axes), *[joint[key] for key in joint if is_named(key, SCORES)][:1]]


def _entries(value: Any) -> list:
    """The list of a document, of {"frames": [...]} or of {"data": {"frames": [...]}}."""
    for _ in range(2):
        if isinstance(value, dict):
            value = next((item for item in value.values() if isinstance(item, list | dict) and item), None)
    return value if isinstance(value, list) else []


def _holder(value: Any) -> tuple[dict | None, list]:
    """The object that has all frames as lists of poses, or of people's poses, under one of ARRAYS, and these frames."""
    for holder in (value, *(value.get(key) for key in LISTS if isinstance(value, dict))):
        for key, frames in holder.items() if isinstance(holder, dict) else ():
            first = next(filter(None, frames), None) if isinstance(frames, list) else None
            if is_named(key, ARRAYS) and (_is_pose(first) or (isinstance(first, list) and any(map(_is_pose, first)))):
                return holder, frames
    return None, []


def _reader(path: Path, layout: Layout | None = None) -> _Reader:
    value = read_document(path).value if path.is_file() else None
    holder, entries = _holder(value)
    entries = entries or _entries(value)
    numbers = ids_of([entry for entry in entries if isinstance(entry, dict) and _joint_keys(entry)], NUMBERS)
    numbered = 1 < len(set(numbers)) == len(numbers)
    first: Any = next((item for item in entries if item), None)
    bare = "poses" if _is_pose(first) else "people" if isinstance(first, list) and any(map(_is_pose, first)) else ""
    return _Reader(any(isinstance(item, dict) for item in entries), bare, layout or Layout(), numbered, holder)


def sniff_json(path: Path) -> bool:
    if path.is_file() and path.suffix.lower() != ".json":
        return False
    return sniff_frames(path, _reader(path).people)


def read_json(path: Path, dims: int | None = None, layout: Layout | None = None, **_: Any) -> Recording:
    what = 'frame: an object with "keypoints" or "joints", or with "people" who have them'
    reader = _reader(path, layout)
    if reader.layout.axes not in (None, "tkd"):
        raise SmoothNetError(f"{path}: JSON says its axes itself; --layout can say the numbers of a joint, as in _,x,y")
    if reader.layout.pieces and all(piece.form != "points" for piece in reader.layout.pieces):
        raise SmoothNetError(f"{path}: {_NO_ROTATIONS}")
    left: list[str] = []

    def look(frames: list[tuple[Any, str]]) -> None:
        for frame, where in frames:
            reader.people(frame, where)
        left.extend(reader.settle(str(path), dims))

    recording = read_frames(path, "json", reader.people, what, look)
    recording.names = tuple(reader.names) or recording.names
    recording.left_alone = [key for key in recording.left_alone if key not in reader.beside] + left
    return recording
