# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) SmoothNet contributors
"""What the official implementation returned for small seeded data, metric by metric (tests/golden)."""

from __future__ import annotations

import json

import numpy as np
import pytest
import torch
from helpers import ROOT

from lib.config import load_config
from lib.dataset.named import load_all
from lib.dataset.windows import training_windows
from lib.evaluation.evaluate import evaluate
from lib.models.body import load_body
from lib.models.checkpoints import load_model
from lib.models.smoothnet import SmoothNet, architecture
from lib.training.loss import Batch, smoothnet_loss
from lib.training.recipes import make_optimizer

GOLDEN = ROOT / "tests" / "golden"
CASES = sorted(path.parent.name for path in GOLDEN.glob("*/case.json"))


def read(name: str) -> tuple[dict, object]:
    case = json.loads((GOLDEN / name / "case.json").read_text())
    cfg = load_config(
        None,
        {
            "DATASET_NAME": case["dataset"],
            "ESTIMATOR": case["estimator"],
            "BODY_REPRESENTATION": case["body_representation"],
            "DATASET.BASE_DIR": str(GOLDEN / name / "data/poses"),
            "EVALUATE.PRETRAINED": str(GOLDEN / name / "checkpoint.pth.tar"),
            "EVALUATE.SLIDE_WINDOW_STEP_SIZE": case["step"],
            "EVALUATE.ROOT_RELATIVE": case["root_relative"],
            "EVALUATE.TRADITION": case["tradition"],
            "MODEL.SLIDE_WINDOW_SIZE": case["slide_window_size"],
            "LOSS.W_ACCEL": 0.1,
            "DEVICE": "cpu",
        },
    )
    return case, cfg


def assert_equal_metrics(case: dict, metrics: dict) -> None:
    assert case["expected"], case
    for key, expected in case["expected"].items():
        ours = metrics[key.replace("filter", case["tradition"])]
        tolerance = {"abs": 1e-6} if "pck" in key else {"rel": 1e-4}
        if key.startswith("improvement"):  # a difference of two figures, each good to 1e-4
            tolerance = {"abs": 1e-4 * case["expected"][key.replace("improvement", "input")]}
        assert ours == pytest.approx(expected, **tolerance), key


@pytest.mark.parametrize("name", CASES)
def test_metrics_are_those_of_the_official_code(name, smpl_dir):
    case, cfg = read(name)
    model, known = load_model(cfg.EVALUATE.PRETRAINED)
    body = None
    if case["body_representation"] == "smpl":
        pytest.importorskip("smplx")
        body = load_body(smpl_dir)
    rows, _ = evaluate(cfg, model, known["normalize"], load_all(cfg, "test"), torch.device("cpu"), body=body)
    assert_equal_metrics(case, rows[0]["metrics"])


@pytest.mark.parametrize("name", CASES)
def test_losses_are_those_of_the_official_code(name):
    """The loss of the first window, and a training trace: five steps on the first eight windows without dropout."""
    case, cfg = read(name)
    test_only = case["train_len"] is None
    windows = training_windows(load_all(cfg, "test" if test_only else "train")[0], case["slide_window_size"])
    state = torch.load(GOLDEN / name / "checkpoint.pth.tar", weights_only=True)["state_dict"]
    model = SmoothNet(**architecture(state), dropout=0.0)
    model.load_state_dict(state)
    if test_only:  # the loss over all windows of the first test sequence
        count = case["lengths"][0] - case["slide_window_size"] + 1
        x, truth, _ = windows.batch(torch.arange(count))
    else:
        x, truth, _ = windows.batch(torch.arange(1))
    loss = smoothnet_loss(cfg.LOSS.W_POS, cfg.LOSS.W_ACCEL)(model(x), Batch(x, truth))[0]
    assert float(loss.detach()) == pytest.approx(case["loss_first_train_item"], rel=1e-5)

    x, truth, _ = windows.batch(torch.arange(8))
    optimizer = make_optimizer(model, cfg)
    for expected in case["training_trace_first_8_items"]:
        loss = smoothnet_loss(cfg.LOSS.W_POS, cfg.LOSS.W_ACCEL)(model(x), Batch(x, truth))[0]
        assert float(loss.detach()) == pytest.approx(expected, rel=1e-5)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        for group in optimizer.param_groups:
            group["lr"] *= cfg.TRAIN.LRDECAY


@pytest.mark.parametrize("name", [name for name in CASES if "mpiinf" not in name and "mupots" not in name])
def test_legacy_sampling_has_the_official_length(name):
    case, cfg = read(name)
    windows = training_windows(load_all(cfg, "train")[0], case["slide_window_size"], "legacy")
    assert len(windows) == case["train_len"]


def test_uniform_sampling_has_every_window_once():
    case, cfg = read("h36m_fcn_3D")
    windows = training_windows(load_all(cfg, "train")[0], 8)
    assert len(windows) == sum(length - 8 + 1 for length in case["lengths"])
    assert len(np.unique(windows.starts)) == len(windows)
