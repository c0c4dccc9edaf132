# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) SmoothNet contributors
"""SLEAP: the analysis .h5 and .slp, both HDF5, changed in a copy of the file so that all else in it stays.

Analysis: `tracks` (tracks, 2, nodes, frames), or (frames, tracks, nodes, 2) in standard order, `node_names`,
`track_names`, `point_scores`. .slp: the tables `frames`, `instances`, `points` (of people's labels) and `pred_points`,
with tracks and skeletons as JSON. Where the facts come from: sleap.ai's pages on these files. No sleap-io is needed.
"""

from __future__ import annotations

import json
from collections import defaultdict
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from ..utils.errors import SmoothNetError
from .detections import Detection, make_tracks
from .documents import Slot
from .h5 import import_h5py, is_h5, members, plain_dataset, read_texts, write_arrays
from .recording import Recording, Track
from .timeline import timeline


def sniff_sleap(path: Path) -> bool:
    if not is_h5(path):
        return False
    names = members(path)
    return {"tracks", "node_names"} <= names.keys() or {"instances", "pred_points", "frames"} <= names.keys()


def read_sleap(path: Path, **_: Any) -> Recording:
    h5py = import_h5py()
    if not is_h5(path):
        raise SmoothNetError(f"{path} is no file of SLEAP: neither its analysis .h5 nor .slp")
    try:
        with h5py.File(path, "r") as file:
            if "instances" in file:
                return _read_labels(path, file)
            return _read_analysis(path, file)
    except SmoothNetError:
        raise
    except Exception as error:  # a damaged file fails in any way at all
        raise SmoothNetError(f"{path} is not a file of SLEAP: {error}".replace("\n", " ")) from error


def write_sleap(recording: Recording, smoothed: list[np.ndarray], out: Path) -> None:
    if recording.source == "analysis":
        change = partial(_change_analysis, recording, smoothed)
        write_arrays(recording.path, out, {"tracks": change})
        return
    changes = {name: partial(_change_points, recording, smoothed, n) for n, name in enumerate(_POINTS)}
    write_arrays(recording.path, out, changes)


# -------------------------------------------------------------------------------------------------- analysis .h5


def _read_analysis(path: Path, file: Any) -> Recording:
    nodes = read_texts(file, "node_names")
    dataset = plain_dataset(file, "tracks")
    axes = _axes(dataset.shape, len(nodes), file)
    if axes is None or dataset.dtype.kind != "f":
        raise SmoothNetError(f"{path}: tracks of shape {dataset.shape} do not fit its {len(nodes)} node_names")
    points = dataset[:].transpose(axes).astype(np.float64)  # (tracks, frames, nodes, 2)
    points[~np.isfinite(points).all(axis=3)] = np.nan
    names = read_texts(file, "track_names") if "track_names" in file else []
    scores = None
    if "point_scores" in file:
        found = plain_dataset(file, "point_scores")
        kept = [axis for axis in axes if axis != axes[3]]
        order = [sorted(kept).index(axis) for axis in kept]
        if found.ndim == 3 and tuple(found.shape[i] for i in order) == points.shape[:3]:
            scores = found[:].transpose(order).astype(np.float64)
    tracks = []
    for i, body in enumerate(points):
        score = scores[i] if scores is not None else None
        tracks.append(Track(names[i] if i < len(names) else i, body, scores=score, where=(axes, i)))
    if not tracks:
        raise SmoothNetError(f"{path} holds no tracks")
    return Recording(path, "sleap", tracks, points.shape[1], names=tuple(nodes), source="analysis")


def _axes(shape: tuple[int, ...], nodes: int, file: Any) -> tuple[int, int, int, int] | None:
    """Which axes of `tracks` are tracks, frames, nodes and coordinates."""
    if len(shape) != 4:
        return None
    tracks = len(file["track_names"]) if "track_names" in file else None
    for axes in ((0, 3, 2, 1), (1, 0, 2, 3)):
        if shape[axes[3]] == 2 and shape[axes[2]] == nodes and tracks in (None, 0, shape[axes[0]]):
            return axes
    return None


