# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) SmoothNet contributors
"""Smoothing files: from paths to paths, all or nothing.

What is promised of files that are there: an input is never replaced. Without `force` nothing is, not even what appears
while the work goes on (see rename_new); with it, files of the same name are, and folders that hold nothing but frames
of the same names. Either all outputs are put in place or none: whatever ends the work before (an error, Ctrl-C,
SIGTERM, SIGHUP), what was there stays or comes back, and no temporary folder is left.
"""

from __future__ import annotations

import os
import re
import shutil
import socket
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from ..formats import FORMATS, convert, maker_of, makers, write_recording
from ..formats.content import Carried, Maker
from ..formats.recording import Recording, Track
from ..formats.understood import spoken
from ..utils.errors import SmoothNetError
from ..utils.files import (
    atomic_write,
    exchange,
    only_in,
    printable,
    rename_new,
    taken,
    temporary,
    write_json,
)
from ..utils.signals import ending_cleanly, undisturbed
from ..utils.spool import Spool
from .derivatives import derivatives, of_tracks
from .jobs import in_processes
from .methods import Smoothing
from .plot import plot_change
from .report import Report
from .tracks import in_memory


@dataclass
class Done:
    """One file that was smoothed."""

    source: Path
    out: Path
    format: str
    understood: str  # what the numbers were taken for, and which are not smoothed
    fps: float | None
    report: Report
    seconds: float  # reading, smoothing and writing
    carried: Carried | None = None  # to a file of another form; None: it is of the same
    left_alone: tuple[str, ...] = ()
    beside: tuple[Path, ...] = ()  # what else was written for it

    def facts(self) -> dict[str, Any]:
        """What `text` says, for programs; numbers that are not finite become None."""
        carried = self.carried
        facts = {
            "input": printable(self.source),
            "output": printable(self.out),
            "beside": [printable(path) for path in self.beside],
            "format": self.format,
            "understood": self.understood,
            "left_alone": list(self.left_alone),
            "not_carried_over": carried.lost if carried else [],
            "fps": self.fps,
            "seconds": self.seconds,
            **self.report.facts(self.fps),
        }
        facts["notes"] = [*facts["notes"], *(carried.notes if carried else [])]
        return _finite(facts)

    def text(self) -> str:
        """A line on what the file was taken for, one on what became of it, one with a warning where there is one."""
        source, warning = printable(self.source), self.report.warning()
        lines = [
            f"{source} ({self.format}): {self.understood}",
            f"{source} -> {printable(self.out)}: {self.report.text(self.fps)} {self.seconds:.2f} s",
        ]
        if self.carried is not None:
            lines.append(self.carried.text(printable(self.out)))
        return "\n".join(lines if warning is None else [*lines, f"warning: {source}: {warning}"])


def _finite(value: Any) -> Any:
    """The value with None for numbers that JSON does not have."""
    if isinstance(value, dict):
        return {key: _finite(one) for key, one in value.items()}
    if isinstance(value, list):
        return [_finite(one) for one in value]
    return None if isinstance(value, float) and not np.isfinite(value) else value


@dataclass(frozen=True)
class Output:
    """Where one input goes: `path`, and what is written beside it, or None: the picture of what changed, velocity and
    acceleration, and standard deviations."""

    path: Path
    picture: Path | None
    maker: Maker | None = None  # of another form than the input's
    derivatives: Path | None = None
    uncertainty: Path | None = None

    def paths(self) -> list[Path]:
        return [path for path in (self.path, self.picture, self.derivatives, self.uncertainty) if path is not None]


