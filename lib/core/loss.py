"""The training loss of SmoothNet (Zeng et al., ECCV 2022, section 4.3)."""

from __future__ import annotations

import torch


def second_difference(x: torch.Tensor) -> torch.Tensor:
    """x[t] - 2 x[t+1] + x[t+2] along the last axis: acceleration in units per frame^2."""
    return x[..., :-2] - 2 * x[..., 1:-1] + x[..., 2:]


def smoothnet_loss(
    output: torch.Tensor,
    truth: torch.Tensor,
    w_pos: float,
    w_accel: float,
    mask: torch.Tensor | None = None,
) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """W_POS x mean |out - gt| + W_ACCEL x mean |second difference of out - second difference of gt|.

    Args:
        output, truth: (B, C, W).
        mask: (B, W) bool, frames that count; a second difference counts when its three frames do. None: all.

    Returns:
        the loss, its position term and its acceleration term (0-dim, unweighted terms).
    """
    error = output.float() - truth.float()
    position, acceleration = error.abs(), second_difference(error).abs()
    if mask is None:
        pos = position.mean()
        accel = acceleration.mean() if acceleration.numel() else position.new_zeros(())
    else:
        inner = mask[:, :-2] & mask[:, 1:-1] & mask[:, 2:]
        pos, accel = _masked_mean(position, mask), _masked_mean(acceleration, inner)
    return w_pos * pos + w_accel * accel, pos, accel


def _masked_mean(value: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
    count = (mask.sum() * value.shape[1]).clamp(min=1)
    return (value * mask[:, None]).sum() / count
