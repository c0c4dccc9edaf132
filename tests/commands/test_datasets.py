# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) SmoothNet contributors
"""Every representation through the real entry scripts: train, evaluate, report."""

from __future__ import annotations

import csv
import json
import re

import numpy as np
import pytest
import torch
from helpers import ROOT, SMALL, object_array, read_json, write_checkpoint, write_npz, write_poses

from lib.commands import evaluate as eval_smoothnet
from lib.commands import train as train_smoothnet
from lib.commands.arguments import run_main
from lib.evaluation.published import published
from lib.evaluation.report import part_rows, report_text, table_rows, write_report
from lib.utils.errors import SmoothNetError

GOLDEN = ROOT / "tests" / "golden"


def names(case: str) -> list[str]:
    dataset, estimator, representation = case.split("_")
    return [
        "--dataset_name", dataset, "--estimator", estimator, "--body_representation", representation, "--device", "cpu"
    ]  # fmt: skip


def opts(case: str, *more: str) -> list[str]:
    return ["--opts", "DATASET.BASE_DIR", str(GOLDEN / case / "data/poses"), *more]


@pytest.mark.parametrize(
    ("case", "more", "channels"),
    [
        ("h36m_hrnet_2D", [], 32),
        ("jhmdb_simplepose_2D", [], 30),
        ("pw3d_tcmr_3D", ["TRAIN.SAMPLING", "legacy"], 42),
        ("pw3d_spin_smpl", [], 144),
        ("aist_vibe_smpl", ["TRAIN.USE_6D_SMPL", "False"], 72),
    ],
)
def test_training_of_each_representation(case, more, channels, tmp_path, smpl_dir, capsys):
    if "smpl" in case:
        pytest.importorskip("smplx")
    arguments = [*names(case), "--epoch", "2", "--bs", "32", "--logdir", str(tmp_path / "run")]
    assert (
        run_main(train_smoothnet.main, [*arguments, *opts(case, *SMALL, "SMPL_MODEL_DIR", str(smpl_dir), *more)]) == 0
    )
    metrics = read_json(tmp_path / "run/metrics.json")
    assert metrics["history"][1]["loss"] < metrics["history"][0]["loss"]
    values = metrics["results"][0]["metrics"]
    expected = {"jhmdb": ["pck_005", "pck_01", "pck_02"]}.get(case.split("_")[0], ["mpjpe", "pampjpe", "accel"])
    for metric in [*expected, *(["mpvpe"] if "smpl" in case else [])]:
        assert np.isfinite(values[f"smoothnet_{metric}"])
    macs = int(re.search(r"(\d+) multiply-adds per channel", capsys.readouterr().out)[1])
    logged = (tmp_path / "run/train_log.txt").read_text()
    assert f"{macs * channels / 1e6:.1f} M per frame" in logged


def test_smpl_evaluation_needs_its_files_and_says_so(tmp_path, capsys):
    pytest.importorskip("smplx")
    checkpoint = GOLDEN / "pw3d_spin_smpl/checkpoint.pth.tar"
    arguments = [*names("pw3d_spin_smpl"), "--checkpoint", str(checkpoint)]
    assert run_main(eval_smoothnet.main, [*arguments, *opts("pw3d_spin_smpl", "SMPL_MODEL_DIR", str(tmp_path))]) == 2
    error = capsys.readouterr().err
    assert "SMPL_NEUTRAL.pkl" in error and str(tmp_path) in error and "smpl.is.tue.mpg.de" in error


def test_any_window_and_step_and_clips_shorter_than_the_window(tmp_path):
    write_poses(tmp_path / "poses", lengths=(40, 5, 1))
    for window, step in ((6, 1), (6, 4), (64, 1)):
        checkpoint = write_checkpoint(tmp_path / f"{window}.pth.tar", window)
        run = tmp_path / f"{window}_{step}"
        arguments = ["--dataset_name", "toy", "--estimator", "est", "--body_representation", "3D", "--device", "cpu"]
        status = run_main(eval_smoothnet.main, [
            *arguments, "--checkpoint", str(checkpoint), "--slide_window_step_size", str(step), "--tradition", "all",
            "--logdir", str(run), "--opts", "DATASET.BASE_DIR", str(tmp_path / "poses"),
        ])  # fmt: skip
        assert status == 0
        metrics = read_json(run / "metrics.json")["results"][0]["metrics"]
        assert metrics["frames"] == 46
        assert all(np.isfinite(value) for value in metrics.values())


def test_absolute_and_root_relative_differ_only_by_the_root(tmp_path):
    """Shifting every detection by 100 mm changes the absolute error and not the root-relative one."""
    shift = lambda truth, detected: detected.__setitem__(0, truth[0] + np.tile([0.1, 0, 0], 3))  # noqa: E731
    write_poses(tmp_path / "poses", lengths=(30,), edit=shift)
    checkpoint = write_checkpoint(tmp_path / "c.pth.tar")
    for flag, expected in (("True", 0.0), ("False", 100.0)):
        arguments = ["--dataset_name", "toy", "--estimator", "est", "--body_representation", "3D", "--device", "cpu"]
        assert run_main(eval_smoothnet.main, [
            *arguments, "--checkpoint", str(checkpoint), "--logdir", str(tmp_path / flag),
            "--opts", "DATASET.BASE_DIR", str(tmp_path / "poses"), "EVALUATE.ROOT_RELATIVE", flag,
        ]) == 0  # fmt: skip
        metrics = read_json(tmp_path / flag / "metrics.json")["results"][0]["metrics"]
        assert metrics["input_mpjpe"] == pytest.approx(expected, abs=1e-3)