def smooth_files(
    inputs: Sequence[Path],
    out: Path | str,
    smoothing: Smoothing,
    *,
    plot: bool = False,
    force: bool = False,
    derivatives: bool = False,
    uncertainty: bool = False,
    report: Path | str | None = None,
    jobs: int = 1,
) -> list[Done]:
    """Smooth files and write them in the form they have. Nothing is written before all of them are done.

    Args:
        inputs: files, or folders with a file a frame.
        out: the output; a folder if there are several inputs, if it is one, or if its name has no ending.
        smoothing: what smooths, and how files are read.
        plot: also write <output>.png, the joints that changed most before and after.
        force: replace outputs that exist; see the module's head.
        derivatives: also write <output>.derivatives.npz, velocity and acceleration; needs the frame rate.
        uncertainty: also write <output>.uncertainty.npz, a standard deviation for each point.
        report: also write what was found and done as JSON to this file.
        jobs: how many files are smoothed at the same time, each in a process of its own, which imports the
            main module again (a script must guard what it does by its name); what comes out is the same.

    Raises:
        SmoothNetError: an input cannot be read, an output exists or would be an input, or cannot be written.
    """
    outputs = output_paths(inputs, out, plot, force, derivatives, report, uncertainty)
    if uncertainty:
        smoothing.check_uncertainty()
    with _staging(outputs[0].path) as folder, _staging(Path(report or outputs[0].path)) as beside:
        tasks = []
        for index, (source, output) in enumerate(zip(inputs, outputs, strict=True)):
            place = folder / str(index)
            place.mkdir()
            tasks.append((Path(source), output, place))
        if jobs > 1 and len(tasks) > 1:
            finished = in_processes(_smooth_file, tasks, smoothing.options, jobs, smoothing.progress)
        else:
            finished = [_smooth_file(task, smoothing) for task in tasks]
        staged = [
            (place / target.name, target)
            for (_, names), (_, _, place) in zip(finished, tasks, strict=True)
            for target in names
        ]
        if report is not None:
            write_json(beside / "report.json", {"files": [one.facts() for one, _ in finished]})
            staged.append((beside / "report.json", Path(report)))
        _put_in_place(staged, force)
    return [done for done, _ in finished]


def _smooth_file(task: tuple[Path, Output, Path], smoothing: Smoothing) -> tuple[Done, list[Path]]:
    """Smooth a source into a folder; gives what was done, and which of the outputs stand there."""
    source, output, place = task
    start = time.perf_counter()
    recording = smoothing.read(source)
    by_blocks = recording.by_blocks and len(output.paths()) == 1 and output.maker is None
    smoothed, report = smoothing(recording, partial(_spooled, place) if by_blocks else in_memory)
    fps = smoothing.fps(recording)
    carried = None
    if output.maker is None:
        write_recording(recording, smoothed, place / output.path.name)
    else:
        carried = convert(recording, smoothed, output.maker, place / output.path.name, fps)
    names = [output.path]
    understood = "; ".join(filter(None, [recording.understood, spoken(recording.left_alone)]))
    if output.picture is not None and any(np.isfinite(values).any() for values in smoothed):
        plot_change(recording, smoothed, place / output.picture.name, fps)
        names.append(output.picture)
    if output.derivatives is not None:
        if fps is None:
            raise SmoothNetError(f"--derivatives needs the frame rate, which {source} does not say: name it with --fps")
        pairs = [
            derivatives(new, fps) if track.kind == "points" else (None, None)
            for track, new in zip(recording.tracks, smoothed, strict=True)
        ]
        series = {name: [pair[i] for pair in pairs] for i, name in enumerate(("velocity", "acceleration"))}
        with atomic_write(place / output.derivatives.name) as file:
            np.savez(file, **of_tracks(recording, series, fps))  # type: ignore[arg-type]
        names.append(output.derivatives)
    if output.uncertainty is not None:
        with atomic_write(place / output.uncertainty.name) as file:
            arrays = of_tracks(recording, {"deviation": smoothing.uncertainty(recording)}, fps)
            np.savez(file, **arrays)  # type: ignore[arg-type]
        names.append(output.uncertainty)
    seconds = time.perf_counter() - start
    return Done(
        source, output.path, recording.format, understood, fps, report, seconds, carried,
        tuple(recording.left_alone), tuple(names[1:]),
    ), names  # fmt: skip


