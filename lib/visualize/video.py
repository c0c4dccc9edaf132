# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) SmoothNet contributors
"""mp4 and gif through the ffmpeg that imageio-ffmpeg carries: frames are piped, never all in memory."""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
from PIL import Image

from ..utils.errors import SmoothNetError
from ..utils.files import atomic_write

GIF_RATE = 30.0  # browsers show gif frames shorter than 1/50 s too slowly; frames are left out above this rate


def ffmpeg() -> str:
    """Path of the ffmpeg program.

    Raises:
        SmoothNetError: imageio-ffmpeg is not installed or holds no ffmpeg for this machine.
    """
    try:
        import imageio_ffmpeg

        return imageio_ffmpeg.get_ffmpeg_exe()
    except (ImportError, RuntimeError) as error:
        raise SmoothNetError(f"videos need ffmpeg: pip install imageio-ffmpeg ({error})") from error


def write_mp4(
    path: str | os.PathLike, frames: Iterable[Image.Image], size: tuple[int, int], fps: float, replace: bool = True
) -> None:
    """Write RGB `frames` of `size` (width, height), both even, as H.264 that every browser plays."""
    options = ["-c:v", "libx264", "-preset", "veryfast", "-crf", "20", "-pix_fmt", "yuv420p"]
    _encode(path, frames, size, fps, [*options, "-movflags", "+faststart", "-f", "mp4"], replace)


def write_gif(
    path: str | os.PathLike, frames: Iterable[Image.Image], size: tuple[int, int], fps: float, replace: bool = True
) -> None:
    """Write `frames` as a gif that repeats; one palette, taken from the first frame, serves all."""
    frames = iter(frames)
    first = next(frames)

    def again() -> Iterator[Image.Image]:
        yield first
        yield from frames

    with tempfile.TemporaryDirectory() as folder:
        palette = Path(folder) / "palette.png"
        colours = first.quantize(256, method=Image.Quantize.MEDIANCUT).getpalette()
        entries = np.resize(np.asarray(colours, dtype=np.uint8), (16, 16, 3))
        Image.fromarray(entries).save(palette)
        options = ["-i", str(palette), "-lavfi", "paletteuse=dither=none:diff_mode=rectangle", "-loop", "0"]
        _encode(path, again(), size, fps, [*options, "-f", "gif"], replace)


def _encode(
    path: str | os.PathLike,
    frames: Iterable[Image.Image],
    size: tuple[int, int],
    fps: float,
    options: list[str],
    replace: bool,
) -> None:
    """Pipe raw frames through ffmpeg into a temporary file, then put it in place whole."""
    program = ffmpeg()
    with tempfile.TemporaryDirectory() as folder:
        result, log = Path(folder) / "result", Path(folder) / "log"
        command = [program, "-y", "-loglevel", "error", "-f", "rawvideo", "-pix_fmt", "rgb24"]
        command += ["-s", f"{size[0]}x{size[1]}", "-r", f"{fps:.6f}", "-i", "-", "-an", *options, str(result)]
        with open(log, "wb") as stderr:
            process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, stderr=stderr)
            assert process.stdin is not None
            try:
                for frame in frames:
                    process.stdin.write(frame.tobytes())
                process.stdin.close()
                status = process.wait()
            except BrokenPipeError:  # ffmpeg gave up; its message follows
                status = process.wait() or 1
            finally:
                if process.poll() is None:
                    process.kill()
                    process.wait()
        if status != 0 or not result.is_file():
            lines = log.read_text(errors="replace").strip().splitlines() or ["no message"]
            raise SmoothNetError(f"ffmpeg could not write {path}: {lines[-1]}; check the free space")
        with atomic_write(path, replace=replace) as target, open(result, "rb") as source:
            shutil.copyfileobj(source, target, 1 << 20)


# How a file of each kind begins: offset -> bytes, and the name of ffmpeg's reader for it. Others are not read: among
# ffmpeg's readers are playlists, which never end or open further files and addresses.
CONTAINERS: tuple[tuple[dict[int, bytes], str], ...] = (
    *(({4: kind}, "mov") for kind in (b"ftyp", b"moov", b"mdat", b"wide", b"free", b"skip", b"pnot")),
    ({0: b"\x1aE\xdf\xa3"}, "matroska"),  # and WebM
    ({0: b"RIFF", 8: b"AVI "}, "avi"),
    ({0: b"FLV\x01"}, "flv"),
    ({0: b"GIF8"}, "gif"),
    ({0: b"OggS"}, "ogg"),
    ({0: b"0&\xb2u\x8ef\xcf\x11"}, "asf"),  # and WMV
    ({0: b"\x00\x00\x01\xba"}, "mpeg"),
    ({0: b"G", 188: b"G", 376: b"G"}, "mpegts"),
    ({4: b"G", 196: b"G", 388: b"G"}, "mpegts"),  # with a time before each packet, as cameras write it
)
LARGEST_FRAME = 2**26  # pixels; of 8192 x 8192


def container(path: str | os.PathLike) -> str:
    """The name of ffmpeg's reader for a video file, by its first bytes.

    Raises:
        SmoothNetError: no file, or none of CONTAINERS.
    """
    if not Path(path).is_file():
        raise SmoothNetError(f"there is no video {path}")
    try:
        with open(path, "rb") as file:
            head = file.read(400)
    except OSError as error:
        raise SmoothNetError(f"cannot read {path}: {error.strerror or error}") from error
    for marks, name in CONTAINERS:
        if all(head.startswith(mark, at) for at, mark in marks.items()):
            return name
    raise SmoothNetError(
        f"{path} cannot be read as a video: it is none of mp4, mov, mkv, webm, avi, flv, gif, ogg, wmv and mpeg; "
        "convert it to mp4"
    )


@contextmanager
def open_video(
    path: str | os.PathLike,
) -> Iterator[tuple[tuple[int, int], float, Iterator[Image.Image]]]:
    """Open a video; gives its size (width, height), its rate and an iterator over its frames (Pillow, RGB).

    ffmpeg reads the one file, as the kind that its first bytes say, and nothing that it may name.

    Raises:
        SmoothNetError: no such file, or ffmpeg cannot read it.
    """
    kind = container(path)
    ffmpeg()
    import imageio_ffmpeg

    options = ["-protocol_whitelist", "file", "-f", kind]
    reader = imageio_ffmpeg.read_frames(f"file:{Path(path).absolute()}", input_params=options)
    try:
        try:
            meta = next(reader)
        except Exception as error:  # imageio-ffmpeg raises OSError, RuntimeError or IndexError by the kind of damage
            raise SmoothNetError(f"{path} cannot be read as a video: {str(error).splitlines()[0]}") from error
        width, height = size = tuple(meta["size"])
        if not 0 < width * height <= LARGEST_FRAME:
            raise SmoothNetError(f"{path} has frames of {width} x {height} pixels; make them smaller")
        yield size, float(meta["fps"]), (Image.frombytes("RGB", size, data) for data in reader)
    finally:
        reader.close()


def gif_stride(fps: float) -> int:
    """Every how many frames a gif shows one."""
    return max(1, int(np.ceil(fps / GIF_RATE - 1e-9)))