def test_nan_frames_are_masked_alike_for_every_method(tmp_path):
    """A detector that fails in one frame: the figures of all methods are means over the other frames."""

    def fail(truth, detected):
        detected[0] = truth[0] + np.array([0, 0, 0, 0.03, 0, 0, 0, 0, 0])  # 30 mm at one of three joints
        detected[0][12] = np.nan

    write_poses(tmp_path / "poses", lengths=(40,), edit=fail)
    checkpoint = write_checkpoint(tmp_path / "c.pth.tar")
    arguments = ["--dataset_name", "toy", "--estimator", "est", "--body_representation", "3D", "--device", "cpu"]
    assert run_main(eval_smoothnet.main, [
        *arguments, "--checkpoint", str(checkpoint), "--tradition", "all", "--logdir", str(tmp_path / "run"),
        "--opts", "DATASET.BASE_DIR", str(tmp_path / "poses"),
    ]) == 0  # fmt: skip
    metrics = read_json(tmp_path / "run/metrics.json")["results"][0]["metrics"]
    assert metrics["invalid_frames"] == 1
    assert metrics["input_mpjpe"] == pytest.approx(10, rel=1e-4)
    assert metrics["input_accel"] == pytest.approx(0, abs=1e-3)
    assert all(np.isfinite(value) for value in metrics.values())


def row(**metrics: float) -> dict:
    return {
        "dataset": "h36m", "estimator": "fcn", "body_representation": "3D", "slide_window_size": 32,
        "checkpoint": "c", "metrics": metrics,
    }  # fmt: skip


def test_published_figures_stand_beside_ours_and_are_marked():
    ours = row(input_mpjpe=54.0, smoothnet_mpjpe=52.0, input_accel=19.0, smoothnet_accel=1.0, savgol_mpjpe=55.5)
    header, lines = table_rows([ours])
    methods = {line[header.index("method")]: line[header.index("MPJPE")] for line in lines}
    assert methods == {
        "input": "54.00", "SmoothNet": "52.00", "savgol": "55.50",
        "input (published)": "54.55", "SmoothNet (published)": "52.72", "SmoothNet (published by Tecorigin)": "52.70",
    }  # fmt: skip
    _, lines = table_rows([{**ours, "slide_window_size": 8}])
    assert not any("published" in line[4] for line in lines)
    assert published("h36m", "fcn", "3D", 32)["smoothnet_accel"] == 1.03


def test_reports_in_each_format(tmp_path):
    rows = [row(input_mpjpe=54.0, smoothnet_mpjpe=52.0)]
    for ending in ("md", "csv", "json"):
        write_report(rows, tmp_path / f"r.{ending}")
    assert json.loads((tmp_path / "r.json").read_text())["results"] == rows
    table = list(csv.DictReader((tmp_path / "r.csv").open()))
    assert table[1]["method"] == "SmoothNet" and table[1]["MPJPE"] == "52.00"
    assert (tmp_path / "r.md").read_text().startswith("| dataset |")
    with pytest.raises(SmoothNetError, match=r"\.md, \.csv or \.json"):
        write_report(rows, tmp_path / "r.txt")


def test_pck_columns_stand_under_the_right_names(tmp_path):
    """Only the wrists are wrong, so only their column is 0."""

    def wrists(truth, detected):
        truth[:] = [np.full((12, 30), 100.0)]
        detected[0] = truth[0].reshape(12, 15, 2).copy()
        detected[0][:, [11, 12]] += 500
        detected[0] = detected[0].reshape(12, 30)

    base = write_poses(tmp_path / "poses", "jhmdb", "simplepose", "2D", lengths=(12,), channels=30, edit=wrists)
    truth = base / "jhmdb_simplepose_2D/groundtruth/jhmdb_gt_2D_test.npz"
    with np.load(truth, allow_pickle=True) as content:
        arrays = {key: content[key] for key in content.files}
    write_npz(
        truth, **arrays, imgshape=object_array([np.array([240, 320, 3])]),
        bbox=object_array([np.tile([0.0, 0, 100, 200], (12, 1))]),
    )  # fmt: skip
    checkpoint = write_checkpoint(tmp_path / "c.pth.tar")
    assert run_main(eval_smoothnet.main, [
        *names("jhmdb_simplepose_2D"), "--checkpoint", str(checkpoint), "--logdir", str(tmp_path / "run"),
        "--opts", "DATASET.BASE_DIR", str(base),
    ]) == 0  # fmt: skip
    rows = read_json(tmp_path / "run/metrics.json")["results"]
    header, lines = part_rows(rows)
    first = dict(zip(header, lines[0], strict=True))
    assert first["method"] == "input PCK@0.05"
    assert first["wrist"] == "0.0000"
    assert {first[part] for part in ("head", "shoulder", "elbow", "hip", "knee", "ankle")} == {"1.0000"}
    assert rows[0]["metrics"]["input_pck_005"] == pytest.approx(13 / 15)
    assert "wrist" in report_text(rows)


def test_weights_of_a_bare_state_dict_evaluate(tmp_path):
    write_poses(tmp_path / "poses")
    state = torch.load(write_checkpoint(tmp_path / "c.pth.tar"), weights_only=True)["state_dict"]
    torch.save({f"module.{key}": value for key, value in state.items()}, tmp_path / "bare.pth")
    arguments = ["--dataset_name", "toy", "--estimator", "est", "--body_representation", "3D", "--device", "cpu"]
    assert run_main(eval_smoothnet.main, [
        *arguments, "--checkpoint", str(tmp_path / "bare.pth"), "--logdir", str(tmp_path / "run"),
        "--opts", "DATASET.BASE_DIR", str(tmp_path / "poses"),
    ]) == 0  # fmt: skip