def convert_file(
    source: Path,
    out: Path,
    read: Callable[[Path], Recording],
    *,
    fps: float | None = None,
    force: bool = False,
) -> list[str]:
    """Write a file of poses in another form, without smoothing.

    Args:
        source: a file, or a folder with a file a frame.
        out: the file to write; its ending decides the form.
        read: reads the source.
        fps: frames a second, where the file does not say.
        force: replace `out` if it exists.

    Returns:
        Lines for people: what the source was taken for, and what was not carried over.

    Raises:
        SmoothNetError: the source cannot be read, or the form of the output cannot hold it; see smooth_files.
    """
    maker = maker_of(out)
    if maker is None:
        raise SmoothNetError(f"{out.name} has no ending that can be written; choose of {', '.join(makers())}")
    if not source.exists():
        raise SmoothNetError(f"{source} does not exist")
    _check_target(out, source, [source], folder=False, force=force)
    recording = read(source)
    with _staging(out) as folder:
        carried = convert(recording, None, maker, folder / out.name, fps)
        _put_in_place([(folder / out.name, out)], force)
    return [f"{printable(source)} ({recording.format}): {recording.understood}", carried.text(printable(out))]


def _spooled(folder: Path, track: Track) -> Any:
    """Where the smoothed points of a large file wait to be written: in a file, as precise as in memory."""
    return Spool(folder, track.points.shape, np.float64)


# ---------------------------------------------------------------- where outputs go


def output_paths(
    inputs: Sequence[Path],
    out: Path | str,
    plot: bool = False,
    force: bool = False,
    derivatives: bool = False,
    report: Path | str | None = None,
    uncertainty: bool = False,
) -> list[Output]:
    """Output and what is written beside it for each input, checked against what exists; see `smooth_files`."""
    inputs = [Path(source) for source in inputs]
    if not inputs:
        raise SmoothNetError("name at least one file to smooth")
    for source in inputs:
        if not source.exists():
            raise SmoothNetError(f"{source} does not exist")
    targets = _targets(inputs, out)
    outputs = []
    for source, target in zip(inputs, targets, strict=True):
        same = source.is_dir() or target.suffix.lower() == source.suffix.lower()
        maker = maker_of(target) if not same or (source.is_dir() and target == Path(out)) else None
        if not same and maker is None:
            raise SmoothNetError(
                f"the output of {source} has the form of the input, or one of {', '.join(makers())}: name it "
                f"*{source.suffix}, not {target.name}"
            )
        folder = source.is_dir() and maker is None
        stem = target.name if folder else target.stem
        picture = target.with_name(f"{stem}.png") if plot else None
        rates = target.with_name(f"{stem}.derivatives.npz") if derivatives else None
        sure = target.with_name(f"{stem}.uncertainty.npz") if uncertainty else None
        for path in (target, picture, rates, sure):
            if path is not None:
                _check_target(path, source, inputs, folder=folder and path == target, force=force)
        outputs.append(Output(target, picture, maker, rates, sure))
    seen: set[Path] = set()
    for path in (path for one in outputs for path in one.paths()):
        if path in seen:  # walk.csv and walk.json have one picture
            raise SmoothNetError(f"{path} would be written for two inputs; smooth each alone")
        seen.add(path)
    if report is not None:
        if not str(report) or Path(report).is_dir():
            raise SmoothNetError(f"--report {str(report)!r} is no name of a file")
        report = Path(report)
        if any(report.absolute() == path.absolute() for one in outputs for path in one.paths()):
            raise SmoothNetError(f"{report} is an output; name another file for the report")
        _check_target(report, report, inputs, folder=False, force=force)
    return outputs


def _targets(inputs: list[Path], out: Path | str) -> list[Path]:
    """The output of each input: `out` itself, or a name in it."""
    slash = str(out).endswith(("/", os.sep))
    out = Path(out)
    one_folder = len(inputs) == 1 and inputs[0].is_dir() and not slash
    into = len(inputs) > 1 or slash or (not one_folder and (out.is_dir() or not out.suffix))
    if not into:
        return [out]
    if out.exists() and not out.is_dir():
        raise SmoothNetError(f"{out} is a file; several inputs need a folder to go to")
    # A link gives its own name, but "." and ".." have none.
    targets = [out / (source if source.name not in ("", "..") else source.resolve()).name for source in inputs]
    return targets


