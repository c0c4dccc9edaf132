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
