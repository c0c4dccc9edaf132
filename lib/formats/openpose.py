# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) SmoothNet contributors
"""OpenPose: a folder of JSON files, one a frame (its doc/02_output.md), or a list of what would stand in them."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Hashable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from ..utils.errors import SmoothNetError
from .detections import Detection, make_tracks, other_keys, refuse_sparse, split_scores
from .documents import Document, Slot, as_list, as_object, frame_files, read_document, read_numbers
from .frames import label_of, refuse_recordings
from .recording import Recording
from .timeline import check_one_sequence, timeline

# part -> (dims, numbers a joint, the arrays it is made of). Files of version 0.1 leave out the "_2d".
_KEYS = ("pose_keypoints", "face_keypoints", "hand_left_keypoints", "hand_right_keypoints")
_PARTS = {
    "2D": (2, 3, tuple(f"{key}_2d" for key in _KEYS)),
    "2D (version 0)": (2, 3, _KEYS),
    "3D": (3, 4, tuple(f"{key}_3d" for key in _KEYS)),
}
_STRIDES = {key: stride for _, stride, keys in _PARTS.values() for key in keys}


def _is_openpose(value: Any) -> bool:
    return isinstance(value, dict) and isinstance(value.get("people"), list)


def _are_frames(value: Any) -> bool:
    """Whether it is a list of OpenPose's frames, as nodes for diffusion models save a video's poses."""
    return (
        isinstance(value, list)
        and bool(value)
        and all(map(_is_openpose, value))
        and any(isinstance(person, dict) and person.keys() & _STRIDES for frame in value for person in frame["people"])
    )


def sniff_openpose(path: Path) -> bool:
    """A folder with JSON files, the first of them with a list of `people`; or one file with a list of such frames."""
    if path.is_file():
        return path.suffix.lower() == ".json" and _are_frames(read_document(path).value)
    files = frame_files(path, ".json") if path.is_dir() else []
    return bool(files) and _is_openpose(read_document(files[0]).value)


@dataclass
class _Frame:
    """A frame, where it stands: the document, the way to it there, and what it is called in errors."""

    document: int
    path: tuple
    label: Hashable
    where: str
    people: list[dict]


def read_openpose(path: Path, **_: Any) -> Recording:
    if path.is_file():
        documents, frames = _list_of_frames(path)
    else:
        documents, frames = _folder_of_frames(path)
    joints = _joint_counts(frames)
    persons = [person for frame in frames for person in frame.people]
    written = sum(len(person.get(key) or []) // _STRIDES[key] for person in persons for key in joints)
    refuse_sparse(path, len(persons) * sum(joints.values()), written)
    numbers = timeline([frame.label for frame in frames])
    detections = [
        Detection(numbers[frame.label], _person_id(person), _parts(frame, i, person, joints))
        for frame in frames
        for i, person in enumerate(frame.people)
    ]
    return Recording(
        path,
        "openpose",
        make_tracks(path, detections),
        max(numbers.values()) + 1,
        source=documents,
        left_alone=other_keys(persons, {*_STRIDES, "person_id"}),
    )


def _folder_of_frames(path: Path) -> tuple[list[Document], list[_Frame]]:
    """The files of the folder, which must be frames of one sequence."""
    if not path.is_dir():
        raise SmoothNetError(f"{path}: OpenPose input is a folder with one JSON file a frame, or a list of frames")
    files = frame_files(path, ".json")
    if not files:
        raise SmoothNetError(f"{path} holds no .json file; OpenPose writes one a frame")
    check_one_sequence(path, files)
    documents = [read_document.read(file) for file in files]
    frames = [
        _Frame(index, (), document.path.name, str(document.path), _people(document.value, str(document.path)))
        for index, document in enumerate(documents)
    ]
    return documents, frames


def _list_of_frames(path: Path) -> tuple[list[Document], list[_Frame]]:
    document = read_document(path)
    entries = as_list(document.value, f"{path}, which OpenPose would write as a folder,")
    labels = [label_of(entry) for entry in entries]
    labels = list(range(len(entries))) if None in labels else labels
    refuse_recordings(path, entries)
    frames = []
    for i, (label, entry) in enumerate(zip(labels, entries, strict=True)):
        where = f"{path}, frame {label}"
        frames.append(_Frame(0, (i,), label, where, _people(entry, where)))
    return [document], frames


def _people(value: Any, where: str) -> list[dict]:
    if not _is_openpose(value):
        raise SmoothNetError(f'{where} is not an OpenPose frame: it has no list "people"')
    return [as_object(p, f"{where}, person {i}") for i, p in enumerate(value["people"])]


def _joint_counts(frames: list[_Frame]) -> dict[str, int]:
    """Joints of each array. It can be empty for one person and full for the next: the longest counts."""
    joints: dict[str, int] = defaultdict(int)
    for frame in frames:
        for i, person in enumerate(frame.people):
            for key, stride in _STRIDES.items():
                where = f"{frame.where}, person {i}, {key}"
                count = len(as_list(person.get(key) or [], where))
                if count % stride:
                    raise SmoothNetError(f"{where}: {count} numbers are not whole joints of {stride}")
                joints[key] = max(joints[key], count // stride)
    return joints


def _parts(frame: _Frame, index: int, person: dict, joints: dict[str, int]) -> dict:
    """What is found of one person: part -> points, scores and where they stand; see `Detection`."""
    parts = {}
    for part, (dims, stride, keys) in _PARTS.items():
        points = np.full((sum(joints[key] for key in keys), dims), np.nan)
        scores = np.full(len(points), np.nan)
        slots, first = [], 0
        for key in keys:
            if person.get(key):
                table = read_numbers(person[key], f"{frame.where}, person {index}, {key}").reshape(-1, stride)
                span = slice(first, first + len(table))
                points[span], scores[span] = split_scores(table, dims)
                slots.append(Slot(frame.document, (*frame.path, "people", index, key), span, stride))
            first += joints[key]
        if slots:
            parts[part] = (points, scores, slots)
    return parts


def _person_id(person: dict) -> int | None:
    """The number of the person, None where OpenPose ran without tracking (-1)."""
    id = person.get("person_id")
    id = id[0] if isinstance(id, list) and id else id
    return id if isinstance(id, int) and not isinstance(id, bool) and id >= 0 else None
