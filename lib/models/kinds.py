# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) SmoothNet contributors
"""The kinds of networks: how one is built, what a checkpoint says of it, and how it is run. A new kind is a row here.

What trains it is a row in lib/training/recipes.py.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import nn

from ..utils.errors import SmoothNetError
from . import bank, general, smoothnet
from .fused import inference
from .normalize import with_normalization
from .smoothnet import SmoothNet

Channels = Callable[[torch.Tensor], torch.Tensor]  # (n, C, W) windows -> the same, smoothed


@dataclass(frozen=True)
class Kind:
    """One kind of network. Every network has a `window_size`, frames.

    Attributes:
        module: its class.
        build: MODEL settings -> a fresh network, its weights drawn from torch's generator.
        load: content of a checkpoint -> the network with its weights; a SmoothNetError where they are none of its kind.
        channels: (network, normalisation, coordinates per joint, (n, K) joints shown or None, strength, frames per
            second or 0) -> how it smooths.
        settings: what of a network does not follow from its weights; in the checkpoint under "model".
        multiply_adds: network -> those of one channel of one window.
        by_joint: the network itself takes (N, K, D, W) windows, not (N, C, W), and frees itself of unit and origin.
        activations: (network, channels) -> floats that one window keeps for the backward pass; None: unknown.
        strongest: the largest strength it has; up to 1 is interpolated outside.
        taper: network -> (W,) weights of a window's frames in the mean over windows; None: all the same.
        step: network -> frames between windows, unless the user says otherwise.
    """

    module: type[nn.Module]
    build: Callable[[Any], nn.Module]
    load: Callable[[Mapping[str, Any]], nn.Module]
    channels: Callable[[Any, str, int, Any, float, float], Channels]
    multiply_adds: Callable[[Any], int]
    settings: Callable[[Any], dict[str, Any]] = lambda model: {}
    by_joint: bool = False
    activations: Callable[[Any, int], int] | None = None
    strongest: float = 1.0
    taper: Callable[[Any], np.ndarray | None] = lambda model: None
    step: Callable[[Any], int] = lambda model: 1


KINDS = {
    "smoothnet": Kind(
        SmoothNet,
        build=smoothnet.build,
        load=smoothnet.load,
        channels=lambda model, normalize, dims, shown, *_: with_normalization(inference(model), normalize, dims, shown),
        multiply_adds=smoothnet.multiply_adds,
        activations=smoothnet.activations,
    ),
    "general": Kind(
        general.GeneralSmoother,
        build=general.build,
        load=general.load_general,
        channels=general.on_channels,
        multiply_adds=general.multiply_adds,
        settings=lambda model: model.settings,
        by_joint=True,
        strongest=bank.STRONGEST,
        taper=lambda model: model.taper,
        step=lambda model: model.step,
    ),
}


def find_kind(name: object) -> Kind:
    """The row of a name.

    Raises:
        SmoothNetError: there is none.
    """
    if not isinstance(name, str) or name not in KINDS:
        raise SmoothNetError(f"there is no network of the kind {name!r}; there are {', '.join(KINDS)}")
    return KINDS[name]


def kind_of(model: nn.Module) -> tuple[str, Kind]:
    """Name and row of a network."""
    return next((name, kind) for name, kind in KINDS.items() if isinstance(model, kind.module))


def description(model: nn.Module) -> dict[str, Any]:
    """What a checkpoint says of its network under "model"."""
    name, kind = kind_of(model)
    return {"name": name, **kind.settings(model)}


def channel_network(
    model: nn.Module, normalize: str, dims: int, shown: Any = None, strength: float = 1.0, fps: float = 0.0
) -> Channels:
    """The network as evaluation and smoothing use it: (n, C, W) windows in the data's unit -> smoothed, the same.

    Args:
        normalize: the normalisation it was trained with.
        dims: coordinates per joint, which lie side by side among the C channels.
        shown: (n, K) of 0 and 1, joints that have values at all; None: all.
        strength: above 1 smoother, for kinds that have it.
        fps: frames per second, for kinds that make use of it; 0: unknown.
    """
    return kind_of(model)[1].channels(model, normalize, dims, shown, max(strength, 1.0), fps)


def window_of(model: Any) -> int:
    """W, frames of the network's windows."""
    return int(model.window_size)


def multiply_adds(model: nn.Module) -> int:
    """Multiply-adds for one channel of one window."""
    return kind_of(model)[1].multiply_adds(model)
