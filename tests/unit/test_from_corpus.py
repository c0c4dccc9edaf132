# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) SmoothNet contributors
"""data/from_corpus.py: pairs of files become a dataset that trains."""

from __future__ import annotations

import numpy as np
import pytest

from data.from_corpus import Errors, Pair, main, shift, split
from lib.commands.arguments import run_main
from lib.dataset.poses import load_poses
from lib.formats import read_recording


def motion(seed: int, frames: int = 60, joints: int = 5) -> np.ndarray:
    rng = np.random.default_rng(seed)
    t = np.arange(frames)[:, None, None] / 30
    return np.sin(t * rng.uniform(1, 6, (joints, 3)) + rng.uniform(0, 6, (joints, 3))) * 0.5


def corpus(tmp_path, people=4, clips=2):
    """Estimates as .npy in metres, truth as .npz in millimetres."""
    for person in range(people):
        for clip in range(clips):
            truth = motion(10 * person + clip)
            noise = np.random.default_rng(100 * person + clip).normal(size=truth.shape) * 0.01
            for side in ("estimated", "true"):
                (tmp_path / side / f"S{person}").mkdir(parents=True, exist_ok=True)
            np.save(tmp_path / f"estimated/S{person}/walk{clip}.npy", truth + noise)
            np.savez(tmp_path / f"true/S{person}/walk{clip}.npz", joints_3d=1000 * truth)
    return ["--dataset", "mine", "--estimator", "est", "--output", str(tmp_path / "poses")]


def run(tmp_path, *words):
    return run_main(main, [str(tmp_path / "estimated"), str(tmp_path / "true"), *words])


def test_pairs_become_a_dataset_in_metres_and_nobody_is_in_both_parts(tmp_path, capsys):
    words = corpus(tmp_path)
    assert run(tmp_path, *words) == 0
    out = capsys.readouterr().out
    train, test = (load_poses(tmp_path / "poses", "mine", "est", "3D", phase) for phase in ("train", "test"))
    assert (train.sequences, test.sequences) == (6, 2)
    people = [{name.split("/")[0] for name in data.names} for data in (train, test)]
    assert not people[0] & people[1] and len(people[0] | people[1]) == 4
    name = train.names[0].rsplit("/", 1)[0]
    truth = read_recording(tmp_path / f"true/{name}.npz").tracks[0].points / 1000
    np.testing.assert_allclose(train.groundtruth[train.slice(0)].numpy(), truth.reshape(60, 15), atol=1e-6)
    estimate = np.load(tmp_path / f"estimated/{name}.npy")
    np.testing.assert_allclose(train.detected[train.slice(0)].numpy(), estimate.reshape(60, 15), atol=1e-6)
    assert "train: 6 sequences, 360 frames; error 15." in out or "train: 6 sequences, 360 frames; error 16." in out
    assert run(tmp_path, *words) == 2 and "is there already" in capsys.readouterr().err
    assert run(tmp_path, *words, "--force", "--person", r"walk(\d)") == 0
    assert load_poses(tmp_path / "poses", "mine", "est", "3D", "test").sequences == 4


def test_what_does_not_fit_is_left_out_by_name(tmp_path, capsys):
    words = corpus(tmp_path)
    late = motion(0, 64)
    np.save(tmp_path / "estimated/S0/walk0.npy", late[:60])
    np.savez(tmp_path / "true/S0/walk0.npz", joints_3d=1000 * late[4:])
    np.save(tmp_path / "estimated/S1/walk0.npy", motion(10, joints=6))
    (tmp_path / "true/S2/walk1.npz").unlink()
    (tmp_path / "true/S3/walk1.npz").write_bytes(b"hello")
    assert run(tmp_path, *words) == 0
    out = capsys.readouterr().out
    assert "left out: S0/walk0: the estimate is 4 frames late" in out
    assert "6 joints" in out and "has 5" in out
    assert "left out: S2/walk1 is on one side only" in out
    assert "walk1.npz is not a readable" in out
    assert sum(load_poses(tmp_path / "poses", "mine", "est", "3D", p).sequences for p in ("train", "test")) == 4


@pytest.mark.parametrize("late", [-7, -1, 0, 3])
def test_a_shift_is_found_whatever_the_origin(late):
    rng = np.random.default_rng(1)
    whole = motion(3, 200)
    true = whole[20:180]
    estimated = whole[20 - late : 180 - late] + rng.normal(size=true.shape) * 0.005 + 2.0
    assert shift(Pair("", estimated, true)) == late


def test_the_error_and_its_autocorrelation_are_those_that_were_put_in():
    rng = np.random.default_rng(2)
    true = np.zeros((20_000, 2, 3))
    error = np.zeros_like(true)
    white = rng.normal(size=true.shape) * 0.01
    for t in range(1, len(error)):
        error[t] = 0.8 * error[t - 1] + white[t]
    errors = Errors()
    errors.add(Pair("", true + error + 5.0, true), 0)
    found = errors.autocorrelation()
    assert found[1] == pytest.approx(0.8, abs=0.02) and found[4] == pytest.approx(0.8**4, abs=0.03)
    assert errors.position / errors.points == pytest.approx(5 * np.sqrt(3), rel=0.01)


def test_splits():
    names = ["a/1", "a/2#x", "b/1", "c/1", "c/1#2"]
    parts = split(names, None, 0.3, 0)
    assert parts[0] == parts[1] and parts[3] == parts[4] and set(parts) == {"train", "test"}
    assert set(split(["1", "2"], None, 0.2, 0)) == {"train", "test"}
