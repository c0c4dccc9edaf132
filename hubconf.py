# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) SmoothNet contributors
"""torch.hub: torch.hub.load(FOLDER or owner/name, "smoother" or "network")."""

from __future__ import annotations

from typing import Any

dependencies = ["numpy", "scipy", "torch"]


def smoother(weights: str | None = None, window: int | None = None, **options: Any) -> Any:
    """What smooths points in any unit: smoother(points), smoother.stream(); see lib.inference.Smoother.

    Args:
        weights: file, folder or name of the weights; None: the default ones.
        window: frames, where there are several.
        options: device, normalize, strength, fps.
    """
    from lib.inference import Smoother

    return Smoother.from_checkpoint(weights, window=window, **options)


def network(weights: str | None = None, window: int | None = None) -> Any:
    """The network alone, a torch.nn.Module ready for inference; see lib.models.general and lib.models.smoothnet."""
    from lib.models.checkpoints import load_model
    from lib.weights import find_weights

    return load_model(find_weights(weights, window), window)[0]
