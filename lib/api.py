# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) SmoothNet contributors
"""What `import smoothnet` gives at the top, beside `Smoother`, which keeps a network for many calls."""

from __future__ import annotations

import os
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np

from .formats import read_recording, write_recording
from .formats.recording import Recording
from .inference.methods import Smoothing
from .inference.options import SmoothingOptions
from .utils.errors import SmoothNetError
from .utils.gaps import MAX_GAP


def smooth(
    points: Any,
    fps: float | None = None,
    *,
    method: str = "network",
    strength: float = 1.0,
    cutoff: float | None = None,
    outliers: str | None = None,
    delay: int | None = None,
    step: int | None = None,
    dims: int | None = None,
    max_gap: int = MAX_GAP,
    min_score: float | None = None,
    checkpoint: str | os.PathLike[str] | None = None,
    window: int | None = None,
    device: str = "cpu",
) -> Any:
    """Smooth the points of one person, or every track of a recording.

    Args:
        points: (T, K, D), or (T, C) with C = K x dims, floats in any unit, array or tensor, NaN where a point is
            missing; or what `read` gives.
        fps: frames a second; None: what the recording says. Where nobody says it, methods that count in Hz take 30,
            and the network works without.
        method: network | rts | butterworth | gaussian | savgol | oneeuro | median.
        strength: 0 gives the input, 1 what the method does by itself, more is smoother.
        cutoff: Hz, of a classical method, in place of its strength.
        outliers: "hampel" replaces outliers before the method sees them; "network" does so by looking further, from 48
            frames a second on, see second_look.
        delay: None uses all frames; D gives what a stream with a delay of D frames would.
        step: frames between windows of the network; None: as many as lose nothing.
        dims: coordinates a joint, of (T, C) points; None: 3 where C is a multiple of 3, else 2, else 1.
        max_gap: the longest gap that is bridged, in frames.
        min_score: of a recording: points with a lower score count as missing.
        checkpoint, window: file, folder or name of other weights, and the frames of their window.
        device: cpu; auto, or a device for torch.

    Returns:
        Points of the same shape, type, dtype and device, NaN where the input was missing; of a recording, a list of
        (frames, joints, dims) float64 arrays, one for each track, as `write` takes it.

    Raises:
        SmoothNetError: points of another shape, an option out of range, weights that cannot be read.
    """
    options = SmoothingOptions(
        fps=fps,
        method=method,
        strength=strength,
        cutoff=cutoff,
        outliers=outliers,
        delay=delay,
        step=step,
        dims=dims,
        max_gap=max_gap,
        min_score=min_score,
        checkpoint=os.fspath(checkpoint) if isinstance(checkpoint, os.PathLike) else checkpoint,
        window=window,
        device=device,
    )
    smoothing = _prepared(options, () if options.checkpoint is None else _written(Path(options.checkpoint)))
    if isinstance(points, Recording):
        return smoothing(points)[0]
    if min_score is not None:
        raise SmoothNetError("min_score needs a recording, which has scores; set such points to NaN")
    return smoothing.points(points)


@lru_cache(maxsize=8)
def _prepared(options: SmoothingOptions, written: tuple[tuple[int, int], ...]) -> Smoothing:
    """What the options need, loaded once for as long as the file of the weights stays the same."""
    return Smoothing(options)


def _written(path: Path) -> tuple[tuple[int, int], ...]:
    """When a file was written, and its size; of a folder, of the files in it as well; of what is not there, nothing."""
    try:
        files = [file.stat() for file in (path, *(sorted(path.iterdir()) if path.is_dir() else ()))]
    except OSError:
        return ()
    return tuple((file.st_mtime_ns, file.st_size) for file in files)


def read(
    path: str | os.PathLike[str], format: str | None = None, dims: int | None = None, layout: str | None = None
) -> Recording:
    """Read a file of poses, or a folder of OpenPose frames, in any format that `smoothnet smooth --formats` lists.

    Args:
        format: its name; None tells it by content.
        dims: coordinates a joint, for arrays and tables that do not say.
        layout: what these do not say of their axes, as --layout takes it.

    Returns:
        The recording: `tracks`, each with `points` (frames, joints, dims), float64, NaN where missing.

    Raises:
        SmoothNetError: no such file, none of the formats, or a malformed one.
    """
    return read_recording(path, format, dims, layout)


def write(recording: Recording, smoothed: list[np.ndarray], path: str | os.PathLike[str]) -> None:
    """Write smoothed tracks in the form the recording was read in; all else in the file stays as it was.

    Args:
        smoothed: of each track an array like its points; what is NaN stays as it was.
        path: replaced if it is there.

    Raises:
        SmoothNetError: it cannot be written.
    """
    write_recording(recording, smoothed, path)
