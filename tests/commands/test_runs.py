# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) SmoothNet contributors
"""Run folders, and how runs end: nothing of two runs mixes, and nothing is lost that a signal or a pipe could take."""

from __future__ import annotations

import os
import pty
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch
from helpers import ROOT, SMALL, read_json, write_checkpoint, write_poses

from lib.commands import run
from lib.commands.runs import hold
from lib.utils.errors import SmoothNetError

DATA = ["--dataset_name", "toy", "--estimator", "est", "--body_representation", "3D", "--device", "cpu"]
TRAIN = [sys.executable, str(ROOT / "train_smoothnet.py"), *DATA]
LAUNCH = [sys.executable, str(ROOT / "run_scripts/run_smoothnet.py"), *DATA]


@pytest.fixture(scope="module")
def base(tmp_path_factory) -> Path:
    return write_poses(tmp_path_factory.mktemp("poses"))


def endless(base: Path, folder: Path, *more: str) -> list[str]:
    return [
        *("--epoch", "100000", "--batch_size", "1", "--logdir", str(folder)), *more,
        *("--opts", "DATASET.BASE_DIR", str(base), *SMALL, "TRAIN.VALIDATE", "False"),
    ]  # fmt: skip


def start(arguments: list[str], **options) -> subprocess.Popen:
    environment = {**os.environ, "OMP_NUM_THREADS": "1", **options.pop("env", {})}
    return subprocess.Popen(arguments, text=True, env=environment, **options)


def train(base: Path, folder: Path, *more: object) -> int:
    """One epoch, in this process; returns the status."""
    settings = ("--opts", "DATASET.BASE_DIR", base, *SMALL, "TRAIN.VALIDATE", "False", "LOG.ECHO", "no")
    return run("train", [str(word) for word in (*DATA, "--epoch", "1", "--logdir", folder, *more, *settings)])


def wait_for(condition, seconds: float = 60) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.05)


def checkpoint_is_of_the_last_step(folder: Path) -> None:
    checkpoint = torch.load(folder / "checkpoint.pth.tar", weights_only=True)
    assert checkpoint["iteration"] == checkpoint["epoch"] * (33 + 23) + checkpoint["batch"]


@pytest.mark.slow
def test_a_second_training_in_a_run_folder_is_refused_while_the_first_lives(base, tmp_path, capsys):
    folder = tmp_path / "run"
    first = start(TRAIN + endless(base, folder), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        wait_for((folder / "epoch_1.pth.tar").exists)
        for more in ((), ("--resume", "auto")):
            assert train(base, folder, *more) == 2
            said = capsys.readouterr().err
            assert f"{folder} is in use by process {first.pid} on " in said and said.count("\n") == 1
    finally:
        first.kill()  # which leaves nothing that would have to be cleaned up
        first.wait()
    assert train(base, folder, "--resume", "auto", "--step", "1") == 0


def test_a_run_folder_is_free_again_after_the_run(tmp_path):
    with hold(tmp_path), pytest.raises(SmoothNetError, match=f"in use by process {os.getpid()} on "), hold(tmp_path):
        pass
    with hold(tmp_path):
        pass


def test_an_evaluation_in_the_folder_of_a_training_keeps_its_metrics(base, tmp_path, capsys):
    trained, elsewhere = tmp_path / "run", tmp_path / "eval"
    assert train(base, trained) == 0
    before = (trained / "metrics.json").read_bytes()
    rows = []
    for folder, name in ((trained, "eval_metrics.json"), (elsewhere, "metrics.json")):
        words = [*DATA, "--checkpoint", trained / "checkpoint.pth.tar", "--logdir", folder]
        assert run("eval", [*map(str, words), "--opts", "DATASET.BASE_DIR", str(base)]) == 0
        rows.append(read_json(folder / name)["results"][0])
        del rows[-1]["metrics"]["us_per_frame"]
    assert rows[0] == rows[1]
    assert (trained / "metrics.json").read_bytes() == before
    assert train(base, elsewhere) == 2
    assert f"{elsewhere} holds an evaluation" in capsys.readouterr().err


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="a device that is always full")
def test_a_full_disk_is_told_by_what_counts_and_not_by_the_lock(tmp_path):
    (tmp_path / ".lock").symlink_to("/dev/full")
    with hold(tmp_path):
        pass


def test_a_filter_that_is_none_leaves_no_run_folder(base, tmp_path, capsys):
    weights = write_checkpoint(tmp_path / "c.pth.tar")
    words = [*DATA, "--checkpoint", weights, "--logdir", tmp_path / "eval", "--tradition", "savgol,kalman"]
    assert run("eval", [*map(str, words), "--opts", "DATASET.BASE_DIR", str(base)]) == 2
    assert "there is no filter 'kalman'" in capsys.readouterr().err
    assert not (tmp_path / "eval").exists()


