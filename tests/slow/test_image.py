# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) SmoothNet contributors
"""The image, built and used; and the short run that a ModelZoo contribution carries."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from helpers import ROOT


@pytest.mark.skipif(
    not os.environ.get("SMOOTHNET_IMAGE"),
    reason="builds two images: some ten minutes, 8 GB, root, buildah, debootstrap; SMOOTHNET_IMAGE=1 runs it",
)
def test_the_image_is_built_and_used(tmp_path):
    out = subprocess.run(
        ["bash", str(ROOT / "tests/slow/docker.sh"), str(tmp_path)], capture_output=True, text=True, timeout=3000
    )
    if out.returncode == 77:
        pytest.skip(out.stdout.splitlines()[-1])
    assert out.returncode == 0, out.stdout + out.stderr
    assert "ok: plain" in out.stdout and "ok: torch_env" in out.stdout
    assert not list(tmp_path.iterdir())


@pytest.mark.skipif(not shutil.which("bash"), reason="no bash")
def test_the_short_run_works_from_its_own_folder():
    out = subprocess.run(
        ["bash", "test.sh", "cpu", "3"], cwd=ROOT / "run_scripts", capture_output=True, text=True, timeout=300,
        env={**os.environ, "OMP_NUM_THREADS": "1", "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}"},
    )  # fmt: skip
    assert out.returncode == 0, out.stdout + out.stderr
    assert "iterations compared: 3" in out.stdout and out.stdout.splitlines()[-1].startswith("pass")
