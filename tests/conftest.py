"""Fixtures that several test files share."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from torch.utils import backend_registration

ROOT = Path(__file__).resolve().parent.parent


@pytest.fixture
def standin_env() -> dict[str, str]:
    """The environment of a process in which `import torch_sdaa` gives the stand-in of tests/standin.

    A process can have one PrivateUse1 device only, so whatever uses it runs in a process of its own.
    """
    if not hasattr(backend_registration, "_setup_privateuseone_for_python_backend"):
        pytest.skip("this PyTorch cannot host a device written in Python; the stand-in needs a newer one")
    return os.environ | {"PYTHONPATH": str(ROOT / "tests" / "standin"), "OMP_NUM_THREADS": "1"}
