# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) SmoothNet contributors
"""Readers and writers of pose files.

A format is a row of `FORMATS`: its name, the tools that write it, what it looks like to a user, what is read and what
is left alone, how to tell it by content, how to read it into a `Recording` and how to write smoothed tracks back in
the same form. The order matters: the first that recognises a file reads it, so the special stands before the general.
To add a format, write one file with these three functions and add its row; from a package of your own, name the row in
an entry point of the group `smoothnet.formats` (docs/formats.md).
"""

from __future__ import annotations

import difflib
import functools
import inspect
import os
from collections.abc import Callable
from dataclasses import dataclass
from importlib.metadata import entry_points
from pathlib import Path

import numpy as np

from ..utils.errors import SmoothNetError
from ..utils.files import refuse_endless
from . import (
    arrays,
    bvh,
    c3d,
    coco,
    deeplabcut,
    detections,
    documents,
    h5,
    json_frames,
    lines,
    long_csv,
    mediapipe,
    mmpose,
    mocap_text,
    movement,
    openpose,
    opensim,
    plain_csv,
    sleap,
    smpl,
    tables,
    trc,
    ultralytics,
)
from .checks import check_output
from .content import Maker, convert
from .layout import Layout, parse_layout
from .recording import Recording, Track
from .refusals import refusal
from .smpl_tools import ROWS as SMPL_TOOLS
from .smpl_tools import forget
from .text import printable
from .understood import settle

__all__ = [
    "FORMATS",
    "Format",
    "Recording",
    "Track",
    "check_output",
    "convert",
    "list_formats",
    "maker_of",
    "makers",
    "read_recording",
    "write_recording",
]


@dataclass(frozen=True)
class Format:
    name: str
    group: str  # the tools it comes from
    text: str  # what it looks like
    smoothed: str
    left_alone: str
    sniff: Callable[[Path], bool]
    read: Callable[..., Recording]  # (path, dims=, layout=)
    write: Callable[[Recording, list[np.ndarray], Path], None]
    make: Maker | None = None  # writes such a file of a recording of another form


def _never(path: Path) -> bool:
    return False


