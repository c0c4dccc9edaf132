# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) SmoothNet contributors
"""See it: clips of poses as video, animated gif, one sheet, or a page that plays the motion."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING

from ..utils.errors import SmoothNetError
from ..utils.signals import ending_cleanly
from .clip import Clip, Curve, Look, Mesh, make_clip, motion_curves

if TYPE_CHECKING:
    from PIL import Image

__all__ = [
    "FORMATS",
    "Clip",
    "Curve",
    "Look",
    "Mesh",
    "frame_count",
    "make_clip",
    "motion_curves",
    "picture_paths",
    "write_clip",
]

FORMATS = ("mp4", "gif", "png", "html")


def write_clip(
    clip: Clip,
    path: str | os.PathLike,
    size: tuple[int, int] = (1280, 720),
    video: str | os.PathLike | None = None,
    progress: Callable[[], object] | None = None,
    replace: bool = True,
) -> Path:
    """Write `clip` to `path` in the format of its suffix, whole or not at all.

    Args:
        size: width and height of an mp4 in pixels, even numbers; a gif has three quarters of both.
        video: the recording the 2D poses came from; frame t of the clip lies over its frame first_frame + t.
        progress: called after each frame of an mp4 or gif (`frame_count` says how many there will be).
        replace: whether a file that is there may be replaced, even one that appears meanwhile.

    Raises:
        SmoothNetError: unknown format, an optional package is missing, the video or the folder is not usable, a file
            is there that may not be replaced.
    """
    path = Path(path)
    kind = path.suffix.lower().lstrip(".")
    if kind not in FORMATS:
        raise SmoothNetError(f"cannot write {path}: the format must be one of {', '.join(FORMATS)}")
    if min(size) < 160 or size[0] % 2 or size[1] % 2:
        raise SmoothNetError(f"the size must be even and at least 160 x 160 pixels, not {size[0]} x {size[1]}")
    if not path.parent.is_dir():
        raise SmoothNetError(f"there is no folder {path.parent}; create it first")
    if kind == "html":
        from .page import write_page

        write_page(path, clip, replace)
    elif kind == "png":
        from .sheet import write_sheet

        write_sheet(path, clip, replace=replace)
    else:
        _write_frames(clip, path, kind, size, video, progress, replace)
    return path


def picture_paths(
    folder: Path, stem: str, formats: Sequence[str], sources: Sequence[Path] = (), force: bool = False
) -> list[Path]:
    """Where pictures go, checked against what is there before anything is drawn.

    Args:
        sources: files that are drawn or drawn over, which nothing replaces.
        force: whether other files may be replaced.

    Raises:
        SmoothNetError: a file is there.
    """
    paths = [folder / f"{stem}.{name}" for name in formats]
    for path in paths:
        if not os.path.lexists(path):
            continue
        if path.exists() and any(path.samefile(source) for source in sources):
            raise SmoothNetError(f"{path} is what is to be drawn; name another folder with -o")
        if path.is_dir():
            raise SmoothNetError(f"{path} is a folder; name another folder with -o")
        if not force:
            raise SmoothNetError(f"{path} exists; name another folder with -o, or replace it with --force")
    return paths


def frame_count(clip: Clip, kind: str) -> int:
    """How many frames a file will have: a gif leaves some out of fast recordings; png and html have 0."""
    if kind == "gif":
        from .video import gif_stride

        return -(-clip.frames // gif_stride(clip.fps))
    return clip.frames if kind == "mp4" else 0


def _write_frames(
    clip: Clip,
    path: Path,
    kind: str,
    size: tuple[int, int],
    video: str | os.PathLike | None,
    progress: Callable[[], object] | None,
    replace: bool,
) -> None:
    from .drawing import FramePainter
    from .video import ffmpeg, gif_stride, open_video, write_gif, write_mp4

    ffmpeg()  # say that it is missing before anything is drawn
    if video is not None and clip.dims != 2:
        raise SmoothNetError("a video can lie under 2D poses only; leave --video out for 3D")
    stride, write = (gif_stride(clip.fps), write_gif) if kind == "gif" else (1, write_mp4)
    if kind == "gif":
        size = (size[0] * 3 // 8 * 2, size[1] * 3 // 8 * 2)
    with ending_cleanly(), ExitStack() as stack:
        pictures = None
        if video is not None:
            _, _, pictures = stack.enter_context(open_video(video))
            pictures = islice(pictures, clip.first_frame, None)
        painter = FramePainter(clip, size[0], size[1], over_video=video is not None)
        if clip.mesh is not None:
            from .meshes import MeshRenderer

            painter.meshes = renderer = MeshRenderer(clip.mesh, painter.view)
            stack.callback(renderer.close)

        def frames() -> Iterator[Image.Image]:
            for frame in range(clip.frames):
                # The poses may outlast the video; its last frames then have none below.
                picture = next(pictures, None) if pictures is not None else None
                if frame % stride == 0:
                    yield painter.paint(frame, picture)
                    if progress is not None:
                        progress()

        write(path, frames(), size, clip.fps / stride, replace)
