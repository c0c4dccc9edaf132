# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) SmoothNet contributors
"""netCDF of movement (and of any xarray data with an array `position` by time, space, keypoints, individuals).

netCDF 4 is HDF5: the axes are known by the names of their scales, positions are changed in a copy of the file, all
else stays. Where the facts come from: movement's page on its data sets. Neither xarray nor movement is needed.
"""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from ..utils.errors import SmoothNetError
from .h5 import import_h5py, is_h5, members, plain_dataset, read_texts, write_arrays
from .recording import Recording, Track

_POSITIONS = ("position", "positions", "keypoints", "poses")
_SCORES = ("confidence", "score", "scores", "likelihood")
# The words of movement (both spellings) and of other xarray files for the axes of an array.
_AXIS_NAMES = {
    "c": ("camera", "cameras", "cam", "cams", "view", "views"),
    "p": ("individuals", "individual", "people", "person", "persons", "tracks", "track", "instances", "animals"),
    "t": ("time", "frame", "frames", "t"),
    "k": ("keypoints", "keypoint", "joints", "joint", "landmarks", "bodyparts", "nodes", "markers"),
    "d": ("space", "coords", "coord", "axis", "xyz", "xy", "dims", "coordinates"),
}


def sniff_movement(path: Path) -> bool:
    if path.is_file() and path.suffix.lower() == ".nc":
        with path.open("rb") as file:
            if file.read(3) == b"CDF":
                return True  # to be refused in words
    return is_h5(path) and bool(members(path).keys() & set(_POSITIONS)) and "time" in members(path)


def read_movement(path: Path, **_: Any) -> Recording:
    h5py = import_h5py()
    if not is_h5(path):
        raise SmoothNetError(
            f"{path} is no netCDF 4 file; save it as one, which is HDF5: "
            'xarray.load_dataset(OLD).to_netcdf(NEW, engine="h5netcdf")'
        )
    try:
        with h5py.File(path, "r") as file:
            return _read(path, file)
    except SmoothNetError:
        raise
    except Exception as error:  # a damaged file fails in any way at all
        raise SmoothNetError(f"{path} is not a netCDF file of positions: {error}".replace("\n", " ")) from error


def _read(path: Path, file: Any) -> Recording:
    name = next((name for name in _POSITIONS if name in file), None)
    if name is None:
        raise SmoothNetError(f"{path} has no array position")
    dataset = plain_dataset(file, name)
    axes = _axes(dataset)
    if "t" not in axes or "d" not in axes or dataset.dtype.kind != "f":
        raise SmoothNetError(f"{path}: {name} must have the axes time and space, and floats; it has {dataset.shape}")
    points = _view(dataset[:].astype(np.float64), axes)
    if points.shape[3] not in (1, 2, 3):
        raise SmoothNetError(f"{path}: {name} has {points.shape[3]} coordinates a point")
    points[~np.isfinite(points).all(axis=3)] = np.nan
    scores = None
    for other in _SCORES:
        if other in file and scores is None:
            found = plain_dataset(file, other)
            letters = _axes(found)
            if found.ndim == dataset.ndim - 1 and set(letters) == set(axes) - {"d"}:
                scores = _view(found[:].astype(np.float64), letters)[..., 0]
                scores = scores if scores.shape == points.shape[:3] else None
    people = _coordinate(file, "p")
    tracks = [
        Track(people[i] if i < len(people) else i, body, scores=scores[i] if scores is not None else None, where=i)
        for i, body in enumerate(points)
    ]
    rate = file.attrs.get("fps")
    fps = float(np.asarray(rate).reshape(-1)[0]) if rate is not None and not isinstance(rate, str | bytes) else None
    joints = tuple(_coordinate(file, "k"))
    return Recording(
        path, "movement", tracks, points.shape[1], fps if fps and np.isfinite(fps) else None,
        joints if len(joints) == points.shape[2] else None, source=(name, axes),
    )  # fmt: skip


def _axes(dataset: Any) -> str:
    """A letter of layout.LETTERS for each axis, by the names of their scales; "?" where they say nothing."""
    letters = []
    for dimension in dataset.dims:
        names = [scale.name.rsplit("/", 1)[-1].lower() for scale in dimension.values()]
        letters.append(next((k for k, known in _AXIS_NAMES.items() if names and names[0] in known), "?"))
    if "?" in letters or len(set(letters)) < len(letters):
        raise SmoothNetError(f"{dataset.file.filename}: the axes of {dataset.name} have no names that are known")
    return "".join(letters)


def _view(array: np.ndarray, axes: str) -> np.ndarray:
    """(people, frames, joints, coordinates)."""
    view = array.transpose([axes.index(letter) for letter in "ptkd" if letter in axes])
    for place, letter in enumerate("ptkd"):
        if letter not in axes:
            view = np.expand_dims(view, place)
    return view


def _coordinate(file: Any, letter: str) -> list[str]:
    for name in _AXIS_NAMES[letter]:
        if name in file and file[name].ndim == 1:
            dataset = plain_dataset(file, name)
            return read_texts(file, name) if dataset.dtype.kind in "OS" else []
    return []


def write_movement(recording: Recording, smoothed: list[np.ndarray], out: Path) -> None:
    name, axes = recording.source
    write_arrays(recording.path, out, {name: partial(_change, recording, smoothed, axes)})


def _change(recording: Recording, smoothed: list[np.ndarray], axes: str, array: np.ndarray) -> None:
    view = _view(array, axes)
    for track, new in zip(recording.tracks, smoothed, strict=True):
        changed = np.isfinite(new) & (new != track.points)
        view[track.where][changed] = new[changed]
