# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) SmoothNet contributors
"""The optimiser of the general smoother: orthogonalised momentum for hidden matrices, AdamW for everything else.

Jordan et al. 2024, "Muon: An optimizer for hidden layers in neural networks". Gradients of hidden layers are
dominated by few directions; with all singular values brought to about 1, the others are learned as fast. Steps are
scaled to the size of AdamW's (Liu et al. 2025, "Muon is scalable for LLM training"), so one learning rate serves both.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import torch

MOMENTUM = 0.95
ADAMW_SIZE = 0.2  # root mean square of AdamW's steps, in learning rates
# Newton-Schulz iteration x <- a x + b (x x') x + c (x x')^2 x with Jordan's coefficients: after five, singular values
# from .01 to 1 lie between .7 and 1.2.
COEFFICIENTS = (3.4445, -4.7750, 2.0315)
ITERATIONS = 5


class Muon(torch.optim.AdamW):
    """AdamW whose groups with `hidden=True` hold matrices that move along their orthogonalised momentum.

    Args:
        groups: parameter groups; `hidden` is False where it is missing.
        lr, betas: as in AdamW.
    """

    def __init__(self, groups: Iterable[dict[str, Any]], lr: float, betas: tuple[float, float]):
        super().__init__([{"hidden": False, **group} for group in groups], lr=lr, betas=betas)

    @torch.no_grad()
    def step(self, closure: Callable[[], float] | None = None) -> Any:
        """One step, by the gradients that are there; those of hidden matrices are used up (None after it)."""
        loss = None
        if closure is not None:
            with torch.enable_grad():
                loss = closure()
        for group in self.param_groups:
            if group["hidden"]:
                self._step_hidden(group)
        super().step()  # passes over parameters without a gradient
        return loss

    def _step_hidden(self, group: dict[str, Any]) -> None:
        moved = [matrix for matrix in group["params"] if matrix.grad is not None]
        by_shape: dict[tuple[int, int], list[tuple[torch.Tensor, torch.Tensor]]] = {}
        for matrix in moved:
            state = self.state[matrix]
            if not state:  # with the names that AdamW looks for when a state is loaded
                state["step"] = torch.zeros(())
                state["exp_avg"] = torch.zeros_like(matrix)
            state["step"] += 1
            state["exp_avg"].lerp_(matrix.grad, 1 - MOMENTUM)
            ahead = matrix.grad.lerp(state["exp_avg"], MOMENTUM)  # as Nesterov looks ahead
            wide = ahead if len(ahead) <= ahead.shape[1] else ahead.T
            by_shape.setdefault((wide.shape[0], wide.shape[1]), []).append((matrix, wide))
        for shape, pairs in by_shape.items():
            ways = orthogonal(torch.stack([wide for _, wide in pairs])) * (ADAMW_SIZE * max(shape) ** 0.5)
            for (matrix, _), way in zip(pairs, ways, strict=True):
                matrix.mul_(1 - group["lr"] * group["weight_decay"])
                matrix.add_(way if matrix.shape == way.shape else way.T, alpha=-group["lr"])
        for matrix in moved:
            matrix.grad = None


def orthogonal(matrices: torch.Tensor) -> torch.Tensor:
    """(N, rows, columns), no more rows than columns -> the same with every singular value near 1, in float32.

    What has no direction, a matrix of zeros, stays zero.
    """
    a, b, c = COEFFICIENTS
    x = matrices.float()
    x = x / (x.norm(dim=(1, 2), keepdim=True) + 1e-7)
    for _ in range(ITERATIONS):
        square = x @ x.mT
        x = a * x + (b * square + c * square @ square) @ x
    return x
