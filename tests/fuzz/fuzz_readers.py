#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) SmoothNet contributors
"""Fuzz the readers of JSON, CSV and TRC files: tests/fuzz/fuzz_readers.py WORKING_FOLDER tests/fuzz/corpus

By hand, needs `pip install atheris`; further arguments go to libFuzzer (-max_total_time=3600). With
-merge=1 SMALL_FOLDER WORKING_FOLDER it keeps what reaches as much of the code. The first byte of
an input chooses the format, the rest is the file; NUL bytes part the frames of an OpenPose folder.
"""

from __future__ import annotations

import os
import shutil
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent.parent
FORMATS = (
    ("openpose", ""), ("mmpose", ".json"), ("alphapose", ".json"), ("coco", ".json"),
    ("csv", ".csv"), ("deeplabcut", ".csv"), ("trc", ".trc"), (None, ".json"), (None, ".csv"), (None, ".trc"),
)  # fmt: skip


def place(data: bytes, folder: Path) -> tuple[Path, str | None]:
    """Write an input as the file or folder it stands for; returns its path and the format to read it by."""
    name, suffix = FORMATS[data[0] % len(FORMATS)] if data else FORMATS[0]
    path = folder / f"in{suffix}"
    if name == "openpose":
        path.mkdir()
        for number, content in enumerate(data[1:].split(b"\0")[:20]):
            (path / f"{number:05d}.json").write_bytes(content)
    else:
        path.write_bytes(data[1:])
    return path, name


def check(data: bytes, folder: Path) -> None:
    """Read, smooth by nothing at all, write: a SmoothNetError or the same bytes again."""
    from lib.formats import read_recording, write_recording
    from lib.utils.errors import SmoothNetError

    path, name = place(data, folder)
    try:
        recording = read_recording(path, name)
    except SmoothNetError:
        return
    smoothed = [track.points.copy() for track in recording.tracks]
    write_recording(recording, smoothed, folder / f"out{path.suffix}")
    for track in smoothed:  # every place of the file is found and rewritten
        track += 1
    write_recording(recording, smoothed, folder / f"moved{path.suffix}")
    read_recording(folder / f"moved{path.suffix}", recording.format)


def run(data: bytes) -> None:
    base = "/dev/shm" if os.path.isdir("/dev/shm") else None
    folder = Path(tempfile.mkdtemp(prefix="fuzz", dir=base))
    try:
        check(data, folder)
    finally:
        shutil.rmtree(folder)


if __name__ == "__main__":
    import atheris

    sys.path.insert(0, str(ROOT))
    with atheris.instrument_imports(include=["lib.formats", "lib.utils", "json"]):
        import lib.formats  # noqa: F401
    atheris.Setup(sys.argv, run)
    atheris.Fuzz()
