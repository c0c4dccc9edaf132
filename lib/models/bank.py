# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) SmoothNet contributors
"""What is fixed in the general smoother, for torch and numpy alike: the bank of smoothers, local fits, tapers.

general.py says what it is for, and where the smoothers come from.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from ..utils.errors import SmoothNetError

Array = Any  # numpy.ndarray or torch.Tensor

SLOPE = 0.1  # of every LeakyReLU
NOISE_FLOOR = 2e-4  # least noise in units of the body's size: 0.1 mm of a person
MEDIAN_OF_NORMAL = 0.6745 * 6**0.5  # median |second difference| of white noise of standard deviation 1
# A joint whose noise is beyond both of these counts less in means over the body, by the fourth power of how far: it was
# seen wrongly, and what is right of the others is not to be measured by it.
WILD_NOISE = 10.0  # times the geometric mean of the joints' noise
WILD_SHARE = 0.1  # of the body's size
# An axis whose noise is further below that of the loudest one, as a depth in metres beside pixels or one that is always
# 0, is raised to it for the network, at most so far that it reaches as far as the widest axis.
APART = 10.0
MOST_RAISED = 1e4
NEARLY_NONE = 1e-6  # of a mean: the least that a joint adds to a geometric mean
TINY = 1e-30  # keeps windows in which nothing moves away from 0 / 0
SCALARS = 5  # features of a channel beside the three series
USUAL_RATE = 30.0  # frames per second
RATES = (10.0, 240.0)  # what is beyond is taken for the next of these
RATE_FEATURES = 2  # see rate_features

# The bank: what is smoothed, and how. "trusted" is the window with untrusted frames replaced.
# ca and cv: order of the differences 3 and 2, with lambda; fit: local polynomial of that order, width in frames.
BANK: tuple[tuple[str, str, float], ...] = (
    ("window", "ca", 0.0),
    ("window", "ca", 3.0),
    ("trusted", "ca", 0.0),
    ("trusted", "ca", 0.1),
    ("trusted", "ca", 1.0),
    ("trusted", "ca", 10.0),
    ("trusted", "ca", 100.0),
    ("trusted", "ca", 1e3),
    ("trusted", "ca", 1e4),
    ("trusted", "ca", 1e6),
    ("trusted", "cv", 3.0),
    ("trusted", "cv", 30.0),
    ("trusted", "cv", 300.0),
    ("median", "ca", 1.0),
    ("median", "ca", 30.0),
    ("median", "ca", 1000.0),
)
FITS: tuple[tuple[int, float], ...] = (
    (1, 1.5),
    (2, 3.0),
    (2, 6.0),
)  # order, width
FILL = 1  # which of them replaces untrusted frames
RIDGE = 1e-3  # of the local fits, whose time is measured in widths
LARGEST_SIZE = 4096  # of a layer
LARGEST_WINDOW = 1024  # frames; the fixed matrices grow with its square
STRONGEST = 4.0  # strength
LEAD = 1e-7  # weight of the frames of a window that count where no other window covers them


def check_settings(
    window_size: int = 32,
    hidden_size: int = 128,
    res_hidden_size: int = 96,
    num_blocks: int = 3,
    knots: int = 16,
    taper: str = "hann",
    step: int = 8,
) -> dict[str, Any]:
    """The settings of a general smoother, checked; see GeneralSmoother.

    Raises:
        SmoothNetError: they fit no such network.
    """
    settings = dict(locals())
    for name, value in settings.items():
        least = 0 if name == "num_blocks" else 1
        if name != "taper" and (type(value) is not int or not least <= value <= LARGEST_SIZE):
            raise SmoothNetError(f"{name} must be a whole number from {least} to {LARGEST_SIZE}, not {value!r}")
    if not 8 <= window_size <= LARGEST_WINDOW:
        raise SmoothNetError(
            f"the general smoother needs windows of at least 8 frames and at most {LARGEST_WINDOW}, not {window_size}"
        )
    if not 2 <= knots <= window_size:
        raise SmoothNetError(f"knots must be between 2 and the window of {window_size} frames, not {knots}")
    if not 1 <= step <= window_size:
        raise SmoothNetError(f"step must be from 1 to the window of {window_size} frames, not {step}")
    window_taper(window_size, taper)
    return settings


def rate_features(fps: float | None) -> tuple[float, float]:
    """What the network is told of the frame rate: that it is known, and its log2, 0 at 30; else zeros."""
    if not fps:
        return 0.0, 0.0
    return 1.0, math.log2(min(max(fps, RATES[0]), RATES[1]) / USUAL_RATE)


def with_rate(state: Mapping[str, Any], nothing: Callable[[tuple[int, int]], Any]) -> Mapping[str, Any]:
    """Weights whose network was not told of frame rates yet take no notice of them.

    Args:
        nothing: shape -> zeros of the kind of the weights.
    """
    if "rate.weight" in state or "encoder.bias" not in state:
        return state
    return {**state, "rate.weight": nothing((*state["encoder.bias"].shape[:1], RATE_FEATURES))}


def general_settings(checkpoint: Mapping[str, Any]) -> dict[str, Any]:
    """The settings that a checkpoint's content names; taper and step also stood beside "model" once."""
    settings = {key: value for key, value in checkpoint["model"].items() if key != "name"}
    return settings | {key: checkpoint[key] for key in ("taper", "step") if key in checkpoint}


