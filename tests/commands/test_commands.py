# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) SmoothNet contributors
"""The real commands from end to end, as a user types them, on tiny data."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import torch
import yaml
from helpers import ROOT, SMALL, command, read_json, write_checkpoint, write_poses

from lib.commands import train as train_smoothnet
from lib.commands.arguments import run_main
from lib.commands.runs import make_run_folder
from lib.filters import FILTERS
from run_scripts import run_smoothnet

LAUNCHER = "run_scripts/run_smoothnet.py"
DATA = ["--dataset_name", "toy", "--estimator", "est", "--body_representation", "3D", "--device", "cpu"]


@pytest.fixture(scope="module")
def base(tmp_path_factory) -> Path:
    return write_poses(tmp_path_factory.mktemp("poses"))


def opts(base: Path, *more: str) -> list[str]:
    return ["--opts", "DATASET.BASE_DIR", str(base), *SMALL, *more]


def weights(path: Path) -> dict[str, torch.Tensor]:
    return torch.load(path, weights_only=True)["state_dict"]


@pytest.fixture(scope="module")
def trained(base, tmp_path_factory) -> Path:
    """A run of three epochs."""
    run = tmp_path_factory.mktemp("run") / "trained"
    out = command("train_smoothnet.py", *three_epochs(base, run))
    assert out.returncode == 0, out.stderr
    return run


def three_epochs(base: Path, run: Path) -> list:
    return [
        *DATA, "--cfg", "configs/h36m_fcn_3D.yaml", "--epoch", "3", "--batch_size", "16", "--autocast", "--logdir", run,
        *opts(base, "TRAIN.AUTOCAST", "False"),
    ]  # fmt: skip


def test_training_leaves_what_the_readme_says(trained, base):
    left = set(os.listdir(trained))
    assert left >= {
        "config.yaml", "metrics.json", "curves.png", "train_log.txt", "tensorboard", "best.pth.tar",
        "checkpoint.pth.tar", "epoch_1.pth.tar", "epoch_2.pth.tar", "epoch_3.pth.tar",
    }  # fmt: skip
    stored = yaml.safe_load((trained / "config.yaml").read_text())
    assert stored["TRAIN"]["EPOCH"] == 3 and stored["DATASET"]["BASE_DIR"] == str(base)
    assert stored["MODEL"]["HIDDEN_SIZE"] == 16  # --opts beats the YAML file
    metrics = read_json(trained / "metrics.json")
    assert [entry["epoch"] for entry in metrics["history"]] == [1, 2, 3]
    losses = [entry["loss"] for entry in metrics["history"]]
    assert losses[2] < losses[0]
    result = metrics["results"][0]
    assert (result["dataset"], result["slide_window_size"]) == ("toy", 8)
    assert result["metrics"]["smoothnet_mpjpe"] > 0
    assert any(name.startswith("events.out") for name in os.listdir(trained / "tensorboard"))
    assert "epoch 3: loss" in (trained / "train_log.txt").read_text()


@pytest.mark.slow
def test_the_launcher_trains_the_same_from_another_folder(trained, base, tmp_path):
    out = command(LAUNCHER, *three_epochs(base, Path("run")), cwd=tmp_path)
    assert out.returncode == 0, out.stderr
    assert "train_smoothnet.py" in out.stdout.splitlines()[0]
    whole, launched = weights(trained / "epoch_3.pth.tar"), weights(tmp_path / "run/epoch_3.pth.tar")
    assert all(torch.equal(whole[key], launched[key]) for key in whole)


@pytest.mark.slow
def test_evaluation_through_the_launcher(trained, base, tmp_path):
    out = command(
        LAUNCHER, *DATA, "--checkpoint", trained / "epoch_3.pth.tar", "--slide_window_size", "8", "--eval",
        "--tradition", "all", "--report", "table.md", "--per_sequence", "--logdir", tmp_path / "eval",
        "--opts", "DATASET.BASE_DIR", base, cwd=tmp_path,
    )  # fmt: skip
    assert out.returncode == 0, out.stderr
    row = read_json(tmp_path / "eval/metrics.json")["results"][0]
    assert set(row) == {
        "dataset", "estimator", "body_representation", "slide_window_size", "checkpoint", "metrics"
    }  # fmt: skip
    metrics = row["metrics"]
    for method in ("input", "smoothnet", "savgol", "oneeuro", "gaus1d", "gaussian"):
        for metric in ("mpjpe", "pampjpe", "accel", "accel_unpadded"):
            assert np.isfinite(metrics[f"{method}_{metric}"])
        assert f"{metrics[f'{method}_mpjpe']:.2f}" in out.stdout
    last = read_json(trained / "metrics.json")["results"][0]["metrics"]
    assert metrics["smoothnet_mpjpe"] == pytest.approx(last["smoothnet_mpjpe"], rel=1e-6)
    assert re.search(r"network: \d+ parameters, [\d.]+ M multiply-adds and [\d.]+ us per frame", out.stdout)
    assert (tmp_path / "table.md").read_text().count("\n") == 4 + len(FILTERS)
    lines = (tmp_path / "eval/per_sequence.csv").read_text().splitlines()
    assert len(lines) == 1 + 2 * (2 + len(FILTERS))


def test_resuming_gives_the_run_that_was_never_stopped(trained, base, tmp_path):
    """Stopped after 5 iterations, in the middle of an epoch, and resumed: same losses, same weights, bit for bit."""
    arguments = [*DATA, "--cfg", "configs/h36m_fcn_3D.yaml", "--batch_size", "16", "--logdir", tmp_path / "run"]
    first = command("train_smoothnet.py", *arguments, "--step", "5", *opts(base, "TRAIN.EPOCH", "3"))
    assert first.returncode == 0, first.stderr
    assert torch.load(tmp_path / "run/checkpoint.pth.tar", weights_only=True)["batch"] == 5 - 4
    settings = (tmp_path / "run/config.yaml").read_bytes()
    words = [*arguments, "--epoch", "3", "--resume", "auto"]
    other = command("train_smoothnet.py", *words, *opts(base, "MODEL.HIDDEN_SIZE", "24"))
    assert other.returncode == 2 and (tmp_path / "run/config.yaml").read_bytes() == settings, other.stderr
    again = command("train_smoothnet.py", *words, *opts(base))
    assert again.returncode == 0, again.stderr
    whole, parts = weights(trained / "epoch_3.pth.tar"), weights(tmp_path / "run/epoch_3.pth.tar")
    assert all(torch.equal(whole[key], parts[key]) for key in whole)
    by_epoch = {
        e["epoch"]: e["loss"] for e in read_json(tmp_path / "run/metrics.json")["history"] if e["iteration"] % 4 == 0
    }
    for entry in read_json(trained / "metrics.json")["history"]:
        assert by_epoch[entry["epoch"]] == entry["loss"]


def test_resume_auto_starts_afresh_where_there_is_nothing(base, tmp_path):
    out = command(
        "train_smoothnet.py", *DATA, "--epoch", "1", "--resume", "auto", "--logdir", tmp_path / "r", *opts(base)
    )
    assert out.returncode == 0 and "a fresh start" in out.stdout


def test_the_seed_decides(base, tmp_path):
    runs = []
    for name, seed in (("a", 1), ("b", 1), ("c", 2)):
        out = command(
            "train_smoothnet.py", *DATA, "--epoch", "1", "--seed", seed, "--logdir", tmp_path / name, *opts(base)
        )
        assert out.returncode == 0, out.stderr
        runs.append(weights(tmp_path / name / "checkpoint.pth.tar"))
    assert all(torch.equal(runs[0][key], runs[1][key]) for key in runs[0])
    assert not all(torch.equal(runs[0][key], runs[2][key]) for key in runs[0])


@pytest.mark.slow
@pytest.mark.parametrize(("number", "status"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_signal_ends_the_run_with_a_checkpoint(base, tmp_path, number, status):
    run = tmp_path / "run"
    arguments = [
        *DATA,
        "--epoch",
        "100000",
        "--batch_size",
        "1",
        "--logdir",
        str(run),
        *opts(base, "TRAIN.VALIDATE", "False"),
    ]
    child = subprocess.Popen(
        [sys.executable, str(ROOT / LAUNCHER), *map(str, arguments)],
        stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True, env={**os.environ, "OMP_NUM_THREADS": "1"},
    )  # fmt: skip
    deadline = time.monotonic() + 60
    while not list(run.glob("epoch_1.pth.tar")) and time.monotonic() < deadline:
        time.sleep(0.1)
    child.send_signal(number)
    child.communicate(timeout=60)
    assert child.returncode == status
    checkpoint = torch.load(run / "checkpoint.pth.tar", weights_only=True)
    last_whole = max(int(re.search(r"\d+", path.name)[0]) for path in run.glob("epoch_*.pth.tar"))
    assert checkpoint["epoch"] == last_whole
    per_epoch = 33 + 23
    assert checkpoint["iteration"] == checkpoint["epoch"] * per_epoch + checkpoint["batch"]


def test_a_loss_that_is_not_finite_stops_the_run_and_keeps_the_last_good_checkpoint(base, tmp_path):
    run = tmp_path / "run"
    good = command("train_smoothnet.py", *DATA, "--epoch", "1", "--logdir", run, *opts(base))
    assert good.returncode == 0, good.stderr
    before = (run / "checkpoint.pth.tar").read_bytes()
    bad = command(
        "train_smoothnet.py", *DATA, "--epoch", "2", "--logdir", run, "--resume", "auto", "--lr", "1e30", *opts(base)
    )
    assert bad.returncode == 2
    assert re.search(r"error: the loss became (nan|inf) at epoch 2, step \d+", bad.stderr)
    assert (run / "checkpoint.pth.tar").read_bytes() == before
    assert all(value.isfinite().all() for value in weights(run / "checkpoint.pth.tar").values())


def test_several_datasets_in_one_run(base, tmp_path):
    write_poses(tmp_path / "poses", "other", "spin", lengths=(25,), seed=5)
    write_poses(tmp_path / "poses")
    names = [
        "--dataset_name",
        "toy,other",
        "--estimator",
        "est,spin",
        "--body_representation",
        "3D,3D",
        "--device",
        "cpu",
    ]
    out = command("train_smoothnet.py", *names, "--epoch", "1", "--logdir", tmp_path / "r", *opts(tmp_path / "poses"))
    assert out.returncode == 0, out.stderr
    results = read_json(tmp_path / "r/metrics.json")["results"]
    assert [(row["dataset"], row["estimator"]) for row in results] == [("toy", "est"), ("other", "spin")]


def test_two_runs_of_the_same_second_get_two_folders(base, tmp_path):
    from lib.config import load_config

    cfg = load_config(None, {"OUTPUT_DIR": str(tmp_path)})
    assert len({make_run_folder(cfg) for _ in range(5)}) == 5


def test_a_run_is_not_overwritten(trained, base):
    out = command("train_smoothnet.py", *DATA, "--logdir", trained, *opts(base))
    assert out.returncode == 2 and "already holds a training run" in out.stderr


USAGE = {
    "eval without checkpoint": ([*DATA, "--eval"], "--eval needs --checkpoint"),
    "epoch with eval": ([*DATA, "--eval", "--checkpoint", "x", "--epoch", "3"], "--epoch is for training only"),
    "resume with eval": ([*DATA, "--eval", "--checkpoint", "x", "--resume", "auto"], "--resume is for training only"),
    "checkpoint without eval": ([*DATA, "--checkpoint", "x"], "--checkpoint is for --eval only"),
    "step and epoch": ([*DATA, "--step", "3", "--epoch", "3"], "--step and --epoch exclude each other"),
    "no such argument": ([*DATA, "--epochs", "3"], "unrecognized arguments: --epochs"),
    "not a number": ([*DATA, "--epoch", "x"], "--epoch must be a whole number from 1 to"),
    "neither true nor false": ([*DATA, "--autocast", "perhaps"], "--autocast must be True or False"),
}


@pytest.mark.parametrize("what", USAGE)
def test_usage_errors_come_before_anything_starts(what, capsys):
    arguments, words = USAGE[what]
    with pytest.raises(SystemExit) as end:
        run_smoothnet.parse(arguments)
    assert end.value.code == 2
    assert words in capsys.readouterr().err


def test_the_launcher_prints_usage_errors_and_starts_nothing():
    out = command(LAUNCHER, *DATA, "--eval")
    assert out.returncode == 2
    assert "--eval needs --checkpoint" in out.stderr and "train_smoothnet.py" not in out.stdout


MISTAKES = {
    "no data": (["--opts", "DATASET.BASE_DIR", "/nowhere"], "does not exist"),
    "no name": (["--dataset_name", ""], "DATASET_NAME is empty"),
    "unknown key": (["--opts", "TRAIN.NOPE", "1"], "no setting TRAIN.NOPE"),
    "unknown estimator": (["--dataset_name", "pw3d"], "pw3d has no 3D poses of est"),
    "unknown device": (["--device", "tpu"], "tpu"),
    "config": (["--cfg", "nowhere.yaml"], "nowhere.yaml"),
    "resume": (["--resume", "nowhere.pth"], "nowhere.pth does not exist"),
    "window": (["--opts", "MODEL.SLIDE_WINDOW_SIZE", "0"], "from 1 to"),
}


@pytest.mark.parametrize("what", MISTAKES)
def test_mistakes_are_one_sentence_and_status_2(base, tmp_path, what, capsys):
    arguments, words = MISTAKES[what]
    tail = [] if "--opts" in arguments else opts(base)
    given = [*DATA, "--epoch", "1", "--logdir", str(tmp_path / "run"), *arguments, *tail]
    assert run_main(train_smoothnet.main, given) == 2
    error = capsys.readouterr().err
    assert words in error and error.startswith("error: ") and error.count("\n") == 1


@pytest.mark.slow
def test_a_checkpoint_of_another_window_is_refused(base, tmp_path):
    path = write_checkpoint(tmp_path / "c.pth.tar", window=8)
    out = command(
        LAUNCHER, *DATA, "--checkpoint", path, "--eval", "--slide_window_size", "32", "--opts", "DATASET.BASE_DIR", base
    )
    assert out.returncode == 2 and "8 frames, but 32" in out.stderr


def test_a_plain_run_folder_is_named_after_the_time_and_the_experiment(base, tmp_path):
    out = command(
        "train_smoothnet.py", *DATA, "--epoch", "1", "--exp_name", "trial",
        *opts(base, "OUTPUT_DIR", str(tmp_path / "results")),
    )  # fmt: skip
    assert out.returncode == 0, out.stderr
    (folder,) = os.listdir(tmp_path / "results")
    assert re.fullmatch(r"\d{4}-\d\d-\d\d_\d\d-\d\d-\d\d_trial", folder)
