# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) SmoothNet contributors
"""The network: one set of weights that maps a window of one channel to the same window, smoother."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import nn
from torch.nn import functional as F

from ..utils.errors import SmoothNetError
from .plain import BLOCK_SLOPE, ENCODER_SLOPE, architecture, check_whole


class ResidualBlock(nn.Module):
    """Linear, dropout, LeakyReLU, twice, plus the input. Dropout comes before the activation."""

    def __init__(self, hidden_size: int, res_hidden_size: int, dropout: float):
        super().__init__()
        self.linear1 = nn.Linear(hidden_size, res_hidden_size)
        self.linear2 = nn.Linear(res_hidden_size, hidden_size)
        self.dropout = dropout

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        y = F.leaky_relu(F.dropout(self.linear1(x), self.dropout, self.training), BLOCK_SLOPE)
        y = F.leaky_relu(F.dropout(self.linear2(y), self.dropout, self.training), BLOCK_SLOPE)
        return x + y


class SmoothNet(nn.Module):
    """SmoothNet (Zeng et al., ECCV 2022, section 4): (N, C, W) windows in, (N, C, output_size) out.

    N windows, C channels (joints x dims, or 6 per SMPL joint), W frames. Every channel goes through the same
    weights on its own, so the number of channels is free.

    Args:
        window_size: W, frames per window.
        output_size: frames returned per window, at most W; W if not given (all published models).
        hidden_size, res_hidden_size, num_blocks: H, R and B of the paper.
        dropout: probability that a unit of a residual block is dropped in training.
    """

    def __init__(
        self,
        window_size: int,
        output_size: int | None = None,
        hidden_size: int = 512,
        res_hidden_size: int = 256,
        num_blocks: int = 3,
        dropout: float = 0.5,
    ):
        super().__init__()
        output_size = window_size if output_size is None else output_size
        if not 1 <= output_size <= window_size:
            raise SmoothNetError(
                f"output_size must be between 1 and the window of {window_size} frames, not {output_size}"
            )
        self.window_size = window_size
        self.output_size = output_size
        self.hidden_size = hidden_size
        self.res_hidden_size = res_hidden_size
        self.num_blocks = num_blocks
        self.dropout = dropout
        self.encoder = nn.Sequential(nn.Linear(window_size, hidden_size), nn.LeakyReLU(ENCODER_SLOPE))
        self.res_blocks = nn.ModuleList(ResidualBlock(hidden_size, res_hidden_size, dropout) for _ in range(num_blocks))
        self.decoder = nn.Linear(hidden_size, output_size)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = self.encoder(x)
        for block in self.res_blocks:
            x = block(x)
        return self.decoder(x)


def build(settings: Any) -> SmoothNet:
    """A fresh network of the sizes in MODEL."""
    return SmoothNet(
        window_size=settings.SLIDE_WINDOW_SIZE,
        hidden_size=settings.HIDDEN_SIZE,
        res_hidden_size=settings.RES_HIDDEN_SIZE,
        num_blocks=settings.NUM_BLOCK,
        dropout=settings.DROPOUT,
    )


def load(checkpoint: Mapping[str, Any]) -> SmoothNet:
    """The network of a checkpoint's "state_dict", whose sizes follow from the weights.

    Raises:
        SmoothNetError: they are not a SmoothNet's, or return less than their window.
    """
    sizes = architecture(checkpoint["state_dict"])
    check_whole(sizes)
    model = SmoothNet(**sizes, dropout=0.0)
    try:
        model.load_state_dict(checkpoint["state_dict"])
    except (RuntimeError, TypeError) as error:
        reason = " ".join(str(error).split())[:300]
        raise SmoothNetError(f"these are not the weights of a SmoothNet: {reason}") from error
    return model


def activations(model: SmoothNet, channels: int) -> int:
    """Floats that one window of so many channels keeps for the backward pass."""
    inner = 4 * model.hidden_size + 4 * model.res_hidden_size  # before and after dropout and activation, each
    return channels * (4 * model.window_size + 2 * model.hidden_size + model.num_blocks * inner)


def count_parameters(model: nn.Module) -> int:
    """Number of trained values."""
    return sum(parameter.numel() for parameter in model.parameters())


def multiply_adds(model: SmoothNet) -> int:
    """Multiply-adds for one channel of one window: WH + 2BHR + H x output_size."""
    h, r = model.hidden_size, model.res_hidden_size
    return model.window_size * h + 2 * model.num_blocks * h * r + h * model.output_size
