# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) SmoothNet contributors
"""C3D: points of motion capture, in a binary file of header, parameters and frames (c3d.org, "The C3D File Format").

Points are read and changed in a copy of the file, so that analog channels, events, parameters and everything else stay
byte for byte; no library is needed for that. What Vicon's models store as points but are none (POINT:ANGLES, FORCES,
MOMENTS, POWERS, SCALARS) is left alone.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from ..utils.errors import SmoothNetError
from ..utils.files import atomic_write
from .recording import Recording, Track

_BLOCK = 512
_ORDERS = {84: "<", 86: ">"}  # by processor: Intel, SGI; 85 is DEC, whose floats are others
_NO_POINTS = ("ANGLES", "FORCES", "MOMENTS", "POWERS", "SCALARS", "REACTIONS")
_TYPES = {-1: "S1", 1: "i1", 2: "i2", 4: "f4"}
_MOST_FRAMES = 10**8


@dataclass
class _Frames:
    """Where the numbers of the frames lie in the file."""

    dtype: np.dtype
    start: int
    count: int
    points: int
    width: int  # words of a frame
    scale: float  # of whole numbers; 1 for floats

    def view(self, content: bytes | bytearray) -> np.ndarray:
        """(frames, points, 4): x, y, z and the residual, as the file has them."""
        words = np.frombuffer(content, self.dtype, self.count * self.width, self.start)
        return words.reshape(self.count, self.width)[:, : 4 * self.points].reshape(self.count, self.points, 4)


def sniff_c3d(path: Path) -> bool:
    if not path.is_file():
        return False
    with path.open("rb") as file:
        head = file.read(2)
    return len(head) == 2 and head[1] == 0x50 and path.suffix.lower() == ".c3d"


def read_c3d(path: Path, **_: Any) -> Recording:
    content = path.read_bytes() if path.is_file() else b""
    if len(content) < 2 * _BLOCK or content[1] != 0x50:
        raise SmoothNetError(f"{path} is not a .c3d file")
    try:
        return _read(path, content)
    except SmoothNetError:
        raise
    except (ValueError, IndexError, OverflowError, TypeError) as error:
        raise SmoothNetError(f"{path} is a damaged .c3d file: {error}".replace("\n", " ")) from error


def _read(path: Path, content: bytes) -> Recording:
    parameters, order = _parameters(path, content)
    frames = _frames(path, content, parameters, order)
    labels = _texts(parameters, "LABELS", frames.points)
    no_points = {name for group in _NO_POINTS for name in _texts(parameters, group, 10**6)}
    chosen = [k for k in range(frames.points) if not (k < len(labels) and labels[k] in no_points)]
    if not chosen or not frames.count:
        rotations = any(group == "ROTATION" for group, _ in parameters)
        hint = "; Theia's segment rotations in it are not read, export its landmarks as points" if rotations else ""
        raise SmoothNetError(f"{path} holds no points of motion capture{hint}")
    table = frames.view(content)[:, chosen]
    points = table[..., :3].astype(np.float64) * frames.scale
    with np.errstate(invalid="ignore"):
        points[(table[..., 3] < 0) | ~np.isfinite(points).all(axis=2)] = np.nan
    names = tuple(labels[k] if k < len(labels) and labels[k] else f"point {k + 1}" for k in chosen)
    rate = _value(parameters, "RATE")
    track = Track(0, points, where=np.array(chosen))
    left = [
        f"{len(labels_of)} {group.lower()}" for group in _NO_POINTS if (labels_of := _texts(parameters, group, 10**6))
    ]
    if frames.width > 4 * frames.points:
        left.append("analog channels")
    notes = [] if frames.scale == 1 else [f"points are whole numbers of {frames.scale:g}"]
    return Recording(
        path, "c3d", [track], frames.count, rate or None, names, source=(content, frames), left_alone=left, notes=notes
    )


def _parameters(path: Path, content: bytes) -> tuple[dict[tuple[str, str], np.ndarray], str]:
    """(group, name) -> values of the parameters, texts as bytes of their length; and the order of bytes."""
    at = (content[0] - 1) * _BLOCK
    if at < 0 or at + 4 > len(content):
        raise SmoothNetError(f"{path} is a damaged .c3d file: it has no parameters")
    order = _ORDERS.get(content[at + 3])
    if order is None:
        raise SmoothNetError(
            f"{path} has the numbers of a DEC computer, which are not read; write it anew with any tool for .c3d, e.g. "
            "ezc3d.c3d(OLD).write(NEW)"
        )
    groups: dict[int, str] = {}
    found: list[tuple[int, str, np.ndarray]] = []
    at += 4
    while at + 4 < len(content):
        length, group = int.from_bytes(content[at : at + 1], "little", signed=True), content[at + 1]
        group = group - 256 if group > 127 else group
        length = abs(length)
        if not length or not group:
            break
        name = content[at + 2 : at + 2 + length].decode("latin-1").strip().upper()
        place = at + 2 + length
        step = int(np.frombuffer(content, f"{order}i2", 1, place)[0])
        if group < 0:
            groups[-group] = name
        else:
            found.append((group, name, _parameter(content, place + 2, order)))
        if step <= 0:
            break
        at = place + step
    return {(groups.get(group, ""), name): values for group, name, values in found}, order


def _parameter(content: bytes, at: int, order: str) -> np.ndarray:
    kind = int.from_bytes(content[at : at + 1], "little", signed=True)
    dims = list(content[at + 2 : at + 2 + content[at + 1]])
    if kind not in _TYPES:
        raise ValueError(f"a parameter of type {kind}")
    at += 2 + len(dims)
    if kind == -1:
        length, count = dims[0] if dims else 1, int(np.prod(dims[1:], dtype=np.int64))
        raw = content[at : at + length * count]
        return np.array([raw[i * length : (i + 1) * length] for i in range(min(count, len(raw) // max(length, 1)))])
    return np.frombuffer(content, order + _TYPES[kind], int(np.prod(dims, dtype=np.int64)), at)


def _value(parameters: dict[tuple[str, str], np.ndarray], name: str, group: str = "POINT") -> float | None:
    values = parameters.get((group, name))
    return None if values is None or not values.size or values.dtype.kind == "S" else float(values[0])


def _texts(parameters: dict[tuple[str, str], np.ndarray], name: str, most: int) -> list[str]:
    """POINT:LABELS with LABELS2, LABELS3, ..., which go on after 255."""
    texts: list[str] = []
    for number in range(1, 300):
        values = parameters.get(("POINT", name if number == 1 else f"{name}{number}"))
        if values is None:
            break
        texts += [
            value.decode("utf-8", "replace").strip(" \0") for value in values.tolist() if isinstance(value, bytes)
        ]
    return texts[:most] if name == "LABELS" else [text for text in texts if text]


def _frames(path: Path, content: bytes, parameters: dict[tuple[str, str], np.ndarray], order: str) -> _Frames:
    words = np.frombuffer(content, f"{order}u2", 12)
    points, analog = int(words[1]), int(words[2])
    count = int(words[4]) - int(words[3]) + 1
    actual = [parameters.get(("TRIAL", f"ACTUAL_{end}_FIELD")) for end in ("START", "END")]
    if all(v is not None and v.size >= 2 for v in actual):  # more than 65535 frames: two words, the lower first
        first, last = (int(np.uint16(v[0])) + 65536 * int(np.uint16(v[1])) for v in actual if v is not None)
        count = max(count, last - first + 1)
    scale = _value(parameters, "SCALE")
    if scale is None:
        scale = float(np.frombuffer(content, f"{order}f4", 1, 12)[0])
    dtype = np.dtype(f"{order}f4" if scale < 0 else f"{order}i2")
    start, width = (int(words[8]) - 1) * _BLOCK, 4 * points + analog
    if not 0 < count < _MOST_FRAMES or start < _BLOCK or not np.isfinite(scale):
        raise SmoothNetError(f"{path} is a damaged .c3d file: {count} frames from byte {start}")
    there = (len(content) - start) // max(width * dtype.itemsize, 1)
    if there < count:
        raise SmoothNetError(f"{path} is cut off: it should have {count} frames, there are {max(there, 0)}")
    return _Frames(dtype, start, count, points, width, 1.0 if scale < 0 else scale)


def write_c3d(recording: Recording, smoothed: list[np.ndarray], out: Path) -> None:
    content, frames = recording.source
    copy = bytearray(content)
    table = frames.view(copy)
    for track, new in zip(recording.tracks, smoothed, strict=True):
        changed = np.isfinite(new).all(axis=2) & (new != track.points).any(axis=2)
        t, k = np.nonzero(changed)
        values = new[changed] / frames.scale
        if frames.dtype.kind == "i":
            values = np.clip(np.round(values), -32768, 32767)
        place = track.where[k]
        table[t[:, None], place[:, None], np.arange(3)] = values
        filled = changed & ~track.shown()
        t, k = np.nonzero(filled)
        table[t, track.where[k], 3] = 0  # the residual of points that were interpolated
    with atomic_write(out) as file:
        file.write(copy)
