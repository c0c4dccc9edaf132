# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) SmoothNet contributors
"""A trial of weights before they are used: what no smoother would answer is refused at the door."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from ..utils.errors import SmoothNetError

PROBE_DIMS = 3  # coordinates per joint of the windows that a network is tried on
LARGEST_ANSWER = 1e4  # to windows whose values are about 1


def check_known(normalize: object, size: int, window: int | None) -> None:
    """Refuse an unknown normalisation, and another window than the one that was asked for (None: any)."""
    if window not in (None, size):
        raise SmoothNetError(
            f"has a window of {size} frames, but {window} was asked for; "
            "leave the window out or name the other checkpoint"
        )
    if normalize not in ("none", "body"):
        raise SmoothNetError(f"it names an unknown normalisation {normalize!r}")


def check_answer(run: Callable[[np.ndarray], np.ndarray], window: int) -> None:
    """Smooth two windows of size 1, one of noise and one that rests, and look at the result.

    Raises:
        SmoothNetError: its shape is another, it is not finite, or so large that no smoother's weights gave it.
    """
    windows = np.ones((2, 4 * PROBE_DIMS, window), np.float32)
    windows[0] = np.random.default_rng(0).standard_normal(windows.shape[1:])
    with np.errstate(all="ignore"):  # what damaged weights do is said below
        answer = np.asarray(run(windows))
    if answer.shape != windows.shape or answer.dtype != np.float32:
        raise SmoothNetError(
            f"it returns {answer.dtype} of shape {answer.shape} for windows of float32 of shape {windows.shape}"
        )
    if not np.abs(answer).max() <= LARGEST_ANSWER:
        raise SmoothNetError(
            f"it returns values up to {np.abs(answer).max():.3g} for windows whose values are about 1: "
            "its weights are damaged"
        )
