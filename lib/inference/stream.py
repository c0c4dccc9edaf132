# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) SmoothNet contributors
"""Smooth frames as they come, with a chosen delay."""

from __future__ import annotations

from collections.abc import Callable, Collection, Hashable, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

from ..models.bank import LEAD
from ..models.network import Work
from ..utils.arguments import as_numpy, check_whole
from ..utils.door import Door
from ..utils.errors import SmoothNetError
from ..utils.gaps import MAX_GAP, check_max_gap, refuse_far, shown_points
from .overlap import Start, blank_missing, pad_window, start_windows, window_weight

ENOUGH = 0.01  # where other windows together count more than this, a frame that counts LEAD changes nothing
NOT_FINITE = "the network gave what is no finite number; its weights may be damaged"


class _Frame(NamedTuple):
    """One person in one frame: (K, D) points with NaN where missing, (K,) whether they are there, whether any is."""

    points: np.ndarray | float
    shown: np.ndarray | bool
    seen: bool


NOBODY = _Frame(np.nan, False, False)


class _Ring:
    """The newest entries of a series, oldest first; moved rarely, since it lies in twice the memory."""

    def __init__(self, size: int, shape: tuple[int, ...], value: float, dtype: Any = np.float64):
        self.size, self.end = size, size
        self.memory = np.full((2 * size, *shape), value, dtype)

    def append(self, value: np.ndarray | float) -> None:
        if self.end == len(self.memory):
            self.memory[: self.size] = self.memory[self.size :]
            self.end = self.size
        self.memory[self.end] = value
        self.end += 1

    def back(self, first: int, last: int = 0) -> np.ndarray:
        """The entries from `first` before the end to `last` before it."""
        return self.memory[self.end - first : self.end - last]


class _Segment:
    """A track between two long gaps: its newest frames and what the windows so far say of them.

    Args:
        number: of the first frame.
        frame: the first frame.
        shape: (K, D).
        window: W.
        held: frames that are held, at least W.
        taper: (W, 1, 1), how much a window's frames count.
        reflect: see pad_window.
        step: frames between windows.

    Attributes:
        first, last, newest: numbers of the first frame, of the newest that shows anything, and of the newest held.
        ran: the last frame of the newest window that the network was given.
        padded: (frames, K, D), output from frame padded_first on, while there are fewer than W frames.
    """

    def __init__(
        self,
        number: int,
        frame: _Frame,
        shape: tuple[int, int],
        window: int,
        held: int,
        taper: np.ndarray,
        reflect: bool,
        step: int,
    ):
        self.first, self.last, self.newest, self.ran = number, number, number - 1, -1
        self.window, self.taper, self.reflect, self.step = window, taper, reflect, step
        self.frames = _Ring(held, shape, np.nan)
        self.shown = _Ring(held, shape[:1], False, bool)
        self.total = _Ring(held, shape, 0.0)
        self.weight = _Ring(held, (shape[0], 1), 0.0)
        self.padded: np.ndarray | None = None
        self.padded_first = number
        self.append(frame)

    @property
    def length(self) -> int:
        return self.newest - self.first + 1

    def append(self, frame: _Frame) -> None:
        """Take the next frame."""
        self.newest += 1
        self.padded = None
        self.frames.append(frame.points)
        self.shown.append(frame.shown)
        self.total.append(0.0)
        self.weight.append(0.0)
        if frame.seen:
            self.last = self.newest

    @property
    def due(self) -> bool:
        """Whether the newest window is to be run now; see overlap.chosen_windows."""
        if self.length <= self.window:
            return self.length == self.window
        return self.last == self.newest and self.newest - self.ran >= self.step

    @property
    def waiting(self) -> bool:
        """Whether the newest window is to be run if nobody is seen in the next frame."""
        return self.length > self.window and self.last == self.newest and self.ran < self.newest

    def newest_window(self) -> np.ndarray:
        """(K, D, W), the newest W frames, or all frames up to the last that shows anything, padded."""
        frames = self.frames.back(min(self.length, self.window))
        if self.length <= self.window:
            frames = frames[: self.last - self.first + 1]
        if len(frames) < self.window:
            frames = pad_window(frames, self.window, self.reflect)
        return frames.transpose(1, 2, 0)

    def begin(self) -> np.ndarray:
        """Note that the network is given the newest window; (W, K or 1, 1), how much its frames count."""
        first = self.length == self.window
        weight = self.taper
        if not self.shown.back(1).all():
            weight = weight * window_weight(self.frames.back(1)[0], first)
        if not first and self.newest - self.ran < self.step:
            weight = weight.copy()
            weight[0] = 0
        self.ran = self.newest
        return weight

    def known(self, begin: int, end: int) -> bool:
        """Whether every point shown in the frames from `begin` up to `end` has been in windows that count for it, so
        that a window in which these frames count next to nothing changes none of them."""
        if self.length <= self.window:
            return False
        place = self.newest + 1 - begin, self.newest + 1 - end
        return bool(((self.weight.back(*place)[..., 0] > ENOUGH) | ~self.shown.back(*place)).all())

    def take(self, number: int, smoothed: np.ndarray, weight: np.ndarray) -> None:
        """Add (frames, K, D) of a window's output from frame `number` on, and how much they count."""
        place = self.newest + 1 - number, self.newest + 1 - number - len(smoothed)
        self.total.back(*place)[:] += weight * smoothed
        self.weight.back(*place)[:] += weight

    def output(self, number: int, strength: float) -> np.ndarray | None:
        """(K, D), frame `number`, NaN where it was missing; None if nothing was shown."""
        place = self.newest + 1 - number
        shown = self.shown.back(place)[0]
        if self.length < self.window:
            assert self.padded is not None
            smoothed = self.padded[number - self.padded_first]
        else:
            smoothed = self.total.back(place)[0] / self.weight.back(place)[0]
        if strength < 1:
            frame = self.frames.back(place)[0]
            smoothed = frame + strength * (smoothed - frame)
        if shown.all():
            return smoothed
        return np.where(shown[:, None], smoothed, np.nan) if shown.any() else None


