"""The training loss of SmoothNet (Zeng et al., ECCV 2022, section 4.3)."""

from __future__ import annotations

from typing import Any

import torch

Counts = tuple[Any, Any]  # numbers, or 0-dim tensors on the device


def second_difference(x: torch.Tensor) -> torch.Tensor:
    """x[t] - 2 x[t+1] + x[t+2] along the last axis: acceleration in units per frame^2."""
    return x[..., :-2] - 2 * x[..., 1:-1] + x[..., 2:]


def smoothnet_loss(
    output: torch.Tensor,
    truth: torch.Tensor,
    w_pos: float,
    w_accel: float,
    mask: torch.Tensor | None = None,
    counts: Counts | None = None,
) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """W_POS x mean |out - gt| + W_ACCEL x mean |second difference of out - second difference of gt|.

    Args:
        output, truth: (B, C, W).
        mask: (B, W) bool, frames that count; a second difference counts when its three frames do. None: all.
        counts: what to divide the two sums by, see value_counts; None: as many as there are here.

    Returns:
        the loss, its position term and its acceleration term (0-dim, unweighted terms).
    """
    counts = value_counts(*output.shape, mask) if counts is None else counts
    pos, accel = (error.abs().sum() / count for error, count in zip(errors(output, truth, mask), counts, strict=True))
    return w_pos * pos + w_accel * accel, pos, accel


def value_counts(windows: int, channels: int, frames: int, mask: torch.Tensor | None = None) -> Counts:
    """How many errors and how many second differences count in (windows, channels, frames), at least 1."""
    if mask is None:
        return max(windows * channels * frames, 1), max(windows * channels * (frames - 2), 1)
    return (mask.sum() * channels).clamp(min=1), (_inner(mask).sum() * channels).clamp(min=1)


def errors(output: torch.Tensor, truth: torch.Tensor, mask: torch.Tensor | None) -> tuple[torch.Tensor, torch.Tensor]:
    """Errors (n, C, W) and their second differences (n, C, W - 2), float32; 0 where the mask is False."""
    error = output.float() - truth.float()
    if mask is None:
        return error, second_difference(error)
    error = error.masked_fill(~mask[:, None], 0)
    return error, second_difference(error).masked_fill(~_inner(mask)[:, None], 0)


def _inner(mask: torch.Tensor) -> torch.Tensor:
    return mask[:, :-2] & mask[:, 1:-1] & mask[:, 2:]
