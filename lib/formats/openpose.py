# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) SmoothNet contributors
"""OpenPose: a folder of JSON files, one a frame (its doc/02_output.md)."""

from __future__ import annotations

from collections import defaultdict
from pathlib import Path
from typing import Any

import numpy as np

from ..utils.errors import SmoothNetError
from .detections import Detection, make_tracks, other_keys, refuse_sparse, split_scores
from .documents import Document, Slot, as_list, as_object, frame_files, read_document, read_numbers
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


def sniff_openpose(path: Path) -> bool:
    """A folder with JSON files, the first of them with a list of `people`."""
    files = frame_files(path, ".json") if path.is_dir() else []
    return bool(files) and _is_openpose(read_document(files[0]).value)


def read_openpose(path: Path, **_: Any) -> Recording:
    files = _one_sequence(path)
    documents = [read_document.__wrapped__(file) for file in files]
    people = [_people(document) for document in documents]
    joints = _joint_counts(documents, people)
    written = sum(len(p.get(key) or []) // _STRIDES[key] for persons in people for p in persons for key in joints)
    refuse_sparse(path, sum(map(len, people)) * sum(joints.values()), written)
    frames = timeline([file.name for file in files])
    detections = []
    for index, (document, persons) in enumerate(zip(documents, people, strict=True)):
        for i, person in enumerate(persons):
            parts = _parts(index, i, person, joints, f"{document.path}, person {i}")
            detections.append(Detection(frames[document.path.name], _person_id(person), parts))
    return Recording(
        path,
        "openpose",
        make_tracks(path, detections),
        max(frames.values()) + 1,
        source=documents,
        left_alone=other_keys((p for persons in people for p in persons), {*_STRIDES, "person_id"}),
    )


def _one_sequence(path: Path) -> list[Path]:
    """The files of the folder, which must be frames of one sequence."""
    if not path.is_dir():
        raise SmoothNetError(f"{path}: OpenPose input is a folder with one JSON file a frame")
    files = frame_files(path, ".json")
    if not files:
        raise SmoothNetError(f"{path} holds no .json file; OpenPose writes one a frame")
    check_one_sequence(path, files)
    return files


def _people(document: Document) -> list[dict]:
    if not _is_openpose(document.value):
        raise SmoothNetError(f'{document.path} is not an OpenPose frame: it has no list "people"')
    return [as_object(p, f"{document.path}, person {i}") for i, p in enumerate(document.value["people"])]


def _joint_counts(documents: list[Document], people: list[list[dict]]) -> dict[str, int]:
    """Joints of each array. It can be empty for one person and full for the next: the longest counts."""
    joints: dict[str, int] = defaultdict(int)
    for document, persons in zip(documents, people, strict=True):
        for i, person in enumerate(persons):
            for key, stride in _STRIDES.items():
                count = len(as_list(person.get(key) or [], f"{document.path}, person {i}, {key}"))
                if count % stride:
                    raise SmoothNetError(
                        f"{document.path}, person {i}, {key}: {count} numbers are not whole joints of {stride}"
                    )
                joints[key] = max(joints[key], count // stride)
    return joints


def _parts(document: int, index: int, person: dict, joints: dict[str, int], where: str) -> dict:
    """What is found of one person: part -> points, scores and where they stand; see `Detection`."""
    parts = {}
    for part, (dims, stride, keys) in _PARTS.items():
        points = np.full((sum(joints[key] for key in keys), dims), np.nan)
        scores = np.full(len(points), np.nan)
        slots, first = [], 0
        for key in keys:
            if person.get(key):
                table = read_numbers(person[key], f"{where}, {key}").reshape(-1, stride)
                span = slice(first, first + len(table))
                points[span], scores[span] = split_scores(table, dims)
                slots.append(Slot(document, ("people", index, key), span, stride))
            first += joints[key]
        if slots:
            parts[part] = (points, scores, slots)
    return parts


def _person_id(person: dict) -> int | None:
    """The number of the person, None where OpenPose ran without tracking (-1)."""
    id = person.get("person_id")
    id = id[0] if isinstance(id, list) and id else id
    return id if isinstance(id, int) and not isinstance(id, bool) and id >= 0 else None
