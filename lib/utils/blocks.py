# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) SmoothNet contributors
"""Long recordings a block of frames at a time, so that what is made of them on the way fits into little memory."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from itertools import islice
from typing import Any, Protocol, TypeVar

import numpy as np

BLOCK = 4096  # frames
_AHEAD = 2  # results a thread that wait for their turn

Item = TypeVar("Item")
Result = TypeVar("Result")


class Frames(Protocol):
    """What can give runs of frames: an array, or what makes or fetches them when they are asked for."""

    @property
    def shape(self) -> tuple[int, ...]: ...

    def __getitem__(self, frames: slice, /) -> np.ndarray: ...


def blocks(length: int, size: int = BLOCK) -> Iterator[slice]:
    """The runs of at most `size` frames, one after the other."""
    for first in range(0, length, size):
        yield slice(first, min(first + size, length))


def by_frames(points: Frames, what: Callable[[np.ndarray], np.ndarray], dtype: Any = bool) -> np.ndarray:
    """`what(points)`, where that is a number or row for each frame that the others have no part in.

    Args:
        dtype: of the result.
    """
    length = points.shape[0]
    if length <= BLOCK:
        return np.asarray(what(points[0:length]), dtype)
    result: np.ndarray | None = None
    for frames in blocks(length):
        part = what(points[frames])
        if result is None:
            result = np.empty((length, *part.shape[1:]), dtype)
        result[frames] = part
    assert result is not None
    return result


def in_order(function: Callable[[Item], Result], items: Iterable[Item], threads: int = 1) -> Iterator[Result]:
    """map() on several threads: the results come in the order of the items, only a few of them ahead of their turn."""
    if threads <= 1:
        yield from map(function, items)
        return
    rest = iter(items)
    with ThreadPoolExecutor(threads) as pool:
        waiting: deque[Future[Result]] = deque(pool.submit(function, item) for item in islice(rest, _AHEAD * threads))
        try:
            while waiting:
                result = waiting.popleft().result()
                waiting.extend(pool.submit(function, item) for item in islice(rest, 1))
                yield result
        finally:
            for future in waiting:
                future.cancel()
