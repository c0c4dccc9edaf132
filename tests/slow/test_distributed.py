# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) SmoothNet contributors
"""Several processes (gloo, on the cpu) do what one process does."""

import os
import re
import signal
import socket
import subprocess
import sys
import time

import numpy as np
import pytest
import torch
from helpers import ROOT, SMALL, command, read_json, write_poses
from processes import worker

from lib.dataset.windows import epoch_batches
from lib.utils.distributed import World, interface_towards, notice_silence
from lib.utils.errors import SmoothNetError
from run_scripts import run_smoothnet

LAUNCHER = "run_scripts/run_smoothnet.py"
DATA = ["--dataset_name", "toy", "--estimator", "est", "--body_representation", "3D", "--device", "cpu"]


@pytest.fixture(scope="module")
def base(tmp_path_factory):
    return write_poses(tmp_path_factory.mktemp("poses"), lengths=(40, 30, 25, 12, 5, 3, 6, 4))


def launch(base, run, *arguments, opts=()):
    settings = ["--opts", "DATASET.BASE_DIR", base, *SMALL, "MODEL.DROPOUT", "0", *opts]
    return command(LAUNCHER, *DATA, "--logdir", run, *arguments, *settings, timeout=200)


def two(port):
    return ["--nproc_per_node", "2", "--master_port", port]


def weights(run):
    return torch.load(run / "checkpoint.pth.tar", weights_only=True)["state_dict"]


def test_two_processes_train_and_evaluate_like_one_on_the_joined_batch(base, tmp_path, free_port):
    """83 windows, four of them padded clips, in joint batches of 16, the last of 3: unlike shares of what counts."""
    assert launch(base, tmp_path / "one", "--epoch", "2", "--bs", "16").returncode == 0
    out = launch(base, tmp_path / "two", "--epoch", "2", "--bs", "8", *two(free_port))
    assert out.returncode == 0, out.stdout + out.stderr
    assert "processes.py --nproc_per_node 2" in out.stdout.splitlines()[0]
    assert out.stdout.count("run folder:") == 1  # rank 0 alone reports
    one, pair = (read_json(tmp_path / name / "metrics.json")["history"] for name in ("one", "two"))
    for a, b in zip(one, pair, strict=True):
        assert a["iteration"] == b["iteration"]
        assert b["loss"] == pytest.approx(a["loss"], rel=1e-4)
    for name, value in weights(tmp_path / "one").items():
        torch.testing.assert_close(weights(tmp_path / "two")[name], value, rtol=1e-3, atol=1e-5)

    # the same weights evaluated by one and by two processes: the same numbers to the last digit
    results = []
    for name, arguments in (("e1", []), ("e2", two(free_port))):
        out = launch(
            base, tmp_path / name, "--eval", "--checkpoint", tmp_path / "two/checkpoint.pth.tar",
            "--per_sequence", "--tradition", "savgol", *arguments,
        )  # fmt: skip
        assert out.returncode == 0, out.stdout + out.stderr
        metrics = read_json(tmp_path / name / "metrics.json")["results"][0]["metrics"]
        metrics.pop("us_per_frame")
        results.append((metrics, (tmp_path / name / "per_sequence.csv").read_text()))
    assert results[0] == results[1]
    trained = read_json(tmp_path / "two/metrics.json")["results"][0]["metrics"]
    assert trained == {key: value for key, value in results[0][0].items() if key in trained}


def test_two_processes_resume_where_they_were(base, tmp_path, free_port):
    arguments = ["--bs", "8", *two(free_port)]
    assert launch(base, tmp_path / "whole", "--epoch", "2", *arguments).returncode == 0
    assert launch(base, tmp_path / "parts", "--step", "7", *arguments).returncode == 0
    refused = launch(base, tmp_path / "parts", "--epoch", "2", "--bs", "8", "--resume", "auto")
    assert refused.returncode == 2 and "16 windows a step" in refused.stderr
    twice = launch(base, tmp_path / "parts", "--epoch", "2", *arguments)  # the same error in both processes
    assert twice.returncode == 2 and "error: " in twice.stderr and "Traceback" not in twice.stderr
    assert launch(base, tmp_path / "parts", "--epoch", "2", "--resume", "auto", *arguments).returncode == 0
    for name, value in weights(tmp_path / "whole").items():
        assert torch.equal(weights(tmp_path / "parts")[name], value), name


def test_a_mistake_is_a_sentence_of_each_process_and_nothing_else(base, tmp_path, free_port):
    done = launch(base, tmp_path / "run", *two(free_port), "--dataset_name", "nowhere")
    assert done.returncode == 2 and done.stderr
    for line in done.stderr.splitlines():  # of one process, where it ended before the other had begun
        assert re.fullmatch(r"error( of process 1)?: ((?!error).)*nowhere_gt_3D_train\.npz((?!error).)*", line), line


def test_a_process_that_dies_ends_the_run(base, tmp_path, free_port):
    opts = ["--opts", "DATASET.BASE_DIR", str(base), *SMALL]
    run = tmp_path / "run"
    launcher = [
        sys.executable,
        LAUNCHER,
        *DATA,
        "--logdir",
        run,
        "--epoch",
        "100000",
        "--bs",
        "8",
        *two(free_port),
        *opts,
    ]
    with subprocess.Popen(
        list(map(str, launcher)), cwd=ROOT, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
    ) as process:  # fmt: skip
        try:
            deadline = time.monotonic() + 100
            while not (run / "epoch_1.pth.tar").exists() and time.monotonic() < deadline:
                time.sleep(0.2)
                assert process.poll() is None, process.stderr.read()
            os.kill(worker(process.pid, rank=1), signal.SIGKILL)
            _, stderr = process.communicate(timeout=60)  # within a minute
        finally:
            process.kill() if process.poll() is None else None
    assert process.returncode == 128 + signal.SIGKILL
    assert "error: lost the other processes" in stderr and "error: process 1 was ended by SIGKILL" in stderr
    assert "Traceback" not in stderr and "torch.distributed" not in stderr
    assert torch.load(run / "checkpoint.pth.tar", weights_only=True)["epoch"] >= 1