def _change_analysis(recording: Recording, smoothed: list[np.ndarray], array: np.ndarray) -> None:
    for track, new in zip(recording.tracks, smoothed, strict=True):
        axes, i = track.where
        target = array.transpose(axes)[i]
        changed = np.isfinite(new) & (new != track.points)
        target[changed] = new[changed]


# ----------------------------------------------------------------------------------------------------------- .slp

_POINTS = ("points", "pred_points")  # of instances of type 0, which people placed, and 1, which were predicted


def _read_labels(path: Path, file: Any) -> Recording:
    frames, instances = plain_dataset(file, "frames")[:], plain_dataset(file, "instances")[:]
    points = [plain_dataset(file, name)[:] for name in _POINTS]
    names, tracks = _skeleton(file), [_track_name(text) for text in read_texts(file, "tracks_json")]
    by_id = {int(frame["frame_id"]): frame for frame in frames}
    labelled = {(int(i["frame_id"]), int(i["track"])) for i in instances if i["instance_type"] == 0 and i["track"] >= 0}
    detections: dict[int, list[Detection]] = defaultdict(list)
    numbers = {
        video: timeline(sorted(int(f["frame_idx"]) for f in frames if f["video"] == video))
        for video in sorted({int(f["video"]) for f in frames})
    }
    for instance in instances:
        kind, track, frame = int(instance["instance_type"]), int(instance["track"]), by_id[int(instance["frame_id"])]
        if kind not in (0, 1) or (kind == 1 and (int(instance["frame_id"]), track) in labelled):
            continue  # a person has corrected it
        first, last = int(instance["point_id_start"]), int(instance["point_id_end"])
        if not 0 <= first <= last <= len(points[kind]):
            raise ValueError(f"an instance has the points {first} to {last}")
        table = points[kind][first:last]
        body = np.stack([table["x"], table["y"]], axis=1).astype(np.float64)
        body[~(np.isfinite(body).all(axis=1) & table["visible"].astype(bool))] = np.nan
        score = table["score"].astype(np.float64) if kind == 1 else np.full(len(table), np.nan)
        video = int(frame["video"])
        part = f"video {video}" if len(numbers) > 1 else "points"
        slot = Slot(kind, np.arange(first, last), slice(0, len(table)), 2)
        id = tracks[track] if 0 <= track < len(tracks) else None
        detections[video].append(Detection(numbers[video][int(frame["frame_idx"])], id, {part: (body, score, [slot])}))
    found = [track for video in sorted(detections) for track in make_tracks(path, detections[video])]
    if not found:
        raise SmoothNetError(f"{path} holds no instances")
    count = max(max(frames_of.values()) for frames_of in numbers.values()) + 1
    return Recording(path, "sleap", found, count, names=names, source="labels")


def _track_name(text: str) -> str:
    value = json.loads(text)
    return str(value[-1] if isinstance(value, list) and value else value)


def _skeleton(file: Any) -> tuple[str, ...] | None:
    """The names of the nodes, where there is one skeleton."""
    metadata = json.loads(bytes(file["metadata"].attrs["json"]) if "metadata" in file else b"{}")
    skeletons = metadata.get("skeletons", [])
    if len(skeletons) != 1:
        return None
    nodes = metadata.get("nodes", [])
    return tuple(str(nodes[node["id"]]["name"]) for node in skeletons[0]["nodes"])


def _change_points(recording: Recording, smoothed: list[np.ndarray], kind: int, array: np.ndarray) -> None:
    for track, new in zip(recording.tracks, smoothed, strict=True):
        for t, slots in enumerate(track.where):
            for slot in slots:
                if slot.document == kind:
                    values = new[t, slot.joints]
                    changed = np.isfinite(values).all(axis=1) & (values != track.points[t, slot.joints]).any(axis=1)
                    rows = np.asarray(slot.path)[changed]
                    array["x"][rows], array["y"][rows] = values[changed, 0], values[changed, 1]
