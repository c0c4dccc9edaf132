# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) SmoothNet contributors
"""The optimiser of the general smoother."""

import pytest
import torch

from lib.training.muon import Muon, orthogonal

BETAS = (0.9, 0.98)


def _random(*shape, seed=0):
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed))


def test_every_direction_of_a_gradient_counts_about_the_same():
    left, _, right = torch.linalg.svd(_random(2, 24, 40), full_matrices=False)
    lopsided = left @ torch.diag(torch.logspace(0, -1.5, 24)) @ right
    ways = orthogonal(lopsided)
    values = torch.linalg.svdvals(ways)
    assert values.min() > 0.6 and values.max() < 1.3
    assert torch.equal(orthogonal(torch.zeros(1, 3, 5)), torch.zeros(1, 3, 5))


@pytest.mark.skipif(not hasattr(torch.optim, "Muon"), reason="PyTorch before 2.9 has none")
@pytest.mark.parametrize("shape", [(16, 40), (40, 16), (24, 24)])
def test_hidden_matrices_move_as_with_the_muon_of_pytorch(shape):
    ours, theirs = (torch.nn.Parameter(_random(*shape)) for _ in range(2))
    start = ours.detach().clone()
    mine = Muon([{"params": [ours], "hidden": True, "weight_decay": 0.01}], lr=0.01, betas=BETAS)
    reference = torch.optim.Muon([theirs], lr=0.01, weight_decay=0.01, adjust_lr_fn="match_rms_adamw")
    for step in range(4):
        ours.grad = _random(*shape, seed=step + 1)
        theirs.grad = ours.grad.clone()
        mine.step()
        reference.step()
    way, expected = ours.detach() - start, theirs.detach() - start
    assert (way - expected).norm() < 0.05 * expected.norm()  # it orthogonalises in bfloat16


def test_everything_else_moves_as_with_adamw():
    ours, theirs = (torch.nn.Parameter(_random(7, 3)) for _ in range(2))
    hidden = torch.nn.Parameter(_random(4, 4))
    mine = Muon([{"params": [hidden], "hidden": True}, {"params": [ours]}], lr=0.01, betas=BETAS)
    reference = torch.optim.AdamW([theirs], lr=0.01, betas=BETAS)
    for step in range(3):
        ours.grad = _random(7, 3, seed=step)
        theirs.grad, hidden.grad = ours.grad.clone(), _random(4, 4, seed=step)
        mine.step()
        reference.step()
    torch.testing.assert_close(ours, theirs)


def test_it_goes_on_from_its_state_as_if_it_had_never_stopped():
    def run(steps, matrix, bias, state=None, first=0):
        groups = [{"params": [matrix], "hidden": True, "weight_decay": 0.01}, {"params": [bias]}]
        optimiser = Muon(groups, lr=0.01, betas=BETAS)
        if state is not None:
            optimiser.load_state_dict(state)
        for step in range(first, first + steps):
            matrix.grad, bias.grad = _random(5, 8, seed=step), _random(8, seed=step)
            optimiser.step()
        return optimiser.state_dict()

    whole = [torch.nn.Parameter(_random(5, 8)), torch.nn.Parameter(_random(8))]
    run(6, *whole)
    parts = [torch.nn.Parameter(_random(5, 8)), torch.nn.Parameter(_random(8))]
    run(3, *parts, state=run(3, *parts), first=3)
    for one, other in zip(whole, parts, strict=True):
        assert torch.equal(one, other)


def test_a_closure_is_asked_before_anything_moves():
    matrix = torch.nn.Parameter(_random(4, 6))
    optimiser = Muon([{"params": [matrix], "hidden": True}], lr=0.01, betas=BETAS)

    def closure():
        optimiser.zero_grad()
        loss = (matrix**2).sum()
        loss.backward()
        return loss

    first, second = optimiser.step(closure).item(), optimiser.step(closure).item()
    assert second < first
