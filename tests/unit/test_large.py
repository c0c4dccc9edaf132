# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) SmoothNet contributors
"""Large files go through in blocks: the same bytes and the same words come out, whatever the blocks are."""

from __future__ import annotations

import re
import tempfile
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lib.formats import arrays, read_recording
from lib.inference import tracks
from lib.inference.files import smooth_files
from lib.inference.methods import Smoothing
from lib.inference.options import SmoothingOptions
from lib.inference.report import _Distances
from lib.inference.smoother import Smoother
from lib.utils import blocks
from lib.utils.errors import SmoothNetError
from lib.utils.spool import Spool

SMOOTHING: dict[str, Smoothing] = {}


def smoothing(**options):
    return SMOOTHING.setdefault(str(options), Smoothing(SmoothingOptions(**options)))


def walk(frames, joints=4, dims=3, seed=0):
    rng = np.random.default_rng(seed)
    time = np.arange(frames)[:, None, None] / 30
    place = rng.normal(0, 0.5, (joints, dims))
    return place + np.sin(time * rng.uniform(0.5, 2, (joints, dims))) / 3 + rng.normal(0, 0.01, (frames, joints, dims))


@st.composite
def gappy(draw):
    """Recordings with gaps of joints and of the whole body, marks of missing points, and broken points."""
    seed = draw(st.integers(0, 10_000))
    rng = np.random.default_rng(seed)
    points = walk(draw(st.integers(1, 300)), draw(st.integers(1, 4)), seed=seed)
    length, joints = points.shape[:2]
    gap = draw(st.integers(1, 60))
    missing = draw(st.sampled_from([np.nan, 0.0, -1.0, -9999.0]))
    for _ in range(draw(st.integers(0, 6))):
        first, joint = rng.integers(length), rng.integers(joints + 1)
        hole = slice(first, first + rng.integers(1, gap + 1)), slice(None) if joint == joints else joint
        points[hole] = missing
    if draw(st.booleans()):
        points[rng.integers(length), 0, 0] = np.inf
    form = draw(st.sampled_from(["points", "flat", "people", "scores"]))
    if form == "flat":
        points = points.reshape(length, -1)
    if form == "people":
        points = np.stack([points, points + 0.3], axis=1)
    if form == "scores":
        scores = np.where(np.isfinite(points).all(axis=2), rng.choice([0.1, 0.7, 0.9], (length, joints)), 0.0)
        points = np.concatenate([np.where(scores[..., None] == 0, 0, points), scores[..., None]], axis=2)
    return points.astype(draw(st.sampled_from([np.float32, np.float64])))


NUMBER = r"-?\d+(?:\.\d+)?(?:e[+-]\d+)?"


def smooth_file(points, folder, options):
    """What is said, the figures of what smoothing changed, and the bytes that are written."""
    source, out = folder / "a.npy", folder / "out.npy"
    np.save(source, points)
    try:
        (done,) = smooth_files([source], out, smoothing(**options), force=True)
    except SmoothNetError as error:
        return str(error), [], b""
    text = re.sub(r"[\d.]+ s$|\(-?\+?\d+ %\)", "", done.text(), flags=re.M)
    changes = re.findall(r"moved by.*", text)
    figures = [float(number) for change in changes for number in re.findall(NUMBER, change)]
    return re.sub(r"moved by.*", "", text), figures, out.read_bytes()


@settings(max_examples=60, deadline=None)
@given(
    gappy(),
    st.sampled_from(
        [
            {},
            {"fill": True},
            {"strength": 0.5},
            {"step": 1},
            {"method": "butterworth"},
            {"max_gap": 2},
            {"min_score": 0.7},
        ]
    ),
    st.integers(1, 70),
)
def test_the_same_comes_out_of_blocks_of_any_size(points, options, size):
    with tempfile.TemporaryDirectory() as folder, pytest.MonkeyPatch.context() as patch:
        whole = smooth_file(points, Path(folder), options)
        patch.setattr(arrays, "LARGE", 0)
        patch.setattr(blocks.blocks, "__defaults__", (size,))
        for module in (blocks, tracks):
            patch.setattr(module, "BLOCK", size)
        text, figures, content = smooth_file(points, Path(folder), options)
        assert (text, content) == (whole[0], whole[2])
        assert figures == pytest.approx(whole[1], rel=2e-3, abs=1e-9)  # sums in another order
        assert [entry.name for entry in sorted(Path(folder).iterdir())] in (["a.npy", "out.npy"], ["a.npy"])


def test_threads_change_nothing_and_see_all_frames():
    points = walk(3000, 20)
    points[500:520, 3] = points[1000:1100] = np.nan
    seen = []
    one, two = Smoother.from_checkpoint(), Smoother.from_checkpoint()
    two.threads, two.progress = 2, seen.append
    np.testing.assert_array_equal(two(points), one(points))
    assert sum(seen) == 2900


def test_an_error_on_a_thread_is_the_error():
    def fail(item):
        raise SmoothNetError(f"no {item}")

    with pytest.raises(SmoothNetError, match="no 0"):
        list(blocks.in_order(fail, range(10), threads=2))


def test_results_wait_for_their_turn():
    ahead = []
    results = blocks.in_order(lambda item: ahead.append(item) or item, range(100), threads=2)
    assert next(results) == 0
    assert len(ahead) < 8
    assert list(results) == list(range(1, 100))


def test_many_distances_are_counted_rather_than_kept():
    values = np.abs(np.random.default_rng(0).normal(0, 1, 2_500_000)) ** 3
    distances = _Distances()
    for part in np.split(values, 10):
        distances.add(part)
    assert distances.quantile(0.95) == pytest.approx(np.quantile(values, 0.95), rel=5e-4)
    assert distances.rms() == pytest.approx(np.sqrt(np.mean(values**2)))
    assert distances.largest == values.max()
    still = _Distances()
    still.add(np.zeros(1_500_000))
    assert still.quantile(0.95) == 0


def test_a_spool_is_an_array(tmp_path):
    spool = Spool(tmp_path, (100, 2, 3), np.float32)
    values = np.random.default_rng(0).normal(size=(100, 2, 3)).astype(np.float32)
    spool[60:100], spool[0:60] = values[60:], values[:60]
    np.testing.assert_array_equal(spool[50:70], values[50:70])
    np.testing.assert_array_equal(spool[95:200], values[95:])
    np.testing.assert_array_equal(spool[:, 1, 2], values[:, 1, 2])
    np.testing.assert_array_equal(np.isfinite(spool), np.isfinite(values))
    spool[3:5] = np.nan
    assert np.isnan(spool[3:5]).all()
    assert list(tmp_path.iterdir()) == []


def test_no_space_for_a_spool_is_one_sentence(tmp_path, monkeypatch):
    spool = Spool(tmp_path, (10, 2, 3), np.float32)

    class Full:
        def seek(self, place):
            raise OSError(28, "No space left on device")

    spool._file = Full()
    with pytest.raises(SmoothNetError, match="No space left on device; check the free space"):
        spool[0:2] = 1.0


def test_a_file_that_changes_meanwhile_is_not_mixed_with_itself(tmp_path, monkeypatch):
    monkeypatch.setattr(arrays, "LARGE", 0)
    source = tmp_path / "a.npy"
    np.save(source, walk(50).astype(np.float32))
    recording = read_recording(source)
    np.save(source, walk(60).astype(np.float32))
    with pytest.raises(SmoothNetError, match=r"a\.npy was changed while it was smoothed"):
        arrays.write_arrays(recording, [recording.tracks[0].points], tmp_path / "b.npy")
    assert not (tmp_path / "b.npy").exists()
