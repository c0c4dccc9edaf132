# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) SmoothNet contributors
"""Smooth frames as they come, with a chosen delay."""

from __future__ import annotations

from collections.abc import Callable, Collection, Hashable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from ..models.network import as_numpy
from ..utils.errors import SmoothNetError
from ..utils.gaps import MAX_GAP, shown_points
from .overlap import People, blank_missing, pad_window, smooth_windows, window_weight

NOT_FINITE = "the network gave what is no finite number; its weights may be damaged"


@dataclass
class _Segment:
    """A track between two long gaps: its newest W frames and what the windows so far say of them."""

    first: int  # number of its first frame
    last: int  # of the newest frame that shows anything
    newest: int  # of the newest frame held, shown or not
    frames: np.ndarray  # (W, K, D), NaN where missing
    taper: np.ndarray  # (W, 1, 1), how much a window's frames count
    reflect: bool  # see pad_window
    total: np.ndarray  # (W, K, D), weighted sum of the windows' outputs
    weight: np.ndarray  # (W, K, 1)
    step: int = 1  # frames between windows
    ran: int = -1  # the last frame of the newest window that the network saw
    padded: np.ndarray | None = None  # (K, D, W), output while there are fewer than W frames

    @property
    def length(self) -> int:
        return self.newest - self.first + 1

    def append(self, frame: np.ndarray | float) -> None:
        """Take the next frame; NaN if nobody was seen."""
        self.newest += 1
        self.padded = None
        for ring, value in ((self.frames, frame), (self.total, 0.0), (self.weight, 0.0)):
            ring[:-1] = ring[1:]
            ring[-1] = value
        if shown_points(self.frames[-1]).any():
            self.last = self.newest

    @property
    def due(self) -> bool:
        """Whether the newest window is to be run now; see overlap.chosen_windows."""
        size = len(self.frames)
        if self.length <= size:
            return self.length == size
        return self.last == self.newest and self.newest - self.ran >= self.step

    @property
    def waiting(self) -> bool:
        """Whether the newest window is to be run if nobody is seen in the next frame."""
        return self.length > len(self.frames) and self.last == self.newest and self.ran < self.newest

    def window(self) -> np.ndarray:
        """(K, D, W), the newest W frames, or all frames and a missing end."""
        size = len(self.frames)
        frames = (
            self.frames if self.length >= size else pad_window(self.frames[size - self.length :], size, self.reflect)
        )
        return frames.transpose(1, 2, 0)

    def take(self, smoothed: np.ndarray) -> None:
        """Note the network's output (K, D, W) for window()."""
        if self.length < len(self.frames):
            self.padded = smoothed
            return
        first = self.length == len(self.frames)
        weight = self.taper * window_weight(self.frames[-1], first)
        if not first and self.newest - self.ran < self.step:
            weight[0] = 0
        self.ran = self.newest
        self.total += weight * smoothed.transpose(2, 0, 1)
        self.weight += weight

    def output(self, number: int, strength: float) -> np.ndarray:
        """(K, D), frame `number`, NaN where it was missing."""
        position = number - self.newest - 1
        if self.length < len(self.frames):
            assert self.padded is not None
            smoothed = self.padded[..., number - self.first]
        else:
            smoothed = self.total[position] / self.weight[position]
        frame = self.frames[position]
        if strength < 1:
            smoothed = frame + strength * (smoothed - frame)
        return np.where(shown_points(frame)[:, None], smoothed, np.nan)


def _seen(points: np.ndarray | None) -> bool:
    """Whether a frame shows any point."""
    return points is not None and bool(shown_points(points).any())


