# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) SmoothNet contributors
"""The script that the Dockerfile runs, with pip and conda that only note what is asked of them."""

import os
import shutil
import subprocess

import pytest
from helpers import ROOT

pytestmark = pytest.mark.skipif(not shutil.which("bash"), reason="no bash")
LOGGER = "install --no-cache-dir git+https://github.com/Tecorigin/tcap_dllogger.git"
REQUIREMENTS = "install --no-cache-dir -r requirements.txt"
TORCH = "install --no-cache-dir torch --index-url https://download.pytorch.org/whl/cpu"


def install(folder, *, torch: bool, environments: str = "", fails: str = "nothing"):
    """Run the script; (its status, what pip was asked for, stderr, the lines of .bashrc)."""
    tools = folder / "bin"
    tools.mkdir()
    programs = {
        "python": f"exit {0 if torch else 1}",
        "pip": f'echo "$CONDA:$*" >> "{folder}/pip.log"; [[ "$*" != *{fails}* ]]',
    }
    if environments:
        programs["conda"] = f"printf '# conda environments:\\n#\\nbase  /opt/conda\\n{environments}\\n'"
        (tools / "activate").write_text("CONDA=$1; export CONDA; : $UNSET\n")
    for name, body in programs.items():
        (tools / name).write_text(f"#!/bin/bash\n{body}\n")
        (tools / name).chmod(0o755)
    done = subprocess.run(
        ["bash", str(ROOT / "run_scripts/install_in_image.sh")], capture_output=True, text=True, timeout=60,
        env={"PATH": f"{tools}:{os.environ['PATH']}", "HOME": str(folder), "CONDA": ""},
    )  # fmt: skip
    bashrc = folder / ".bashrc"
    asked = (folder / "pip.log").read_text().splitlines()
    return done.returncode, asked, done.stderr, bashrc.read_text().splitlines() if bashrc.exists() else []


def test_a_plain_image_gets_the_cpu_build_of_pytorch(tmp_path):
    assert install(tmp_path, torch=False) == (0, [f":{TORCH}", f":{REQUIREMENTS}", f":{LOGGER}"], "", [])


@pytest.mark.parametrize("name", ["torch_env", "torch27_env_py310"])
def test_the_vendors_pytorch_is_kept_and_its_environment_used(tmp_path, name):
    status, asked, _, bashrc = install(tmp_path, torch=True, environments=f"{name}  /opt/conda/envs/{name}")
    assert (status, asked) == (0, [f"{name}:{REQUIREMENTS}", f"{name}:{LOGGER}"])
    assert bashrc == [f"source activate {name}"]


def test_an_environment_of_another_name_is_left_alone(tmp_path):
    status, asked, _, bashrc = install(tmp_path, torch=True, environments="mine  /opt/conda/envs/mine")
    assert (status, asked[0], bashrc) == (0, f":{REQUIREMENTS}", [])


def test_the_vendors_logger_may_fail_and_nothing_else_may(tmp_path):
    (tmp_path / "a").mkdir()
    status, _, said, _ = install(tmp_path / "a", torch=True, fails="tcap_dllogger")
    assert status == 0 and "tcap_dllogger could not be installed" in said
    (tmp_path / "b").mkdir()
    status, asked, _, _ = install(tmp_path / "b", torch=True, fails="requirements")
    assert status != 0 and len(asked) == 1


def test_the_dockerfile_runs_it_and_starts_as_the_modelzoo_asks():
    lines = (ROOT / "Dockerfile").read_text().splitlines()
    assert lines[0].startswith("ARG FROM_IMAGE_NAME=jfrog.tecorigin.net/")
    assert lines[1] == "FROM ${FROM_IMAGE_NAME}"
    assert "WORKDIR /workspace/contrib/Pose/SmoothNet" in lines
    assert any("install_in_image.sh" in line for line in lines if line.startswith("RUN"))
