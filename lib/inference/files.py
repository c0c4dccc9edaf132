"""Smoothing files: from paths to paths, all or nothing."""

from __future__ import annotations

import os
import shutil
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from ..formats import read_recording, write_recording
from ..formats.recording import Recording
from ..utils.errors import SmoothNetError
from .overlap import MAX_GAP
from .smoother import Smoother
from .tracks import Report, smooth_recording


@dataclass
class Done:
    """One file that was smoothed."""

    source: Path
    out: Path
    format: str
    fps: float | None
    report: Report
    seconds: float  # reading, smoothing and writing

    def text(self) -> str:
        """One line: what became what, the report, the time."""
        report = self.report.text(self.fps)
        return f"{self.source} -> {self.out} ({self.format}): {report} {self.seconds:.2f} s"


def smooth_files(
    inputs: Sequence[Path],
    out: Path | str,
    smoother: Smoother,
    *,
    format: str | None = None,
    dims: int | None = None,
    fps: float | None = None,
    min_score: float | None = None,
    max_gap: int = MAX_GAP,
    fill: bool = False,
    step: int = 1,
    delay: int | None = None,
    plot: bool = False,
    force: bool = False,
) -> list[Done]:
    """Smooth files and write them in the form they have. Nothing is written before all of them are done.

    Args:
        inputs: Files, or folders of OpenPose frames.
        out: The output; a folder if there are several inputs, if it is one, or if its name has no ending.
        smoother: See `Smoother`.
        format, dims: See `read_recording`.
        fps: Frames a second, where the file does not say or says it wrong; for the report alone.
        min_score, max_gap, fill: See `smooth_recording`.
        step, delay: See `Smoother.__call__`.
        plot: Also write <output>.png, the joints that changed most before and after.
        force: Replace outputs that exist. An input is never replaced.

    Raises:
        SmoothNetError: an input cannot be read, an output exists or would be an input, or cannot be written.
    """
    if max_gap < 0:
        raise SmoothNetError(f"max_gap must be 0 frames or more, not {max_gap}")
    if fps is not None and not fps > 0:
        raise SmoothNetError(f"fps must be more than 0, not {fps}")
    targets = output_paths(inputs, out, plot, force)
    smooth, smooth_rotations = _functions(smoother, step, delay, max_gap)
    done = []
    with _staging(targets[0][0]) as folder:
        staged: list[tuple[Path, Path]] = []
        for index, (source, (target, picture)) in enumerate(zip(inputs, targets, strict=True)):
            start = time.perf_counter()
            recording = read_recording(source, format, dims)
            smoothed, report = smooth_recording(
                recording,
                smooth,
                smooth_rotations,
                min_score=min_score,
                max_gap=max_gap,
                fill=fill,
                window=smoother.window,
            )
            place = folder / str(index)
            place.mkdir()
            write_recording(recording, smoothed, place / target.name)
            staged.append((place / target.name, target))
            rate = fps or recording.fps
            if picture is not None and any(np.isfinite(values).any() for values in smoothed):
                plot_change(recording, smoothed, place / picture.name, rate)
                staged.append((place / picture.name, picture))
            seconds = time.perf_counter() - start
            done.append(Done(Path(source), target, recording.format, rate, report, seconds))
        for temporary, target in staged:
            _move(temporary, target)
    return done


def _functions(
    smoother: Smoother, step: int, delay: int | None, max_gap: int
) -> tuple[Callable[[np.ndarray], np.ndarray], Callable[[np.ndarray], np.ndarray]]:
    """How points and how rotations are smoothed."""

    def call(network: Smoother) -> Callable[[np.ndarray], np.ndarray]:
        return lambda points: network(points, step=step, delay=delay, max_gap=max_gap)

    return call(smoother), call(smoother.for_rotations())


