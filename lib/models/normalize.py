# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) SmoothNet contributors
"""The normalisation around the network that frees it of unit and origin: smooth(a x + b) = a smooth(x) + b.

Everything it needs lies inside the window, so that a stream gives what a whole recording gives. Only
operations that numpy arrays and torch tensors share are used: exported models run without torch.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from ..utils.errors import SmoothNetError

Array = Any  # numpy.ndarray or torch.Tensor

# What a body measures (RMS distance of its joints from their centroid) after each kind of normalisation.
# body: what MODEL.NORMALIZE: body trains with.
# metres: for networks trained on metres without a normalisation, such as the published ones; a standing adult
# measures about half a metre.
BODY_SIZE = {"body": 1.0, "metres": 0.5}
NORMALIZATIONS = ("none", *BODY_SIZE)
ROUNDING = 1e-6  # a body smaller than a thousandth of its way is the rounding error of joints that all coincide


def normalize(windows: Array, dims: int, kind: str = "body", shown: Array | None = None) -> tuple[Array, Array, Array]:
    """Take every channel's mean and the size of the body out of each window.

    offset: mean of the channel over the window. scale: RMS distance of the K joints from their centroid, over
    the frames of the window; of a single joint (or joints that all coincide) from its mean position. Windows
    in which nothing moves nor has a size get scale 0, and denormalize gives them back as they were.

    Args:
        windows: (n, C, W) floats without NaN, C = K x dims, channels ordered joint by joint.
        dims: coordinates per joint.
        kind: "none" leaves the values alone, "body" makes the body's size 1, "metres" makes it half a metre.
        shown: (n, K) of 0 and 1, the joints that have values at all; others do not count towards the size.

    Returns:
        Normalised windows (n, C, W), offset (n, C, 1), scale (n, 1, 1); 0 and 1 for "none".

    Raises:
        SmoothNetError: an unknown kind.
    """
    if kind == "none":
        return windows, 0.0, 1.0
    if kind not in BODY_SIZE:
        raise SmoothNetError(f"unknown normalisation {kind!r}; it is one of {', '.join(NORMALIZATIONS)}")
    n, channels, frames = windows.shape
    joints = windows.reshape(n, channels // dims, dims, frames)
    weight = joints[:, :, :1, :1] * 0 + 1 if shown is None else shown.reshape(n, channels // dims, 1, 1)
    count = weight.sum(axis=1, keepdims=True)
    count = count + (count == 0)  # a window that shows nothing at all
    offset = windows.mean(axis=-1, keepdims=True)
    centred = windows - offset
    size = _mean_square(joints - (weight * joints).sum(axis=1, keepdims=True) / count, weight, count)
    motion = _mean_square(centred.reshape(n, channels // dims, dims, frames), weight, count)
    scale = (size + (size <= ROUNDING * motion) * motion) ** 0.5 / BODY_SIZE[kind]
    return centred / (scale + (scale == 0)), offset, scale


def denormalize(windows: Array, offset: Array, scale: Array) -> Array:
    """The way back: (n, C, W) windows in the units of the input."""
    return windows * scale + offset


def _mean_square(joints: Array, weight: Array, count: Array) -> Array:
    """(n, K, dims, W) -> (n, 1, 1): mean over the frames and the weighted joints of the squared length."""
    squares = (joints * joints).sum(axis=2, keepdims=True).mean(axis=-1, keepdims=True)
    return (weight * squares / count).sum(axis=1)


def with_normalization(
    network: Callable[[Array], Array], kind: str, dims: int, shown: Array | None = None
) -> Callable[[Array], Array]:
    """The network with the normalisation around it: (n, C, W) windows in any unit in, the same out."""
    if kind == "none":
        return network

    def smooth(windows: Array) -> Array:
        windows, offset, scale = normalize(windows, dims, kind, shown)
        return denormalize(network(windows), offset, scale)

    return smooth