def smoother_matrix(window: int, differences: int, strength: float) -> np.ndarray:
    """(W, W) float64: y = S x minimises |x - y|^2 + strength |D y|^2, D the differences of that order."""
    D = np.diff(np.eye(window), n=differences, axis=0)
    return np.linalg.inv(np.eye(window) + strength * D.T @ D)


def window_overlap(checkpoint: Mapping[str, Any], window: int) -> tuple[np.ndarray | None, int]:
    """How windows of these weights are laid over a recording unless the user says otherwise.

    Args:
        checkpoint: its content; "model" may name a taper and a step. Published weights name none.

    Returns:
        (W,) weights of a window's frames, None where all count the same, and the frames between windows.

    Raises:
        SmoothNetError: an unknown taper, a step that is none.
    """
    settings = checkpoint.get("model")
    named = settings if isinstance(settings, Mapping) else {}
    taper, step = named.get("taper", "uniform"), named.get("step", 1)
    if type(step) is not int or not 1 <= step <= window:
        raise SmoothNetError(f"step must be from 1 to the window of {window} frames, not {step}")
    weights = window_taper(window, taper)
    return (None if taper == "uniform" else weights), step


def window_taper(window: int, kind: str) -> np.ndarray:
    """(W,) float64 positive weights of the frames of a window in the mean over windows, largest 1.

    kind: "uniform", "triangle", "hann" or "late-hann". The second and third fall to one step above 0 at the ends, so
        that every frame counts. The fourth rises later, and falls as Hann's: its first eighth counts only where there
        is no other window, which leaves a stream that much time to run the network.
    """
    place = np.arange(window) + 0.5
    hann = np.sin(np.pi * place / window) ** 2
    if kind == "uniform":
        return np.ones(window)
    if kind == "triangle":
        return 1 - np.abs(2 * place / window - 1)
    if kind == "hann":
        return hann
    if kind == "late-hann":
        lead, middle = window // 8, window / 2
        rising = np.sin(np.pi / 2 * (place - lead) / (middle - lead)) ** 2
        return np.where(place < lead, LEAD, np.where(place < middle, rising, hann))
    raise SmoothNetError(f"unknown taper {kind!r}; it is one of uniform, triangle, hann, late-hann")


def local_fit(x: Array, trust: Array, moments: Array, order: int) -> Array:
    """The value at every frame of a polynomial fitted to its surroundings, each frame weighted by its trust.

    Args:
        x, trust: (..., W).
        moments: (W, 5 W), see `constants`; time is measured from the frame, in widths of the neighbourhood.
        order: 1 or 2.

    Weighted least squares in its centred form: the normal equations of slope and curvature are a 2 x 2 system.
    """
    W = x.shape[-1]
    m = trust @ moments[:, : (2 * order + 1) * W]
    t = (trust * x) @ moments[:, : (order + 1) * W]
    of_trust, of_x = ([sums[..., i : i + W] for i in range(0, sums.shape[-1], W)] for sums in (m, t))
    return solve_fit(of_trust, of_x)


def solve_fit(m: Sequence[Array] | Array, t: Sequence[Array] | Array) -> Array:
    """The value at time 0 of the polynomial of order len(t) - 1, from the weighted sums of time^p and of x time^p."""
    share = 1 / m[0]
    m1, m2 = m[1] * share, m[2] * share
    t0 = t[0] * share
    a, p = m2 - m1 * m1 + RIDGE, t[1] * share - m1 * t0
    if len(t) == 2:
        return t0 - m1 * p / a
    b, c = m[3] * share - m1 * m2, m[4] * share - m2 * m2 + RIDGE
    q = t[2] * share - m2 * t0
    return t0 - (m1 * (p * c - q * b) + m2 * (q * a - p * b)) / (a * c - b * b)


def member_roughness(window: int) -> np.ndarray:
    """(members,): log of the share of white noise's second differences that each member lets through, at most 0."""
    D = np.diff(np.eye(window), n=2, axis=0)
    matrices = [_matrix(window, kind, amount) for _, kind, amount in BANK]
    trusted = np.ones((1, window))
    for order, width in FITS:
        matrices.append(local_fit(np.eye(window), trusted, _moments(window, width), order).T)
    return np.log([np.linalg.norm(D @ matrix) / np.linalg.norm(D) for matrix in matrices])


def _matrix(window: int, kind: str, amount: float) -> np.ndarray:
    return smoother_matrix(window, {"ca": 3, "cv": 2}[kind], amount)


def _moments(window: int, width: float) -> np.ndarray:
    """(W, 5 W): trust @ moments are the sums over frames of kernel x trust x time^p, p = 0..4, for each frame."""
    time = (np.arange(window)[:, None] - np.arange(window)) / width
    kernel = np.exp(-0.5 * time**2)
    return np.concatenate([kernel * time**power for power in range(5)], axis=1)


def constants(window: int, knots: int) -> dict[str, np.ndarray]:
    """What is fixed: smoothers (applied as x @ S, they are symmetric), kernels, interpolation."""
    stacked = {
        source: np.concatenate([_matrix(window, kind, amount) for name, kind, amount in BANK if name == source], axis=1)
        for source in ("window", "trusted", "median")
    }
    place = np.linspace(0, knots - 1, window)
    return {
        **{f"of_{source}": matrices for source, matrices in stacked.items()},
        "fit_moments": np.stack([_moments(window, width) for _, width in FITS]),
        "between_knots": np.maximum(0, 1 - np.abs(place - np.arange(knots)[:, None])),
        "high_pass": np.eye(window) - smoother_matrix(window, 3, 3.0),
        "lean": -member_roughness(window)[:, None],
    }
