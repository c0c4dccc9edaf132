# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) SmoothNet contributors
"""MMPose predictions: {"meta_info", "instance_info": [{"frame_id", "instances"}]} or the list alone; and what it writes
for single images, a list of instances a file, as Sapiens does below "instance_info"."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from ..utils.errors import SmoothNetError
from .detections import Detection, make_tracks, other_keys, split_scores
from .documents import Document, Slot, as_list, as_object, read_document, read_numbers
from .frames import LINES, Found, Person, read_frames, sniff_frames
from .recording import Recording
from .timeline import doubt_pictures, timeline

_IDS = ("track_id", "instance_id")


def _mmpose_frames(value: Any) -> tuple[tuple, list] | None:
    """Path to the list of frames and the list, or None where this is no MMPose prediction."""
    path: tuple = ()
    if isinstance(value, dict) and isinstance(value.get("instance_info"), list):
        path, value = ("instance_info",), value["instance_info"]
    if not isinstance(value, list) or not all(isinstance(item, dict | list) for item in value):
        return None
    if path:
        return (path, value) if all("instances" in item for item in value if isinstance(item, dict)) else None
    for item in value:
        if isinstance(item, dict) and isinstance(item.get("instances"), list) and "frame_id" in item:
            return path, value
        if isinstance(item, list) and item and isinstance(item[0], dict) and _is_list(item[0].get("keypoints")):
            return path, value
    return None


def _is_list(keypoints: Any) -> bool:
    """Whether these are MMPose's lists of numbers; others have an object a joint."""
    return isinstance(keypoints, list) and not (keypoints and isinstance(keypoints[0], dict))


def _people(value: Any, where: str) -> list[Person] | None:
    """Who is in the file of a single image; see `frames.People`."""
    path: tuple = ()
    if isinstance(value, dict) and isinstance(value.get("instance_info"), list):
        path, value = ("instance_info",), value["instance_info"]
    if not isinstance(value, list) or not all(isinstance(item, dict) and _is_instance(item) for item in value):
        return None
    persons = []
    for i, instance in enumerate(value):
        found = _points(instance, f"{where}, instance {i}")
        if found is not None:
            points, scores, stride = found
            part = Found(f"{points.shape[1]}D", (*path, i, "keypoints"), points, scores, stride)
            persons.append(Person(_id(instance), [part]))
    return persons


def _is_instance(item: dict) -> bool:
    return isinstance(item.get("keypoints"), list) and "image_id" not in item and "keypoint_scores" in item


def sniff_mmpose(path: Path) -> bool:
    if path.suffix.lower() == ".json" and path.is_file() and _mmpose_frames(read_document(path).value) is not None:
        return True
    return path.suffix.lower() not in LINES and sniff_frames(path, _people)


def read_mmpose(path: Path, **_: Any) -> Recording:
    if path.is_dir() or (path.is_file() and sniff_frames(path, _people)):
        what = 'MMPose prediction of an image (a list of objects with "keypoints" and "keypoint_scores")'
        recording = read_frames(path, "mmpose", _people, what)
        recording.names = _mmpose_names(recording.source[0]) if recording.source else None
        return recording
    document = read_document(path)
    found = _mmpose_frames(document.value)
    if found is None:
        raise SmoothNetError(
            f'{path} is not an MMPose prediction: it needs "instance_info" or a list of frames with "instances"'
        )
    labels, people = _labelled(path, *found)
    frames = timeline(labels)
    detections, seen = [], []
    for label, (base, instances) in zip(labels, people, strict=True):
        for i, instance in enumerate(instances):
            where = f"{path}, frame {label}, instance {i}"
            seen.append(as_object(instance, where))
            detection = _detection(frames[label], (*base, i, "keypoints"), instance, where)
            if detection is not None:
                detections.append(detection)
    return Recording(
        path,
        "mmpose",
        make_tracks(path, detections),
        max(frames.values(), default=-1) + 1,
        names=_mmpose_names(document),
        source=[document],
        left_alone=other_keys(seen, {"keypoints", "keypoint_scores", *_IDS}),
        notes=doubt_pictures(labels),
    )


def _labelled(path: Path, prefix: tuple, items: list) -> tuple[list, list[tuple[tuple, list]]]:
    """The label of each frame, and the list of its people with the path to it."""
    labels, people = [], []
    for index, item in enumerate(items):
        if isinstance(item, dict):
            where = f"{path}, entry {index}"
            label = item.get("frame_id", index)
            if isinstance(label, bool) or not isinstance(label, int | str):
                raise SmoothNetError(f'{where}: "frame_id" must be a number or a name')
            people.append(((*prefix, index, "instances"), as_list(item.get("instances"), f'{where}, "instances"')))
        else:
            label = index
            people.append(((*prefix, index), item))
        labels.append(label)
    return labels, people


def _detection(frame: int, path: tuple, instance: dict, where: str) -> Detection | None:
    found = _points(instance, where)
    if found is None:
        return None
    points, scores, stride = found
    slot = Slot(0, path, slice(0, len(points)), stride)
    return Detection(frame, _id(instance), {f"{points.shape[1]}D": (points, scores, [slot])})


def _points(instance: dict, where: str) -> tuple[np.ndarray, np.ndarray | None, int] | None:
    """Points (joints, dims), scores (joints,), and how many numbers a joint stand together; None: there are none."""
    if "keypoints" not in instance:
        raise SmoothNetError(f'{where} has no "keypoints"')
    table = read_numbers(instance["keypoints"], f"{where}, keypoints")
    if table.size == 0:
        return None
    if table.ndim == 3 and table.shape[0] == 1:
        table = table[0]
    if table.ndim != 2 or table.shape[1] not in (2, 3, 4):
        raise SmoothNetError(f"{where}: keypoints must be a list of [x, y] or [x, y, z]")
    stride = table.shape[1]
    scores = instance.get("keypoint_scores")
    # MMPose 0.x puts the score behind the coordinates; 1.x keeps it apart.
    dims = min(stride, 3) if scores is not None else {2: 2, 3: 2, 4: 3}[stride]
    if scores is not None:
        score = read_numbers(scores, f"{where}, keypoint_scores").reshape(-1, 1)
        if len(score) != len(table):
            raise SmoothNetError(f"{where}: {len(table)} keypoints but {len(score)} keypoint_scores")
        table = np.hstack([table[:, :dims], score])
    return (*split_scores(table, dims), stride)


def _id(instance: dict) -> int | str | None:
    id = next((instance[key] for key in _IDS if instance.get(key) is not None), None)
    return id if isinstance(id, int | str) and id != -1 else None


def _mmpose_names(document: Document) -> tuple[str, ...] | None:
    meta = document.value.get("meta_info") if isinstance(document.value, dict) else None
    names = meta.get("keypoint_id2name") if isinstance(meta, dict) else None
    if isinstance(names, dict) and all(key.isdigit() for key in names):
        return tuple(str(names[key]) for key in sorted(names, key=int))
    return None