class Stream:
    """Smooths one person, or several with ids, frame by frame.

    Every `step` frames a push runs the network, on the newest windows of all tracks whose turn it is (see
    overlap.chosen_windows). A frame comes out `delay` frames after it went in, as the mean over the windows seen by
    then; the mean over all windows that cover it, which is what a whole recording gives with this step, needs delay
    W - 1. Less delay is less smooth. As long as a track has fewer than W frames, its one window is padded, see
    pad_window.

    Missing points are treated as the module overlap says and come back missing. Nothing waits for the end of a
    gap: windows that end in it count only where there is no other.

    Args:
        network: see People.
        window: W.
        delay: D, 0 to W - 1 frames.
        tracks: None: the first frame decides whether there are ids. True: there are. Ids: only these are
            smoothed.
        max_gap: frames that a track may be away and still be the same; after a longer absence it starts anew.
        strength: what is below 1 is interpolated here.
        taper: (W,) how much a window's frames count in the mean; None: all the same.
        reflect: see pad_window.
        step: frames between runs of the network, at most D + 1, or a frame would come out unseen. More is faster; with
            a delay below W - 1 it is less smooth.
    """

    def __init__(
        self,
        network: People,
        window: int,
        delay: int,
        tracks: bool | Collection[Hashable] | None = None,
        max_gap: int = MAX_GAP,
        strength: float = 1.0,
        taper: np.ndarray | None = None,
        reflect: bool = False,
        step: int = 1,
    ):
        if not 0 <= delay < window:
            raise SmoothNetError(f"delay must be from 0 to {window - 1} frames (window {window}), not {delay}")
        if max_gap < 0:
            raise SmoothNetError(f"max_gap must be 0 frames or more, not {max_gap}")
        if not 1 <= step <= delay + 1:
            raise SmoothNetError(f"step must be from 1 to {delay + 1} frames (delay {delay}), not {step}")
        self.window = window
        self.delay = delay
        self.step = step
        self.max_gap = max_gap
        self._network = network
        self._taper = (np.ones(window) if taper is None else taper)[:, None, None]
        self._reflect = reflect
        self._strength = strength
        self._ids = None if tracks is None or isinstance(tracks, bool) else frozenset(tracks)
        self._named = None if tracks is None else tracks is not False
        self._restore: Callable[[np.ndarray], Any] = lambda array: array
        self._shape: tuple[int, int] | None = None
        self._reset()

    def _reset(self) -> None:
        self._count = 0  # frames pushed
        self._segments: dict[Hashable, list[_Segment]] = {}  # only those with frames still to come out

    def push(self, frame: Any) -> Any:
        """Take the next frame, give the one `delay` frames older.

        Args:
            frame: (K, D) array or tensor, NaN where a point is missing, or None if nobody was seen; with
                ids, a dict id -> (K, D) of those that were seen.

        Returns:
            None for the first `delay` pushes. Then (K, D), of the type that was pushed, NaN where points were
            missing (None as long as no frame told the number of joints); with ids, a dict id -> (K, D) of
            those seen in that frame.

        Raises:
            SmoothNetError: a frame of another shape than those before.
        """
        frames = self._door(frame)
        now, emitted = self._count, self._count - self.delay
        self._count += 1
        latest = [(key, parts[-1]) for key, parts in self._segments.items()]
        self._evaluate([part for key, part in latest if part.waiting and not _seen(frames.get(key))])
        todo = []
        for key, newest in latest:
            if now - newest.last - 1 <= self.max_gap:
                newest.append(frames.pop(key, np.nan))
        for key, points in frames.items():
            if shown_points(points).any():
                self._segments.setdefault(key, []).append(self._start(now, points))
        for part in self._all():
            if part.length < self.window:  # the padded window, if it is about to be needed
                wanted = part.padded is None and part.first <= emitted <= part.last
            else:
                wanted = part.newest == now and part.due
            if wanted:
                todo.append(part)
        self._evaluate(todo)
        return self._emit(emitted) if emitted >= 0 else None

    def flush(self) -> list[Any]:
        """The frames that have not come out yet, at most `delay`, as from push; the stream starts anew."""
        self._evaluate([part for part in self._all() if part.length < self.window or part.waiting])
        rest = [self._emit(i) for i in range(max(0, self._count - self.delay), self._count)]
        self._reset()
        return rest

    def _door(self, frame: Any) -> dict[Hashable, np.ndarray]:
        """The frame as a new dict id -> (K, D) float64; a single person's id is None."""
        if self._named is None and frame is not None:
            self._named = isinstance(frame, Mapping)
        if frame is None:
            frame = {}
        elif isinstance(frame, Mapping) is not self._named:
            wanted = "a dict id -> (joints, dims)" if self._named else "an array (joints, dims)"
            raise SmoothNetError(f"frame {self._count} of this stream must be {wanted}")
        elif not self._named:
            frame = {None: frame}
        frames = {}
        for key, points in frame.items():
            if points is None or (self._ids is not None and key not in self._ids):
                continue
            array, self._restore = as_numpy(points)
            if array.ndim != 2 or (self._shape is not None and array.shape != self._shape):
                wanted = "(joints, dims)" if self._shape is None else str(self._shape)
                raise SmoothNetError(f"frame {self._count} has the shape {array.shape}, this stream takes {wanted}")
            self._shape = array.shape
            frames[key] = blank_missing(array.astype(np.float64))
        return frames

    def _start(self, now: int, points: np.ndarray) -> _Segment:
        shape = (self.window, *points.shape)
        segment = _Segment(
            first=now,
            last=now,
            newest=now,
            frames=np.full(shape, np.nan),
            taper=self._taper,
            reflect=self._reflect,
            total=np.zeros(shape),
            weight=np.zeros((self.window, len(points), 1)),
            step=self.step,
        )
        segment.frames[-1] = points
        return segment

    def _all(self) -> list[_Segment]:
        return [part for parts in self._segments.values() for part in parts]

    def _evaluate(self, parts: list[_Segment]) -> None:
        """One call of the network for the windows of all these segments."""
        if parts:
            smoothed = smooth_windows(self._network, np.stack([part.window() for part in parts]))
            if not np.isfinite(smoothed).all():
                raise SmoothNetError(NOT_FINITE)
            for part, windows in zip(parts, smoothed, strict=True):
                part.take(windows)

    def _emit(self, number: int) -> Any:
        """Frame `number`, and forget the segments that end with it."""
        frames = {}
        for key, parts in list(self._segments.items()):
            for part in list(parts):
                if part.first <= number <= part.last:
                    output = part.output(number, self._strength)
                    if np.isfinite(output).any():
                        frames[key] = self._restore(output)
                away = self._count - 1 - part.last
                if number >= part.last and away > self.max_gap:
                    parts.remove(part)
            if not parts:
                del self._segments[key]
        if self._named:
            return frames
        if None in frames or self._shape is None:
            return frames.get(None)
        return self._restore(np.full(self._shape, np.nan))
