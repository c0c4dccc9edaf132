# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) SmoothNet contributors
"""How sure a smoothed point is: a standard deviation from how much the windows that cover it disagree.

Windows that see different pasts and futures of a frame give it different places. That spread, over a short while,
grows with the errors of an estimator that change from frame to frame. Errors that stay (an estimator that is off for a
second, a limb taken for another) spread nothing: no smoother sees them, and of them this says too little.
"""

from __future__ import annotations

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view

FACTOR = 8.5  # of the general network: benchmarks/uncertainty.py, 68.3 % of the coordinates within one deviation
REACH = 8  # frames on either side over which the spread is taken together


def deviations(spread: np.ndarray) -> np.ndarray:
    """(T, K) spread of the windows, NaN where missing -> (T, K) standard deviation of each coordinate.

    FACTOR times the root mean square of the spread over the frames around that are there.
    """
    there = np.isfinite(spread)
    squares = _around(np.where(there, spread, 0.0) ** 2)
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.where(there, FACTOR * np.sqrt(squares / _around(there.astype(np.float64))), np.nan)


def _around(values: np.ndarray) -> np.ndarray:
    """(T, K) -> sums over REACH frames on either side and the frame itself."""
    padded = np.pad(values, ((REACH, REACH), (0, 0)))
    return sliding_window_view(padded, 2 * REACH + 1, axis=0).sum(axis=-1)  # no running sum: what was large stays in it
