# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) SmoothNet contributors
"""The command smooth_smoothnet.py: files in, files out, and live lines."""

import io
import json
import sys
import warnings

import numpy as np
import pytest
from helpers import ROOT, write_averaging_checkpoint

from lib.commands.arguments import run_main
from lib.commands.smooth import main
from lib.formats import read_recording
from lib.inference import Smoother

SAMPLES = ROOT / "data" / "samples"


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory):
    """A tiny network that smooths: random weights give what no smoother does, which is refused."""
    return str(write_averaging_checkpoint(tmp_path_factory.mktemp("network") / "mean.pth.tar"))


def walk(frames=20, joints=3, dims=2):
    t = np.arange(frames)[:, None, None]
    return np.sin(t / 5 + np.arange(joints)[:, None] + np.arange(dims)) * 10


def files_in(folder):
    return sorted(str(p.relative_to(folder)) for p in folder.rglob("*"))


def test_one_file(checkpoint, tmp_path, capsys):
    np.save(tmp_path / "a.npy", walk().astype(np.float32))
    assert main([str(tmp_path / "a.npy"), "-o", str(tmp_path / "b.npy"), "--checkpoint", checkpoint]) == 0
    before, after = np.load(tmp_path / "a.npy"), np.load(tmp_path / "b.npy")
    np.testing.assert_array_equal(before, walk().astype(np.float32))
    expected = Smoother.from_checkpoint(checkpoint)(before.astype(np.float64))
    np.testing.assert_allclose(after, expected, rtol=1e-6)
    assert after.dtype == np.float32
    out = capsys.readouterr().out
    assert "20 frames, 1 track, 0 of 60 points missing" in out and "jitter" in out


def test_step_delay_and_min_score_reach_the_smoother(checkpoint, tmp_path):
    points, scores = walk(), np.ones((20, 3))
    scores[4, 1] = 0.1
    np.savez(tmp_path / "a.npz", keypoints=points, scores=scores)
    smoother = Smoother.from_checkpoint(checkpoint)
    known = np.where(scores[..., None] < 0.5, np.nan, points)
    for options, expected in (
        (["--step", "3"], smoother(points, step=3)),
        (["--delay", "2"], smoother(points, delay=2)),
        (["--min_score", "0.5"], np.where(np.isnan(known), points, smoother(known))),
    ):
        out = tmp_path / "out.npz"
        assert main([str(tmp_path / "a.npz"), "-o", str(out), "--checkpoint", checkpoint, "--force", *options]) == 0
        np.testing.assert_allclose(np.load(out)["keypoints"], expected, rtol=1e-6)
        np.testing.assert_array_equal(np.load(out)["scores"], scores)


@pytest.mark.parametrize(
    ("arrays", "options", "words"),
    [
        (
            {"keypoints": walk(), "bboxes": np.ones((20, 1, 4)), "betas": np.ones(10)},
            [],
            "a.npz (npz): keypoints: 20 frames x 3 joints, x y, 1 person; not smoothed: bboxes, betas\n",
        ),
        ({"keypoints": np.stack([walk(), walk() + 50], axis=1)}, [], "x y, 2 people\n"),
        ({"keypoints": walk()}, ["--min_score", "0.3"], "; no scores were found, so --min_score does nothing. "),
    ],
    ids=["what stays", "people", "no scores"],
)
def test_what_was_understood_is_printed(arrays, options, words, checkpoint, tmp_path, capsys):
    np.savez(tmp_path / "a.npz", **arrays)
    argv = [str(tmp_path / "a.npz"), "-o", str(tmp_path / "b.npz"), "--checkpoint", checkpoint, *options]
    assert main(argv) == 0 and words in capsys.readouterr().out


def test_several_files_into_a_folder_with_pictures(checkpoint, tmp_path):
    pytest.importorskip("matplotlib")
    np.save(tmp_path / "a.npy", walk())
    (tmp_path / "b.csv").write_text("p_x,p_y\n" + "".join(f"{t}.5,1.25\n" for t in range(12)))
    inputs = [str(tmp_path / "a.npy"), str(tmp_path / "b.csv")]
    assert main([*inputs, "-o", str(tmp_path / "new" / "out"), "--checkpoint", checkpoint, "--plot"]) == 0
    assert files_in(tmp_path / "new" / "out") == ["a.npy", "a.png", "b.csv", "b.png"]
    assert (tmp_path / "new" / "out" / "a.png").read_bytes().startswith(b"\x89PNG")


