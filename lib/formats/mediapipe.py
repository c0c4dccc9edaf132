# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) SmoothNet contributors
"""MediaPipe: results of its Tasks (pose, hands, face) and of its older Solutions as JSON.

The Tasks' results are lists of people, each a list of landmarks {x, y, z, visibility, presence}: `pose_landmarks`,
`pose_world_landmarks`, `hand_landmarks`, `hand_world_landmarks`, `handedness`, `face_landmarks` in Python; in
JavaScript `landmarks`, `worldLandmarks`, `handedness` (or `handednesses`), `faceLandmarks`. The Solutions give one
person, as {"landmark": [...]}. Where the facts come from: the API references of these two.
"""

from __future__ import annotations

from collections.abc import Hashable
from pathlib import Path
from typing import Any

from ..utils.errors import SmoothNetError
from .documents import read_document
from .frames import Found, Person, joint_labels, points_of, read_frames, sniff_frames
from .recording import Recording

# key -> (part, family)
_LANDMARKS = {
    "pose_landmarks": ("pose", "pose"),
    "poseLandmarks": ("pose", "pose"),
    "pose_world_landmarks": ("pose world", "pose"),
    "poseWorldLandmarks": ("pose world", "pose"),
    "landmarks": ("landmarks", "landmarks"),
    "worldLandmarks": ("landmarks world", "landmarks"),
    "world_landmarks": ("landmarks world", "landmarks"),
    "hand_landmarks": ("hand", "hand"),
    "handLandmarks": ("hand", "hand"),
    "multi_hand_landmarks": ("hand", "hand"),
    "multiHandLandmarks": ("hand", "hand"),
    "hand_world_landmarks": ("hand world", "hand"),
    "handWorldLandmarks": ("hand world", "hand"),
    "multi_hand_world_landmarks": ("hand world", "hand"),
    "multiHandWorldLandmarks": ("hand world", "hand"),
    "left_hand_landmarks": ("left hand", "left hand"),
    "leftHandLandmarks": ("left hand", "left hand"),
    "left_hand_world_landmarks": ("left hand world", "left hand"),
    "leftHandWorldLandmarks": ("left hand world", "left hand"),
    "right_hand_landmarks": ("right hand", "right hand"),
    "rightHandLandmarks": ("right hand", "right hand"),
    "right_hand_world_landmarks": ("right hand world", "right hand"),
    "rightHandWorldLandmarks": ("right hand world", "right hand"),
    "face_landmarks": ("face", "face"),
    "faceLandmarks": ("face", "face"),
    "multi_face_landmarks": ("face", "face"),
    "multiFaceLandmarks": ("face", "face"),
}
_HANDS = {"hand", "landmarks"}  # the families that `handedness` is about
_HANDEDNESS = ("handedness", "handednesses", "multi_handedness", "multiHandedness")
_NAMES = ("category_name", "categoryName", "label", "display_name", "displayName")
_MOST_PEOPLE = 8  # in a file of one frame; more lists of landmarks are frames


def people(value: Any, where: str) -> list[Person] | None:
    """Who is in a result of one frame; see `frames.People`."""
    if not isinstance(value, dict):
        return None
    prefix: tuple = ()
    if not value.keys() & _LANDMARKS.keys():  # {"frame": 3, "result": {...}}
        prefix = next(((k,) for k, v in value.items() if isinstance(v, dict) and v.keys() & _LANDMARKS.keys()), ())
        if not prefix:
            return None
        value = value[prefix[0]]
    persons: dict[tuple[str, int], Person] = {}
    for key, (part, family) in _LANDMARKS.items():
        for index, (path, landmarks) in enumerate(_lists(value.get(key), f"{where}, {key}")):
            id = _hand(value, index) if family in _HANDS else None
            person = persons.setdefault((family, index), Person(id, []))
            person.parts.append(_points(landmarks, (*prefix, key, *path), part, family, f"{where}, {key}"))
    return list(persons.values())


def _lists(value: Any, where: str) -> list[tuple[tuple, list]]:
    """The lists of landmarks, a person each, with the way to them: [[{x}]], [{x}], {"landmark": [{x}]} or several."""
    if value is None or value in ([], {}):
        return []
    if isinstance(value, dict):
        key = next((key for key in ("landmark", "landmarks") if key in value), None)
        return [] if key is None or not value[key] else [((key,), value[key])]
    if not isinstance(value, list):
        raise SmoothNetError(f"{where} must be a list of landmarks")
    if isinstance(value[0], dict) and "x" in value[0]:
        return [((), value)]
    return [((i, *path), landmarks) for i, item in enumerate(value) for path, landmarks in _lists(item, where)]


def _points(landmarks: list, path: tuple, part: str, family: str, where: str) -> Found:
    first = landmarks[0] if isinstance(landmarks[0], dict) else {}
    axes = ("x", "y", "z") if "z" in first else ("x", "y")
    score = next((key for key in ("visibility", "presence") if first.get(key) is not None), None)
    found = points_of(landmarks, path, part, axes, score, where)
    found.family = family
    found.labels = joint_labels(landmarks)
    return found


def _hand(value: dict, index: int) -> Hashable | None:
    """Left or Right, which says which hand of the frame before this is."""
    for key in _HANDEDNESS:
        entry = value.get(key)
        entry = entry[index] if isinstance(entry, list) and index < len(entry) else None
        if isinstance(entry, dict) and isinstance(entry.get("classification"), list):
            entry = entry["classification"]
        entry = entry[0] if isinstance(entry, list) and entry else entry
        name = (
            next((entry[n] for n in _NAMES if isinstance(entry.get(n), str)), None)
            if isinstance(entry, dict)
            else entry
        )
        if isinstance(name, str):
            return name
    return None


def sniff_mediapipe(path: Path) -> bool:
    if path.is_file() and path.suffix.lower() == ".json":
        value = read_document(path).value
        if isinstance(value, dict) and any(
            isinstance(lists, list) and len(lists) > _MOST_PEOPLE and all(isinstance(one, list) for one in lists)
            for lists in map(value.get, _LANDMARKS)
        ):
            return False  # an array of all frames, see json_frames
    return sniff_frames(path, people)


def read_mediapipe(path: Path, **_: Any) -> Recording:
    what = "MediaPipe results (objects with pose_landmarks, hand_landmarks, face_landmarks or the like)"
    return read_frames(path, "mediapipe", people, what)
