# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) SmoothNet contributors
"""From a sequence to its windows and back: the mean over the windows that cover a frame, of arrays and tensors alike.

Only what numpy arrays and torch tensors share is used, so that exported models smooth without torch.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
from numpy.lib.stride_tricks import as_strided, sliding_window_view

from ..utils.blocks import in_order

CHUNK_ROWS = 8192  # (window, channel) rows that go through the network at once when smoothing

Array = Any  # numpy.ndarray or torch.Tensor


def window_starts(length: int, window: int, step: int) -> list[int]:
    """First frames of the windows over a sequence: every `step` frames, and one that ends with the last frame."""
    starts = list(range(0, length - window + 1, step))
    if starts[-1] != length - window:
        starts.append(length - window)
    return starts


def _runs(starts: list[int], size: int) -> Iterator[tuple[list[int], int]]:
    """Cut starts into runs of at most `size` that are the same number of frames apart, and give that number."""
    first = 0
    while first < len(starts):
        step = starts[first + 1] - starts[first] if first + 1 < len(starts) else 1
        last = first + 1
        while last < min(len(starts), first + size) and starts[last] - starts[last - 1] == step:
            last += 1
        yield starts[first:last], step
        first = last


def smooth_sequence(
    network: Callable[[Array], Array],
    x: Array,
    window: int,
    step: int = 1,
    rows: int = CHUNK_ROWS,
    weigh: Callable[[list[int]], Array] | None = None,
    reflect: bool = False,
) -> Array:
    """Smooth one sequence: the mean over all windows that cover a frame.

    Args:
        network: (n, C, W), a view of x, -> (n, C, W).
        x: (L, C) float, array or tensor. Sequences shorter than W are padded and cropped.
        window, step: W, and frames between the starts of windows; the last window always ends with the sequence.
        rows: (window, channel) pairs per call of the network, which bounds the memory.
        weigh: starts of n windows -> how much they count in the mean, (n, G, 1 or W), for G groups of C / G channels
            side by side; None: all the same.
        reflect: short sequences are padded as `reflected` does it; else with their last frame.

    Returns:
        (L, C) on the device of x; of the type of the weighted windows.
    """
    length, channels = x.shape
    if length == 0:
        return x
    if length < window:
        padded = x[[min(i, length - 1) for i in range(window)]]
        if reflect:
            whole = reflected(x if isinstance(x, np.ndarray) else x.cpu().numpy(), window)
            padded = whole if isinstance(x, np.ndarray) else x.new_tensor(whole)
        return smooth_sequence(network, padded, window, step, rows, weigh)[:length]
    smoothed: Array = None
    for first, block in smooth_blocks(network, x, window, step, rows, weigh):
        smoothed = _zeros(block, (length, channels), empty=True) if smoothed is None else smoothed
        smoothed[first : first + len(block)] = block
    return smoothed


def smooth_blocks(
    network: Callable[[Array], Array],
    x: Any,
    window: int,
    step: int = 1,
    rows: int = CHUNK_ROWS,
    weigh: Callable[[list[int]], Array] | None = None,
    starts: list[int] | None = None,
    threads: int = 1,
) -> Iterator[tuple[int, Array]]:
    """What smooth_sequence gives, to the last bit, in pieces as they are done: the memory is that of a few pieces.

    Args:
        x: as in smooth_sequence, of at least W frames; or anything with a shape (L, C) that gives slices of frames.
        starts: first frames of the windows, if not every `step` frames; together they cover all of the sequence.
        threads: how many run the network, and ask x for frames, at the same time.

    Yields:
        The first frame of each piece and the piece, (n, C); together all frames, in their order.
    """
    length, channels = x.shape
    step = min(step, window)  # so that every frame is covered
    starts = window_starts(length, window, step) if starts is None else starts
    covered = None
    if weigh is None:  # then all that counts is how many windows cover a frame
        changes = np.zeros(length + 1, np.float32)
        changes[starts] += 1
        changes[np.add(starts, window)] -= 1
        covered = changes[:-1, None, None].cumsum(0)

    def run_of(part: tuple[list[int], int]) -> tuple[int, Array, Array]:
        """The sums over a run of windows, over the frames from its first on: of values, and of what they count."""
        run, apart = part
        frames = x[run[0] : run[-1] + window]
        views = sliding_window_view(frames, window, axis=0) if isinstance(frames, np.ndarray) else None
        smoothed = network((frames.unfold(0, window, 1) if views is None else views)[::apart])
        if weigh is None:
            return run[0], overlap_sum(smoothed, apart), None
        counts = weigh(run) + _zeros(smoothed, (len(run), 1, window))
        smoothed = (counts[:, :, None] * smoothed.reshape(*counts.shape[:2], -1, window)).reshape(smoothed.shape)
        return run[0], overlap_sum(smoothed, apart), overlap_sum(counts, apart)

    def mean(first: int, total: Array, weight: Array) -> tuple[int, Array]:
        if covered is not None:
            weight = covered[first : first + len(total)]
            weight = weight if isinstance(total, np.ndarray) else total.new_tensor(weight)
        else:
            weight = weight[:, :, None]
        with np.errstate(invalid="ignore"):  # where nobody is for longer than a window no window counts
            return first, (total.reshape(*weight.shape[:2], -1) / weight).reshape(len(total), channels)

    runs = _runs(starts, max(1, rows // channels))
    at, total, weight = 0, None, None  # the sums over the frames from `at` on
    for first, values, counts in in_order(run_of, runs, threads):
        if first > at:  # windows to come begin here: what lies before is done
            yield mean(at, _shifted(total, 0, first - at), _shifted(weight, 0, first - at))
        total = _added(_shifted(total, first - at), values)
        weight = _added(_shifted(weight, first - at), counts)
        at = first
    yield mean(at, _shifted(total, 0, length - at), _shifted(weight, 0, length - at))


def reflected(x: np.ndarray, window: int) -> np.ndarray:
    """(L, ...) with L < W -> (W, ...): goes on as what came before, turned about the last frame, with all its noise.

    The last frame held would show the general network a body that runs into a wall: on 12 frames of running its error
    rose from 3 to 43 pixels.
    """
    return np.pad(x, ((0, window - len(x)), *[(0, 0)] * (x.ndim - 1)), mode="reflect", reflect_type="odd")


def _shifted(sums: Array, first: int, last: int | None = None) -> Array:
    """The frames from `first` to `last`, 0 where there are none yet."""
    if sums is None:
        return None
    part = sums[first:last]
    if last is None or len(part) == last - first:
        return part
    longer = _zeros(sums, (last - first, *sums.shape[1:]))
    longer[: len(part)] = part
    return longer


def _added(sums: Array, values: Array) -> Array:
    """The sum of two that begin with the same frame, of any length."""
    if sums is None or values is None:
        return values
    if len(sums) > len(values):
        longer = _shifted(sums, 0, len(sums)) + 0
        longer[: len(values)] += values
        return longer
    values[: len(sums)] += sums
    return values


def overlap_sum(windows: Array, step: int) -> Array:
    """The sum of windows that start every `step` frames.

    One pass over memory: with the frame of a window as the first axis and zeros behind each row, the values that
    fall on the same frame lie a constant distance apart, and one sum over a strided view takes them all.

    Args:
        windows: (n, C, W); fastest where W is the axis of the largest stride.

    Returns:
        ((n - 1) x step + W, C).
    """
    n, channels, window = windows.shape
    cover = -(-window // step)  # windows that cover a frame; a frame is number i x step + b
    columns = n + cover - 1
    values = _zeros(windows, (cover * step, columns, channels), empty=True)
    values[:window, :n] = windows.transpose(2, 0, 1) if isinstance(windows, np.ndarray) else windows.permute(2, 0, 1)
    values[window:, :n] = 0
    values[:, n:] = 0
    row = columns * channels
    shape, strides = (cover, step, columns, channels), (step * row - channels, row, channels, 1)
    if isinstance(values, np.ndarray):
        skewed = as_strided(values, shape, [values.itemsize * stride for stride in strides])
    else:
        skewed = values.as_strided(shape, strides)
    return skewed.sum(0).swapaxes(0, 1).reshape(columns * step, channels)[: (n - 1) * step + window]


def _zeros(like: Array, shape: tuple[int, ...], empty: bool = False) -> Array:
    """A new array of the type and on the device of another; `empty`: whatever the memory holds."""
    if isinstance(like, np.ndarray):
        return (np.empty if empty else np.zeros)(shape, like.dtype)
    return (like.new_empty if empty else like.new_zeros)(shape)
