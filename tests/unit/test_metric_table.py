# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) SmoothNet contributors
"""One row in the table of metrics is all that a new metric needs: it is then told everywhere."""

from __future__ import annotations

import csv
import math

import numpy as np
import pytest
from helpers import SMALL, read_json, write_poses

from lib.commands.arguments import run_main
from lib.commands.evaluate import main as evaluate_main
from lib.commands.train import main as train_main
from lib.evaluation import metrics as m
from lib.evaluation.metrics import METRICS, Metric, columns, headline
from lib.evaluation.summary import SequenceResult, summarise


def velocity(predicted: np.ndarray, truth: np.ndarray) -> np.ndarray:
    """Mean over joints of the length of the error's first difference; the first frame has none and counts as 0."""
    step = np.diff(predicted - truth, axis=0)
    return np.concatenate([[0.0], np.linalg.norm(step, axis=-1).mean(-1)])[: len(truth)]


def test_a_new_metric_is_one_row(monkeypatch, tmp_path, capsys):
    """It comes out of evaluation, report, per-sequence file, JSON, training's log and training's curves."""
    monkeypatch.setitem(
        METRICS, "velocity", Metric("velocity", velocity, "Velocity", "{}/frame", 3, "joints", curve=True)
    )
    base = write_poses(tmp_path / "poses")
    words = ["--dataset_name", "toy", "--estimator", "est", "--body_representation", "3D", "--device", "cpu"]
    options = ["--opts", *SMALL, "DATASET.BASE_DIR", str(base)]
    run = tmp_path / "run"
    titles = []
    from matplotlib.axes import Axes

    original = Axes.set
    monkeypatch.setattr(
        Axes, "set", lambda self, **words: (titles.append(words.get("title")), original(self, **words))[1]
    )
    assert run_main(train_main, [*words, "--epoch", "1", "--logdir", str(run), *options]) == 0
    assert "velocity " in capsys.readouterr().out
    assert "test Velocity" in titles

    where, report = tmp_path / "eval", tmp_path / "table.md"
    found = ["--checkpoint", str(run / "checkpoint.pth.tar"), "--logdir", str(where), "--report", str(report)]
    assert run_main(evaluate_main, [*words, *found, "--per_sequence", "True", "--tradition", "savgol", *options]) == 0
    figures = read_json(where / "metrics.json")["results"][0]["metrics"]
    for method in ("input", "smoothnet", "savgol", "improvement"):
        assert math.isfinite(figures[f"{method}_velocity"])
    assert figures["improvement_velocity"] == figures["smoothnet_velocity"] - figures["input_velocity"]
    with open(where / "per_sequence.csv") as file:
        rows = list(csv.DictReader(file))
    lengths = np.array([int(row["frames"]) for row in rows if row["method"] == "savgol"])
    values = np.array([float(row["velocity"]) for row in rows if row["method"] == "savgol"])
    assert (values * lengths).sum() / lengths.sum() == pytest.approx(figures["savgol_velocity"])
    table = report.read_text()
    assert "Velocity" in table and f"{figures['savgol_velocity']:.3f}" in table


def test_a_metric_in_other_spaces_and_of_other_kinds():
    assert [row.name for row in m.metrics_of("joints")] == ["mpjpe", "pampjpe", "accel"]
    assert [row.name for row in m.metrics_of("joints", "vertices")][-1] == "mpvpe"
    assert [row.name for row in m.metrics_of("boxes")] == ["pck_005", "pck_01", "pck_02"]
    assert columns()["accel_unpadded"] == ("Accel unpadded", 2)
    assert columns()["pck_01"] == ("PCK@0.1", 4)


def test_headline_is_lower_for_the_better_run():
    assert headline({"smoothnet_mpjpe": 3.0, "smoothnet_accel": 1.0}) == 3.0
    assert headline({"smoothnet_pck_005": 0.75}) == 0.25
    assert math.isnan(headline({"frames": 3}))


def test_a_worst_row_is_told_of_the_worst_frames(monkeypatch):
    monkeypatch.setitem(
        METRICS, "velocity", Metric("velocity", velocity, "Velocity", "{}/frame", 3, "joints", worst=True)
    )
    values = {
        name: {"mpjpe": np.arange(200.0), "velocity": np.arange(200.0)[::-1] * factor}
        for name, factor in (("input", 1), ("smoothnet", 2))
    }
    summary = summarise([SequenceResult(0, "", np.ones(200, bool), {}, values)])
    assert (summary["input_velocity_top1"], summary["smoothnet_velocity_top1"]) == (0.5, 1.0)
