# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) SmoothNet contributors
"""Networks and classical filters go the same way; strength, cut-off and outliers are the user's."""

import io
import json
import sys
from functools import partial

import numpy as np
import pytest
from helpers import write_averaging_checkpoint

from lib.commands.arguments import run_main
from lib.commands.smooth import main
from lib.filters import classical_smoother
from lib.formats import read_recording
from lib.formats.recording import Recording, Track
from lib.inference import Smoother, methods
from lib.inference.methods import METHODS, Prepared, Smoothing
from lib.inference.options import SmoothingOptions
from lib.inference.tracks import Ready
from lib.utils.errors import SmoothNetError


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory):
    return str(write_averaging_checkpoint(tmp_path_factory.mktemp("network") / "mean.pth.tar"))


def walk(frames=60, joints=3, dims=2, seed=0):
    t = np.arange(frames)[:, None, None]
    noise = np.random.default_rng(seed).normal(size=(frames, joints, dims))
    return np.sin(t / 5 + np.arange(joints)[:, None] + np.arange(dims)) * 10 + 0.2 * noise


def recording(points, fps=30.0):
    return Recording("a", "npy", [Track(0, points)], len(points), fps)


def smooth(points, fps=30.0, **options):
    return Smoothing(SmoothingOptions(**options))(recording(points, fps))[0][0]


@pytest.mark.parametrize("options", [{}, {"delay": 3}, {"step": 4}])
def test_strength_of_a_network_interpolates(checkpoint, options):
    points = walk()
    points[10:13, 1] = np.nan
    whole = smooth(points, checkpoint=checkpoint, **options)
    np.testing.assert_array_equal(smooth(points, checkpoint=checkpoint, strength=0.0, **options), points)
    np.testing.assert_allclose(
        smooth(points, checkpoint=checkpoint, strength=0.25, **options), points + 0.25 * (whole - points), atol=1e-5
    )


def test_a_strength_the_network_does_not_have_is_refused(checkpoint):
    with pytest.raises(SmoothNetError, match="strength"):
        Smoothing(SmoothingOptions(checkpoint=checkpoint, strength=1.5))


@pytest.mark.parametrize("method", ["rts", "butterworth", "gaussian", "savgol", "oneeuro", "median"])
def test_classical_methods_smooth_as_their_room_says(method):
    points = walk()
    for options in ({}, {"strength": 2.0}, {"strength": 0.0}, {"cutoff": 5.0}):
        if method == "median" and "cutoff" in options:
            continue
        expected = classical_smoother(method, fps=30.0, **options)(points)
        np.testing.assert_allclose(smooth(points, method=method, **options), expected, atol=1e-12)
    np.testing.assert_array_equal(smooth(points, method=method, strength=0.0), points)


def test_the_frame_rate_is_the_recordings_own():
    points = walk()
    at_60 = classical_smoother("rts", fps=60.0)(points)
    np.testing.assert_allclose(smooth(points, fps=60.0, method="rts"), at_60, atol=1e-12)
    np.testing.assert_allclose(
        smooth(points, fps=30.0, method="rts", **{}), classical_smoother("rts", fps=30.0)(points)
    )
    from_user = Smoothing(SmoothingOptions(method="rts", fps=60.0))(recording(points, None))
    np.testing.assert_allclose(from_user[0][0], at_60, atol=1e-12)
    note = Smoothing(SmoothingOptions(method="rts"))(recording(points, None))[1].text()
    assert "30 frames/s are taken" in note and "--fps" in note and "--fps" not in from_user[1].text()


def test_a_cutoff_is_checked_against_the_files_own_frame_rate():
    points = walk()
    smooth(points, fps=100.0, method="rts", cutoff=20.0)
    with pytest.raises(SmoothNetError, match="cutoff"):
        smooth(points, fps=30.0, method="rts", cutoff=20.0)


def test_a_joint_that_comes_late_is_smoothed_as_if_alone():
    """A held value before it would drag its first frames along."""
    points = walk(joints=2)
    points[:, 1] = np.arange(60)[:, None] * [1.0, 2.0]  # moves evenly: nothing to smooth
    whole = points.copy()
    points[:30, 1] = np.nan
    points[45:, 1] = np.nan
    np.testing.assert_allclose(smooth(points, method="rts")[30:45, 1], whole[30:45, 1], atol=1e-9)


