# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) SmoothNet contributors
"""Windows with missing points through the network, and the mean over the windows that cover a frame.

What happens to missing points, in a whole recording and in a stream alike:
- A point with a coordinate that is NaN or infinite is missing. Inside a window it is interpolated linearly
  between its neighbours in that window and held where it has a neighbour on one side only. Every window is
  filled from itself, so that a stream, which does not know the future, fills as a whole recording does.
- Where a joint comes back from a gap so far away that it cannot have gone there (see `jumps`), what lies on either side
  goes into the network as a joint of its own: the straight line between them would bend both ends of it.
- A window whose last frame lacks the point holds its last value there, a guess. It counts only where no
  window whose last frame shows the point covers the frame, and then a recording's first window comes first.
- The first window may end with frames that show nobody. For a network that wants it (`reflect`) it goes on from the
  last frame that shows somebody as a recording does that ends there: while nobody is in sight a stream cannot know
  whether it does.
- What was missing comes back missing (NaN).
- More than max_gap frames in a row without any point cut the recording in two.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from ..models.network import Work
from ..models.windows import reflected, smooth_blocks, window_starts
from ..utils.blocks import Frames, by_frames
from ..utils.gaps import bridge_windows, shown_points

JUMP = 3.0  # see jumps
UNSURE = 1e-9  # weight of the first window where it holds a point's last value; squared: of later windows

# (n, K, D, W) windows without NaN, (n, K) of 0 and 1, joints that have values at all, or None -> smoothed windows
People = Callable[[np.ndarray, "np.ndarray | None"], np.ndarray]
# the same, step by step; whether all frames will be asked for at once, see Network.start
Start = Callable[[np.ndarray, "np.ndarray | None", bool], Work]


def blank_missing(points: np.ndarray) -> np.ndarray:
    """(..., D) coordinates with every coordinate of a missing point NaN."""
    return np.where(shown_points(points)[..., None], points, np.nan)


def fill_windows(windows: np.ndarray) -> tuple[np.ndarray, np.ndarray | None]:
    """Fill the missing points of (n, K, D, W) windows from their neighbours in the window.

    Returns:
        windows without gaps (0 where a joint is never shown), and (n, K) of 0 and 1: whether a joint is shown
        at all; None when nothing was missing.
    """
    shown = np.isfinite(windows).all(axis=2)
    if shown.all():
        return windows, None
    seen = shown.any(axis=-1)
    filled = np.where(seen[..., None, None], bridge_windows(windows, ~shown), 0)
    return filled, seen.astype(windows.dtype)


def smooth_windows(network: People, windows: np.ndarray) -> np.ndarray:
    """(n, K, D, W) windows, NaN where points are missing -> smoothed windows of the same shape."""
    shown = np.isfinite(windows).all(axis=2)
    if shown.all():
        return network(windows, None)
    behind = jumps(windows, shown)
    apart = behind.any(axis=(1, 2))
    if not apart.any():
        return network(*fill_windows(windows))
    smoothed = np.empty_like(windows)
    if not apart.all():
        smoothed[~apart] = network(*fill_windows(windows[~apart]))
    smoothed[apart] = _smooth_apart(network, windows[apart], behind[apart])
    return smoothed


def start_windows(start: Start, windows: np.ndarray, whole: bool) -> Work:
    """What smooth_windows gives, step by step; in one step where joints jump."""
    shown = np.isfinite(windows).all(axis=2)
    if shown.all():
        return start(windows, None, whole)
    if not jumps(windows, shown).any():
        return start(*fill_windows(windows), whole)

    def network(some: np.ndarray, seen: np.ndarray | None) -> np.ndarray:
        return start(some, seen, False).frames(0, some.shape[-1]).transpose(1, 2, 3, 0)

    return Work.at_once(lambda: smooth_windows(network, windows))


def _smooth_apart(network: People, windows: np.ndarray, behind: np.ndarray) -> np.ndarray:
    """The same where joints jump: each piece of a joint goes in as a joint of its own, missing elsewhere."""
    piece = behind.cumsum(axis=-1)  # (n, K, W), the number of the piece
    columns = [(joint, number) for joint, last in enumerate(piece.max(axis=(0, 2))) for number in range(last + 1)]
    of_column = np.stack([piece[:, joint] == number for joint, number in columns], axis=1)
    body = np.where(of_column[:, :, None], windows[:, [joint for joint, _ in columns]], np.nan)
    result = network(*fill_windows(body))
    smoothed = np.empty_like(windows)
    for column, (joint, _) in enumerate(columns):
        smoothed[:, joint] = np.where(of_column[:, column, None], result[:, column], smoothed[:, joint])
    return smoothed


def jumps(windows: np.ndarray, shown: np.ndarray) -> np.ndarray:
    """Where a joint comes back from a gap somewhere else.

    That is over JUMP times as far away as it gets in as many frames anywhere else in the window, by what is shown
    without a gap. Nothing is said where no run of frames is that long.

    Args:
        windows: (n, K, D, W).
        shown: (n, K, W) bool, whether a point is there.

    Returns:
        (n, K, W) bool: the first frames behind such gaps.
    """
    behind = np.zeros(shown.shape, bool)
    frames = np.arange(shown.shape[-1])
    last = np.maximum.accumulate(np.where(shown, frames, -1), axis=-1)  # the last frame so far that shows it
    lag = np.zeros(shown.shape, np.intp)  # from the frame before a gap to the one behind it; 0: no gap ends here
    lag[..., 1:] = np.where(shown[..., 1:] & (last[..., :-1] >= 0), frames[1:] - last[..., :-1], 0)
    lag[lag == 1] = 0
    missing = np.concatenate([np.zeros((*shown.shape[:2], 1), np.intp), (~shown).cumsum(axis=-1)], axis=-1)
    for h in np.unique(lag[lag > 0]).tolist():
        at = np.nonzero((lag == h).any(axis=-1))
        if len(frames) <= h:
            continue
        some = windows[at]  # (m, D, W)
        with np.errstate(invalid="ignore"):
            far = np.sqrt(((some[..., h:] - some[..., :-h]) ** 2).sum(axis=1))
        whole = missing[at][:, h + 1 :] - missing[at][:, : -h - 1] == 0
        most = np.where(whole, far, 0.0).max(axis=-1, keepdims=True)
        found = (lag[at][:, h:] == h) & whole.any(axis=-1, keepdims=True) & (far > JUMP * most)
        rows = behind[at]
        rows[:, h:] |= found
        behind[at] = rows
    return behind


def pad_window(frames: np.ndarray, window: int, reflect: bool = False) -> np.ndarray:
    """(L, K, D) with L < W -> (W, K, D).

    Args:
        reflect: see `reflected`; else the end is missing, and the last frame will be held.
    """
    if reflect:
        return reflected(frames, window)
    end = np.full((window - len(frames), *frames.shape[1:]), np.nan, frames.dtype)
    return np.concatenate([frames, end])


def _reflect_ends(windows: np.ndarray) -> np.ndarray:
    """(n, K, D, W) windows; in place of last frames that show nobody comes what pad_window puts there."""
    ends = np.flatnonzero(~shown_points(windows[..., -1]).any(axis=1))  # the recording's first, if any
    if not len(ends):
        return windows
    windows = windows.copy()
    for i in ends:
        frames = windows[i].transpose(2, 0, 1)
        seen = np.flatnonzero(shown_points(frames).any(axis=1))
        windows[i] = reflected(frames[: seen[-1] + 1], len(frames)).transpose(1, 2, 0)
    return windows


def window_weight(last: np.ndarray, first: np.ndarray | bool) -> np.ndarray:
    """How much windows count for each point, (n, K, 1).

    Args:
        last: (n, K, D), the last frames of the windows.
        first: (n,), whether each is the recording's first.
    """
    unsure = np.where(np.asarray(first)[..., None], UNSURE, UNSURE**2)
    return np.where(shown_points(last), 1.0, unsure)[..., None]


def chosen_windows(shown: np.ndarray, window: int, step: int) -> tuple[list[int], frozenset[int]]:
    """First frames of the windows of a recording of L >= W frames, and which of them came before their turn.

    A window is due when a frame shows somebody and the last one ended at least `step` frames before; the first ends
    with frame W - 1, whatever that shows. So that all is covered, there is also one that ends where nobody is seen in
    the next frame, or the recording ends. A stream learns of that one frame later; so such a window, if it is not
    due, counts nothing for its first frame, which a stream of the full delay has given by then.

    Args:
        shown: (L,) bool, whether a frame shows any point.
    """
    if shown.all():
        starts = window_starts(len(shown), window, step)
        early = len(starts) > 1 and starts[-1] - starts[-2] < step
        return starts, frozenset(starts[-1:] if early else ())
    starts, hurried = [0], set()
    alone = np.append(~shown[1:], True)  # nobody in the next frame
    for end in range(window, len(shown)):
        due = end - (starts[-1] + window - 1) >= step
        if shown[end] and (due or alone[end]):
            starts.append(end - window + 1)
            if not due:
                hurried.add(starts[-1])
    return starts, frozenset(hurried)


def tapered(taper: np.ndarray, starts: list[int], hurried: frozenset[int]) -> np.ndarray:
    """(n, 1, W): how much the frames of windows count in the mean; see chosen_windows."""
    weights = np.tile(taper, (len(starts), 1, 1))
    weights[[start in hurried for start in starts], :, 0] = 0
    return weights


def smooth_with_gaps(
    network: People,
    points: Frames,
    window: int,
    step: int,
    taper: np.ndarray | None = None,
    reflect: bool = False,
    threads: int = 1,
    mean: np.ndarray | None = None,
) -> Iterator[tuple[int, np.ndarray]]:
    """The mean over all windows of one recording: (L, K, D) with NaN -> the same with the same NaN, piece by piece.

    Windows start every `step` frames, and one ends with the recording, see chosen_windows. Recordings shorter than W
    are padded and cropped.

    Args:
        points: an array, or what gives slices of frames.
        taper: (W,) weights of a window's frames in the mean; None: all the same.
        reflect: see pad_window.
        threads: see smooth_blocks, which also says what is given.
        mean: (L, K, D), what this gives without it; with it comes the mean square of the windows' distance from it.
    """
    length, joints, dims = points.shape
    frames = pad_window(points[0:length], window, reflect) if length < window else points
    weights = np.ones(window) if taper is None else taper
    anybody = by_frames(frames, lambda part: np.asarray(shown_points(part).any(axis=1)))
    chosen, hurried = chosen_windows(anybody, window, min(step, window))

    def by_channel(windows: np.ndarray) -> np.ndarray:
        people = windows.reshape(-1, joints, dims, window)
        if reflect and length >= window:
            people = _reflect_ends(people)
        return smooth_windows(network, people).reshape(windows.shape)

    def weigh(starts: list[int]) -> np.ndarray:
        first, ends = np.array(starts) == 0, np.array(starts) + window - 1
        last = frames[ends[0] : ends[-1] + 1][ends - ends[0]]
        return window_weight(last, first) * tapered(weights, starts, hurried)

    flat: Any = Flat(frames)
    run, count, channels = by_channel, weigh, joints * dims
    if mean is not None:  # goes through beside the frames, so that each window meets its own piece of it
        around = np.zeros((frames.shape[0], channels), np.float32)
        around[:length] = np.nan_to_num(mean).reshape(length, -1)
        flat = np.concatenate([flat[0 : frames.shape[0]], around], axis=1)

        def run(windows: np.ndarray) -> np.ndarray:
            squares = (by_channel(windows[:, :channels]) - windows[:, channels:]) ** 2
            return np.concatenate([squares, np.zeros_like(squares)], axis=1)

        def count(starts: list[int]) -> np.ndarray:
            return np.tile(weigh(starts), (1, 2, 1))

    for first, block in smooth_blocks(run, flat, window, step, weigh=count, starts=chosen, threads=threads):
        part = points[first : first + len(block)]
        smoothed = block[: len(part), :channels].reshape(part.shape)
        yield first, np.where(shown_points(part)[..., None], smoothed, np.nan)


@dataclass(frozen=True)
class Flat:
    """Frames (L, K, D) as (L, K x D)."""

    frames: Frames

    @property
    def shape(self) -> tuple[int, int]:
        length, joints, dims = self.frames.shape
        return length, joints * dims

    def __getitem__(self, frames: slice) -> np.ndarray:
        part = self.frames[frames]
        return part.reshape(len(part), -1)
