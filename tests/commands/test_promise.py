# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) SmoothNet contributors
"""A few cases of the promise, see tests/promise; and that the judge would notice."""

from __future__ import annotations

import subprocess
import sys

import numpy as np
import pytest
from helpers import ROOT
from promise.judge import complaints, near
from promise.mutate import Case
from promise.run import Outcome


@pytest.mark.slow
def test_two_hundred_cases():
    words = [sys.executable, "tests/harness.py", "--cases", "200", "--seed", "0"]
    done = subprocess.run(words, cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.slow
def test_scenes_are_good_before_they_are_spoiled():
    """A scene that fails by itself would hold every promise."""
    words = [sys.executable, "tests/harness.py", "--good"]
    done = subprocess.run(words, cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr


def case(**changes) -> Case:
    words = {"seed": 0, "scene": "", "command": "loss", "argv": ["a.npz"], "inputs": ["a.npz"], "outputs": ["o.npz"]}
    return Case(**{**words, "only_on_success": True, "words": ["a.npz"], **changes})


def judged(status=0, stderr="", before=None, after=None, late=False, **changes) -> str:
    before = {"work/a.npz": ("file", "1")} if before is None else before
    outcome = Outcome(status, "", stderr, before, before if after is None else after, late, 0.1, 0)
    return " ".join(complaints(case(**changes), outcome, ROOT))


GOOD = "error: a.npz is damaged; copy it again\n"
BEFORE = {"work/a.npz": ("file", "1"), "outside/precious": ("file", "2")}


def test_what_holds():
    assert judged() == ""
    assert judged(2, GOOD) == ""
    assert judged(2, "usage: smooth [-h]\nsmooth: error: argument a.npz: it is none\n") == ""
    assert judged(0, before=BEFORE, after=BEFORE | {"work/o.npz": ("file", "3")}) == ""
    assert judged(-15, signal=(15, 0.1)) == ""


@pytest.mark.parametrize(("kind", "outcome"), {
    "time": {"late": True},
    "traceback": {"status": 1, "stderr": 'Traceback (most recent call last):\n  File "x"\nKeyError: 1\n'},
    "warning": {"status": 2, "stderr": f"x.py:3: RuntimeWarning: overflow\n{GOOD}"},
    "status": {"status": -11},
    "status ": {"status": 3, "stderr": "bye\n"},
    "sentence": {"status": 2, "stderr": ""},
    "sentence ": {"status": 2, "stderr": GOOD + GOOD},
    "sentence  ": {"status": 2, "stderr": GOOD + "and more\n"},
    "names": {"status": 2, "stderr": "error: it is damaged\n"},
    "outside": {"before": BEFORE, "after": BEFORE | {"outside/precious": ("file", "3")}},
    "outside ": {"before": BEFORE, "after": {"work/a.npz": ("file", "1")}},
    "outside  ": {"status": 2, "stderr": GOOD, "before": BEFORE, "after": BEFORE | {"work/o.npz": ("file", "3")}},
    "outside   ": {"after": {"work/a.npz": ("file", "1"), "work/o.npz/kept": ("file", "3")}, "kept": ["o.npz/kept"]},
    "residue": {"after": {"work/a.npz": ("file", "1"), "work/.smoothing.x": ("file", "3")}},
    "result": {"command": "smooth"},
}.items())  # fmt: skip
def test_what_does_not_hold_is_noticed(kind, outcome):
    assert judged(**outcome).startswith(f"{kind.strip()}: ")


@pytest.mark.parametrize(("new", "words"), [
    ([[1, 2], [3, np.nan]], "became NaN"),
    ([[1, 2], [3, 1e6]], "beyond its range"),
    ([1, 2, 3, 4], "shape"),
    (np.ones((2, 2), int), "type"),
])  # fmt: skip
def test_results_that_are_wrong(new, words):
    near("a", np.array([[1.0, 2], [3, 4]]), np.array([[1.5, 2], [2, 3]]), fill=False)
    with pytest.raises(AssertionError, match=words):
        near("a", np.array([[1.0, 2], [3, 4]]), np.array(new), fill=False)


LIMITS = """
import sys, time
sys.path[:0] = ["tests", "."]
from pathlib import Path
from promise import run as harness
from promise.judge import complaints
from promise.mutate import Case

harness.SECONDS = 2
def busy(argv): time.sleep(60)
def greedy(argv): return len(bytearray(3 << 30))
def sloppy(argv): Path("../outside/precious").write_text("x"); return 0
def odd(argv): import os; os.kill(os.getpid(), 11)
for call in (busy, greedy, sloppy, odd):
    folder = Path(sys.argv[1]) / call.__name__
    for part in ("work", "outside", "tmp"):
        (folder / part).mkdir(parents=True)
    (folder / "outside/precious").write_text("precious")
    case = Case(0, "", "loss", [], [], [], True)
    print(call.__name__, *complaints(case, harness.run(case, folder, call), folder))
"""


def test_limits(tmp_path):
    done = subprocess.run([sys.executable, "-c", LIMITS, tmp_path], cwd=ROOT, capture_output=True, text=True)
    busy, greedy, sloppy, odd = done.stdout.splitlines()
    assert busy == "busy time: it does not end" and greedy.startswith("greedy traceback: ") and "MemoryError" in greedy
    assert sloppy == "sloppy outside: changed 'outside/precious'" and odd.startswith("odd status: -11")
