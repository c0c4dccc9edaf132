# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) SmoothNet contributors
"""What training minimises, as one module: batch in, loss out, with gradients ready for `backward`."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import nn

from ..models.fused import FUSED_DTYPES, ONEDNN, fused_gradients, products_dtype
from ..models.smoothnet import SmoothNet
from .loss import Batch, Counts, Loss, Terms

Gradients = list["torch.Tensor | None"]  # in the order of the network's parameters


class TrainingObjective(nn.Module):
    """The network and its loss.

    A batch can go through in pieces ("micro batches"): forward and backward of a piece happen at once, so
    that the activations of one piece are all that memory holds, and `loss.backward()` hands out the summed
    gradients. On the CPU in float32 or bfloat16 the pieces go through the hand-written pass of
    lib/models/fused.py, if the loss brings its gradient. Otherwise it is plain autograd. Callers see no difference;
    DistributedDataParallel and GradScaler work around it as ever.

    Args:
        model: the network.
        loss: what to minimise; its gradient is checked here.
        micro_batch: windows in a piece of plain autograd; 0: the whole batch. The hand-written pass goes by the
            caches whatever it is, so its dropout masks do not depend on it.
        network: what to call for plain autograd, e.g. the compiled model; the model if None.
        fused: use the hand-written pass on the CPU.
        products: who does the matrix products of that pass, see lib.models.fused.
    """

    def __init__(
        self,
        model: nn.Module,
        loss: Loss,
        micro_batch: int = 0,
        network: Callable[..., torch.Tensor] | None = None,
        fused: bool = True,
        products: str = ONEDNN,
    ):
        super().__init__()
        loss.check_gradient()
        self.model = model
        self.loss = loss
        self.micro_batch = micro_batch
        self.fused = fused and loss.gradient is not None and type(model) is SmoothNet and network is None
        self.products = products
        # In a tuple, so that its parameters are not registered twice.
        self.call = (model if network is None else network,)

    def forward(
        self,
        x: torch.Tensor,
        truth: torch.Tensor,
        mask: torch.Tensor | None = None,
        seed: int = 0,
        loss_scale: torch.Tensor | None = None,
        counts: Counts | None = None,
        fps: torch.Tensor | None = None,
    ) -> Terms:
        """The loss of a batch and its terms.

        Args:
            x: (B, ..., W) float32. truth: the same, or (B, ..., output_size).
            mask: (B, output_size) bool, frames that count; None: all.
            seed: of the dropout masks, where the hand-written pass draws them. Plain autograd draws from the
                generator of the device.
            loss_scale: factor (0-dim) that pieces put on their loss before their backward pass, for float16:
                the scale of a GradScaler. The loss that is returned and its gradients are without it.
            counts: what the totals are divided by, where the batch is a part of a larger one.
            fps: (B,) frames per second, for networks that are told.
        """
        batch = Batch(x, truth, mask, fps=fps)
        learns = torch.is_grad_enabled() and any(p.requires_grad for p in self.model.parameters())
        by_hand = self._fits_fused(x)
        if not learns or not (by_hand or 0 < self.micro_batch < len(x)):
            return self.loss(self._output(batch), batch, counts)
        counts = self.loss.counts(truth.shape, mask) if counts is None else counts
        run = self._by_hand if by_hand else self._piecewise
        with torch.no_grad():
            terms, gradients = run(batch, counts, seed, loss_scale)
            loss = self.loss.weighted(terms)
        return _WithGradients.apply(loss, gradients, loss_scale, *self.model.parameters()), *terms

    def _output(self, batch: Batch) -> torch.Tensor:
        return self.call[0](batch.x) if batch.fps is None else self.call[0](batch.x, fps=batch.fps)

    def _fits_fused(self, x: torch.Tensor) -> bool:
        return (
            self.fused
            and x.device.type == "cpu"
            and products_dtype() in FUSED_DTYPES
            and all(p.dtype == torch.float32 for p in self.model.parameters())
        )

    def _piecewise(
        self, batch: Batch, counts: Counts, seed: int, loss_scale: torch.Tensor | None
    ) -> tuple[Terms, Gradients]:
        """The terms and gradients (times loss_scale) of a batch, summed over its pieces by autograd."""
        learning = [p for p in self.model.parameters() if p.requires_grad]
        terms = torch.zeros(len(self.loss.weights), device=batch.x.device)
        sums: list[torch.Tensor] = []
        for i in range(0, len(batch.x), self.micro_batch):
            piece = batch.part(slice(i, i + self.micro_batch))
            with torch.enable_grad():
                loss, *found = self.loss(self._output(piece), piece, counts)
                gradients = torch.autograd.grad(loss if loss_scale is None else loss * loss_scale, learning)
            terms += torch.stack(found)
            if sums:
                torch._foreach_add_(sums, gradients)
            else:
                sums = list(gradients)
        by_parameter = dict(zip(learning, sums, strict=True))
        return tuple(terms), [by_parameter.get(p) for p in self.model.parameters()]

    def _by_hand(
        self, batch: Batch, counts: Counts, seed: int, loss_scale: torch.Tensor | None
    ) -> tuple[Terms, Gradients]:
        """The same, all of it by the hand-written pass."""
        batch = Batch(batch.x.contiguous(), batch.truth.contiguous(), batch.mask)
        numbers = [float(count) for count in counts]
        scale = 1.0 if loss_scale is None else float(loss_scale)
        factors = [scale * weight / number for weight, number in zip(self.loss.weights, numbers, strict=True)]
        totals: dict[int, torch.Tensor] = {}  # by the first window of a chunk
        gradient_of = self.loss.gradient
        assert gradient_of is not None and isinstance(self.model, SmoothNet)

        def output_gradient(span: slice, output: torch.Tensor) -> torch.Tensor:
            found, gradient = gradient_of(output, batch.part(span), factors)
            totals[span.start] = torch.stack(found)
            return gradient

        dtype = products_dtype()
        gradients = fused_gradients(
            self.model, batch.x, output_gradient, seed=seed, dtype=dtype, products=self.products
        )
        sums = torch.stack([totals[start] for start in sorted(totals)]).sum(0, dtype=torch.float64)
        terms = tuple(total.div(number).float() for total, number in zip(sums, numbers, strict=True))
        return terms, [g if p.requires_grad else None for g, p in zip(gradients, self.model.parameters(), strict=True)]


class _WithGradients(torch.autograd.Function):
    """A loss whose gradients by the parameters are known already."""

    @staticmethod
    def forward(
        ctx: Any, loss: torch.Tensor, gradients: Gradients, loss_scale: torch.Tensor | None, *parameters: torch.Tensor
    ) -> torch.Tensor:
        ctx.gradients, ctx.loss_scale = gradients, loss_scale
        ctx.set_materialize_grads(False)
        return loss.clone()

    @staticmethod
    def backward(ctx: Any, *grads: torch.Tensor | None) -> tuple[Any, ...]:
        gradients, ctx.gradients = ctx.gradients, None
        if grads[0] is None:
            return (None,) * (3 + len(gradients))
        factor = grads[0] if ctx.loss_scale is None else grads[0] / ctx.loss_scale
        return None, None, None, *(None if g is None else g * factor for g in gradients)
