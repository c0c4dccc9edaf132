"""Readers and writers of pose files.

A format is a row of `FORMATS`: its name, what it looks like to a user, how to tell it by content, how to read
it into a `Recording` and how to write smoothed tracks back in the same form. The order matters: the first
that recognises a file reads it, so the special stands before the general.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from ..utils.errors import SmoothNetError
from . import arrays, detections, h5, tables
from .recording import Recording, Track

__all__ = ["FORMATS", "Format", "Recording", "Track", "read_recording", "write_recording"]


@dataclass(frozen=True)
class Format:
    name: str
    text: str
    detect: Callable[[Path], bool]
    read: Callable[..., Recording]
    write: Callable[[Recording, list[np.ndarray], Path], None]


def _never(path: Path) -> bool:
    return False


FORMATS = {
    row[0]: Format(*row)
    for row in (
        ("openpose", "a folder of OpenPose JSON files", detections.detect_openpose, detections.read_openpose,
         detections.write_openpose),
        ("mmpose", "MMPose prediction JSON", detections.detect_mmpose, detections.read_mmpose,
         detections.write_json_file),
        ("alphapose", "AlphaPose JSON", detections.detect_alphapose, detections.read_alphapose,
         detections.write_json_file),
        ("coco", "COCO keypoint results JSON", detections.detect_coco, detections.read_coco,
         detections.write_json_file),
        ("trc", "OpenSim .trc", tables.detect_trc, tables.read_trc, tables.write_table),
        ("deeplabcut", "DeepLabCut .csv", tables.detect_deeplabcut, tables.read_deeplabcut,
         tables.write_table),
        ("deeplabcut-h5", "DeepLabCut .h5", h5.detect_h5, h5.read_h5, h5.write_h5),
        ("csv", ".csv with one row a frame", tables.detect_csv, tables.read_csv, tables.write_table),
        ("smpl", ".npz with SMPL parameters (poses, trans)", arrays.detect_smpl, arrays.read_smpl,
         arrays.write_arrays),
        ("npy", ".npy with (T, K, D), (T, K*D) or (T, P, K, D)", arrays.detect_npy, arrays.read_points,
         arrays.write_arrays),
        ("npz", ".npz with such arrays", arrays.detect_npz, arrays.read_points, arrays.write_arrays),
        ("quaternion", ".npy or .npz with unit quaternions w, x, y, z (only by --format)", _never,
         arrays.read_quaternions, arrays.write_arrays),
        ("quaternion-xyzw", "the same with w last (only by --format)", _never,
         arrays.read_quaternions_xyzw, arrays.write_arrays),
    )
}  # fmt: skip


def known_formats() -> str:
    return "; ".join(f"{row.name}: {row.text}" for row in FORMATS.values())


def read_recording(path: str | os.PathLike, format: str | None = None, dims: int | None = None) -> Recording:
    """Read a file or folder of poses.

    Args:
        path: The file, or the folder of OpenPose frames.
        format: A name of `FORMATS`; None tells the format by content.
        dims: Coordinates a joint for arrays and tables that do not say (2 or 3); None guesses.

    Returns:
        The recording; `recording.tracks[i].points` are (frames, joints, dims) float64, NaN where missing.

    Raises:
        SmoothNetError: no such file, none of the formats, or a malformed file.
    """
    path = Path(path)
    if format is not None and format not in FORMATS:
        raise SmoothNetError(f"{format!r} is no known format; known are {known_formats()}")
    if dims is not None and dims not in (1, 2, 3):
        raise SmoothNetError(f"--dims must be 1, 2 or 3, not {dims}")
    if not path.exists():
        raise SmoothNetError(f"{path} does not exist")
    try:
        if format is None:
            format = next((name for name, row in FORMATS.items() if row.detect(path)), None)
        if format is None:
            raise SmoothNetError(f"{path} is in no known format; known are {known_formats()}")
        return FORMATS[format].read(path, dims=dims)
    except OSError as error:
        raise SmoothNetError(f"cannot read {path}: {error.strerror or error}") from error
    finally:
        detections.read_document.cache_clear()
        arrays.load_arrays.cache_clear()


def write_recording(recording: Recording, smoothed: list[np.ndarray], out: str | os.PathLike) -> None:
    """Write `smoothed` (one (frames, joints, dims) array a track) to `out` in the form the recording was read
    in.

    Where `smoothed` is NaN or equals what was read, the file keeps what it has. `out` appears whole or not at
    all; what stood there is replaced.

    Raises:
        SmoothNetError: `out` cannot be written.
    """
    for track, new in zip(recording.tracks, smoothed, strict=True):
        if new.shape != track.points.shape:
            raise ValueError(f"track {track.id}: smoothed has shape {new.shape}, the track {track.points.shape}")
    FORMATS[recording.format].write(recording, smoothed, Path(out))