def output_paths(
    inputs: Sequence[Path], out: Path | str, plot: bool = False, force: bool = False
) -> list[tuple[Path, Path | None]]:
    """Output and picture for each input, checked against what exists; see `smooth_files`."""
    inputs = [Path(source) for source in inputs]
    if not inputs:
        raise SmoothNetError("name at least one file to smooth")
    for source in inputs:
        if not source.exists():
            raise SmoothNetError(f"{source} does not exist")
    slash = str(out).endswith(("/", os.sep))
    out = Path(out)
    one_folder = len(inputs) == 1 and inputs[0].is_dir() and not slash
    into = len(inputs) > 1 or slash or (not one_folder and (out.is_dir() or not out.suffix))
    if into and out.exists() and not out.is_dir():
        raise SmoothNetError(f"{out} is a file; several inputs need a folder to go to")
    targets = [out / source.resolve().name for source in inputs] if into else [out]
    if len(set(targets)) < len(targets):
        raise SmoothNetError("two inputs have the same name and would become one output; smooth each alone")
    pairs = []
    for source, target in zip(inputs, targets, strict=True):
        if source.is_file() and target.suffix.lower() != source.suffix.lower():
            raise SmoothNetError(f"the output has the form of the input: name it *{source.suffix}, not {target.name}")
        picture = target.with_name(f"{target.name if source.is_dir() else target.stem}.png") if plot else None
        for path in (target, picture):
            if path is None or not path.exists():
                continue
            if any(path.samefile(other) for other in inputs):
                raise SmoothNetError(f"{path} is an input; name another output")
            if path.is_dir() and not any(path.iterdir()):
                continue
            if not force:
                raise SmoothNetError(f"{path} exists; name another output, or replace it with --force")
            if path.is_dir() != (source.is_dir() and path == target):
                raise SmoothNetError(f"{path} is a {'folder' if path.is_dir() else 'file'}; remove it first")
            if path.is_dir() and any(p.suffix != ".json" or p.is_dir() for p in path.iterdir()):
                raise SmoothNetError(f"{path} holds more than OpenPose frames; it will not be replaced")
        pairs.append((target, picture))
    return pairs


@contextmanager
def _staging(target: Path) -> Iterator[Path]:
    """A temporary folder on the file system of the target, gone in the end."""
    near = target.absolute().parent
    while not near.is_dir():
        if near.exists() or near == near.parent:
            raise SmoothNetError(f"cannot write {target}: {near} is not a folder")
        near = near.parent
    try:
        folder = Path(tempfile.mkdtemp(prefix=".smoothing.", dir=near))
    except OSError as error:
        raise SmoothNetError(f"cannot write into {near}: {error.strerror or error}") from error
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _move(temporary: Path, target: Path) -> None:
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        if target.is_dir():  # a folder with files cannot be replaced: move it away until the new one is there
            old = temporary.with_name(f"{temporary.name}.old")
            target.rename(old)
            try:
                temporary.rename(target)
            except OSError:
                old.rename(target)
                raise
        else:
            os.replace(temporary, target)
    except OSError as error:
        raise SmoothNetError(f"cannot write {target}: {error.strerror or error}") from error


def plot_change(
    recording: Recording, smoothed: list[np.ndarray], path: Path, fps: float | None = None, joints: int = 4
) -> None:
    """Write a PNG with the joints that changed most, one row a joint, one column a coordinate.

    The track with most points is shown, the change is the RMS over time. Missing frames leave gaps in the
    lines.
    """
    try:
        from matplotlib.figure import Figure
    except ImportError as error:
        raise SmoothNetError("--plot needs matplotlib: pip install matplotlib") from error
    sizes = [np.isfinite(values).sum() for values in smoothed]
    track, values = recording.tracks[int(np.argmax(sizes))], smoothed[int(np.argmax(sizes))]
    change = np.sqrt(np.nanmean(np.where(np.isfinite(values), values - track.points, 0) ** 2, axis=(0, 2)))
    chosen = np.argsort(-change, kind="stable")[:joints]
    dims = values.shape[2]
    labels = "xyz" if dims <= 3 else [f"number {d}" for d in range(dims)]
    times = track.start + np.arange(len(values))
    times = times / fps if fps else times
    figure = Figure(figsize=(4.5 * dims, 2.0 * len(chosen) + 0.6), layout="constrained")
    axes = figure.subplots(len(chosen), dims, squeeze=False, sharex=True)
    shown = np.where(np.isfinite(values), track.points, np.nan)
    for row, joint in enumerate(chosen):
        names = recording.names or ()
        name = names[joint] if joint < len(names) else f"joint {joint}"
        for d in range(dims):
            axis = axes[row, d]
            axis.plot(times, shown[:, joint, d], color="0.6", linewidth=0.9, label="before")
            axis.plot(times, values[:, joint, d], color="tab:blue", linewidth=1.3, label="after")
            axis.set_ylabel(f"{name} {labels[d]}")
    for axis in axes[-1]:
        axis.set_xlabel("second" if fps else "frame")
    axes[0, 0].legend(loc="best", fontsize="small")
    figure.suptitle(f"{recording.path.name}: the joints that changed most")
    figure.savefig(path, dpi=100)
