# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) SmoothNet contributors
"""The first commands of the README on other processors: PyTorch and oneDNN can be told to do without instructions."""

import json
import os
import re
import subprocess
import sys

import numpy as np
import pytest
from helpers import ROOT

from data.demo import write_demo

# torch's and oneDNN's names of what is allowed; the last one: a PyTorch without oneDNN
PROCESSORS = {
    "this one": {},
    "AVX2": {"ATEN_CPU_CAPABILITY": "avx2", "ONEDNN_MAX_CPU_ISA": "AVX2"},
    "SSE4.1": {"ATEN_CPU_CAPABILITY": "default", "ONEDNN_MAX_CPU_ISA": "SSE41"},
    "no oneDNN": {"NO_ONEDNN": "1"},
}
WITHOUT_ONEDNN = """
import os, runpy, sys
import torch
if os.environ.get("NO_ONEDNN"):
    torch.backends.mkldnn.set_flags(False)
    del torch.ops.mkldnn
    torch.ops.mkldnn = type("Absent", (), {})()
sys.argv = sys.argv[1:]
sys.path.insert(0, os.getcwd())
runpy.run_path(sys.argv[0], run_name="__main__")
"""


BFLOAT16_MAY_PAY = ("this one",)  # the others have none, or a slow one


def call(processor, threads, *arguments):
    env = {k: v for k, v in os.environ.items() if k not in ("ATEN_CPU_CAPABILITY", "ONEDNN_MAX_CPU_ISA")}
    env |= PROCESSORS[processor] | {"OMP_NUM_THREADS": str(threads)}
    command = [sys.executable, "-c", WITHOUT_ONEDNN, *map(str, arguments)]
    done = subprocess.run(command, cwd=ROOT, env=env, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return done.stdout + done.stderr


def train(processor, threads, poses, run, *arguments):
    """What a short training says, and its loss."""
    text = call(
        processor, threads, "train_smoothnet.py", "--device", "cpu", "--cfg", "configs/demo_synthetic_3D.yaml",
        "--epoch", 1, "--batch_size", 32, "--logdir", run, *arguments, "--opts", "DATASET.BASE_DIR", poses,
        "MODEL.HIDDEN_SIZE", 64, "MODEL.RES_HIDDEN_SIZE", 16, "MODEL.NUM_BLOCK", 1,
    )  # fmt: skip
    return text, json.loads((run / "metrics.json").read_text())["history"][0]["loss"]


@pytest.fixture(scope="module")
def poses(tmp_path_factory):
    folder = tmp_path_factory.mktemp("poses")
    write_demo(folder, 3, 1, 90, seed=0)
    return folder


@pytest.fixture(scope="module")
def float32_loss(poses, tmp_path_factory):
    return train("this one", 1, poses, tmp_path_factory.mktemp("run"))[1]


@pytest.mark.parametrize(
    ("processor", "threads"), [("AVX2", 1), *((processor, 2) for processor in PROCESSORS)], ids=str
)
def test_training_with_autocast_and_smoothing_run_everywhere(processor, threads, poses, float32_loss, tmp_path):
    text, loss = train(processor, threads, poses, tmp_path / "run", "--autocast")
    float32 = text.count("autocast: float32 is used on the cpu, since")
    assert float32 == 1 if processor not in BFLOAT16_MAY_PAY else float32 <= 1
    # without bfloat16 it is float32's own loss, but for the order of sums
    assert loss == pytest.approx(float32_loss, rel=1e-4 if float32 else 0.02)

    points = np.cumsum(np.random.default_rng(0).normal(size=(70, 5, 3)), 0)
    np.save(tmp_path / "in.npy", points)
    call(processor, threads, "smooth_smoothnet.py", tmp_path / "in.npy", "-o", tmp_path / "out.npy")
    assert np.isfinite(np.load(tmp_path / "out.npy")).all()


def test_continuous_integration_plays_the_same_processors():
    """Benchmarks and the products under each of them, besides this machine's own."""
    text = (ROOT / ".ci/run").read_text()
    (listed,) = re.findall(r"^for processor in (.*); do$", text, re.MULTILINE)
    played = [tuple(pair.split()) for pair in re.findall(r'"([^"]+)"', listed)]
    assert played == [tuple(limits.values()) for limits in PROCESSORS.values() if len(limits) == 2]
    assert text.count("ATEN_CPU_CAPABILITY=$aten ONEDNN_MAX_CPU_ISA=$onednn") == 2