def test_letters_that_no_font_has_are_drawn_without_a_warning(checkpoint, tmp_path):
    pytest.importorskip("matplotlib")
    np.save(tmp_path / "姿\U000e0101.npy", walk())
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        words = [str(tmp_path / "姿\U000e0101.npy"), "-o", str(tmp_path / "b.npy"), "--checkpoint", checkpoint]
        assert main([*words, "--plot"]) == 0
    assert (tmp_path / "b.png").read_bytes().startswith(b"\x89PNG")


@pytest.mark.parametrize("frames", [0, 1, 3])
def test_clips_shorter_than_the_window(frames, checkpoint, tmp_path):
    np.save(tmp_path / "a.npy", walk(frames))
    out = tmp_path / "b.npy"
    assert main([str(tmp_path / "a.npy"), "-o", str(out), "--checkpoint", checkpoint, "--plot"]) == 0
    assert np.load(out).shape == (frames, 3, 2) and np.isfinite(np.load(out)).all()


def run(argv, capsys):
    status = run_main(main, [str(word) for word in argv])
    return status, capsys.readouterr().err


def test_a_name_that_begins_with_a_dash_is_named(checkpoint, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    status, message = run(["-walk.csv", "-o", "out.csv", "--checkpoint", checkpoint], capsys)
    assert status == 2 and "for the file of that name write ./-walk.csv" in message


def test_nothing_is_overwritten(checkpoint, tmp_path, capsys):
    path, out = tmp_path / "a.npy", tmp_path / "b.npy"
    np.save(path, walk())
    out.write_bytes(b"precious")
    base = ["--checkpoint", checkpoint]
    status, message = run([path, "-o", out, *base], capsys)
    assert status == 2 and "b.npy exists" in message and out.read_bytes() == b"precious"
    content = path.read_bytes()
    for target in (path, tmp_path):
        status, message = run([path, "-o", target, "--force", *base], capsys)
        assert status == 2 and "is an input" in message and path.read_bytes() == content
    assert run([path, "-o", out, "--force", *base], capsys)[0] == 0
    assert np.load(out).shape == (20, 3, 2)
    assert files_in(tmp_path) == ["a.npy", "b.npy"]


def test_folders_are_replaced_only_when_they_hold_nothing_else(checkpoint, tmp_path, capsys):
    for t in range(3):
        for folder in ("in", "out"):
            (tmp_path / folder).mkdir(exist_ok=True)
            people = [{"pose_keypoints_2d": [1 + t, 2, 0.5, 3, 4.5, 0.5]}]
            (tmp_path / folder / f"{t}.json").write_text(json.dumps({"people": people, "folder": folder}))
    (tmp_path / "out" / "notes.txt").write_text("precious")
    argv = [tmp_path / "in", "-o", tmp_path / "out", "--checkpoint", checkpoint]
    assert "exists" in run(argv, capsys)[1]
    assert "holds more than frames of poses" in run([*argv, "--force"], capsys)[1]
    (tmp_path / "out" / "notes.txt").unlink()
    assert run([*argv, "--force"], capsys)[0] == 0
    assert json.loads((tmp_path / "out" / "0.json").read_text())["folder"] == "in"
    assert files_in(tmp_path) == sorted(f"{f}{t}" for f in ("in", "out") for t in ("", "/0.json", "/1.json", "/2.json"))


def test_one_bad_file_and_nothing_is_written(checkpoint, tmp_path, capsys):
    np.save(tmp_path / "a.npy", walk())
    (tmp_path / "b.csv").write_text("p_x,p_y\n1,2\n1,oops\n")
    before = files_in(tmp_path)
    argv = [tmp_path / "a.npy", tmp_path / "b.csv", "-o", tmp_path / "out", "--checkpoint", checkpoint]
    status, message = run(argv, capsys)
    assert status == 2 and "b.csv, line 3" in message
    assert files_in(tmp_path) == before


@pytest.mark.parametrize(
    ("argv", "message"),
    [
        (["{}/none.npy", "-o", "{}/b.npy"], "none.npy does not exist"),
        (["{}/a.npy", "-o", "{}/b.xyz"], "name it *.npy"),
        (["{}/a.npy", "{}/a.npy", "-o", "{}/out"], "a.npy would be written for two inputs"),
        (["{}/a.npy", "{}/a.npz", "-o", "{}/out", "--plot"], "a.png would be written for two inputs"),
        (["{}/a.npy", "{}/c/a.npy", "-o", "{}/a.npy"], "is a file"),
        (["{}/a.npy", "-o", "{}/a.npy/b.npy"], "is not a folder"),
        (["{}/a.npy", "-o", "{}/b.npy", "--format", "fbx"], "known are openpose"),
        (["{}/a.npy", "-o", "{}/b.npy", "--max_gap", "-1"], "max_gap"),
        (["{}/a.npy", "-o", "{}/b.npy", "--max_gap", "0.5s"], "--max_gap 0.5s needs the frame rate"),
        (["{}/a.npy", "-o", "{}/b.npy", "--max_gap", "1e9s"], "or of seconds such as 0.5s"),
        (["{}/a.npy", "-o", "{}/b.npy", "--fill", "cubic"], "--fill invalid choice"),
        (["{}/a.npy", "-o", "{}/b.npy", "--fill", "network", "--method", "rts"], "does not go with --method rts"),
        (["{}/a.npy", "-o", "{}/b.npy", "--step", "0"], "step"),
        (["{}/a.npy", "-o", "{}/b.npy", "--delay", "8"], "delay must be from 0 to 7"),
        (["{}/a.npy", "-o", "{}/b.npy", "--fps", "0"], "fps"),
        (["{}/a.npy", "-o", "{}/b.npy", "--window", "16"], "16"),
    ],
)
def test_mistakes_are_one_sentence(argv, message, checkpoint, tmp_path, capsys):
    (tmp_path / "c").mkdir()
    np.save(tmp_path / "a.npy", walk())
    np.save(tmp_path / "c" / "a.npy", walk())
    np.savez(tmp_path / "a.npz", points=walk())
    before = files_in(tmp_path)
    status, text = run([word.format(tmp_path) for word in argv] + ["--checkpoint", checkpoint], capsys)
    assert status == 2 and message in text and text.startswith("error: ") and text.count("\n") == 1
    assert files_in(tmp_path) == before


@pytest.mark.parametrize("name", ["openpose_balance_cam3", "pose2sim_balancing.trc", "sports2d_blazepose.npz"])
def test_samples(name, checkpoint, tmp_path, capsys):
    assert main([str(SAMPLES / name), "-o", f"{tmp_path}/", "--checkpoint", checkpoint]) == 0
    before, after = read_recording(SAMPLES / name), read_recording(tmp_path / name)
    for old, new in zip(before.tracks, after.tracks, strict=True):
        assert new.points.shape == old.points.shape
        np.testing.assert_array_equal(np.isnan(new.points), np.isnan(old.points))
        assert np.nanmax(np.abs(new.points - old.points)) > 0


def test_rotations_go_in_as_they_are(tmp_path):
    """A network without a normalisation sees the six numbers of a rotation unscaled."""
    checkpoint = str(write_averaging_checkpoint(tmp_path / "mean.pth.tar"))
    poses = np.random.default_rng(0).normal(size=(20, 72)) * 0.3
    np.savez(tmp_path / "a.npz", poses=poses, trans=walk(20, 1, 3)[:, 0], betas=np.ones(10), mocap_framerate=60.0)
    out = tmp_path / "b.npz"
    assert main([str(tmp_path / "a.npz"), "-o", str(out), "--checkpoint", checkpoint]) == 0
    smoother = Smoother.from_checkpoint(checkpoint)
    raw = Smoother(smoother.network, "none")
    sixd = raw(read_recording(tmp_path / "a.npz").tracks[0].points)
    first = sixd[..., ::2] / np.linalg.norm(sixd[..., ::2], axis=-1, keepdims=True)
    written = read_recording(out).tracks[0].points
    np.testing.assert_allclose(written[..., ::2], first, atol=1e-6)  # the first column of each rotation
    np.testing.assert_array_equal(np.load(out)["betas"], np.ones(10))
    trans = np.load(tmp_path / "a.npz")["trans"]
    np.testing.assert_allclose(np.load(out)["trans"], smoother(trans[:, None])[:, 0], atol=1e-6)


# ---------------------------------------------------------------------------------------------------- stream


def stream(lines, checkpoint, monkeypatch, capsys, *options):
    text = "".join(line if isinstance(line, str) else json.dumps(line) + "\n" for line in lines)
    monkeypatch.setattr(sys, "stdin", io.StringIO(text))
    status = run_main(main, ["-", "--stream", "--checkpoint", checkpoint, *options])
    out, err = capsys.readouterr()
    return status, [json.loads(line) for line in out.splitlines()], err


@pytest.mark.parametrize("delay", [0, 3, 7])
def test_stream_of_one_person_is_what_the_smoother_gives(delay, checkpoint, monkeypatch, capsys):
    points = walk()
    lines = [{"frame": t, "keypoints": frame.tolist()} for t, frame in enumerate(points)]
    status, out, _ = stream(lines, checkpoint, monkeypatch, capsys, "--delay", str(delay))
    assert status == 0 and [line["frame"] for line in out] == list(range(20))
    expected = Smoother.from_checkpoint(checkpoint)(points, delay=delay)
    np.testing.assert_allclose([line["keypoints"] for line in out], expected, rtol=1e-6)


def test_stream_of_people_with_ids_gaps_and_scores(checkpoint, monkeypatch, capsys):
    points = walk()
    lines = []
    for t, frame in enumerate(points):
        people = [
            {"id": "a", "keypoints": frame.tolist(), "scores": [1, 0.1 if t == 5 else 1, 1]},
            {"id": "b", "keypoints": [[None, None], *(frame[1:] + 100).tolist()], "colour": "red"},
        ]
        lines.append({"people": people[: 1 if 8 < t < 12 else 2][:: -1 if t % 2 else 1], "t": t / 30})
    options = ("--delay", "2", "--min_score", "0.5")
    status, out, _ = stream(lines, checkpoint, monkeypatch, capsys, *options)
    assert status == 0 and len(out) == 20
    first = np.array([next(p["keypoints"] for p in line["people"] if p["id"] == "a") for line in out])
    known = points.copy()
    known[5, 1] = np.nan
    smoother = Smoother.from_checkpoint(checkpoint).stream(delay=2)
    expected = np.stack([y for y in map(smoother.push, known) if y is not None] + smoother.flush())
    np.testing.assert_allclose(np.delete(first, 5, axis=0), np.delete(expected, 5, axis=0), rtol=1e-6)
    np.testing.assert_allclose(first[5, [0, 2]], expected[5, [0, 2]], rtol=1e-6)
    np.testing.assert_array_equal(first[5, 1], points[5, 1])  # below the score: comes back as it was
    for before, after in zip(lines, out, strict=True):
        assert [p["id"] for p in before["people"]] == [p["id"] for p in after["people"]]
        assert before["t"] == after["t"]
    assert out[0]["people"][1]["keypoints"][0] == [None, None] and out[0]["people"][1]["colour"] == "red"


def test_stream_without_ids_matches_people(checkpoint, monkeypatch, capsys):
    points = walk()
    lines, named = [], []
    for t, frame in enumerate(points):
        pair = [{"id": 1, "keypoints": frame.tolist()}, {"id": 2, "keypoints": (frame + 500).tolist()}]
        pair = pair[:: -1 if t % 3 else 1]
        named.append({"people": pair})
        lines.append({"people": [{"keypoints": person["keypoints"]} for person in pair]})
    _, with_ids, _ = stream(named, checkpoint, monkeypatch, capsys)
    _, without, _ = stream(lines, checkpoint, monkeypatch, capsys)
    for a, b in zip(with_ids, without, strict=True):
        assert [p["keypoints"] for p in a["people"]] == [p["keypoints"] for p in b["people"]]
        assert all("id" not in person for person in b["people"])


def test_stream_frames_without_anybody(checkpoint, monkeypatch, capsys):
    lines = [{"people": []}, {"people": [{"keypoints": [[1, 2], [3, 4]]}]}, "\n", {"people": None}]
    status, out, _ = stream(lines, checkpoint, monkeypatch, capsys, "--delay", "1")
    assert status == 0 and [len(line["people"] or []) for line in out] == [0, 1, 0]
    assert stream([], checkpoint, monkeypatch, capsys)[:2] == (0, [])


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("{\n", "line 2 is not valid JSON"),
        ("5\n", "line 2 must be"),
        ('{"people": []}\n', "line 2 is not of the form of the first"),
        ('{"keypoints": [[1, 2], [3]]}\n', "line 2: keypoints"),
        ('{"keypoints": [["a", 2]]}\n', "line 2: keypoints"),
        ('{"keypoints": 7}\n', "line 2: keypoints"),
        ('{"keypoints": [[1, 2]]}\n', "line 2: frame"),
        ('{"keypoints": [[1, 2], [3, 4]], "scores": [1]}\n', "line 2: there must be one score a joint"),
    ],
)
def test_stream_mistakes_name_the_line(line, message, checkpoint, monkeypatch, capsys):
    lines = ['{"keypoints": [[1, 2], [3, 4]]}\n', line]
    options = ("--delay", "0", "--min_score", "0.5")
    status, out, err = stream(lines, checkpoint, monkeypatch, capsys, *options)
    assert status == 2 and message in err and len(out) == 1


