# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) SmoothNet contributors
"""Classical smoothers for one's own poses, in Hz and seconds rather than frames.

Every smoother is a pure function of `x`, (L, C) float64, frames by channels, without NaN, for any L from 1 on; it
returns a new (L, C) float64 array and filters each channel on its own. All leave constant and uniformly moving
points as they are (but for the one-euro filter, which lags), also at the ends and in short sequences.

The cut-off frequency of a linear smoother is where it passes 1/sqrt(2) of a sinusoid's amplitude (-3 dB) in the
middle of a long sequence, forwards and backwards passes taken together. The functions <smoother>_<setting> turn it
into the smoother's own setting.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import lru_cache
from math import ceil, log, pi, sin, sqrt, tan
from typing import Any

import numpy as np

from . import published

HALF_POWER = sqrt(2) - 1  # 1 / (1 + this) = 1 / sqrt(2)
SMALLEST_LAMBDA = 1e-18  # what is below moves nothing by as much as float64 can tell, and 1 / lam must be a number
LARGEST_LAMBDA = 1e13  # cut-off a thousandth of the frame rate; with more, the equations are singular in float64
WELL_CONDITIONED = 1e7  # up to this lam the equations, whose condition is 64 lam, need no refinement
NEGLIGIBLE = 1e-3  # the share of a smoother's weights that lies farther away than its reach


# ---------------------------------------------------------------- Rauch-Tung-Striebel, constant acceleration
def rts(x: np.ndarray, lam: float) -> np.ndarray:
    """Rauch-Tung-Striebel smoother of constant acceleration: minimises |y - x|^2 + lam |third differences of y|^2.

    That is the mean of an integrated random walk of third order behind white noise, given all frames (a Kalman filter
    forwards and the RTS pass backwards, with a diffuse start), lam being the variance of the noise over that of the
    walk's steps: (I + lam D'D) y = x with D the (L - 3, L) matrix of third differences. It is solved for all channels
    at once as y = x - D'z, (I / lam + D D') z = D x, whose seven diagonals are constant. Values of lam above
    LARGEST_LAMBDA are taken as that.

    Far from the ends it passes 1 / (1 + lam (2 sin(pi f / fps))^6) of a sinusoid of f Hz. A parabola comes back as it
    was, and so does a sequence of up to 3 frames.
    """
    from scipy.linalg import cho_solve_banded, cholesky_banded

    if len(x) < 4 or lam < SMALLEST_LAMBDA:
        return x.copy()
    count = len(x) - 3
    inverse = 1 / min(lam, LARGEST_LAMBDA)
    diagonals = np.repeat([[-1.0], [6.0], [-15.0], [20.0]], count, axis=1)  # of D D', the main one last
    diagonals[3] += inverse
    factor = cholesky_banded(diagonals[max(0, 4 - count) :], overwrite_ab=True, check_finite=False)
    y, z = x.copy(), np.zeros((count, x.shape[1]))
    for _ in range(1 if lam < WELL_CONDITIONED else 3):  # then refine: what the equations leave over, once more
        more = cho_solve_banded((factor, False), np.diff(y, 3, axis=0) - inverse * z, check_finite=False)
        z += more
        for k, weight in enumerate((-1.0, 3.0, -3.0, 1.0)):  # a row of D
            y[k : k + count] -= weight * more
    return y


def rts_lambda(cutoff: float, fps: float) -> float:
    """lam = (sqrt(2) - 1) / (2 sin(pi cutoff / fps))^6, of which rts passes 1/sqrt(2) at `cutoff` Hz."""
    return HALF_POWER / (2 * sin(pi * cutoff / fps)) ** 6


def rts_default_lambda(strength: float, fps: float) -> float:
    """lam = 3 strength^6 (fps / 30)^5.

    Twice the strength halves the cut-off. At 30 fps and strength 1 the cut-off is 3.5 Hz. The fifth power of the frame
    rate keeps the two variances of the model: the noise's a frame and the walk's a second.
    """
    return 3.0 * strength**6 * (fps / 30.0) ** 5


def rts_reach(lam: float) -> int:
    """Frames beyond which others hardly matter: the slowest pole decays like exp(-n lam^(-1/6) / 2)."""
    return ceil(-log(NEGLIGIBLE) * 2 * max(lam, 1e-6) ** (1 / 6))


# ---------------------------------------------------------------- low-passes on an extended sequence
def _fitted_ends(x: np.ndarray, count: int) -> tuple[np.ndarray, np.ndarray]:
    """Where the first and the last frame lie on straight lines fitted to the `count` frames there, two (C,)."""
    count = max(1, min(count, len(x)))
    if count < 3:
        return x[0], x[-1]
    # Weights of the least-squares line's value at the first of `count` frames.
    weights = (4 * count - 2 - 6 * np.arange(count)) / (count * (count + 1))
    return weights @ x[:count], weights @ x[: -count - 1 : -1]


def _extend(x: np.ndarray, pad: int, fit: int) -> np.ndarray:
    """(L, C) -> (pad + L + pad, C), the sequence turned by half a turn about its fitted ends, again and again.

    Motion goes on with the speed it has at the end. The ends are lines fitted to `fit` frames: turned about the very
    last frame itself, that frame would keep its noise.
    """
    length = len(x)
    if length == 1:
        return np.repeat(x, 2 * pad + 1, axis=0)
    first, last = _fitted_ends(x, fit)
    index = np.arange(-pad, length + pad)
    slope = (last - first) / (length - 1)
    rest = x - (first + np.arange(length)[:, None] * slope)
    period = 2 * (length - 1)
    place = index % period
    mirrored = place >= length
    place = np.where(mirrored, period - place, place)
    sign = np.where(mirrored, -1.0, 1.0)[:, None]
    return first + index[:, None] * slope + sign * rest[place]


def _frames(seconds: float, fps: float) -> int:
    return max(1, round(seconds * fps))


def butterworth(x: np.ndarray, cutoff: float, fps: float) -> np.ndarray:
    """Zero-lag Butterworth: a second-order low-pass forwards and backwards, so fourth order with no delay.

    The passes' own cut-off is set higher such that both together pass 1/sqrt(2) at `cutoff` Hz (Winter, Biomechanics
    and Motor Control of Human Movement, section 2.2.4.4, here exact, in the bilinear transform's warped frequency).
    A cut-off from half the frame rate on leaves everything as it is.
    """
    from scipy.signal import sosfilt

    if cutoff >= fps / 2:
        return x.copy()
    sections, pad = _butterworth_sections(cutoff, fps), butterworth_reach(cutoff, fps)
    extended = _extend(x, pad, _frames(0.5 / cutoff, fps))
    # A low-pass in both directions keeps straight lines, so one may be taken out: what is left begins and ends at 0.
    line = np.linspace(extended[0], extended[-1], len(extended))
    y = extended - line
    for _ in range(2):
        y = sosfilt(sections, y, axis=0, zi=_at_rest(sections, y[0]))[0][::-1]
    return (y + line)[pad : pad + len(x)]


@lru_cache(maxsize=256)
def _butterworth_sections(cutoff: float, fps: float) -> np.ndarray:
    """(1, 6), the second-order low-pass of one direction."""
    from scipy.signal import butter

    return butter(2, _butterworth_single(cutoff, fps), fs=fps, output="sos")


def _butterworth_single(cutoff: float, fps: float) -> float:
    """Hz: |H|^2 = 1 / (1 + (tan(pi f / fps) / tan(pi single / fps))^4) is 1/sqrt(2) at `cutoff`."""
    return fps / pi * np.arctan(tan(pi * cutoff / fps) / HALF_POWER**0.25)


def _at_rest(sections: np.ndarray, value: np.ndarray) -> np.ndarray:
    """The state, (1, 2, C), of a low-pass of one section that has seen `value` (C,) for ever."""
    b, a = sections[0, :3], sections[0, 3:]
    return (np.array([1 - b[0], b[2] - a[2]])[:, None] * value)[None]


def butterworth_reach(cutoff: float, fps: float) -> int:
    """Frames beyond which others hardly matter, from how the poles decay; both passes share the task."""
    if cutoff >= fps / 2:
        return 0
    radius = sqrt(_butterworth_sections(cutoff, fps)[0, 5])  # the two poles are conjugates
    return ceil(1.3 * log(NEGLIGIBLE) / log(radius)) + 2


def gaussian(x: np.ndarray, sigma: float) -> np.ndarray:
    """Mean weighted by a Gaussian of the distance in time; `sigma` in frames, 0 leaves everything as it is."""
    from scipy.ndimage import correlate1d

    if sigma == 0:
        return x.copy()
    half = _gaussian_half(sigma)
    pad = len(half) - 1
    weights = np.concatenate([half[:0:-1], half])
    y = correlate1d(_extend(x, pad, max(3, round(4 * sigma))), weights, axis=0, mode="nearest")
    return y[pad : pad + len(x)].copy()


def _gaussian_half(sigma: float) -> np.ndarray:
    """The weights from the middle on; all of them sum to 1."""
    weights = np.exp(-0.5 * (np.arange(ceil(4 * sigma) + 1) / max(sigma, 1e-6)) ** 2)
    return weights / (2 * weights.sum() - weights[0])


@lru_cache(maxsize=256)
def gaussian_sigma(cutoff: float, fps: float) -> float:
    """Frames, of which the response is 1/sqrt(2) at `cutoff` Hz.

    exp(-(2 pi cutoff / fps)^2 sigma^2 / 2) says sigma = 0.1325 fps / cutoff; where that is below 0.7 frames, the sum
    over the few weights says more.
    """
    low, high = 0.0, 0.2 * fps / cutoff + 1
    for _ in range(50):
        middle = (low + high) / 2
        low, high = (middle, high) if _response(_gaussian_half(middle), cutoff / fps) > sqrt(0.5) else (low, middle)
    return (low + high) / 2


def gaussian_reach(sigma: float) -> int:
    """Frames beyond which others hardly matter."""
    return ceil(3.5 * sigma) + 1


def savgol(x: np.ndarray, window: int, order: int = 2) -> np.ndarray:
    """Savitzky-Golay: the middle of a polynomial fitted to `window` frames; at the ends, the end of one."""
    return published.savgol(x, window, order)


@lru_cache(maxsize=256)
def savgol_window(cutoff: float, fps: float, order: int = 2) -> int:
    """Frames: the odd window whose cut-off is the nearest to `cutoff` Hz, in octaves. 1 leaves everything as it is."""
    low, high = 0, 1  # windows of 2 low + 1 and 2 high + 1 frames: longer ones have lower cut-offs
    while savgol_cutoff(2 * high + 1, fps, order) > cutoff:
        low, high = high, 2 * high
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (middle, high) if savgol_cutoff(2 * middle + 1, fps, order) > cutoff else (low, middle)
    miss = [abs(log(savgol_cutoff(2 * half + 1, fps, order) / cutoff)) for half in (low, high)]
    half = high if miss[1] < miss[0] else low
    return 2 * half + 1 if 2 * half + 1 > order + 1 else 1


def savgol_cutoff(window: int, fps: float, order: int = 2) -> float:
    """Hz: the lowest frequency of which the filter passes 1/sqrt(2); half the frame rate where it passes everything."""
    from scipy.signal import savgol_coeffs

    if window <= order + 1:
        return fps / 2
    half = window // 2
    weights = savgol_coeffs(window, order)[half:]
    low, high = 0.0, fps / 2
    for f in np.linspace(0, fps / 2, 16 * window)[1:]:  # the first step over 1/sqrt(2), then halved
        if _response(weights, f / fps) < sqrt(0.5):
            low, high = f - fps / 32 / window, f
            break
    for _ in range(40):
        middle = (low + high) / 2
        low, high = (middle, high) if _response(weights, middle / fps) > sqrt(0.5) else (low, middle)
    return (low + high) / 2


def _response(weights: np.ndarray, cycles: float) -> float:
    """Of a symmetric filter, `weights` from its middle on, at so many cycles a frame."""
    return float(weights[0] + 2 * weights[1:] @ np.cos(2 * pi * cycles * np.arange(1, len(weights))))


# ---------------------------------------------------------------- medians
def median(x: np.ndarray, window: int) -> np.ndarray:
    """Running median of `window` (odd) frames: removes what lasts for less than half of it, keeps steps."""
    half = window // 2
    extended = _extend(x, half, window)
    y = np.empty_like(x)
    for first, count in _blocks(x, window):
        y[first : first + count] = _median([extended[first + k : first + k + count] for k in range(2 * half + 1)])
    return y


def _blocks(x: np.ndarray, window: int) -> Iterator[tuple[int, int]]:
    """(first frame, frames) of the parts of (L, C) that are done at once, so that they stay in the cache."""
    size = max(1, BLOCK_VALUES // max(1, x.shape[1] * window))
    for first in range(0, len(x), size):
        yield first, min(size, len(x) - first)


def median_window(strength: float, fps: float, seconds: float = 5 / 30) -> int:
    """The odd number of frames nearest to `strength` times `seconds`; 1 leaves everything as it is."""
    return 2 * max(0, round((strength * seconds * fps - 1) / 2)) + 1


def _median(values: list[np.ndarray]) -> np.ndarray:
    """Elementwise median of an odd number of arrays of equal shape.

    A bubble sort of whole arrays that stops at the middle: for short windows several times as fast as
    numpy.median along an axis.
    """
    if len(values) > LONG_WINDOW:
        return np.median(values, axis=0)
    values = list(values)
    middle = len(values) // 2
    for last in range(len(values) - 1, middle - 1, -1):  # each pass brings the largest of the rest to place `last`
        for i in range(last):
            low, high = values[i], values[i + 1]
            values[i], values[i + 1] = np.minimum(low, high), np.maximum(low, high)
    return values[middle].copy()


def hampel(points: np.ndarray, window: int, threshold: float = 3.5) -> tuple[np.ndarray, np.ndarray]:
    """Reject outliers: points too far from the course of their neighbours in time (after Hampel 1974).

    The course is a straight line through the `window` frames around each one, by medians: the median of the steps
    over two frames and the median of what that line leaves over. A point is rejected if its distance from the
    course is over `threshold` times the scale of such distances in the window (their median, as that of a normal
    distribution). All coordinates of a point are rejected together. What lasts for over half a window is motion. In the
    first and the last frames there is little to tell an outlier from motion by: they are rarely rejected.

    Args:
        points: (L, K, D) float64 without NaN, D from 1 to 3.
        window: odd number of frames.
        threshold: in standard deviations.

    Returns:
        (L, K, D), rejected points replaced by a straight line between the neighbours that were not (held at the
        ends), and (L, K) bool, the rejected ones.
    """
    length, joints, dims = points.shape
    half = window // 2
    if half < 1 or length < 3:
        return points.copy(), np.zeros((length, joints), bool)
    x = points.reshape(length, joints * dims)
    extended = _extend(x, half, window)
    tiny = TINY * np.abs(points).max()
    far = np.zeros((length, joints), bool)
    for first, count in _blocks(x, window):
        near = [extended[first + k : first + k + count] for k in range(2 * half + 1)]
        slope = _median([(after - before) / 2 for before, after in zip(near, near[2:], strict=False)])
        level = _median([values - (k - half) * slope for k, values in enumerate(near)])
        away = [_lengths((v - level - (k - half) * slope).reshape(count, joints, dims)) for k, v in enumerate(near)]
        far[first : first + count] = away[half] > threshold * np.maximum(_median(away) / CHI_MEDIAN[dims], tiny)
    rejected = far & ~_long_runs(far, half)
    return _bridge_rejected(points, rejected), rejected


def _lengths(vectors: np.ndarray) -> np.ndarray:
    """(..., D) -> (...)"""
    return np.sqrt(np.einsum("...d,...d->...", vectors, vectors))


def _long_runs(flags: np.ndarray, longest: int) -> np.ndarray:
    """(L, K) bool: those of `flags` that belong to a run of more than `longest` frames."""
    long = np.zeros(flags.shape, bool)
    count = longest + 1
    if flags.shape[0] < count:
        return long
    full = np.lib.stride_tricks.sliding_window_view(flags, count, axis=0).all(axis=-1)
    for k in range(count):
        long[k : k + full.shape[0]] |= full
    return long


def _bridge_rejected(points: np.ndarray, rejected: np.ndarray) -> np.ndarray:
    """A copy with straight lines, between the neighbours that were kept, in place of the rejected points."""
    cleaned = points.copy()
    frames = np.arange(len(points))
    for joint in np.flatnonzero(rejected.any(axis=0)):
        out = rejected[:, joint]
        for c in range(points.shape[2]):
            cleaned[out, joint, c] = np.interp(frames[out], frames[~out], points[~out, joint, c])
    return cleaned


def hampel_window(fps: float, seconds: float = 11 / 30) -> int:
    """The odd number of frames nearest to `seconds`, at least 5: with fewer, two bad frames are a majority."""
    return max(5, median_window(1.0, fps, seconds))


# ---------------------------------------------------------------- one euro
class OneEuro:
    """One-euro filter (Casiez, Roussel and Vogel, CHI 2012), frame by frame: a causal low-pass that opens with speed.

    The speed is that of the unfiltered points, low-passed at `d_cutoff`, so that it does not depend on the filter's
    own lag nor on the frame rate.

    Args:
        fps: frames per second.
        min_cutoff: Hz, cut-off at rest.
        beta: Hz more for each body's size a second of the channel's speed.
        d_cutoff: Hz, cut-off of the speed's own low-pass.
    """

    def __init__(self, fps: float, min_cutoff: float, beta: float, d_cutoff: float = 1.0):
        self.fps, self.min_cutoff, self.beta = fps, min_cutoff, beta
        self._speed_weight = self._weight(d_cutoff)
        self._before: np.ndarray | None = None  # (C,), the last frame as it came in
        self._speed: np.ndarray | float = 0.0
        self._y: np.ndarray | None = None

    def _weight(self, cutoff: Any) -> Any:  # of the new value in an exponential low-pass
        r = 2 * pi * cutoff / self.fps
        return r / (r + 1)

    def step(self, x: np.ndarray, size: float = 1.0) -> np.ndarray:
        """Take the next frame (C,) and give it filtered.

        Channels may be NaN until they show something, not again afterwards; `size` of the body in the units of x,
        0 while unknown.
        """
        if self._y is None or self._before is None:
            self._y, self._before = x, x
        fresh = np.isnan(self._before)  # channels that show something for the first time start there
        before, y = np.where(fresh, x, self._before), np.where(fresh, x, self._y)
        step = np.where(np.isnan(x), 0.0, x - before)
        self._speed = self._speed + self._speed_weight * (step * self.fps - self._speed)
        weight = self._weight(self.min_cutoff + self.beta * np.abs(self._speed) / size) if size > 0 else 1.0
        self._before, self._y = x.copy(), y + weight * (x - y)
        return self._y.copy()


def oneeuro(
    x: np.ndarray, fps: float, min_cutoff: float, beta: float, d_cutoff: float = 1.0, size: np.ndarray | float = 1.0
) -> np.ndarray:
    """OneEuro over a sequence; `size`: of the body, one number or one a frame (L,), in the units of x."""
    one = OneEuro(fps, min_cutoff, beta, d_cutoff)
    sizes: np.ndarray = np.broadcast_to(np.asarray(size), (len(x),))
    return np.array([one.step(frame, s) for frame, s in zip(x, sizes, strict=True)]).reshape(x.shape)


# Median length of a D-dimensional standard normal vector: a robust scale in units of a standard deviation.
CHI_MEDIAN = {1: 0.6745, 2: 1.1774, 3: 1.5382}
BLOCK_VALUES = 2**17  # numbers that a running median handles at once
LONG_WINDOW = 31  # frames from which numpy.median is the faster one
TINY = 1e-9  # of the largest coordinate: distances below are rounding