def _check_target(path: Path, source: Path, inputs: list[Path], *, folder: bool, force: bool) -> None:
    """Refuse an output that would replace what must stay.

    Args:
        folder: whether the output is a folder.
    """
    if not os.path.lexists(path):
        return
    if path.exists() and any(path.samefile(other) for other in inputs):
        raise SmoothNetError(f"{path} is an input; name another output")
    if folder and path.is_dir() and not any(path.iterdir()):
        return
    if not force:
        raise taken(path)
    if path.is_dir() != folder:
        raise SmoothNetError(f"{path} is a {'folder' if path.is_dir() else 'file'}; remove it first")
    if not folder:
        return
    names = {entry.name for entry in path.iterdir()}
    endings = {Path(name).suffix for name in names}
    if endings not in ({".json"}, {".txt"}) or any((path / name).is_dir() for name in names):
        raise SmoothNetError(f"{path} holds more than frames of poses; it will not be replaced")
    lost = only_in(path, source)
    if lost:
        raise SmoothNetError(f"{path} holds {lost[0]}, which {source} does not; it will not be replaced")
    if not any(row.sniff(path) for row in FORMATS.values()):
        raise SmoothNetError(f"{path} holds files that are no frames of poses; it will not be replaced")


# ---------------------------------------------------------------- temporary folders and renaming

STAGING = ".smoothing."


@contextmanager
def _staging(target: Path) -> Iterator[Path]:
    """A temporary folder on the file system of the target, gone in the end, however that comes."""
    near = target.absolute().parent
    while not near.is_dir():
        if near.exists() or near == near.parent:
            raise SmoothNetError(f"cannot write {target}: {near} is not a folder")
        near = near.parent
    _remove_stale(near)

    def make() -> str:
        try:
            return tempfile.mkdtemp(prefix=f"{STAGING}{_host()}.{os.getpid()}.", dir=near)
        except OSError as error:
            raise SmoothNetError(f"cannot write into {near}: {error.strerror or error}") from error

    with ending_cleanly(), temporary(make) as folder:
        yield Path(folder)


def _host() -> str:
    """Where a process number means one process: a machine, and a container on it, which may have the machine's name."""
    try:
        space = os.readlink("/proc/self/ns/pid")
    except OSError:  # no Linux
        space = ""
    return re.sub(r"[^\w-]", "_", socket.gethostname() + space) or "host"


def _remove_stale(near: Path) -> None:
    """Remove the temporary folders of processes of this machine and container that were killed before they could."""
    for folder in near.glob(f"{STAGING}{_host()}.*.*"):
        process = folder.name.split(".")[3]
        if process.isdigit() and not _alive(int(process)):
            shutil.rmtree(folder, ignore_errors=True)


def _alive(process: int) -> bool:
    if os.name != "posix":  # where signal 0 would end it
        return True
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except OSError:  # somebody else's
        return True
    return True


def _put_in_place(staged: list[tuple[Path, Path]], force: bool) -> None:
    """Rename each temporary file or folder to its target; all or none."""
    undo: list[Callable[[], None]] = []
    with undisturbed():
        for temporary, target in staged:
            try:
                target.parent.mkdir(parents=True, exist_ok=True)
                undo.append(_place(temporary, target, force))
            except OSError as error:
                for step in reversed(undo):
                    with suppress(OSError):
                        step()
                if isinstance(error, FileExistsError) or (target.is_dir() and not force):
                    raise SmoothNetError(f"{target} appeared meanwhile; name another output, or use --force") from error
                raise SmoothNetError(f"cannot write {target}: {error.strerror or error}") from error


def _swap_back(temporary: Path, target: Path) -> None:
    if not exchange(temporary, target):
        raise OSError(f"cannot put {target} back")


def _place(temporary: Path, target: Path, force: bool) -> Callable[[], None]:
    """Rename to the target; gives what undoes it. A folder that is empty counts as none."""
    folder = temporary.is_dir()
    if not (force and os.path.lexists(target)) or (folder and target.is_dir() and not any(target.iterdir())):
        if folder:
            temporary.rename(target)  # fails where anything but an empty folder is
        else:
            rename_new(temporary, target)
        return lambda: os.rename(target, temporary)
    if exchange(temporary, target):  # what was there goes with the temporary folder
        return lambda: _swap_back(temporary, target)
    old = target.with_name(f".{target.name}.replaced")  # outside the temporary folder, in case this process is killed
    target.rename(old)
    try:
        temporary.rename(target)
    except OSError:
        old.rename(target)
        raise
    kept = temporary.with_name(f"{temporary.name}.old")
    old.rename(kept)

    def back() -> None:
        target.rename(temporary)
        kept.rename(target)

    return back
