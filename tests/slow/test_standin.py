# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) SmoothNet contributors
"""The stand-in for sdaa devices behaves like a device, so that what passes on it means something."""

import subprocess
import sys

from helpers import ROOT


def test_standin_behaves_like_a_device(standin_env):
    command = [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", "tests/standin/checks.py"]
    result = subprocess.run(command, cwd=ROOT, env=standin_env, capture_output=True, text=True, timeout=300)
    assert result.returncode == 0, result.stdout + result.stderr
    assert " passed" in result.stdout
