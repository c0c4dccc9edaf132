# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) SmoothNet contributors
"""The precision kit: a device against the CPU, step by step."""

import csv
import re

import numpy as np
import pytest
from helpers import SMALL, command, write_poses

from lib.training import loop
from run_scripts import align

NAMES = ["--dataset_name", "toy", "--estimator", "est", "--body_representation", "3D", "--bs", "16"]


@pytest.fixture
def opts(tmp_path):
    return ["--opts", "DATASET.BASE_DIR", str(write_poses(tmp_path / "poses")), *SMALL]


def rows(folder):
    with open(folder / "steps.csv", newline="") as file:
        return [{key: float(value) for key, value in row.items()} for row in csv.DictReader(file)]


def test_the_stand_in_computes_what_the_cpu_does(standin_env, tmp_path, opts):
    out = command(
        "run_scripts/align.py", "--device", "sdaa", *NAMES, "--step", "12", "--output", tmp_path / "out", *opts,
        env=standin_env, timeout=200,
    )  # fmt: skip
    assert out.returncode == 0, out.stdout + out.stderr
    assert out.stdout.splitlines()[-1].startswith("pass")
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == [
        "cpu.log",
        "loss.jpg",
        "sdaa.log",
        "steps.csv",
    ]
    assert (tmp_path / "out/loss.jpg").read_bytes().startswith(b"\xff\xd8\xff")
    steps = rows(tmp_path / "out")
    assert [step["step"] for step in steps] == list(range(12))
    assert steps[0]["gradient_error"] < 1e-5 and all(step["weight_error"] < 1e-3 for step in steps)
    logged = [
        [float(x) for x in re.findall(r"rank : 0  train.loss : ([\d\.e-]+)", (tmp_path / "out" / name).read_text())]
        for name in ("sdaa.log", "cpu.log")
    ]
    assert logged == [[step["loss_device"] for step in steps], [step["loss_cpu"] for step in steps]]
    assert logged[0] != logged[1] or steps[-1]["weight_error"] > 0  # they were two runs


def test_mixed_precision_is_compared_with_float32_and_overflows_are_counted(standin_env, tmp_path, opts):
    out = command(
        "run_scripts/align.py", "--device", "sdaa", *NAMES, "--step", "16", "--autocast", "True",
        "--output", tmp_path / "out", *opts, "MODEL.DROPOUT", "0.5", "TRAIN.GRAD_SCALE", "5e8",
        env=standin_env, timeout=200,
    )  # fmt: skip
    assert "mixed precision" in out.stdout, out.stderr
    steps = rows(tmp_path / "out")
    skipped = [step for step in steps if np.isnan(step["gradient_error"])]
    assert skipped and skipped == steps[: len(skipped)] and len(skipped) < 16  # the scale falls until it fits
    assert f"gradients overflowed: {len(skipped)}" in out.stdout
    assert 0 < abs(steps[0]["loss_error"]) < 1e-2  # no dropout, or it would be far off; and float16, or it would be 0


def test_a_device_that_learns_otherwise_fails(tmp_path, opts, monkeypatch, capsys):
    trained = []

    def wrong_the_second_time(cfg, *others, **options):
        cfg = cfg.clone()
        cfg.TRAIN.LR *= 100 ** len(trained)
        trained.append(cfg)
        return loop_train(cfg, *others, **options)

    loop_train = loop.train
    monkeypatch.setattr(loop, "train", wrong_the_second_time)
    assert align.main(["--device", "cpu", *NAMES, "--step", "12", "--output", str(tmp_path / "out"), *opts]) == 1
    assert capsys.readouterr().out.splitlines()[-1].startswith("fail")
    steps = rows(tmp_path / "out")
    assert steps[0]["loss_error"] == steps[0]["gradient_error"] == 0  # the same weights and batch
    assert steps[0]["weight_error"] > 0.1 < abs(steps[-1]["loss_error"])


def test_the_distance_of_two_vectors_by_hand():
    assert align.distance(np.array([3.0, 4.0]), np.array([3.0, 0.0])) == pytest.approx(4 / 3)
    assert align.distance(np.zeros(2), np.zeros(2)) == 0
    assert align.distance(np.ones(2), np.zeros(2)) == 1
    assert np.isnan(align.distance(np.array([np.nan]), np.ones(2)))


@pytest.mark.parametrize("wrong", [["--step", "0"], ["--dataset_name", "h36m"]])
def test_contradictions_are_usage_errors(wrong, capsys):
    with pytest.raises(SystemExit) as caught:
        align.main(wrong)
    assert caught.value.code == 2 and capsys.readouterr().err
