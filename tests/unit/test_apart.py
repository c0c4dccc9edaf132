# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) SmoothNet contributors
"""What a damaged file does to a C library happens in a process apart, and is said in one sentence."""

import os
import signal
import time
from pathlib import Path

import pytest

from lib.formats import h5, read_recording
from lib.utils.apart import harm
from lib.utils.errors import SmoothNetError

ENDLESS = Path(__file__).parents[1] / "golden" / "endless.nc"  # two damaged bytes, over which HDF5 1.14 runs for ever

pytestmark = pytest.mark.skipif(not hasattr(os, "fork"), reason="no processes can be forked here")


def test_harm_is_what_the_work_does_to_its_process():
    begun = time.monotonic()
    assert harm(lambda: time.sleep(60), 0.2) == "takes more than 0.2 seconds"
    assert time.monotonic() - begun < 20
    assert harm(lambda: os.kill(os.getpid(), signal.SIGSEGV), 20) == f"ends with signal {int(signal.SIGSEGV)}"
    assert harm(lambda: 1 / 0, 20) is None and harm(lambda: None, 20) is None


def test_a_file_that_holds_the_library_for_ever_is_refused_by_name(monkeypatch, tmp_path):
    pytest.importorskip("h5py")
    monkeypatch.setattr(h5, "SECONDS", 1.0)
    path = tmp_path / "endless.nc"
    path.write_bytes(ENDLESS.read_bytes())
    with pytest.raises(SmoothNetError, match=r"endless\.nc"):
        read_recording(path)


def test_a_file_over_whose_changes_the_library_dies_is_refused_and_nothing_written(tmp_path):
    h5py = pytest.importorskip("h5py")
    with h5py.File(tmp_path / "a.nc", "w") as file:
        file["position"] = [1.0, 2.0]
    with pytest.raises(SmoothNetError, match=r"a\.nc is damaged: writing a copy of it ends with signal 6"):
        h5.write_arrays(tmp_path / "a.nc", tmp_path / "out.nc", {"position": lambda array: os.abort()})
    assert [path.name for path in tmp_path.iterdir()] == ["a.nc"]