FORMATS = {
    row[0]: Format(*row)
    for row in (
        ("openpose", "pose estimators", "a folder of OpenPose JSON files, or a list of them in one file",
         "body, face and hands in 2D and 3D", "confidences, other keys",
         openpose.sniff_openpose, openpose.read_openpose, detections.write_documents),
        ("mmpose", "pose estimators", "MMPose prediction JSON", "keypoints", "keypoint_scores, boxes, other keys",
         mmpose.sniff_mmpose, mmpose.read_mmpose, detections.write_documents),
        ("alphapose", "pose estimators", "AlphaPose JSON", "keypoints", "scores, boxes, other keys",
         coco.sniff_alphapose, coco.read_alphapose, detections.write_documents),
        ("coco", "pose estimators", "COCO keypoint results JSON", "keypoints", "scores, boxes, other keys",
         coco.sniff_coco, coco.read_coco, detections.write_documents,
         Maker((".json",), coco.make_coco, (2,), frozenset({"scores"}))),
        ("ultralytics", "pose estimators", "Ultralytics results: to_json, to_csv, or a folder of save_txt labels",
         "keypoints", "scores, boxes, classes, track ids",
         ultralytics.sniff_ultralytics, ultralytics.read_ultralytics, detections.write_documents),
        ("mediapipe", "pose estimators", "MediaPipe results as JSON, .jsonl or a folder of JSON",
         "landmarks and world landmarks of bodies, hands and faces", "visibility, handedness, blendshapes, matrices",
         mediapipe.sniff_mediapipe, mediapipe.read_mediapipe, detections.write_documents),
        ("jsonl", "tables and arrays", "the lines of a stream as a file, .jsonl", "keypoints",
         "scores, ids, other keys",
         lines.sniff_lines, lines.read_lines_file, detections.write_documents,
         Maker((".jsonl", ".ndjson"), lines.make_lines, (2, 3), frozenset({"scores"}))),
        ("json", "tables and arrays", "JSON with a value a frame: keypoints, joints or people who have them",
         "keypoints", "scores, ids, other keys",
         json_frames.sniff_json, json_frames.read_json, detections.write_documents),
        ("c3d", "biomechanics", ".c3d", "points", "analog channels, events, angles, forces, residuals",
         c3d.sniff_c3d, c3d.read_c3d, c3d.write_c3d,
         Maker((".c3d",), c3d.make_c3d, (3,), frozenset({"names", "fps"}), rate=True)),
        ("opensim", "biomechanics", "OpenSim .mot and .sto of joint angles, positions or quaternions",
         "angles as angles, translations, quaternions", "time, speeds and activations beside them",
         opensim.sniff_opensim, opensim.read_opensim, opensim.write_opensim),
        ("bvh", "biomechanics", "BVH", "rotations as rotations, positions that move", "hierarchy, offsets",
         bvh.sniff_bvh, bvh.read_bvh, bvh.write_bvh),
        ("mocap-text", "biomechanics", "text exports of Vicon, Qualisys, Motive, Visual3D and Theia",
         "markers, landmarks, rotations as quaternions", "velocities, model outputs, devices, errors",
         mocap_text.sniff_mocap_text, mocap_text.read_mocap_text, tables.write_table),
        ("trc", "biomechanics", "OpenSim .trc", "markers", "frame and time columns",
         trc.sniff_trc, trc.read_trc, tables.write_table,
         Maker((".trc",), trc.make_trc, (3,), frozenset({"names", "fps"}), rate=True)),
        ("deeplabcut", "animals", "DeepLabCut .csv", "x, y, z of bodyparts", "likelihood",
         deeplabcut.sniff_deeplabcut, deeplabcut.read_deeplabcut, tables.write_table),
        ("sleap", "animals", "SLEAP analysis .h5 and .slp", "points of tracks and instances", "scores, all else",
         sleap.sniff_sleap, sleap.read_sleap, sleap.write_sleap),
        ("movement", "animals", "netCDF of movement or xarray, .nc", "position", "confidence, all else",
         movement.sniff_movement, movement.read_movement, movement.write_movement),
        ("deeplabcut-h5", "animals", "DeepLabCut .h5", "x, y, z of bodyparts", "likelihood, all else in the file",
         h5.sniff_h5, h5.read_h5, h5.write_h5),
        ("long-csv", "tables and arrays", ".csv with a row for each person, or each landmark, of a frame",
         "x, y, z columns", "time, ids, scores, texts, other names",
         long_csv.sniff_long, long_csv.read_long, detections.write_documents),
        ("csv", "tables and arrays", ".csv with one row a frame", "columns such as nose_x, or all without names",
         "time, index, scores, texts, other names", plain_csv.sniff_csv, plain_csv.read_csv, tables.write_table,
         Maker((".csv",), plain_csv.make_csv, (2, 3), frozenset({"names", "scores", "fps"}))),
        ("smpl", "body models", ".npz with SMPL parameters (poses, trans)",
         "poses of body, hands, jaw and eyes, translations, joints", "betas, expression, cameras; vertices are dropped",
         smpl.sniff_smpl, smpl.read_smpl, arrays.write_arrays),
        *SMPL_TOOLS,
        ("npy", "tables and arrays", ".npy with (T, K, D), (T, K*D) or (T, P, K, D)",
         "points, matrices, quaternions", "scores", arrays.sniff_npy, arrays.read_points, arrays.write_arrays,
         Maker((".npy",), arrays.make_npy, (1, 2, 3))),
        ("npz", "tables and arrays", ".npz with such arrays", "points, matrices, quaternions",
         "scores, boxes, all that is no position by its name",
         arrays.is_numpy, arrays.read_points, arrays.write_arrays,
         Maker((".npz",), arrays.make_npz, (1, 2, 3), frozenset({"names", "scores", "fps"}))),
        ("quaternion", "tables and arrays", ".npy or .npz with unit quaternions w, x, y, z (only by --format)",
         "quaternions, trans", "other arrays", _never, arrays.read_quaternions, arrays.write_arrays),
        ("quaternion-xyzw", "tables and arrays", "the same with w last (only by --format)",
         "quaternions, trans", "other arrays", _never, arrays.read_quaternions_xyzw, arrays.write_arrays),
    )
}  # fmt: skip


def maker_of(path: str | os.PathLike) -> Maker | None:
    """How a file of this name is written anew, by its ending; None where no form has it."""
    load_others()
    ending = Path(path).suffix.lower()
    return next((row.make for row in FORMATS.values() if row.make is not None and ending in row.make.endings), None)


def makers() -> list[str]:
    """The endings of files that can be written anew."""
    return [row.make.endings[0] for row in FORMATS.values() if row.make is not None]


_ENTRY_POINTS = "smoothnet.formats"


