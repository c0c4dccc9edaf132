"""What training minimises, as one module: batch in, loss out, with gradients ready for `backward`."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import nn

from ..models.fused import FUSED_DTYPES, fused_gradients, products_dtype
from ..models.smoothnet import SmoothNet
from .loss import Counts, errors, smoothnet_loss, value_counts

Loss = tuple[torch.Tensor, torch.Tensor, torch.Tensor]


class TrainingObjective(nn.Module):
    """The network and its loss.

    A batch can go through in pieces ("micro batches"): forward and backward of a piece happen at once, so
    that the activations of one piece are all that memory holds, and `loss.backward()` hands out the summed
    gradients. On the CPU in float32 or bfloat16 the pieces go through the hand-written pass of
    lib/models/fused.py. Otherwise it is plain autograd. Callers see no difference; DistributedDataParallel
    and GradScaler work around it as ever.

    Args:
        model: the network.
        w_pos, w_accel: weights of the two terms.
        micro_batch: windows in a piece of plain autograd; 0: the whole batch. The hand-written pass goes by the
            caches whatever it is, so its dropout masks do not depend on it.
        network: what to call for plain autograd, e.g. torch.compile(model); the model if None.
        fused: use the hand-written pass on the CPU.
    """

    def __init__(
        self,
        model: SmoothNet,
        w_pos: float,
        w_accel: float,
        micro_batch: int = 0,
        network: Callable[[torch.Tensor], torch.Tensor] | None = None,
        fused: bool = True,
    ):
        super().__init__()
        self.model = model
        self.w_pos, self.w_accel = w_pos, w_accel
        self.micro_batch = micro_batch
        self.fused = fused
        self.call = (network,)  # in a tuple, so that its parameters are not registered twice

    def forward(
        self,
        x: torch.Tensor,
        truth: torch.Tensor,
        mask: torch.Tensor | None = None,
        seed: int = 0,
        loss_scale: torch.Tensor | None = None,
        counts: Counts | None = None,
    ) -> Loss:
        """The loss of a batch, its position term and its acceleration term: see smoothnet_loss.

        Args:
            x: (B, C, W) float32. truth: (B, C, output_size).
            mask: (B, output_size) bool, frames that count; None: all.
            seed: of the dropout masks, where the hand-written pass draws them. Plain autograd draws from the
                generator of the device.
            loss_scale: factor (0-dim) that pieces put on their loss before their backward pass, for float16:
                the scale of a GradScaler. The loss that is returned and its gradients are without it.
            counts: what the two sums are divided by, where the batch is a part of a larger one.
        """
        network = self.model if self.call[0] is None else self.call[0]
        learns = torch.is_grad_enabled() and any(p.requires_grad for p in self.model.parameters())
        fused = self.fused and self._fits_fused(x)
        if not learns or not (fused or 0 < self.micro_batch < len(x)):
            return smoothnet_loss(network(x), truth, self.w_pos, self.w_accel, mask, counts)
        counts = value_counts(*truth.shape, mask) if counts is None else counts
        return _Pieces.apply(self, network, fused, x, truth, mask, seed, loss_scale, counts, *self.model.parameters())

    def _fits_fused(self, x: torch.Tensor) -> bool:
        return (
            x.device.type == "cpu"
            and type(self.model) is SmoothNet
            and self.call[0] is None
            and products_dtype() in FUSED_DTYPES
            and all(p.dtype == torch.float32 for p in self.model.parameters())
        )


class _Pieces(torch.autograd.Function):
    """Loss and gradients of a batch, piece by piece, all within the forward pass."""

    @staticmethod
    def forward(
        ctx: Any,
        objective: TrainingObjective,
        network: Callable[[torch.Tensor], torch.Tensor],
        fused: bool,
        x: torch.Tensor,
        truth: torch.Tensor,
        mask: torch.Tensor | None,
        seed: int,
        loss_scale: torch.Tensor | None,
        counts: Counts,
        *parameters: torch.Tensor,
    ) -> Loss:
        run = _fused if fused else _autograd
        pos, accel, gradients = run(objective, network, x, truth, mask, seed, loss_scale, counts)
        ctx.gradients, ctx.loss_scale = gradients, loss_scale
        ctx.mark_non_differentiable(pos, accel)
        ctx.set_materialize_grads(False)
        return objective.w_pos * pos + objective.w_accel * accel, pos, accel

    @staticmethod
    def backward(ctx: Any, grad: torch.Tensor | None, *_: Any) -> tuple[Any, ...]:
        if grad is None:
            return (None,) * (9 + len(ctx.gradients))
        factor = grad if ctx.loss_scale is None else grad / ctx.loss_scale
        gradients, ctx.gradients = ctx.gradients, None
        return (None,) * 9 + tuple(None if g is None else g * factor for g in gradients)


def _autograd(
    objective: TrainingObjective,
    network: Callable[[torch.Tensor], torch.Tensor],
    x: torch.Tensor,
    truth: torch.Tensor,
    mask: torch.Tensor | None,
    seed: int,
    loss_scale: torch.Tensor | None,
    counts: Counts,
) -> tuple[torch.Tensor, torch.Tensor, list[torch.Tensor | None]]:
    parameters = list(objective.model.parameters())
    learning = [p for p in parameters if p.requires_grad]
    totals = torch.zeros(2, device=x.device)
    sums: list[torch.Tensor] | None = None
    for i in range(0, len(x), objective.micro_batch):
        span = slice(i, i + objective.micro_batch)
        with torch.enable_grad():
            found_errors = errors(network(x[span]), truth[span], None if mask is None else mask[span])
            terms = torch.stack([e.abs().sum() / count for e, count in zip(found_errors, counts, strict=True)])
            loss = objective.w_pos * terms[0] + objective.w_accel * terms[1]
            found = torch.autograd.grad(loss if loss_scale is None else loss * loss_scale, learning)
        totals += terms.detach()
        if sums is None:
            sums = list(found)
        else:
            torch._foreach_add_(sums, found)
    by_parameter = dict(zip(learning, sums or [], strict=True))
    return totals[0], totals[1], [by_parameter.get(p) for p in parameters]


def _fused(
    objective: TrainingObjective,
    network: Callable[[torch.Tensor], torch.Tensor],
    x: torch.Tensor,
    truth: torch.Tensor,
    mask: torch.Tensor | None,
    seed: int,
    loss_scale: torch.Tensor | None,
    counts: Counts,
) -> tuple[torch.Tensor, torch.Tensor, list[torch.Tensor | None]]:
    truth = truth.contiguous()
    counts = [float(count) for count in counts]
    by_pos = objective.w_pos / counts[0] * (1.0 if loss_scale is None else float(loss_scale))
    by_accel = objective.w_accel / counts[1] * (1.0 if loss_scale is None else float(loss_scale))
    terms: dict[int, tuple[torch.Tensor, torch.Tensor]] = {}  # first window of a chunk -> its sums

    def output_gradient(span: slice, output: torch.Tensor) -> torch.Tensor:
        error, bend = errors(output, truth[span], None if mask is None else mask[span])
        terms[span.start] = error.abs().sum(), bend.abs().sum()
        gradient = error.sign_().mul_(by_pos)
        if bend.numel():
            bend.sign_().mul_(by_accel)
            gradient[..., :-2] += bend
            gradient[..., 1:-1].sub_(bend, alpha=2)
            gradient[..., 2:] += bend
        return gradient

    gradients = fused_gradients(
        objective.model,
        x.contiguous(),
        output_gradient,
        seed=seed,
        dtype=products_dtype(),
    )
    pos, accel = (
        torch.stack([terms[start][i] for start in sorted(terms)]).sum(dtype=torch.float64).div(counts[i]).float()
        for i in (0, 1)
    )
    wanted = [g if p.requires_grad else None for g, p in zip(gradients, objective.model.parameters(), strict=True)]
    return pos, accel, wanted
