# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) SmoothNet contributors
"""Several files at the same time: what comes out is what one after the other gives, and nothing is left behind."""

from __future__ import annotations

import multiprocessing
import os
import re
import signal
import subprocess
import sys
import time
from contextlib import suppress

import numpy as np
import pytest
from helpers import ROOT

from lib.inference.files import smooth_files
from lib.inference.methods import Smoothing
from lib.inference.options import SmoothingOptions
from lib.utils.errors import SmoothNetError


def walk(frames, seed=0):
    return np.cumsum(np.random.default_rng(seed).normal(0, 0.01, (frames, 2, 3)), axis=0)


def rts(progress=None):
    return Smoothing(SmoothingOptions(method="rts", fps=30.0), progress)


def test_jobs_give_what_one_after_the_other_gives(tmp_path):
    inputs = [tmp_path / f"{name}.npy" for name in "abc"]
    for number, path in enumerate(inputs):
        np.save(path, walk(40 + number, number))
    told = []
    alone = smooth_files(inputs, tmp_path / "alone", rts())
    together = smooth_files(inputs, tmp_path / "together", rts(lambda *frames: told.append(frames)), jobs=2)
    for path in inputs:
        assert (tmp_path / "together" / path.name).read_bytes() == (tmp_path / "alone" / path.name).read_bytes()
    texts = [[re.sub(r"together|alone|[\d.]+ s$", "", done.text()) for done in dones] for dones in (alone, together)]
    assert texts[0] == texts[1]
    assert told[-1] == (123, 123)
    assert multiprocessing.active_children() == []


def test_the_first_file_that_fails_is_named_and_nothing_written(tmp_path):
    inputs = [tmp_path / f"{name}.npy" for name in "abcd"]
    for path in inputs:
        np.save(path, walk(40))
    for bad in (inputs[1], inputs[3]):
        bad.write_bytes(b"no numbers")
    with pytest.raises(SmoothNetError, match=r"b\.npy is not a readable NumPy file"):
        smooth_files(inputs, tmp_path / "out", rts(), jobs=3)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.npy", "b.npy", "c.npy", "d.npy"]
    assert multiprocessing.active_children() == []


STOPPED = """
import multiprocessing, os, sys
from pathlib import Path
from lib.inference.files import smooth_files
from lib.inference.methods import Smoothing
from lib.inference.options import SmoothingOptions

def stop(*_):
    children = multiprocessing.active_children()
    print(*(child.pid for child in children), flush=True)
    os.kill(children[0].pid if sys.argv[3] == "child" else os.getpid(), int(sys.argv[2]))

folder = Path(sys.argv[1])
smoothing = Smoothing(SmoothingOptions(step=1), stop)
smooth_files([folder / "a.npy", folder / "b.npy"], folder / "out", smoothing, jobs=2)
"""


def alive(process):
    with suppress(ProcessLookupError):
        os.kill(process, 0)
        return True
    return False


def stop(folder, number, whom):
    """Stop one of the processes as they begin; gives how it ended, and waits until all are gone."""
    for name in "ab":
        np.save(folder / f"{name}.npy", walk(12_000))
    words = [sys.executable, "-c", STOPPED, str(folder), str(int(number)), whom]
    done = subprocess.run(words, cwd=ROOT, capture_output=True, text=True)
    children = [int(word) for word in done.stdout.splitlines()[0].split()]
    assert len(children) == 2, done.stderr
    until = time.monotonic() + 30
    while any(map(alive, children)) and time.monotonic() < until:
        time.sleep(0.05)
    assert not any(map(alive, children))
    return done


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL])
def test_a_signal_ends_all_of_them(number, tmp_path):
    done = stop(tmp_path, number, "parent")
    if number == signal.SIGKILL:
        assert done.returncode == -number
    else:
        assert done.returncode in (128 + number, -number)  # Python ends by SIGINT itself
        assert sorted(path.name for path in tmp_path.iterdir()) == ["a.npy", "b.npy"]
        assert "spawn_main" not in done.stderr  # nor does another process say anything


def test_a_process_that_is_killed_is_one_sentence(tmp_path):
    done = stop(tmp_path, signal.SIGKILL, "child")
    assert "SmoothNetError: a process of --jobs was ended from outside (status -9)" in done.stderr
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.npy", "b.npy"]
