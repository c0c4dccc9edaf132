# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) SmoothNet contributors
"""benchmarks/reference.py and run.py --compare: that both sides of the comparison do the same work."""

import numpy as np
import pytest
import torch

from benchmarks import reference, run
from lib.config import load_config
from lib.evaluation.evaluate import evaluate
from lib.models.fused import inference
from lib.models.smoothnet import SmoothNet
from lib.models.windows import smooth_sequence
from lib.training.loss import smoothnet_loss
from lib.training.objective import TrainingObjective

WINDOW, LENGTHS = 8, [40, 8, 23]


def make():
    """A network and three sequences, (L, 51) float64 in metres."""
    torch.manual_seed(0)
    rng = np.random.default_rng(0)
    truth = [np.cumsum(0.02 * rng.standard_normal((length, 51)), 0) for length in LENGTHS]
    detected = [poses + 0.02 * rng.standard_normal(poses.shape) for poses in truth]
    return SmoothNet(WINDOW, None, 16, 8, 2, 0.0), detected, truth


def test_every_figure_of_an_evaluation_is_ours():
    model, detected, truth = make()
    blocks = (torch.tensor(np.concatenate(poses)).float() for poses in (detected, truth))
    cfg = load_config()
    ours = evaluate(cfg, model.eval(), "none", [run.poses_of(*blocks, LENGTHS)], torch.device("cpu"))[0][0]["metrics"]
    plain = reference.evaluate(model, detected, truth, WINDOW)
    assert {f"{name}_{metric}" for name in ("input", "smoothnet") for metric in ("mpjpe", "pampjpe", "accel")} < set(
        plain
    )
    for name, value in plain.items():
        assert ours[name] == pytest.approx(value, rel=1e-4), name


def test_smoothing_is_ours():
    model, detected, _ = make()
    x = torch.tensor(detected[0]).float()
    with torch.inference_mode():
        ours = smooth_sequence(inference(model.eval()), x, WINDOW)
    torch.testing.assert_close(reference.smooth(model, x, WINDOW), ours)


def test_steps_of_training_are_ours():
    model, detected, truth = make()
    other = make()[0]
    other.load_state_dict(model.state_dict())
    items = [(0, 3), (2, 0), (1, 0), (0, 32)]
    batch = reference.load_batch(detected, truth, items, WINDOW)
    assert batch["x"].dtype == torch.float64 and batch["x"].shape == (4, WINDOW, 51)
    np.testing.assert_array_equal(batch["y"][1], truth[2][:WINDOW])
    x, y = (batch[key].float().permute(0, 2, 1) for key in "xy")
    objective = TrainingObjective(model, smoothnet_loss(1.0, 0.1))
    optimizers = [torch.optim.Adam(each.parameters(), 1e-3, amsgrad=True) for each in (model, other)]
    for _ in range(5):
        optimizers[0].zero_grad()
        loss = objective(x, y)[0]
        loss.backward()
        optimizers[0].step()
        assert reference.train_step(other, optimizers[1], batch) == pytest.approx(loss.item(), rel=1e-5)


def test_ratios_are_of_processor_time_on_one_thread_and_of_the_clock_on_several():
    """A program beside it halves the clock's speed, not the processor's."""
    before = torch.get_num_threads()
    bounds = {"torch.mm": run.Spent(wall=4.0, cpu=2.0), "oneDNN": run.Spent(wall=1.0, cpu=2.5)}
    try:
        torch.set_num_threads(1)
        assert run.against(run.Spent(6.0, 3.0), bounds) == {"x_products": 1.5, "x_torch_mm": 1.5}
        torch.set_num_threads(2)
        assert run.against(run.Spent(6.0, 3.0), bounds) == {"x_products": 6.0, "x_torch_mm": 1.5}
    finally:
        torch.set_num_threads(before)


def test_the_table_says_what_its_figures_depend_on(monkeypatch):
    monkeypatch.setenv("ONEDNN_MAX_CPU_ISA", "AVX2")
    said = run.machine(1)
    for part in (
        torch.__version__,
        torch.backends.cpu.get_cpu_capability(),
        "ONEDNN_MAX_CPU_ISA=AVX2",
        "1 thread,",
        "CPU time",
    ):
        assert part in said
    assert "2 threads, ratios of wall time" in run.machine(2)