@pytest.mark.slow
def test_a_terminal_that_hangs_up_ends_the_run_with_a_checkpoint(base, tmp_path):
    """With its progress bar on the terminal, where nothing can be written any more."""
    folder = tmp_path / "run"
    master, terminal = pty.openpty()
    child = start(
        LAUNCH + endless(base, folder), stdin=terminal, stdout=terminal, stderr=terminal,
        start_new_session=True,
    )  # fmt: skip
    os.close(terminal)
    wait_for((folder / "epoch_1.pth.tar").exists)
    os.close(master)
    child.send_signal(signal.SIGHUP)  # as the shell does
    assert child.wait(60) == 128 + signal.SIGHUP
    checkpoint_is_of_the_last_step(folder)


@pytest.mark.slow
def test_nohup_makes_a_run_outlive_its_terminal(base, tmp_path):
    folder = tmp_path / "run"
    child = start(
        ["nohup", *LAUNCH, *endless(base, folder)], stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )  # fmt: skip
    wait_for((folder / "epoch_1.pth.tar").exists)
    child.send_signal(signal.SIGHUP)
    with pytest.raises(subprocess.TimeoutExpired):
        child.wait(1)
    child.terminate()
    assert child.wait(60) == 128 + signal.SIGTERM


@pytest.mark.slow
@pytest.mark.parametrize(("echo", "unbuffered"), [("yes", ""), ("no", "1")])
def test_a_run_whose_output_nobody_reads_ends_with_a_checkpoint(base, tmp_path, echo, unbuffered):
    """As with `... | head`, and with `... | tee log` where Ctrl-C ends tee first."""
    folder = tmp_path / "run"
    child = start(
        TRAIN + endless(base, folder) + ["LOG.ECHO", echo],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env={"PYTHONUNBUFFERED": unbuffered},
    )
    wait_for((folder / "epoch_1.pth.tar").exists)
    child.stdout.close()
    assert child.wait(60) == 128 + signal.SIGPIPE
    assert child.stderr.read() == ""
    checkpoint_is_of_the_last_step(folder)


def test_a_resume_names_what_is_different(base, tmp_path, capsys):
    folder, poses = tmp_path / "run", write_poses(tmp_path / "poses", "other")
    assert train(base, folder) == 0
    assert train(base, folder, "--resume", "auto") == 0
    assert "goes on with other settings" not in capsys.readouterr().out
    changes = ("--dataset_name", "other", "--epoch", "2", "--seed", "7", "--lr", "0.5")
    assert train(poses, folder, "--resume", "auto", *changes) == 0
    named = re.findall(
        r"the run goes on with other settings: (\S+) is (\S+), was (\S+)", (folder / "train_log.txt").read_text()
    )
    assert named == [
        ("SEED_VALUE", "7", "4321"), ("DATASET_NAME", "'other'", "'toy'"),
        ("DATASET.BASE_DIR", f"'{poses}'", f"'{base}'"), ("TRAIN.LR", "0.5", "0.001"),
    ]  # fmt: skip


def test_what_does_nothing_is_said_in_the_log(base, tmp_path, capsys):
    given = ["--num_workers", "4", "--step", "1", "--opts", "LOG.NAME", "mine", "CUDNN.BENCHMARK", "False"]
    settings = [
        *DATA,
        "--logdir",
        tmp_path / "run",
        *given,
        "DATASET.BASE_DIR",
        base,
        *SMALL,
        "TRAIN.VALIDATE",
        "False",
    ]
    assert run("train", list(map(str, settings))) == 0
    for log in ((tmp_path / "run/train_log.txt").read_text(), capsys.readouterr().out):
        for sentence in (
            "TRAIN.WORKERS_NUM 4 is accepted and does nothing",
            "LOG.NAME mine is accepted and does nothing",
            "CUDNN.BENCHMARK False does nothing on cpu",
        ):
            assert sentence in log
        assert "CUDNN.ENABLED True does" not in log


def test_a_model_does_not_replace_its_own_checkpoint(tmp_path, capsys):
    path = write_checkpoint(tmp_path / "w.pth.tar")
    before = path.read_bytes()
    (tmp_path / "model.onnx").symlink_to(path)
    for checkpoint in (path, tmp_path / "model.onnx"):
        assert run("export", ["--checkpoint", str(checkpoint), "-o", str(tmp_path / "model.onnx")]) == 2
        assert "is the checkpoint itself" in capsys.readouterr().err
    assert path.read_bytes() == before
