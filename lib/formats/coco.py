# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) SmoothNet contributors
"""COCO keypoint results, and AlphaPose's, which are of the same form.

Where the facts come from: the COCO results format; AlphaPose's doc/output.md with the fields its writer adds
(`box`, `idx`).
"""

from __future__ import annotations

import json
from collections.abc import Hashable
from pathlib import Path
from typing import Any, TypeGuard

import numpy as np

from ..utils.errors import SmoothNetError
from ..utils.files import atomic_write
from .content import Content
from .detections import Detection, make_tracks, other_keys, split_scores
from .documents import Slot, as_list, as_object, read_document, read_numbers
from .frames import refuse_recordings
from .recording import Recording
from .timeline import doubt_pictures, refuse_sequences, timeline


def _result_list(value: Any) -> TypeGuard[list]:
    return (
        isinstance(value, list)
        and bool(value)
        and isinstance(value[0], dict)
        and {"image_id", "keypoints"} <= value[0].keys()
    )


def _is_alphapose(value: list) -> bool:
    """AlphaPose names the picture and adds `box` and `idx` of late; COCO has a number and neither."""
    return isinstance(value[0].get("image_id"), str) or bool({"idx", "box"} & value[0].keys())


def sniff_alphapose(path: Path) -> bool:
    value = read_document(path).value if path.suffix.lower() == ".json" and path.is_file() else None
    return _result_list(value) and _is_alphapose(value)


def sniff_coco(path: Path) -> bool:
    value = read_document(path).value if path.suffix.lower() == ".json" and path.is_file() else None
    return _result_list(value) and not _is_alphapose(value)


def _scalar_id(id: Any) -> Hashable | None:
    """AlphaPose writes `idx` as a number, as text or, with its tracker, as nested lists of numbers."""
    while isinstance(id, list):
        id = id[0] if id else None
    return id if isinstance(id, int | float | str) and not isinstance(id, bool) else None


def _read_results(path: Path, name: str, id_keys: tuple[str, ...]) -> Recording:
    document = read_document(path)
    results = as_list(document.value, str(path))
    labels = []
    for index, result in enumerate(results):
        label = as_object(result, f"{path}, result {index}").get("image_id")
        if isinstance(label, bool) or not isinstance(label, int | float | str):
            raise SmoothNetError(f'{path}, result {index}: "image_id" must be a number or a name')
        labels.append(label)
    refuse_sequences(path, labels)
    refuse_recordings(path, results)
    frames = timeline(labels)
    detections = []
    for index, (label, result) in enumerate(zip(labels, results, strict=True)):
        where = f"{path}, result {index} (image {label}), keypoints"
        numbers = read_numbers(as_list(result.get("keypoints"), where), where)
        numbers = numbers.ravel() if numbers.shape[1:] == (3,) else numbers
        if numbers.ndim != 1 or numbers.size % 3:
            raise SmoothNetError(f"{where}: must be x1, y1, score1, x2, ...; got shape {numbers.shape}")
        if not numbers.size:
            continue
        points, scores = split_scores(numbers.reshape(-1, 3), 2)
        slot = Slot(0, (index, "keypoints"), slice(0, len(points)), 3)
        id = next((_scalar_id(result[key]) for key in id_keys if result.get(key) is not None), None)
        detections.append(Detection(frames[label], id, {"2D": (points, scores, [slot])}))
    count = max(frames.values(), default=-1) + 1
    left_alone = other_keys(results, {"image_id", "category_id", "keypoints", *id_keys})
    tracks, notes = make_tracks(path, detections), doubt_pictures(labels)
    return Recording(path, name, tracks, count, source=[document], left_alone=left_alone, notes=notes)


def read_alphapose(path: Path, **_: Any) -> Recording:
    return _read_results(path, "alphapose", ("idx",))


def read_coco(path: Path, **_: Any) -> Recording:
    return _read_results(path, "coco", ("track_id",))


def make_coco(content: Content, out: Path) -> None:
    """Results, one a person and frame: image_id is the frame, track_id the person; what is missing is 0, 0, 0."""
    if not any(person.scores is not None for person in content.people):
        content.notes.append("without scores every point that is there has the score 1")
    results, frames = [], content.by_frame()
    if not all(frames):
        content.notes.append("frames without anybody have no entry")
    for frame, people in enumerate(frames):
        for person, t in people:
            found = np.isfinite(person.points[t]).all(axis=1)
            scores = np.ones(content.joints) if person.scores is None else np.nan_to_num(person.scores[t])
            keypoints = np.where(found[:, None], np.column_stack([person.points[t], scores]), 0.0)
            id = person.id if isinstance(person.id, int | str) else str(person.id)
            result = {"image_id": frame, "category_id": 1, "keypoints": keypoints.ravel().tolist()}
            results.append(json.dumps({**result, "score": float(scores[found].mean()), "track_id": id}))
    with atomic_write(out, "w") as file:
        file.write("[" + ",\n".join(results) + "]\n")
