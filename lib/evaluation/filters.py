"""Classical low-pass filters: the baselines the paper compares with (Zeng et al., ECCV 2022, section 5).

Every filter is a pure function of a float array `x` of shape (L, C), frames by channels, that returns a new
array of the same shape and dtype; each channel is filtered on its own. They compute in float64.

Settings count in frames, as the published ones do: at 60 frames/s a window of 31 frames lasts half as long
as at 30. Given the frame rate of the sequence, `filter_options` takes the settings to be meant for
`REFERENCE_FPS` and keeps their durations in seconds: windows and sigma grow with the frame rate, and the
one-euro filter measures time in units of 1 / REFERENCE_FPS s (cut-off in Hz = MIN_CUTOFF x REFERENCE_FPS).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from math import isfinite
from typing import Any

import numpy as np
from scipy.ndimage import gaussian_filter1d
from scipy.signal import savgol_filter

from ..utils.errors import SmoothNetError
from ..utils.gaps import bridge

REFERENCE_FPS = 30.0

# The published settings, under the names they have in the EVALUATE node of a configuration file.
PUBLISHED_SETTINGS: Mapping[str, Mapping[str, float]] = {
    "TRADITION_SAVGOL": {"WINDOW_SIZE": 31, "POLYORDER": 2},
    "TRADITION_GAUS1D": {"WINDOW_SIZE": 31, "SIGMA": 3},
    "TRADITION_ONEEURO": {"MIN_CUTOFF": 0.04, "BETA": 0.7},
}


def savgol(x: np.ndarray, window: int = 31, order: int = 2) -> np.ndarray:
    """Savitzky-Golay filter: the value at the middle of a polynomial fitted to `window` frames.

    The window is cut to the largest odd number that fits the sequence; where that is not larger than
    `order` the fit goes through every frame and the sequence comes back as it was.
    """
    window = min(window, len(x))
    window -= 1 - window % 2
    if window <= order:
        return x.copy()
    return savgol_filter(x.astype(np.float64), window, order, axis=0).astype(x.dtype)


def gaussian(x: np.ndarray, sigma: float = 3.0) -> np.ndarray:
    """Gaussian filter over the whole sequence, `sigma` in frames; mirrored at the ends."""
    return gaussian_filter1d(x.astype(np.float64), sigma, axis=0, mode="reflect").astype(x.dtype)


def gaus1d(x: np.ndarray, window: int = 31, sigma: float = 3.0) -> np.ndarray:
    """Gaussian filter as the paper's tables have it: chunks of `window` frames, each on its own.

    The last L mod `window` frames stay as they were, so a sequence shorter than `window` is not filtered at
    all, and there are jumps between the chunks. That handicaps the baseline; `gaussian` does not have these
    defects.
    """
    count = len(x) // window
    chunks = x[: count * window].reshape(count, window, *x.shape[1:]).astype(np.float64)
    y = x.copy()
    filtered = gaussian_filter1d(chunks, sigma, axis=1, mode="reflect")
    y[: count * window] = filtered.reshape(count * window, *x.shape[1:])
    return y


def oneeuro(
    x: np.ndarray,
    min_cutoff: float = 0.04,
    beta: float = 0.7,
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


FILTERS: Mapping[str, Callable[..., np.ndarray]] = {
    "savgol": savgol,
    "oneeuro": oneeuro,
    "gaus1d": gaus1d,
    "gaussian": gaussian,
}


def filter_names(text: str) -> list[str]:
    """`"savgol,oneeuro"` -> ["savgol", "oneeuro"]; "all" -> every filter; "" -> []. Repetitions are
    dropped.

    Raises:
        SmoothNetError: there is no such filter.
    """
    names = [name for name in (part.strip().lower() for part in text.split(",")) if name]
    if names == ["all"]:
        return list(FILTERS)
    for name in names:
        if name not in FILTERS:
            raise SmoothNetError(f"there is no filter {name!r}: choose from {', '.join(FILTERS)}, or all")
    return list(dict.fromkeys(names))


def filter_options(name: str, settings: Mapping[str, Any] | None = None, fps: float | None = None) -> dict[str, float]:
    """The keyword arguments of the filter `name` under these settings at this frame rate.

    Args:
        settings: the EVALUATE node of the configuration, of which TRADITION_SAVGOL, TRADITION_GAUS1D (for
            gaus1d and gaussian) and TRADITION_ONEEURO are read; what is missing takes the published value.
        fps: frames per second of the sequence. None counts in frames whatever the rate, as published.

    Raises:
        SmoothNetError: a setting or the frame rate is out of range.
    """
    if name not in FILTERS:
        filter_names(name)
    if fps is not None and not (isfinite(fps) and fps > 0):
        raise SmoothNetError(f"a frame rate must be a positive number of frames per second, not {fps}")
    rate = 1.0 if fps is None else fps / REFERENCE_FPS
    node = {"savgol": "TRADITION_SAVGOL", "oneeuro": "TRADITION_ONEEURO"}.get(name, "TRADITION_GAUS1D")
    values = {**PUBLISHED_SETTINGS[node], **((settings or {}).get(node) or {})}
    for key in PUBLISHED_SETTINGS[node]:
        zero_allowed = key in ("POLYORDER", "BETA")
        value = values[key]
        if not isfinite(value) or value < 0 or (value == 0 and not zero_allowed):
            raise SmoothNetError(f"EVALUATE.{node}.{key} must be a positive number, not {value}")
        if key in ("WINDOW_SIZE", "POLYORDER") and value != int(value):
            raise SmoothNetError(f"EVALUATE.{node}.{key} must be a whole number, not {value}")
    if name == "savgol":
        window, order = int(values["WINDOW_SIZE"]), int(values["POLYORDER"])
        if order >= window:
            raise SmoothNetError(f"EVALUATE.{node}.POLYORDER ({order}) must be smaller than WINDOW_SIZE ({window})")
        if fps is not None:  # the nearest odd number of frames
            window = 2 * round((window * rate - 1) / 2) + 1
        return {"window": window, "order": order}
    if name == "oneeuro":
        return {"min_cutoff": values["MIN_CUTOFF"], "beta": values["BETA"], "time_step": 1 / rate}
    sigma = values["SIGMA"] * rate
    if name == "gaussian":
        return {"sigma": sigma}
    return {"window": max(1, round(values["WINDOW_SIZE"] * rate)), "sigma": sigma}


def apply_filter(
    name: str, x: np.ndarray, settings: Mapping[str, Any] | None = None, fps: float | None = None
) -> np.ndarray:
    """Filter one sequence `x` (L, C) with the filter `name`; see `filter_options` for `settings` and `fps`.

    Frames of a channel that are not finite are bridged by a straight line for the filter, so that they do
    not spread, and are NaN in the result. Which array goes in decides the published numbers: root-relative
    joints in 3D, normalised coordinates in 2D, 6D rotations for SMPL.

    Raises:
        SmoothNetError: no such filter, or a setting is out of range.
    """
    options = filter_options(name, settings, fps)
    missing = ~np.isfinite(x)
    if not missing.any():
        return FILTERS[name](x, **options)
    bridged = bridge(x)
    y = FILTERS[name](bridged, **options)
    y[missing] = np.nan
    return y
