# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) SmoothNet contributors
"""Several machines, played by network namespaces of this one, and processes that hang."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import time
from contextlib import contextmanager
from pathlib import Path

import pytest
import torch
from helpers import ROOT, SMALL, write_poses
from processes import worker

LAUNCHER = [sys.executable, "run_scripts/run_smoothnet.py", "--device", "cpu", "--dataset_name", "toy"]
LAUNCHER += ["--estimator", "est", "--body_representation", "3D", "--epoch", "100000", "--bs", "8"]


def ip(*words: str) -> None:
    subprocess.run(["ip", *words], check=True, capture_output=True, text=True)


@pytest.fixture
def machines():
    """Two network namespaces joined by a cable: [(name, interface, address), ...]."""
    if not shutil.which("ip"):
        pytest.skip("needs the command ip (iproute2)")
    if not hasattr(os, "geteuid") or os.geteuid():
        pytest.skip("only root may make network namespaces")
    found = [(f"smoothnet{os.getpid()}-{n}", f"sn{os.getpid() % 100_000}-{n}", f"10.77.0.{n + 1}") for n in (0, 1)]
    try:
        for name, _, _ in found:
            ip("netns", "add", name)
        (a, cable_a, _), (b, cable_b, _) = found
        ip("link", "add", cable_a, "netns", a, "type", "veth", "peer", "name", cable_b, "netns", b)
        for name, cable, address in found:
            ip("-n", name, "link", "set", "lo", "up")
            ip("-n", name, "addr", "add", f"{address}/24", "dev", cable)
            ip("-n", name, "link", "set", cable, "up")
        subprocess.run(["ip", "netns", "exec", a, "true"], check=True, capture_output=True)
        yield found
    except subprocess.CalledProcessError as error:
        pytest.skip(f"network namespaces cannot be made here: {str(error.stderr).strip()}")
    finally:
        for name, _, _ in found:
            subprocess.run(["ip", "netns", "del", name], capture_output=True)


@contextmanager
def started(run: Path, base: Path, *arguments: str, before: tuple[str, ...] = (), opts: tuple[str, ...] = ()):
    """The launcher in a process, its stderr in RUN.err."""
    settings = ["--opts", "DATASET.BASE_DIR", str(base), *SMALL, "TRAIN.VALIDATE", "False", *opts]
    with open(f"{run}.err", "w") as errors:
        process = subprocess.Popen(
            [*before, *LAUNCHER, "--logdir", str(run), *arguments, *settings], cwd=ROOT, stdout=subprocess.DEVNULL,
            stderr=errors, env={**os.environ, "OMP_NUM_THREADS": "1"},
        )  # fmt: skip
        try:
            yield process
        finally:
            if process.poll() is None:  # the test failed
                process.terminate()
                process.wait(60)


def wait_for_file(path: Path, processes: list[subprocess.Popen]) -> None:
    deadline = time.monotonic() + 100
    while not path.exists():
        assert time.monotonic() < deadline and all(process.poll() is None for process in processes), path
        time.sleep(0.2)


def said(run: Path) -> list[str]:
    """What the processes of a run said on stderr, without PyTorch's own warnings."""
    return [line for line in Path(f"{run}.err").read_text().splitlines() if not line.startswith("[W")]


def test_a_machine_that_is_cut_off_ends_the_run_on_both_within_a_minute(machines, tmp_path):
    base = write_poses(tmp_path / "poses")
    runs = [tmp_path / "run0", tmp_path / "run1"]
    shared = ("--nnode", "2", "--master_addr", machines[0][2], "--master_port", "29500")
    before = [("ip", "netns", "exec", name) for name, _, _ in machines]
    with (
        started(runs[0], base, *shared, "--node_rank", "0", before=before[0]) as first,
        started(runs[1], base, *shared, "--node_rank", "1", before=before[1]) as second,
    ):
        wait_for_file(runs[0] / "epoch_1.pth.tar", [first, second])
        ip("-n", machines[1][0], "link", "set", machines[1][1], "down")
        cut = time.monotonic()
        while not all(map(said, runs)) and time.monotonic() < cut + 60:
            time.sleep(0.2)
        noticed = time.monotonic() - cut
        assert [process.wait(120) for process in (first, second)] == [2, 2]  # a busy machine takes long to end them
    assert noticed < 60
    sentence = "the other processes cannot be reached any more: a machine or the network is down"
    assert said(runs[0]) == [f"error: {sentence}"]
    assert said(runs[1]) == [f"error of process 1: {sentence}"]
    assert torch.load(runs[0] / "checkpoint.pth.tar", weights_only=True)["epoch"] >= 1


@pytest.mark.skipif(sys.platform != "linux", reason="finds the process in /proc")
def test_a_process_that_hangs_is_noticed_within_the_timeout(tmp_path, free_port):
    run = tmp_path / "run"
    base = write_poses(tmp_path / "poses")
    two = ("--nproc_per_node", "2", "--master_port", str(free_port))
    with started(run, base, *two, opts=("TRAIN.TIMEOUT", "20")) as process:
        wait_for_file(run / "epoch_1.pth.tar", [process])
        hanging = worker(process.pid, rank=1)
        os.kill(hanging, signal.SIGSTOP)
        stopped = time.monotonic()
        try:
            while not said(run) and time.monotonic() < stopped + 60:
                time.sleep(0.2)
            noticed = time.monotonic() - stopped
            assert process.wait(60) == 2  # torchrun waits half a minute before it kills the one that hangs
        finally:
            if process.poll() is None:
                os.kill(hanging, signal.SIGKILL)
    assert said(run) == ["error: waited TRAIN.TIMEOUT seconds for the other processes: one hangs, or needs more time"]
    assert 15 < noticed < 30
