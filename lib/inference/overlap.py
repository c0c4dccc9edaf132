# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) SmoothNet contributors
"""Windows with missing points through the network, and the mean over the windows that cover a frame.

What happens to missing points, in a whole recording and in a stream alike:
- A point with a coordinate that is NaN or infinite is missing. Inside a window it is interpolated linearly
  between its neighbours in that window and held where it has a neighbour on one side only. Every window is
  filled from itself, so that a stream, which does not know the future, fills as a whole recording does.
- A window whose last frame lacks the point holds its last value there, a guess. It counts only where no
  window whose last frame shows the point covers the frame, and then a recording's first window comes first.
- What was missing comes back missing (NaN).
- More than max_gap frames in a row without any point cut the recording in two.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np

from ..models.windows import smooth_blocks, window_starts
from ..utils.blocks import Frames, by_frames
from ..utils.gaps import bridge_windows, shown_points

UNSURE = 1e-9  # weight of the first window where it holds a point's last value; squared: of later windows

# (n, K, D, W) windows without NaN, (n, K) of 0 and 1, joints that have values at all, or None -> smoothed windows
People = Callable[[np.ndarray, "np.ndarray | None"], np.ndarray]


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
    return network(*fill_windows(windows))


def pad_window(frames: np.ndarray, window: int, reflect: bool = False) -> np.ndarray:
    """(L, K, D) with L < W -> (W, K, D).

    Args:
        reflect: what follows is what came before, turned about the last frame, with all its noise; else the end is
            missing, and the last frame will be held.
    """
    if reflect:
        return np.pad(frames, ((0, window - len(frames)), (0, 0), (0, 0)), mode="reflect", reflect_type="odd")
    end = np.full((window - len(frames), *frames.shape[1:]), np.nan, frames.dtype)
    return np.concatenate([frames, end])


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
) -> Iterator[tuple[int, np.ndarray]]:
    """The mean over all windows of one recording: (L, K, D) with NaN -> the same with the same NaN, piece by piece.

    Windows start every `step` frames, and one ends with the recording, see chosen_windows. Recordings shorter than W
    are padded and cropped.

    Args:
        points: an array, or what gives slices of frames.
        taper: (W,) weights of a window's frames in the mean; None: all the same.
        reflect: see pad_window.
        threads: see smooth_blocks, which also says what is given.
    """
    length, joints, dims = points.shape
    frames = pad_window(points[0:length], window, reflect) if length < window else points
    weights = np.ones(window) if taper is None else taper
    anybody = by_frames(frames, lambda part: np.asarray(shown_points(part).any(axis=1)))
    chosen, hurried = chosen_windows(anybody, window, min(step, window))

    def by_channel(windows: np.ndarray) -> np.ndarray:
        return smooth_windows(network, windows.reshape(-1, joints, dims, window)).reshape(windows.shape)

    def weigh(starts: list[int]) -> np.ndarray:
        first, ends = np.array(starts) == 0, np.array(starts) + window - 1
        last = frames[ends[0] : ends[-1] + 1][ends - ends[0]]
        return window_weight(last, first) * tapered(weights, starts, hurried)

    flat = Flat(frames)
    for first, block in smooth_blocks(by_channel, flat, window, step, weigh=weigh, starts=chosen, threads=threads):
        part = points[first : first + len(block)]
        smoothed = block[: len(part)].reshape(part.shape)
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