@functools.cache
def load_others() -> None:
    """Put the formats of other packages into FORMATS, before those of this one: rows of their entry points.

    Raises:
        SmoothNetError: an entry point cannot be loaded, is no row, or has a name that is taken.
    """
    others: dict[str, Format] = {}
    for point in entry_points(group=_ENTRY_POINTS):
        where = f"the format {point.name} of {point.value}"
        try:
            row = point.load()
            row = row if isinstance(row, Format) else Format(*row)
        except Exception as error:  # another package's code may do anything
            raise SmoothNetError(printable(f"{where} cannot be loaded: {type(error).__name__}: {error}")) from error
        if row.name in FORMATS or row.name in others:
            raise SmoothNetError(f"{where} has the name {row.name}, which is taken")
        others[row.name] = row
    own = dict(FORMATS)
    FORMATS.clear()
    FORMATS.update({**others, **own})


def list_formats() -> str:
    """For people: every format by the tools it comes from, what is smoothed in it and what is left alone."""
    load_others()
    lines = ["What is read, smoothed and written back in the same form; all else in a file stays as it was."]
    for group in dict.fromkeys(row.group for row in FORMATS.values()):
        lines += ["", group]
        for row in FORMATS.values():
            if row.group == group:
                lines += [f"  {row.name:16} {row.text}", f"  {'':16} smoothed: {row.smoothed}"]
                lines += [f"  {'':16} left alone: {row.left_alone}"]
                if row.make is not None:
                    lines += [f"  {'':16} other forms become one: -o OUT{row.make.endings[0]}, or convert IN OUT"]
    return "\n".join(lines)


def _unknown(name: str) -> SmoothNetError:
    near = difflib.get_close_matches(name, FORMATS, 1)
    meant = f"; did you mean {near[0]}?" if near else ""
    return SmoothNetError(
        f"the input format {name!r} is no known format{meant}; known are {', '.join(FORMATS)} "
        "(smooth --formats says more)"
    )


def check_words(format: str | None, dims: int | None, layout: str | Layout | None) -> Layout:
    """What a user says of files, checked before any is read; see read_recording. Gives the layout.

    Raises:
        SmoothNetError: no such format, number of coordinates or layout.
    """
    load_others()
    if format is not None and format not in FORMATS:
        raise _unknown(format)
    if dims is not None and dims not in (1, 2, 3):
        raise SmoothNetError(f"--dims must be 1, 2 or 3, not {dims}")
    return parse_layout(layout)


@np.errstate(over="ignore", invalid="ignore")  # a file's 1e300 and NaN are judged by what they are found to be
def read_recording(
    path: str | os.PathLike,
    format: str | None = None,
    dims: int | None = None,
    layout: str | Layout | None = None,
) -> Recording:
    """Read a file or folder of poses.

    Args:
        path: The file, or the folder with a file a frame.
        format: A name of `FORMATS`; None tells the format by content.
        dims: Coordinates a joint for arrays and tables that do not say (2 or 3); None tells it from the values.
        layout: What arrays and tables do not say of their axes, numbers and missing points; see layout.py.

    Returns:
        The recording; `recording.tracks[i].points` are (frames, joints, dims) float64, NaN where missing.
        `recording.understood` is a line for people on what the numbers were taken for, `recording.left_alone`
        names what is not smoothed.

    Raises:
        SmoothNetError: no such file, none of the formats, a malformed file, or one that can be read in two ways.
    """
    path = Path(path)
    said = check_words(format, dims, layout)
    if not path.exists():
        raise SmoothNetError(f"{path} does not exist")
    refuse_endless(path, printable(path))
    try:
        if format is None:
            format = next((name for name, row in FORMATS.items() if row.sniff(path)), None)
        if format is None:
            raise refusal(path)
        read = FORMATS[format].read
        recording = read(path, dims=dims, layout=said)
        if (said.axes or said.columns) and "layout" not in inspect.signature(read).parameters:
            recording.notes.append(f"of --layout only missing=VALUE counts, {format} says the rest itself")
        settle(recording, said)
        return recording
    except OSError as error:
        raise SmoothNetError(printable(f"cannot read {path}: {error.strerror or error}")) from error
    except SmoothNetError as error:  # which may name a joint, a cell or a file in any encoding
        raise SmoothNetError(printable(error)) from error
    finally:
        documents.read_document.forget()
        arrays.open_arrays.forget()
        forget()


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
