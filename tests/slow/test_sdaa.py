# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) SmoothNet contributors
"""The real scripts on the stand-in for sdaa, from end to end: the same results as on the cpu.

This shows that no tensor is left on the wrong device and that checkpoints travel; it says nothing of cards.
"""

import re

import pytest
import torch
from helpers import SMALL, command, read_json, write_poses

LAUNCHER = "run_scripts/run_smoothnet.py"
LOSS = re.compile(r"rank : 0  train.loss : ([\d\.e-]+)")


@pytest.fixture(scope="module")
def base(tmp_path_factory):
    return write_poses(tmp_path_factory.mktemp("poses"), lengths=(40, 30, 6), channels=9)


@pytest.fixture
def launch(base, standin_env):
    def launch(run, *arguments, opts=(), status=0, env=None):
        result = command(
            LAUNCHER,
            *("--dataset_name", "toy", "--estimator", "est", "--body_representation", "3D", "--logdir", run),
            *arguments,
            *("--opts", "DATASET.BASE_DIR", base, *SMALL, "MODEL.DROPOUT", "0", *opts),
            env={**standin_env, **(env or {})},
            timeout=200,
        )
        assert result.returncode == status, result.stdout + result.stderr
        return result

    return launch


def weights(run):
    return torch.load(run / "checkpoint.pth.tar", weights_only=True)["state_dict"]


def losses(run):
    return [float(x) for x in LOSS.findall((run / "dllogger_rank0.log").read_text())]


def test_training_and_evaluation_equal_the_cpus(launch, tmp_path):
    cpu, sdaa = tmp_path / "cpu", tmp_path / "sdaa"
    # 9 windows at once make the stand-in and the cpu add in the same order
    launch(cpu, "--device", "cpu", "--epoch", "2", "--bs", "9")
    out = launch(sdaa, "--device", "sdaa", "--epoch", "2", "--bs", "9")
    assert "device: sdaa:0 (stand-in for tests, 16.0 GiB)" in out.stdout
    assert losses(sdaa) == pytest.approx(losses(cpu), rel=1e-5)
    for name, value in weights(cpu).items():
        torch.testing.assert_close(weights(sdaa)[name], value, rtol=1e-4, atol=1e-6)
    trained = read_json(sdaa / "metrics.json")["results"][0]["metrics"]
    assert trained == pytest.approx(read_json(cpu / "metrics.json")["results"][0]["metrics"], rel=1e-4)

    evaluated = tmp_path / "evaluated"
    launch(evaluated, "--device", "sdaa:2", "--eval", "--checkpoint", sdaa / "checkpoint.pth.tar")
    metrics = read_json(evaluated / "metrics.json")["results"][0]["metrics"]
    metrics.pop("us_per_frame")
    assert metrics == pytest.approx(trained, rel=1e-5)


def test_autocast_trains_in_float16_and_resumes_exactly(launch, tmp_path):
    whole, halves, plain = tmp_path / "whole", tmp_path / "halves", tmp_path / "plain"
    mixed = ["--device", "sdaa", "--autocast", "--bs", "16", "--grad_scale", "256"]
    launch(plain, "--device", "sdaa", "--bs", "16", "--epoch", "2")
    out = launch(whole, *mixed, "--epoch", "2", opts=["MODEL.DROPOUT", "0.3"])
    assert "products in float16" in out.stdout
    checkpoint = torch.load(whole / "checkpoint.pth.tar", weights_only=True)
    assert checkpoint["scaler"]["scale"] == 256
    assert all(value.dtype == torch.float32 for value in checkpoint["state_dict"].values())

    launch(halves, *mixed, "--step", "5", opts=["MODEL.DROPOUT", "0.3"])  # in the middle of the second epoch
    launch(halves, *mixed, "--epoch", "2", "--resume", "auto", opts=["MODEL.DROPOUT", "0.3"])
    for name, value in weights(whole).items():
        assert torch.equal(weights(halves)[name], value), name
    assert losses(halves) == losses(whole)

    launch(tmp_path / "mixed", *mixed, "--epoch", "2")
    compared = command(
        "run_scripts/loss.py",
        *("--sdaa-log", tmp_path / "mixed/dllogger_rank0.log", "--cuda-log", plain / "dllogger_rank0.log"),
        *("--plot", tmp_path / "loss.png"),
    )
    assert compared.returncode == 0 and "pass" in compared.stdout
    assert losses(tmp_path / "mixed") != losses(plain)  # it was float16


def test_overflowed_steps_are_skipped_and_counted(launch, tmp_path):
    out = launch(tmp_path / "run", "--device", "sdaa", "--autocast", "True", "--grad_scale", "1e30", "--epoch", "1")
    assert "overflowed steps so far" in out.stdout
    entry = read_json(tmp_path / "run/metrics.json")["history"][0]
    assert entry["overflows"] == entry["iteration"] >= 1
    checkpoint = torch.load(tmp_path / "run/checkpoint.pth.tar", weights_only=True)
    assert checkpoint["scaler"]["scale"] == pytest.approx(1e30 / 2 ** entry["iteration"])
    assert checkpoint["optimizer"]["state"] == {}  # no step was made


def test_two_processes_over_tccl_equal_one(launch, tmp_path, free_port):
    one, two = tmp_path / "one", tmp_path / "two"
    whole = ("DATASET.BASE_DIR", write_poses(tmp_path / "poses"))  # no sequence shorter than the window
    launch(one, "--device", "sdaa", "--epoch", "2", "--bs", "16", opts=whole)
    ports = ["--nproc_per_node", "2", "--master_port", free_port]
    launch(two, "--device", "sdaa", "--epoch", "2", "--bs", "8", *ports, opts=whole)
    for name, value in weights(one).items():
        torch.testing.assert_close(weights(two)[name], value, rtol=1e-3, atol=5e-5)
    assert (two / "dllogger_rank1.log").read_text().count("rank : 1  train.loss") == len(losses(two))


def test_out_of_memory_names_the_setting(launch, tmp_path):
    result = launch(tmp_path / "run", "--device", "sdaa", "--epoch", "1", status=2, env={"SDAA_STANDIN_MEMORY": "2000"})
    assert "error: sdaa:0 ran out of memory: set TRAIN.MICRO_BATCH" in result.stderr
    assert "Traceback" not in result.stderr


def test_what_is_not_there_is_refused_before_the_data_is_read(launch, tmp_path):
    result = launch(tmp_path / "run", "--device", "sdaa:7", status=2)
    assert "there is no sdaa:7, only sdaa:0 to sdaa:3" in result.stderr
    result = launch(tmp_path / "run", "--device", "sdaa", status=2, env={"PYTHONPATH": ""})
    assert "torch_sdaa is not installed" in result.stderr
    assert not (tmp_path / "run").exists()