@dataclass
class _Run:
    """Windows that end with the same frame, on their way through the network.

    Attributes:
        end: number of that frame.
        weights: of each segment's window, (W, K or 1, 1).
        next: the frame of the window that is to be added next.
        spread: all its frames are added at once.
    """

    end: int
    segments: list[_Segment]
    weights: list[np.ndarray]
    work: Work
    next: int
    spread: bool


class Stream:
    """Smooths one person, or several with ids, frame by frame.

    Every `step` frames a push runs the network, on the newest windows of all tracks whose turn it is (see
    overlap.chosen_windows). A frame comes out `delay` frames after it went in, as the mean over the windows seen by
    then; the mean over all windows that cover it, which is what a whole recording gives with this step, needs delay
    W - 1. Less delay is less smooth. As long as a track has fewer than W frames, its one window is padded, see
    pad_window.

    No push does more than must be done by then, if the network goes in steps: of a window only those frames that are
    about to come out are asked of it, and the others follow in the next pushes. Where there are pushes left until its
    first frame comes out, the network's work on a window is spread evenly over them: with a delay above W - 1, at which
    the same comes out later, up to all `step` pushes until the next window; and where the first frames of a window
    count for nothing beside those before (a taper with a lead, see window_taper), which are then not asked for.

    Missing points are treated as the module overlap says and come back missing. Nothing waits for the end of a
    gap: windows that end in it count only where there is no other.

    Args:
        network: see Start.
        window: W.
        delay: D, 0 to W - 2 + step frames.
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
        network: Start,
        window: int,
        delay: int,
        tracks: bool | Collection[Hashable] | None = None,
        max_gap: int = MAX_GAP,
        strength: float = 1.0,
        taper: np.ndarray | None = None,
        reflect: bool = False,
        step: int = 1,
    ):
        check_whole("delay", delay)
        check_whole("step", step)
        check_max_gap(max_gap)
        longest = window - 2 + max(step, 1)
        if not 0 <= delay <= longest:
            raise SmoothNetError(f"delay must be from 0 to {longest} frames (window {window}), not {delay}")
        if not 1 <= step <= delay + 1:
            raise SmoothNetError(f"step must be from 1 to {delay + 1} frames (delay {delay}), not {step}")
        self.window = window
        self.delay = delay
        self.step = step
        self.max_gap = max_gap
        self._network = network
        self._share = -(-(window - 1) // max(1, step - 1))  # of a window a push: done before the next
        self._taper = (np.ones(window) if taper is None else taper)[:, None, None]
        # So many first frames of a window count next to nothing; left out, they leave no more than `step` pushes.
        self._lead = min(int(np.argmax(self._taper > LEAD)), longest - delay)
        self._reflect = reflect
        self._strength = strength
        self._door = Door(tracks)
        self._restore: Callable[[np.ndarray], Any] = lambda array: array
        self._reset()

    def _reset(self) -> None:
        self._count = 0  # frames pushed
        self._segments: dict[Hashable, list[_Segment]] = {}  # only those with frames still to come out
        self._runs: list[_Run] = []

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
        frames = self._people(frame)
        now, emitted = self._count, self._count - self.delay
        self._count += 1
        latest = [(key, parts[-1]) for key, parts in self._segments.items()]
        self._begin([part for key, part in latest if part.waiting and not frames.get(key, NOBODY).seen], now - 1)
        for key, newest in latest:
            if now - newest.last - 1 <= self.max_gap:
                newest.append(frames.pop(key, NOBODY))
        for key, first in frames.items():
            if first.seen:
                self._segments.setdefault(key, []).append(self._start(now, first))
        due = [part for part in self._all() if part.newest == now and part.due]
        self._begin(due, now, [part for part in self._all() if part.first <= emitted <= part.last], emitted)
        self._advance(now)
        return self._emit(emitted) if emitted >= 0 else None

    def flush(self) -> list[Any]:
        """The frames that have not come out yet, at most `delay`, as from push; the stream starts anew."""
        for part in self._all():
            if part.waiting:
                self._begin([part], part.newest)
        first = max(0, self._count - self.delay)
        self._begin([], self._count - 1, [part for part in self._all() if part.last >= first], first)
        self._advance(None)
        rest = [self._emit(i) for i in range(first, self._count)]
        self._reset()
        return rest

    def _people(self, frame: Any) -> dict[Hashable, _Frame]:
        """Those who were seen in a frame, as a new dict by id; a single person's id is None."""

        def as_array(points: Any) -> np.ndarray:
            array, self._restore = as_numpy(points)
            return array

        arrays = self._door.people(frame, self._count, as_array)
        if not arrays:
            return {}
        people = np.stack([*arrays.values()]).astype(np.float64, copy=False)
        refuse_far(people)
        shown = shown_points(people)
        if not shown.all():
            people = blank_missing(people)
        seen: list[bool] = np.any(shown, axis=1).tolist()
        return dict(zip(arrays, map(_Frame, people, shown, seen), strict=True))

    def _start(self, now: int, first: _Frame) -> _Segment:
        held = max(self.window, self.delay + 1)
        assert self._door.shape is not None
        return _Segment(now, first, self._door.shape, self.window, held, self._taper, self._reflect, self.step)

    def _all(self) -> list[_Segment]:
        return [part for parts in self._segments.values() for part in parts]

    def _begin(self, due: list[_Segment], end: int, short: Sequence[_Segment] = (), first: int = 0) -> None:
        """Give the network windows of several segments, all in one.

        Args:
            due: these windows end with frame `end`.
            short: of these, those with fewer than W frames have theirs padded, if not done yet, and say at once what
                comes out from frame `first` on.
        """
        short = [part for part in short if part.length < self.window and part.padded is None]
        if not due and not short:
            return
        windows = np.stack([part.newest_window() for part in (*due, *short)])
        begin = end - self.window + 1
        skipped = max(0, self._count - 1 - self.delay - begin)  # frames that have come out
        if skipped < self._lead and all(part.known(begin + skipped, begin + self._lead) for part in due):
            skipped = self._lead
        spread = bool(due) and self.delay + skipped >= self.window  # there is time after a window's last frame
        work = start_windows(self._network, windows, spread)
        if due:
            self._runs.append(_Run(end, due, [part.begin() for part in due], work, skipped, spread))
        if short:
            wanted = max(0, min(first - part.first for part in short))
            smoothed = self._frames(work, wanted, max(part.length for part in short))
            for i, part in enumerate(short, start=len(due)):
                part.padded, part.padded_first = smoothed[:, i], part.first + wanted

    def _advance(self, now: int | None) -> None:
        """Do of all runs what is to be done in push `now`; None: all of it."""
        for run in self._runs:
            needed = run.end - self.window + 1 + run.next + self.delay  # the push in which the next frame comes out
            pushes = 1 if now is None else max(1, needed - now + 1)  # until then
            before = run.work.left == 0
            run.work.advance(-(-run.work.left // pushes))
            if run.work.left:
                continue
            frames = 0 if now is None else now - needed + 1  # that come out
            if now is None or self.step == 1 or run.spread:
                frames = self.window
            elif before:
                frames = max(frames, self._share)
            if frames > 0:
                self._add(run, min(self.window, run.next + frames))
        self._runs = [run for run in self._runs if run.next < self.window]

    def _add(self, run: _Run, last: int) -> None:
        """Add the frames of the windows up to `last` to what comes out."""
        smoothed = self._frames(run.work, run.next, last)
        for i, (part, weight) in enumerate(zip(run.segments, run.weights, strict=True)):
            part.take(run.end - self.window + 1 + run.next, smoothed[:, i], weight[run.next : last])
        run.next = last

    def _frames(self, work: Work, first: int, last: int) -> np.ndarray:
        """(last - first, n, K, D)"""
        smoothed = work.frames(first, last)
        if not np.isfinite(smoothed).all():
            raise SmoothNetError(NOT_FINITE)
        return smoothed

    def _emit(self, number: int) -> Any:
        """Frame `number`, and forget the segments that end with it."""
        frames = {}
        for key, parts in list(self._segments.items()):
            for part in list(parts):
                if part.first <= number <= part.last:
                    output = part.output(number, self._strength)
                    if output is not None:
                        frames[key] = self._restore(output)
                away = self._count - 1 - part.last
                if number >= part.last and away > self.max_gap:
                    parts.remove(part)
            if not parts:
                del self._segments[key]
        return self._door.out(frames, self._restore)
