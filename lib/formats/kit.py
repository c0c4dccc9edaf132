# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) SmoothNet contributors
"""The test kit for formats, those of other packages too: `check_format("sample.ext", "name", tmp_path)`.

What every format promises, tried on one small file: it is told by content, it says how many frames and points there
are, writing what was read changes no byte, writing other coordinates changes them and nothing that is read besides,
and a damaged file is refused in one sentence.
"""

from __future__ import annotations

import shutil
import zipfile
from pathlib import Path

import numpy as np

from ..utils.errors import SmoothNetError
from ..utils.rotations import axis_angle_to_matrix, matrix_to_6d, sixd_to_matrix
from . import read_recording, write_recording
from .recording import Recording, Track

_TURN = np.array([0.02, -0.01, 0.015])  # radians, by which rotations are turned


def check_format(
    sample: Path | str, name: str, folder: Path | str, *, layout: str | None = None, tolerance: float = 2e-3
) -> Recording:
    """Try what is promised of a format on a sample of it.

    Args:
        sample: a small file or folder of the format.
        name: of the format, as `--input_format` takes it; the file must be told to be of it by content.
        folder: an empty folder to write into.
        layout: see layout.py.
        tolerance: how far coordinates may be from what was written, in sizes of the track's largest extent (files
            round); of rotations in entries of their matrices.

    Returns:
        What was read, for further checks.

    Raises:
        AssertionError: with the promise that is not kept.
    """
    sample, folder = Path(sample), Path(folder)
    recording = read_recording(sample, layout=layout)
    assert recording.format == name, f"{sample} is told to be {recording.format}, not {name}"
    assert recording.tracks and recording.frame_count, "no track was read"
    assert any(track.shown().any() for track in recording.tracks), "no point was read"
    for track in recording.tracks:
        assert track.points.dtype == np.float64 and track.points.ndim == 3, "points are (frames, joints, dims) float64"
        assert track.start + len(track.points) <= recording.frame_count, "a track is longer than the recording"
    _unchanged(recording, folder / "same" / sample.name)
    _changed(recording, folder / "other" / sample.name, layout, tolerance)
    _damaged(sample, name, folder / "damaged")
    return recording


def _write(recording: Recording, new: list[np.ndarray], out: Path) -> Path:
    out.parent.mkdir(parents=True)
    write_recording(recording, new, out)
    return out


def _unchanged(recording: Recording, out: Path) -> None:
    written = contents(_write(recording, [track.points.copy() for track in recording.tracks], out))
    before = contents(recording.path)
    assert written.keys() == before.keys(), f"other files were written: {sorted(written.keys() ^ before.keys())}"
    for name in before:
        assert written[name] == before[name], f"writing what was read changed {name or 'the file'}"
    out.with_name("nothing").mkdir()
    nothing = [np.full(track.points.shape, np.nan) for track in recording.tracks]
    write_recording(recording, nothing, out.with_name("nothing") / out.name)
    assert contents(out.with_name("nothing") / out.name) == before, "writing nothing (NaN) changed the file"


def _changed(recording: Recording, out: Path, layout: str | None, tolerance: float) -> None:
    new = [moved(track) for track in recording.tracks]
    again = read_recording(_write(recording, new, out), recording.format, layout=layout)
    assert (again.frame_count, again.names, again.fps) == (recording.frame_count, recording.names, recording.fps)
    assert [track.id for track in again.tracks] == [track.id for track in recording.tracks], "other tracks came back"
    for old, wanted, got in zip(recording.tracks, new, again.tracks, strict=True):
        assert np.array_equal(old.shown(), got.shown()), f"{old.part}: other points are missing than before"
        if old.scores is not None:
            assert got.scores is not None and np.array_equal(old.scores, got.scores, equal_nan=True), "scores changed"
        room = tolerance
        if old.kind == "rotations":
            wanted, found = sixd_to_matrix(wanted), sixd_to_matrix(got.points)
        else:
            found, room = got.points, tolerance * max(_extent(old.points), 1e-9)
        off = np.abs(found - wanted)
        assert not (off > room).any(), (
            f"{old.part}: what was written is not what is read back, off by {np.nanmax(off):g}"
        )


def moved(track: Track) -> np.ndarray:
    """The track a little further: points by a hundredth of its extent, rotations turned."""
    if track.kind == "rotations":
        return matrix_to_6d(axis_angle_to_matrix(_TURN) @ sixd_to_matrix(track.points))
    return track.points + 0.01 * _extent(track.points)


def _extent(points: np.ndarray) -> float:
    known = points[np.isfinite(points).all(axis=2)]
    return float((known.max(axis=0) - known.min(axis=0)).max()) if len(known) else 0.0


def _damaged(sample: Path, name: str, folder: Path) -> None:
    """A file cut off, or with other bytes in it, is read or refused by SmoothNetError; nothing else may come of it."""
    folder.mkdir(parents=True)
    random = np.random.default_rng(0)
    for number, share in enumerate((0.0, 0.1, 0.5, 0.9, 1.0, 1.0, 1.0)):
        copy = folder / f"{number}{sample.suffix}"
        if sample.is_dir():
            shutil.copytree(sample, copy)
        else:
            shutil.copy(sample, copy)
        victim = sorted(copy.iterdir())[0] if copy.is_dir() else copy
        content = bytearray(victim.read_bytes())
        if share == 1.0:
            for place in random.integers(0, len(content), 5):
                content[place] = random.integers(0, 256)
        victim.write_bytes(bytes(content[: int(share * len(content))]))
        try:
            read_recording(copy, name)
        except SmoothNetError as error:
            assert "\n" not in str(error), f"the refusal of a damaged file has several lines: {error}"
        except Exception as error:
            raise AssertionError(
                f"a damaged file ({share:.0%} of it) ends in {type(error).__name__}: {error}"
            ) from error


def contents(path: Path) -> dict[str, bytes]:
    """File name -> bytes; of an .npz its members, as a zip also holds times."""
    if path.is_dir():
        return {file.name: file.read_bytes() for file in sorted(path.iterdir())}
    if path.suffix == ".npz":
        with zipfile.ZipFile(path) as file:
            return {name: file.read(name) for name in file.namelist()}
    return {"": path.read_bytes()}
