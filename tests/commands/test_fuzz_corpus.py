# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) SmoothNet contributors
"""What the fuzzer once found, and small valid files with a few bytes changed: a SmoothNetError or a good result."""

from __future__ import annotations

import importlib.util
import json
import logging
import pickle
from pathlib import Path

import numpy as np
import pytest
import torch
from helpers import ROOT, write_checkpoint, write_npz, write_poses
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from unit.test_formats import ONE_OF_EACH

from lib.config import load_config
from lib.dataset.poses import load_poses
from lib.formats import read_recording
from lib.inference.lines import smooth_lines
from lib.inference.smoother import Smoother
from lib.models.body import SHAPES, read_model
from lib.models.checkpoints import load_model
from lib.utils.errors import SmoothNetError

FUZZ = ROOT / "tests" / "fuzz"
spec = importlib.util.spec_from_file_location("fuzz_readers", FUZZ / "fuzz_readers.py")
fuzz_readers = importlib.util.module_from_spec(spec)
spec.loader.exec_module(fuzz_readers)


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("path", sorted((FUZZ / "corpus").iterdir()), ids=lambda path: path.name[:20])
def test_the_corpus(tmp_path, path):
    fuzz_readers.check(path.read_bytes(), tmp_path)


# ------------------------------------------------------------------------------------------------------ changed bytes


def changed(content: bytes):
    """The content with up to four places overwritten, left out or doubled, or cut off."""
    place = st.integers(0, len(content) - 1)
    change = st.one_of(
        st.tuples(st.just("put"), place, st.binary(min_size=1, max_size=4)),
        st.tuples(st.just("drop"), place, st.integers(1, 40)),
        st.tuples(st.just("double"), place, st.integers(1, 40)),
        st.tuples(st.just("cut"), place, st.none()),
    )

    def apply(changes):
        data = content
        for kind, at, what in changes:
            if kind == "put":
                data = data[:at] + what + data[at + len(what) :]
            elif kind == "drop":
                data = data[:at] + data[at + what :]
            elif kind == "double":
                data = data[:at] + data[at : at + what] + data[at:]
            else:
                data = data[:at]
        return data

    return st.lists(change, min_size=1, max_size=4).map(apply)


def poses_file(folder: Path):
    write_poses(folder, lengths=(5, 4), channels=6, phases=("test",))
    return folder / "toy_est_3D/detected/toy_est_3D_test.npz", lambda: load_poses(folder, "toy", "est", "3D", "test")


def checkpoint_file(folder: Path):
    path = write_checkpoint(folder / "c.pth.tar", window=4)
    return path, lambda: load_model(path)


def old_checkpoint_file(folder: Path):
    path = folder / "c.pth"
    model = load_model(write_checkpoint(folder / "new.pth", window=4))[0]
    torch.save({"state_dict": model.state_dict(), "epoch": 1}, path, _use_new_zipfile_serialization=False)
    return path, lambda: load_model(path)


def smpl_file(folder: Path):
    path = folder / "SMPL_NEUTRAL.pkl"
    sizes = {"V": 2, None: 10}
    model = {key: np.zeros([sizes.get(n, n) for n in shape], np.float32) for key, shape in SHAPES.items()}
    path.write_bytes(pickle.dumps(model, protocol=2))
    return path, lambda: read_model(path)


def yaml_file(folder: Path):
    path = folder / "c.yaml"
    lines = ["DATASET_NAME: toy", "TRAIN: {EPOCH: 3, LR: 1.0e-3, RESUME : None}", "LOSS:", "  W_ACCEL: 0.1", "VIS:"]
    path.write_text("\n".join([*lines, "  END: 9", ""]))
    return path, lambda: load_config(path, {})


def lines_file(folder: Path):
    path = folder / "lines"
    people = [{"people": [{"id": i % 2, "keypoints": [[i, 2.5], [None, 3]], "scores": [0.5, 1]}]} for i in range(6)]
    path.write_text("\n".join(map(json.dumps, people)))
    smoother = Smoother.from_checkpoint(write_checkpoint(folder / "s.pth", window=4))
    return path, lambda: list(smooth_lines(path.read_text(errors="replace").split("\n"), smoother.stream(1), 0.2))


def regressor_like(folder: Path):
    write_npz(folder / "a.npz", keypoints=np.ones((3, 2, 2)), fps=np.float64(30))
    return folder / "a.npz", lambda: read_recording(folder / "a.npz")


READERS = {
    "pose files": poses_file, "checkpoint": checkpoint_file, "old checkpoint": old_checkpoint_file, "smpl": smpl_file,
    "yaml": yaml_file, "lines": lines_file, "small npz": regressor_like,
}  # fmt: skip


def recording_file(make):
    def of(folder: Path):
        path = make(folder)
        return path, lambda: read_recording(path)

    return of


READERS |= {name: recording_file(make) for name, (make, _) in ONE_OF_EACH.items() if not name.startswith("openpose")}


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("reader", READERS)
def test_changed_bytes(tmp_path, reader):
    logging.disable(logging.CRITICAL)
    path, read = READERS[reader](tmp_path)
    read()
    content = path.read_bytes()

    @settings(max_examples=60, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck), database=None)
    @given(changed(content))
    def damaged(data: bytes) -> None:
        path.write_bytes(data)
        try:
            read()
        except SmoothNetError as error:
            assert "\n" not in str(error)

    try:
        damaged()
    finally:
        logging.disable(logging.NOTSET)