JOINED = """
import atexit, sys, torch
from lib.commands.arguments import run_main
from lib.utils.distributed import join
sys.setswitchinterval(1000)  # so that gloo's threads do not get the interpreter's lock before the end
atexit.register(lambda: print("unwound", flush=True))
def main(argv):
    world = join(torch.device("cpu"), 60)
    for _ in range(3):
        world.any(False)
    print("said", world.rank)
    return 0
sys.exit(run_main(main))
"""


def test_processes_that_have_joined_do_not_unwind_the_interpreter(free_port):
    """There gloo's threads abort one in five of them (SIGABRT)."""
    world = {"WORLD_SIZE": "2", "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(free_port), "OMP_NUM_THREADS": "1"}
    processes = [
        subprocess.Popen(
            [sys.executable, "-c", JOINED],
            cwd=ROOT,
            env={**os.environ, **world, "RANK": str(rank)},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        for rank in range(2)
    ]
    for rank, process in enumerate(processes):
        out, error = process.communicate(timeout=120)
        assert (process.returncode, out, error) == (0, f"said {rank}\n", "")


def test_one_process_each_sees_every_window_once():
    for counts, size, processes in (
        ([79], 8, 2),
        ([17, 5], 4, 3),
        ([3], 1024, 3),
        ([64], 4, 4),
        ([65], 4, 4),
    ):
        seen = [np.zeros(count, int) for count in counts]
        for d, part in epoch_batches(counts, size, processes=processes):
            order = np.arange(counts[d])[part]
            shares = [order[rank::processes] for rank in range(processes)]
            assert min(map(len, shares)) >= 1
            assert max(map(len, shares)) <= size + 1
            for share in shares:
                seen[d][share] += 1
        assert all((times == 1).all() for times in seen)
    with pytest.raises(SmoothNetError, match="4 processes cannot share 3 windows"):
        epoch_batches([3], 8, processes=4)


def test_sequences_are_shared_out_evenly_and_once():
    lengths = [10, 70, 30, 40, 20, 5, 1]
    shares = [World(rank, 3).share(lengths) for rank in range(3)]
    assert sorted(i for share in shares for i in share) == list(range(7))
    assert sorted(sum(lengths[i] for i in share) for share in shares) == [51, 55, 70]
    assert World().share(lengths) == list(range(7))
    assert World(1, 2).share([9]) == []


@pytest.mark.parametrize(
    "wrong",
    [
        ["--nproc_per_node", "0"],
        ["--nnode", "2", "--node_rank", "2"],
        ["--node_rank", "1"],
        ["--nproc_per_node", "2", "--device", "cuda:0"],
        ["--grad_scale", "much"],
    ],
)
def test_contradictions_are_usage_errors(wrong, capsys):
    with pytest.raises(SystemExit) as caught:
        run_smoothnet.parse(wrong)
    assert caught.value.code == 2
    assert capsys.readouterr().err


def test_command_for_several_machines():
    args = run_smoothnet.parse(
        [
            "--nproc_per_node",
            "4",
            "--nnode",
            "2",
            "--node_rank",
            "1",
            "--master_addr",
            "10.0.0.5",
            "--device",
            "sdaa",
        ]
    )
    command = run_smoothnet.build_command(args)
    assert command[1].endswith("processes.py")
    assert command[2:12] == [
        "--nproc_per_node", "4", "--nnodes", "2", "--node_rank", "1",
        "--master_addr", "10.0.0.5", "--master_port", "29500",
    ]  # fmt: skip
    assert command[12].endswith("train_smoothnet.py") and command[13:] == ["--device", "sdaa"]
    assert "--nnodes" not in run_smoothnet.build_command(run_smoothnet.parse([]))


@pytest.mark.parametrize(("spelling", "scale"), [("True", 65536.0), ("False", 0.0), ("1024", 1024.0), (None, 65536.0)])
def test_grad_scale_spellings(spelling, scale):
    args = run_smoothnet.parse(["--grad_scale", *([] if spelling is None else [spelling])])
    assert args.grad_scale == scale


@pytest.mark.skipif(sys.platform != "linux", reason="the options are Linux's")
def test_open_connections_notice_silence_and_stay_open():
    with socket.create_server(("127.0.0.1", 0)) as server, open(os.devnull) as no_socket:
        with socket.create_connection(server.getsockname()) as mine, server.accept()[0] as theirs:
            notice_silence(30)
            for connection in (mine, theirs):
                assert connection.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE)
                assert connection.getsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT) == 30_000
                assert connection.getsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPIDLE) == 10
            mine.sendall(b"word")
            assert theirs.recv(4) == b"word"
        assert not server.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE)
        assert no_socket.read() == ""


@pytest.mark.skipif(sys.platform != "linux", reason="names of interfaces are Linux's")
def test_the_interface_is_the_one_that_leads_to_the_master():
    assert interface_towards("127.0.0.1") == "lo"
    assert interface_towards("no such host.invalid") is None
