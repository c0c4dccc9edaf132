# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) SmoothNet contributors
"""Fixtures that several test files share."""

from __future__ import annotations

import logging
import os
import pickle
import secrets
import signal
import socket
from contextlib import suppress
from pathlib import Path

import numpy as np
import pytest
from helpers import ROOT
from hypothesis import settings
from torch.utils import backend_registration

settings.register_profile("any machine", deadline=None)  # a busy one is slow, which is no failure
settings.load_profile("any machine")

# Also where the suite runs in a shell's background or under nohup, which have these ignored, by all that it starts.
signal.signal(signal.SIGINT, signal.default_int_handler)
signal.signal(signal.SIGHUP, signal.SIG_DFL)


@pytest.fixture
def standin_env() -> dict[str, str]:
    """The environment of a process in which `import torch_sdaa` gives the stand-in of tests/standin.

    A process can have one PrivateUse1 device only, so whatever uses it runs in a process of its own.
    """
    if not hasattr(backend_registration, "_setup_privateuseone_for_python_backend"):
        pytest.skip("this PyTorch cannot host a device written in Python; the stand-in needs a newer one")
    return os.environ | {"PYTHONPATH": str(ROOT / "tests" / "standin"), "OMP_NUM_THREADS": "1"}


@pytest.fixture(scope="session")
def smpl_dir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the two SMPL files of a random body: SMPL's names and shapes, not the licensed model."""
    folder = tmp_path_factory.mktemp("smpl")
    with np.load(ROOT / "tests" / "golden" / "synthetic_smpl.npz") as file:
        model = dict(file)
    np.save(folder / "J_regressor_extra.npy", model.pop("J_regressor_extra"))
    with open(folder / "SMPL_NEUTRAL.pkl", "wb") as file:
        pickle.dump(model, file, protocol=2)
    return folder


@pytest.fixture
def free_port() -> int:
    """A port that nothing listens on, for processes to meet at; below those that connections are given by chance."""
    while True:
        port = secrets.randbelow(10_000) + 20_000
        with socket.socket() as probe, suppress(OSError):
            probe.bind(("127.0.0.1", port))
            return port


@pytest.fixture(autouse=True)
def no_left_over_signal_handlers():
    """Training that runs within a test takes Ctrl-C and the like as a request to stop, and the process lives on."""
    numbers = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
    before = {number: signal.getsignal(number) for number in numbers}
    yield
    for number, handler in before.items():
        signal.signal(number, handler)


@pytest.fixture(autouse=True)
def no_left_over_log_handlers():
    """Entry scripts that run within a test log to that test's stdout, which is closed afterwards."""
    yield
    logging.getLogger("lib").handlers.clear()