def test_the_stream_of_a_method_is_what_the_file_with_its_delay_gives(checkpoint, monkeypatch, capsys):
    points = walk(dims=3)
    for words, options in (
        (["--method", "rts", "--delay", "5"], {"method": "rts", "delay": 5}),
        (["--method", "oneeuro", "--fps", "60"], {"method": "oneeuro", "delay": 0, "fps": 60.0}),
        (
            ["--method", "gaussian", "--outliers", "hampel", "--delay", "9"],
            {"method": "gaussian", "outliers": "hampel", "delay": 9},
        ),
        (["--checkpoint", checkpoint, "--strength", "0.5"], {"checkpoint": checkpoint, "strength": 0.5}),
    ):
        lines = "".join(json.dumps({"keypoints": frame.tolist()}) + "\n" for frame in points)
        monkeypatch.setattr(sys, "stdin", io.StringIO(lines))
        assert run_main(main, ["-", "--stream", *words]) == 0
        given = [json.loads(line)["keypoints"] for line in capsys.readouterr().out.splitlines()]
        np.testing.assert_allclose(given, smooth(points, **options), atol=1e-5)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"method": "magic"}, "choose from network, "),
        ({"outliers": "magic"}, "choose from hampel"),
        ({"method": "rts", "checkpoint": "c.pth.tar"}, "--checkpoint does not go with --method rts"),
        ({"method": "rts", "window": 16}, "--window does not go"),
        ({"method": "rts", "step": 2}, "--step does not go"),
        ({"cutoff": 3.0}, "--cutoff does not go with --method network"),
        ({"method": "median", "cutoff": 3.0}, "no cut-off"),
        ({"method": "rts", "cutoff": 3.0, "strength": 2.0}, "give one of them"),
        ({"strength": -1.0}, "--strength must be"),
        ({"strength": float("nan")}, "--strength must be"),
        ({"method": "rts", "cutoff": float("inf")}, "--cutoff must be"),
        ({"outliers": "hampel", "delay": 1}, "--outliers does not go with --delay"),
    ],
)
def test_options_that_cannot_be_are_refused_before_anything_is_read(options, words):
    with pytest.raises(SmoothNetError, match=words):
        Smoothing(SmoothingOptions(**options))


def test_a_method_is_one_row(monkeypatch, tmp_path, capsys):
    """A method from outside goes through files, gaps and report by its row alone."""

    def still(options):
        def ready(fps, progress):
            return Ready(lambda points: points * 0.5)

        return Prepared(ready, lambda: None)

    monkeypatch.setattr(methods, "METHODS", {**METHODS, "half": still})
    points = walk()
    points[20:40, 1] = np.nan
    np.save(tmp_path / "a.npy", points)
    assert run_main(main, [str(tmp_path / "a.npy"), "-o", str(tmp_path / "b.npy"), "--method", "half"]) == 0
    np.testing.assert_allclose(np.load(tmp_path / "b.npy"), points * 0.5)
    assert "2 longer gap" not in (out := capsys.readouterr().out) and "jitter" in out


def test_the_command_rejects_outliers_and_says_so(tmp_path, capsys):
    points = walk()
    points[30, 1] += 500
    np.save(tmp_path / "a.npy", points)
    words = [tmp_path / "a.npy", "-o", tmp_path / "b.npy", "--method", "rts", "--outliers", "hampel", "--fps", "30"]
    assert run_main(main, [str(word) for word in words]) == 0
    assert "outliers rejected in 1.7 % of the frames" in capsys.readouterr().out
    assert np.abs(np.load(tmp_path / "b.npy") - walk()).max() < 5


@pytest.mark.parametrize("damage", ["nan", "huge"])
def test_damaged_weights_write_nothing(damage, tmp_path, capsys, checkpoint):
    import torch

    content = torch.load(checkpoint, weights_only=True)
    content["state_dict"]["decoder.weight"] *= {"nan": float("nan"), "huge": 1e3}[damage]
    torch.save(content, tmp_path / "bad.pth.tar")
    np.save(tmp_path / "a.npy", walk())
    words = [tmp_path / "a.npy", "-o", tmp_path / "b.npy", "--checkpoint", tmp_path / "bad.pth.tar"]
    assert run_main(main, [str(word) for word in words]) == 2
    assert capsys.readouterr().err.count("\n") == 1
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.npy", "bad.pth.tar"]


def note(seen, done, total):
    seen.append((done, total))


def test_progress_reaches_the_number_of_frames(checkpoint):
    for options in ({"checkpoint": checkpoint}, {"method": "rts"}, {"checkpoint": checkpoint, "delay": 2}):
        seen: list[tuple[int, int]] = []
        smoothing = Smoothing(SmoothingOptions(**options), partial(note, seen))
        smoothing(recording(walk(200)))
        assert seen[-1] == (200, 200) or seen[-1][0] >= 190
        assert all(done <= total == 200 for done, total in seen)


def test_a_smoother_smooths_what_the_file_holds(checkpoint, tmp_path):
    """The whole way with a network whose result is known: the mean of three frames inside, of all windows."""
    points = walk(joints=1, dims=1)
    np.save(tmp_path / "a.npy", points)
    assert run_main(main, [str(tmp_path / "a.npy"), "-o", str(tmp_path / "b.npy"), "--checkpoint", checkpoint,
                           "--dims", "1"]) == 0  # fmt: skip
    after = read_recording(tmp_path / "b.npy", dims=1).tracks[0].points
    np.testing.assert_allclose(after, Smoother.from_checkpoint(checkpoint)(points), atol=1e-5)
