# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) SmoothNet contributors
"""What smooths: a trained network or a classical filter. All go the same way, in files, pictures and streams alike.

A new method is a row of METHODS: a function that takes the options, refuses those that it has no use for, and gives
a Prepared.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any, Protocol

import numpy as np

from ..filters.smoother import METHODS as CLASSICAL
from ..filters.smoother import OUTLIERS, ClassicalSmoother, classical_smoother
from ..filters.table import REFERENCE_FPS
from ..formats import check_words, read_recording
from ..formats.recording import Recording
from ..utils.arguments import as_numpy
from ..utils.errors import SmoothNetError
from ..utils.gaps import refuse_far
from .options import SmoothingOptions
from .report import Report
from .second_look import SLOWEST, second_look
from .smoother import Smoother, as_points
from .tracks import Place, Ready, along, in_memory, smooth_recording
from .uncertainty import deviations

LOOK = "network"  # of --outliers, beside the filters of OUTLIERS; see second_look.py
# (T, K, D) points -> the same without outliers, and (T, K) bool, which they were
Clean = Callable[[np.ndarray], tuple[np.ndarray, np.ndarray]]
Progress = Callable[[int, int], None]  # (frames smoothed so far, frames of all tracks) of the current recording


class AnyStream(Protocol):
    """Smooths frame by frame; see Stream and ClassicalStream."""

    delay: int

    def push(self, frame: Any) -> Any: ...

    def flush(self) -> list[Any]: ...


@dataclass(frozen=True)
class Prepared:
    """A method with all it needs, as its options say.

    Attributes:
        ready: (frames a second or None, a function that is told of smoothed frames) -> what smooths a recording.
        stream: -> a new stream.
    """

    ready: Callable[[float | None, Callable[[int], None]], Ready]
    stream: Callable[[], AnyStream]
    spread: Callable[[np.ndarray, int, float | None], np.ndarray] | None = None  # see Smoother.spread; max_gap, fps


def network_method(options: SmoothingOptions) -> Prepared:
    """The trained network of options.checkpoint."""
    _refuse(options, cutoff=None)
    if options.outliers and options.delay is not None:
        raise SmoothNetError("--outliers does not go with --delay for a network; leave one of them out")
    smoother = Smoother.from_checkpoint(options.checkpoint, options.device, options.window, strength=options.strength)
    smoother.threads = options.threads
    if options.outliers == LOOK and smoother.network.people is None:
        raise SmoothNetError(f"--outliers {LOOK} goes with the general network alone; choose {', '.join(OUTLIERS)}")
    advice = "The network does not fit this recording: choose another --method"
    if options.checkpoint is not None:
        advice = f"The network of {options.checkpoint} does not fit this recording: use the weights that come along"

    def ready(fps: float | None, progress: Callable[[int], None]) -> Ready:
        told = smoother.at(fps)
        told.progress = progress

        def run(network: Smoother, points: np.ndarray) -> np.ndarray:
            return network(points, step=options.step, delay=options.delay, max_gap=options.gap_frames(fps))

        clean: Clean | None = None
        note = ""
        if options.outliers == LOOK:
            if fps is None or fps < SLOWEST:
                note = f"--outliers {LOOK} looks for none below {SLOWEST:g} frames/s"
                note += "" if fps else ", and the frame rate is unknown: say it with --fps"
            else:
                clean = partial(second_look, smoother, fps=fps, max_gap=options.gap_frames(fps))
        elif options.outliers:
            hampel = classical_smoother("rts", fps=fps, outliers=options.outliers, max_gap=options.gap_frames(fps))
            clean = hampel.clean
        rotations = told.for_rotations()
        point_pieces, rotation_pieces = (
            partial(one.blocks, step=options.step, max_gap=options.gap_frames(fps)) if options.delay is None else None
            for one in (told, rotations)
        )
        return Ready(
            partial(run, told),
            partial(run, rotations),
            smoother.window,
            clean=clean,
            point_pieces=point_pieces,
            rotation_pieces=rotation_pieces,
            note=note,
            advice=advice,
        )

    def stream() -> AnyStream:
        if options.outliers:
            raise SmoothNetError("--outliers does not go with --stream for a network; choose a classical --method")
        max_gap = options.gap_frames(options.fps)
        return smoother.at(options.fps).stream(options.delay, max_gap=max_gap, step=options.step)

    if options.delay is not None:
        smoother.stream(options.delay)  # says what is wrong with the delay before anything is read

    def spread(points: np.ndarray, max_gap: int, fps: float | None) -> np.ndarray:
        told = smoother.at(fps)
        return told.spread(points, told(points, step=options.step, max_gap=max_gap), options.step, max_gap)

    calibrated = smoother.network.people is not None and options.strength == 1 and options.delay is None
    return Prepared(ready, stream, spread if calibrated else None)


def classical_method(options: SmoothingOptions) -> Prepared:
    """The classical filter options.method, at the frame rate of each recording."""
    _refuse(options, checkpoint=None, window=None, step=None)

    def at(fps: float | None, outliers: str | None) -> ClassicalSmoother:
        return classical_smoother(
            options.method,
            cutoff=options.cutoff,
            strength=options.strength,
            fps=fps,
            outliers=outliers,
            max_gap=options.gap_frames(fps),
        )

    def ready(fps: float | None, progress: Callable[[int], None]) -> Ready:
        whole = at(fps, options.outliers)

        def run(points: np.ndarray) -> np.ndarray:
            smoothed = smooth(points)
            progress(len(points))
            return smoothed

        advice = "The filter does not fit this recording: leave --method out"
        note = "" if fps else f"the frame rate is unknown: {REFERENCE_FPS:g} frames/s are taken, say another with --fps"
        if options.delay is not None:
            smooth: Callable[[np.ndarray], np.ndarray] = partial(_as_stream, whole, options.delay)
            return Ready(run, note=note, advice=advice)
        smooth = at(fps, None)
        clean = whole.clean if options.outliers else None
        return Ready(run, alone=not whole.row.causal, clean=clean, note=note, advice=advice)

    # Say what is wrong before anything is read; a cut-off fits or not when the frame rate is known.
    at(options.fps or max(REFERENCE_FPS, 4 * (options.cutoff or 0.0)), options.outliers)
    return Prepared(ready, lambda: at(options.fps, options.outliers).stream(options.delay))


METHODS: Mapping[str, Callable[[SmoothingOptions], Prepared]] = {
    "network": network_method,
    **dict.fromkeys(CLASSICAL, classical_method),
}


class Smoothing:
    """The one way from a recording to its smoothed points: the options, and what they need, loaded once.

    Raises:
        SmoothNetError: no such method, options that it has no use for, or what it needs cannot be loaded.
    """

    def __init__(self, options: SmoothingOptions, progress: Progress | None = None) -> None:
        if options.method not in METHODS:
            raise SmoothNetError(f"there is no --method {options.method!r}: choose from {', '.join(METHODS)}")
        filters = (*OUTLIERS, LOOK) if options.method == "network" else OUTLIERS
        if options.outliers is not None and options.outliers not in filters:
            raise SmoothNetError(
                f"there is no --outliers {options.outliers!r} with --method {options.method}: "
                f"choose from {', '.join(filters)}"
            )
        check_words(options.input_format, options.dims, options.layout)
        self.options = options
        self.progress = progress
        self._method = METHODS[options.method](options)

    def fps(self, recording: Recording) -> float | None:
        """Frames a second: what the user says, else the file, else unknown."""
        return self.options.fps or recording.fps

    def read(self, path: str | os.PathLike) -> Recording:
        """Read a file as the options say."""
        return read_recording(path, self.options.input_format, self.options.dims, self.options.layout)

    def __call__(self, recording: Recording, place: Place = in_memory) -> tuple[list[np.ndarray], Report]:
        """Smooth every track of a recording; see smooth_recording."""
        total, done = sum(len(track.points) for track in recording.tracks), 0

        def smoothed(frames: int) -> None:
            nonlocal done
            done = min(done + frames, total)
            if self.progress is not None:
                self.progress(done, total)

        fps = self.fps(recording)
        return smooth_recording(
            recording,
            self._method.ready(fps, smoothed),
            min_score=self.options.min_score,
            max_gap=self.options.gap_frames(fps),
            fill=self.options.fill,
            fps=fps,
            place=place,
        )

    def check_uncertainty(self) -> None:
        """Raise for a method whose deviations nobody has calibrated."""
        if self._method.spread is None:
            raise SmoothNetError(
                "--uncertainty is calibrated for the general network as it is: leave --method, --strength, --delay and "
                "other --checkpoint out"
            )

    def uncertainty(self, recording: Recording) -> list[np.ndarray | None]:
        """Of each track the standard deviation of its smoothed coordinates, (frames, joints); see uncertainty.py.

        NaN where a point is missing; None in place of rotations.

        Raises:
            SmoothNetError: nobody has calibrated this method.
        """
        self.check_uncertainty()
        spread = self._method.spread
        assert spread is not None
        fps = self.fps(recording)
        max_gap = self.options.gap_frames(fps)

        def run(points: np.ndarray) -> np.ndarray:
            return np.repeat(deviations(spread(points, max_gap, fps))[..., None], points.shape[2], axis=2)

        ready = self._method.ready(fps, lambda frames: None)
        found = along(recording, run, ready, self.options.min_score, max_gap)
        return [None if values is None else values[..., 0] for values in found]

    def points(self, points: Any) -> Any:
        """Smooth (T, K, D) or (T, C) points of one person, array or tensor; see Smoother.__call__."""
        array, restore = as_numpy(points)
        known = as_points(array, self.options.dims).astype(np.float64)
        refuse_far(known)
        ready = self._method.ready(self.options.fps, lambda frames: None)
        if ready.clean is not None:
            known = ready.clean(known)[0]
        return restore(ready.points(known).astype(array.dtype).reshape(array.shape))

    def stream(self) -> AnyStream:
        """Start smoothing frames as they come."""
        return self._method.stream()


def _refuse(options: SmoothingOptions, **unused: Any) -> None:
    """Raise for an option that the method has no use for and that is not at its default."""
    for name, default in unused.items():
        if getattr(options, name) != default:
            raise SmoothNetError(f"--{name} does not go with --method {options.method}; leave one of them out")


def _as_stream(smoother: ClassicalSmoother, delay: int, points: np.ndarray) -> np.ndarray:
    """What a stream with this delay gives for (T, K, D) points."""
    stream = smoother.stream(delay)
    frames = [stream.push(frame) for frame in points][delay:] + stream.flush()
    return np.stack(frames) if frames else points.copy()