@pytest.mark.parametrize(
    "words",
    [
        ["--plot"],
        ["--derivatives"],
        ["--uncertainty"],
        ["--report", "a.json"],
        ["--fill"],
        ["--dims", "2"],
        ["--format", "npy"],
        ["--jobs", "2"],
    ],
)
def test_what_a_stream_does_not_do_is_refused(words, checkpoint, monkeypatch, capsys):
    status, out, err = stream([{"keypoints": [[1, 2], [3, 4]]}], checkpoint, monkeypatch, capsys, *words)
    assert status == 2 and not out and "is for files and does not go with --stream" in err and err.count("\n") == 1


def test_the_step_of_a_stream_is_taken(checkpoint, monkeypatch, capsys):
    points = walk()
    lines = [{"keypoints": frame.tolist()} for frame in points]
    _, out, _ = stream(lines, checkpoint, monkeypatch, capsys, "--step", "4")
    given = [line["keypoints"] for line in out]
    smoother = Smoother.from_checkpoint(checkpoint)
    np.testing.assert_allclose(given, smoother(points, step=4), rtol=1e-5)
    assert np.abs(np.array(given) - smoother(points)).max() > 1e-4


def test_a_layout_says_what_the_numbers_of_a_stream_are(checkpoint, monkeypatch, capsys):
    points = walk()
    scores = np.ones((len(points), points.shape[1], 1))
    scores[5, 1] = 0.1
    lines = [{"keypoints": frame} for frame in np.concatenate([points, scores], axis=2).tolist()]
    status, out, _ = stream(
        lines, checkpoint, monkeypatch, capsys, "--delay", "2", "--layout", "x,y,score", "--min_score", "0.5"
    )
    given = np.array([line["keypoints"] for line in out])
    known = points.copy()
    known[5, 1] = np.nan
    expected = Smoother.from_checkpoint(checkpoint)(known, delay=2)
    expected[5, 1] = points[5, 1]  # below the score: comes back as it was
    assert status == 0
    np.testing.assert_allclose(given[..., :2], expected, rtol=1e-6)
    np.testing.assert_array_equal(given[..., 2:], scores)
    for layout, words in (("wxyz", "rotations"), ("tkd", "numbers of a joint alone"), ("x,y,_,score", "asks for 4")):
        status, _, err = stream(lines, checkpoint, monkeypatch, capsys, "--layout", layout)
        assert status == 2 and words in err


