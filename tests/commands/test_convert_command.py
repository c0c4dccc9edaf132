# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) SmoothNet contributors
"""The commands that look and convert: what is understood is printed, what is not carried over is said."""

from __future__ import annotations

import json

import numpy as np
import pytest
from helpers import ROOT, command

from lib.commands import run
from lib.formats import read_recording

SAMPLES = ROOT / "data" / "samples"
TRC, OPENPOSE = SAMPLES / "pose2sim_balancing.trc", SAMPLES / "openpose_balance_cam3"
MEDIAPIPE = SAMPLES / "sports2d_blazepose.npz"


def points_of(path):
    return read_recording(path).tracks[0].points


def test_inspect_says_what_a_file_is_and_writes_nothing(tmp_path, capsys):
    assert run("inspect", [str(TRC), str(OPENPOSE), str(MEDIAPIPE)]) == 0
    trc, openpose, mediapipe = capsys.readouterr().out.split(str(SAMPLES))[1:]
    assert "understood as trc" in trc and "60 frames/s (from the file), 1.66667 s" in trc and "RHip, RKnee" in trc
    assert "124 of 2500 points missing, gaps of up to 6 frames, scores 0 to 0.852" in openpose
    assert "unknown; say it with --fps" in openpose and "not smoothed: image_size" in mediapipe
    assert run("inspect", [str(OPENPOSE), "--fps", "50", "--min_score", "0.3"]) == 0
    words = capsys.readouterr().out
    assert "50 frames/s (as said), 2 s" in words and "124 of 2500" not in words.splitlines()[-1]
    assert run("inspect", [str(tmp_path)]) == 2


def test_convert_changes_nothing_and_says_what_is_lost(tmp_path, capsys):
    assert run("convert", [str(TRC), str(tmp_path / "a.csv")]) == 0
    assert "a.csv: all was carried over" in capsys.readouterr().out
    np.testing.assert_array_equal(points_of(tmp_path / "a.csv"), points_of(TRC))
    assert run("convert", [str(tmp_path / "a.csv"), str(tmp_path / "b.trc")]) == 0
    back = read_recording(tmp_path / "b.trc")
    np.testing.assert_array_equal(back.tracks[0].points, points_of(TRC))
    assert back.names == read_recording(TRC).names and back.fps == 60
    assert run("convert", [str(MEDIAPIPE), str(tmp_path / "c.json")]) == 0
    assert "not carried over: keypoints_3d_m, the frame rate, image_size" in capsys.readouterr().out
    assert json.loads((tmp_path / "c.json").read_text())[0].keys() >= {"image_id", "keypoints", "track_id", "score"}


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ((OPENPOSE, "a.trc"), "a.trc would hold points in 3D, "),
        ((TRC, "a.xyz"), "a.xyz has no ending that can be written; choose of .json,"),
        (("none.csv", "a.npz"), "none.csv does not exist"),
        ((TRC, "there.csv"), "there.csv exists"),
        ((MEDIAPIPE, MEDIAPIPE, "--force"), "is an input"),
        ((TRC, "a.csv", "--fps", "-1"), "--fps must be"),
    ],
)
def test_what_cannot_be_converted(words, message, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "there.csv").write_text("precious")
    assert run("convert", [str(word) for word in words]) == 2
    assert message in capsys.readouterr().err
    assert [path.name for path in tmp_path.iterdir()] == ["there.csv"]
    assert (tmp_path / "there.csv").read_text() == "precious"


def test_smooth_into_another_form(tmp_path, capsys):
    assert run("smooth", [str(TRC), "-o", str(tmp_path / "same.trc"), "--method", "rts"]) == 0
    assert run("smooth", [str(TRC), "-o", str(tmp_path / "other.npz"), "--method", "rts"]) == 0
    assert "other.npz: all was carried over" in capsys.readouterr().out
    np.testing.assert_allclose(points_of(tmp_path / "other.npz"), points_of(tmp_path / "same.trc"), atol=1e-9)
    assert run("smooth", [str(OPENPOSE), "-o", str(tmp_path / "folder.jsonl"), "--method", "rts"]) == 0
    assert (tmp_path / "folder.jsonl").is_file()  # a folder into one file


def test_the_scripts_of_a_checkout(tmp_path):
    assert "understood as trc" in command("inspect_smoothnet.py", TRC).stdout
    done = command("convert_smoothnet.py", TRC, tmp_path / "a.c3d")
    assert done.returncode == 0 and "the unit is taken for m, by the size of the body" in done.stdout


def test_derivatives_and_a_report_beside_the_output(tmp_path, capsys):
    words = ["--method", "rts", "--derivatives", "--report", str(tmp_path / "new" / "r.json")]
    assert run("smooth", [str(TRC), "-o", str(tmp_path / "a.csv"), *words]) == 0
    lines = capsys.readouterr().out
    (facts,) = json.loads((tmp_path / "new" / "r.json").read_text())["files"]
    assert facts["input"] == str(TRC) and facts["output"].endswith("a.csv") and facts["format"] == "trc"
    assert (facts["frames"], facts["tracks"], facts["points"], facts["missing"]) == (100, 1, 2100, 0)
    part = facts["parts"]["points"]
    assert f"{part['moved_rms']:.3g} (RMS)" in lines and f"-> {part['jitter_after_per_s2']:.4g} per s^2" in lines
    assert facts["warning"] is None and facts["not_carried_over"] == [] and facts["fps"] == 60
    with np.load(tmp_path / "a.derivatives.npz") as rates:
        velocity, acceleration = rates["velocity"], rates["acceleration"]
        assert tuple(rates["joint_names"]) == read_recording(TRC).names and rates["fps"] == 60
    smoothed = points_of(tmp_path / "a.csv")
    np.testing.assert_allclose(velocity[5:-5], np.gradient(smoothed, axis=0)[5:-5] * 60, atol=0.15)
    assert np.isfinite(acceleration).all() and acceleration.shape == smoothed.shape
    # neither is replaced without a word, nor written where the smoothing fails
    assert run("smooth", [str(TRC), "-o", str(tmp_path / "b.trc"), "--method", "rts", *words[2:]]) == 2
    assert "r.json exists" in capsys.readouterr().err and not (tmp_path / "b.trc").exists()
    assert run("smooth", [str(TRC), "-o", str(tmp_path / "b.trc"), "--report", str(tmp_path / "b.trc")]) == 2
    assert "b.trc is an output" in capsys.readouterr().err
    assert run("smooth", [str(OPENPOSE), "-o", str(tmp_path / "c"), "--method", "rts", "--derivatives"]) == 2
    assert "--derivatives needs the frame rate" in capsys.readouterr().err and not (tmp_path / "c").exists()
