# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) SmoothNet contributors
"""The classical filters as the paper's tables have them (Zeng et al., ECCV 2022, section 5).

Every filter is a pure function of a float array `x` of shape (L, C), frames by channels, that returns a new
array of the same shape and dtype; each channel is filtered on its own. They compute in float64.

Settings count in frames, as the published ones do, which config.FILTER_SETTINGS has; lib.filters.table keeps their
durations at another frame rate. lib.filters.classical has the forms to smooth one's own poses with, whose settings are
in Hz.
"""

from __future__ import annotations

import numpy as np


def savgol(x: np.ndarray, window: int, order: int) -> np.ndarray:
    """Savitzky-Golay filter: the value at the middle of a polynomial fitted to `window` frames.

    The window is cut to the largest odd number that fits the sequence; where that is not larger than
    `order` the fit goes through every frame and the sequence comes back as it was.
    """
    from scipy.signal import savgol_filter

    window = min(window, len(x))
    window -= 1 - window % 2
    if window <= order:
        return x.copy()
    return savgol_filter(x.astype(np.float64), window, order, axis=0).astype(x.dtype)


def gaussian(x: np.ndarray, sigma: float) -> np.ndarray:
    """Gaussian filter over the whole sequence, `sigma` in frames; mirrored at the ends."""
    from scipy.ndimage import gaussian_filter1d

    return gaussian_filter1d(x.astype(np.float64), sigma, axis=0, mode="reflect").astype(x.dtype)


def gaus1d(x: np.ndarray, window: int, sigma: float) -> np.ndarray:
    """Gaussian filter as the paper's tables have it: chunks of `window` frames, each on its own.

    A sequence shorter than `window` is one chunk. The last L mod `window` frames of a longer one stay as they
    were, and there are jumps between the chunks. That handicaps the baseline; `gaussian` does not have these
    defects.
    """
    from scipy.ndimage import gaussian_filter1d

    window = max(1, min(window, len(x)))
    count = len(x) // window
    chunks = x[: count * window].reshape(count, window, *x.shape[1:]).astype(np.float64)
    y = x.copy()
    filtered = gaussian_filter1d(chunks, sigma, axis=1, mode="reflect")
    y[: count * window] = filtered.reshape(count * window, *x.shape[1:])
    return y


def oneeuro(
    x: np.ndarray,
    min_cutoff: float,
    beta: float,
    d_cutoff: float = 1.0,
    time_step: float = 1.0,
) -> np.ndarray:
    """One-euro filter (Casiez, Roussel and Vogel, CHI 2012): a causal low-pass that opens with the speed.

    Args:
        x: (L, C); the first frame comes back as it is.
        min_cutoff: cut-off frequency at rest, in cycles per unit of time.
        beta: growth of the cut-off with the speed of the channel (units of x per unit of time).
        d_cutoff: cut-off frequency of the speed's own low-pass.
        time_step: time between two frames; 1 makes the frame the unit of time.

    The speed is measured from the previous filtered value to the new frame, as in the published numbers.
    So it holds the filter's own lag, which a shorter `time_step` magnifies: at other frame rates the result
    is closer to that at 30 than without `time_step`, not equal to it.
    """

    def weight(cutoff):  # of the new value in an exponential low-pass
        r = 2 * np.pi * cutoff * time_step
        return r / (r + 1)

    y = x.astype(np.float64)
    speed = np.zeros(y.shape[1:])
    d_weight = weight(d_cutoff)
    for t in range(1, len(y)):
        step = y[t] - y[t - 1]
        speed += d_weight * (step / time_step - speed)
        y[t] = y[t - 1] + weight(min_cutoff + beta * np.abs(speed)) * step
    return y.astype(x.dtype)