def test_a_joint_of_null_is_missing_and_a_mark_of_utf8_none_of_a_line(checkpoint, monkeypatch, capsys):
    lines = ['\ufeff{"keypoints": [[1, 2], null]}\n', {"keypoints": [None, None]}, {"keypoints": [[3, 2], [1, 1]]}]
    status, out, _ = stream(lines, checkpoint, monkeypatch, capsys, "--delay", "0")
    assert status == 0 and out[0]["keypoints"][1] is None and len(out[0]["keypoints"][0]) == 2
    assert out[1]["keypoints"] == [None, None] and np.isfinite(out[2]["keypoints"]).all()


@pytest.mark.parametrize("nobody", [[None], [None] * 3])
def test_nobody_may_be_fewer_nulls_than_there_are_joints(nobody, checkpoint, monkeypatch, capsys):
    lines = [[[t, 1], [2, t], [t, t]] for t in range(4)]
    status, out, _ = stream([*lines, nobody, *lines], checkpoint, monkeypatch, capsys, "--delay", "1")
    assert status == 0 and out[4] == nobody and np.isfinite(out[:4] + out[5:]).all() and len(out) == 9


def test_a_line_that_is_not_utf8_is_named(checkpoint, monkeypatch, capsys):
    lines = io.TextIOWrapper(
        io.BytesIO(b'{"keypoints": [[1, 2], [3, 4]]}\n{"keypoints": [[1, 2], [3, 4]], "x": "\xff"}\n')
    )
    monkeypatch.setattr(sys, "stdin", lines)
    status = run_main(main, ["-", "--stream", "--checkpoint", checkpoint, "--delay", "0"])
    out, err = capsys.readouterr()
    assert status == 2 and out.count("\n") == 1 and "line 2 is not UTF-8 (byte 39" in err and err.count("\n") == 1


def test_gaps_in_seconds(tmp_path, capsys):
    points = walk(40)
    points[10:16, 1] = np.nan
    np.savez(tmp_path / "a.npz", keypoints=points, fps=25.0)
    for words, bridged in (("0.24s", 6), ("0.2s", 0), ("6", 6), ("5", 0)):
        argv = [
            str(tmp_path / "a.npz"),
            "-o",
            str(tmp_path / "b.npz"),
            "--force",
            "--method",
            "rts",
            "--max_gap",
            words,
        ]
        assert main([*argv, "--fill", "spline"]) == 0
        assert f"{bridged} of them bridged" in capsys.readouterr().out
        assert np.isfinite(np.load(tmp_path / "b.npz")["keypoints"]).all() == bool(bridged)
