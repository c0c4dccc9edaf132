# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) SmoothNet contributors
"""Training losses: what is minimised, and its gradient by the network's output, side by side."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import torch

from ..utils.errors import SmoothNetError

Counts = Sequence[Any]  # one for each term: numbers, or 0-dim tensors on the device
Terms = tuple[torch.Tensor, ...]


class Batch(NamedTuple):
    """Windows of one process, and what its share is a part of.

    Attributes:
        x, truth: (B, ..., W) float32, the network's input and what its output should be.
        mask: (B, W) bool, frames that count; None: all.
        everyone, everyone_mask: windows of all processes together, and their mask.
        fps: (B,) frames per second, 0 where unknown, for networks that are told; None: for those that are not.
    """

    x: torch.Tensor
    truth: torch.Tensor
    mask: torch.Tensor | None = None
    everyone: int = 0
    everyone_mask: torch.Tensor | None = None
    fps: torch.Tensor | None = None

    def part(self, span: slice) -> Batch:
        """Some of the windows."""
        mask, fps = (None if values is None else values[span] for values in (self.mask, self.fps))
        return Batch(self.x[span], self.truth[span], mask, fps=fps)


@dataclass(frozen=True)
class Loss:
    """The sum over the terms of weight x total / count.

    Totals add up over windows, so that a batch may go through in pieces and be shared among processes.

    Attributes:
        weights: one for each term.
        totals: (output, batch) -> one 0-dim tensor for each term, differentiable.
        counts: (shape of the truth, mask) -> what the totals are divided by, at least 1.
        gradient: (output, batch, factors) -> the totals, and the gradient of the sum of factor x total by the output.
            With it the hand-written pass on the CPU is taken; None: autograd derives `totals`.
    """

    weights: tuple[float, ...]
    totals: Callable[[torch.Tensor, Batch], Terms]
    counts: Callable[[Sequence[int], torch.Tensor | None], Counts]
    gradient: Callable[[torch.Tensor, Batch, Sequence[float]], tuple[Terms, torch.Tensor]] | None = None

    def __call__(self, output: torch.Tensor, batch: Batch, counts: Counts | None = None) -> Terms:
        """The loss and its terms, 0-dim; the terms are not weighted.

        Args:
            counts: what the totals are divided by; None: as many as there are in this batch.
        """
        counts = self.counts(batch.truth.shape, batch.mask) if counts is None else counts
        terms = tuple(total / count for total, count in zip(self.totals(output, batch), counts, strict=True))
        return self.weighted(terms), *terms

    def weighted(self, terms: Terms) -> torch.Tensor:
        """The terms as one number."""
        return torch.stack([weight * term for weight, term in zip(self.weights, terms, strict=True)]).sum()

    def check_gradient(self) -> None:
        """Compare `gradient`, if there is one, with what autograd makes of `totals`.

        Raises:
            SmoothNetError: they differ, as after a change of one of them alone.
        """
        if self.gradient is None:
            return
        draws = torch.Generator().manual_seed(0)
        output, truth = (torch.randn(2, 3, 8, generator=draws) for _ in range(2))
        batch = Batch(output, truth, torch.arange(8).expand(2, 8) != 3)
        for factors in torch.eye(len(self.weights)).tolist():
            with torch.enable_grad():
                leaf = output.clone().requires_grad_()
                totals = self.totals(leaf, batch)
                by_autograd = torch.autograd.grad(
                    torch.stack([f * t for f, t in zip(factors, totals, strict=True)]).sum(), leaf
                )[0]
            with torch.no_grad():
                same, by_hand = self.gradient(output, batch, factors)
            if not (torch.allclose(torch.stack(same), torch.stack(totals)) and torch.allclose(by_hand, by_autograd)):
                raise SmoothNetError(
                    "the gradient of this loss is not the derivative of its totals: change both, or leave the gradient "
                    "out (None) to have it derived"
                )


def smoothnet_loss(w_pos: float, w_accel: float) -> Loss:
    """W_POS x mean |out - gt| + W_ACCEL x mean |second difference of out - second difference of gt|.

    Zeng et al., ECCV 2022, section 4.3. Of (B, C, W) windows; a second difference counts when its three frames do.
    """
    return Loss((w_pos, w_accel), _totals, _counts, _gradient)


def second_difference(x: torch.Tensor) -> torch.Tensor:
    """x[t] - 2 x[t+1] + x[t+2] along the last axis: acceleration in units per frame^2."""
    return x[..., :-2] - 2 * x[..., 1:-1] + x[..., 2:]


def errors(output: torch.Tensor, batch: Batch) -> tuple[torch.Tensor, torch.Tensor]:
    """Errors (n, C, W) and their second differences (n, C, W - 2), float32; 0 where the mask is False."""
    error = output.float() - batch.truth.float()
    if batch.mask is None:
        return error, second_difference(error)
    error = error.masked_fill(~batch.mask[:, None], 0)
    return error, second_difference(error).masked_fill(~_inner(batch.mask)[:, None], 0)


def _totals(output: torch.Tensor, batch: Batch) -> Terms:
    error, bend = errors(output, batch)
    return error.abs().sum(), bend.abs().sum()


def _gradient(output: torch.Tensor, batch: Batch, factors: Sequence[float]) -> tuple[Terms, torch.Tensor]:
    error, bend = errors(output, batch)
    totals = error.abs().sum(), bend.abs().sum()
    gradient = error.sign_().mul_(factors[0])
    if bend.numel():
        bend.sign_().mul_(factors[1])
        gradient[..., :-2] += bend
        gradient[..., 1:-1].sub_(bend, alpha=2)
        gradient[..., 2:] += bend
    return totals, gradient


def _counts(shape: Sequence[int], mask: torch.Tensor | None) -> Counts:
    """How many errors and how many second differences count."""
    windows, channels, frames = shape
    if mask is None:
        return max(windows * channels * frames, 1), max(windows * channels * (frames - 2), 1)
    return (mask.sum() * channels).clamp(min=1), (_inner(mask).sum() * channels).clamp(min=1)


def _inner(mask: torch.Tensor) -> torch.Tensor:
    return mask[:, :-2] & mask[:, 1:-1] & mask[:, 2:]
