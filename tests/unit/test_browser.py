# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) SmoothNet contributors
"""The JavaScript of lib/browser in node: the same numbers as Python, the same files, and what is generated for it."""

from __future__ import annotations

import io
import json
import re
import shutil
import subprocess
import zipfile
from pathlib import Path

import numpy as np
import pytest
import torch
from helpers import ROOT
from test_formats import ONE_OF_EACH, contents, strip_keypoints

from lib import __version__
from lib.browser.bundle import bundle
from lib.browser.export import skeletons_module, weights_module, words_module
from lib.formats import read_recording
from lib.inference.files import smooth_files
from lib.inference.lines import smooth_lines
from lib.inference.methods import Smoothing
from lib.inference.options import SmoothingOptions
from lib.inference.smoother import Smoother
from lib.models.checkpoints import save_checkpoint
from lib.models.general import GeneralSmoother
from lib.models.kinds import description
from lib.weights import find_weights

JS = ROOT / "lib/browser/js"
NODE = shutil.which("node")
CLOSE = 1e-4  # of the size of what is smoothed

needs_node = pytest.mark.skipif(NODE is None, reason="needs node (Debian: apt-get install nodejs)")


def ask(folder: Path, tasks: list[dict], weights: Path | None = None) -> list[dict]:
    """What node answers to tasks; see tests/browser.mjs."""
    job = {
        "module": str(JS / "index.js"),
        "report": str(JS / "report.js"),
        "weights": str(weights) if weights else None,
        "tasks": tasks,
    }
    path = folder / "job.json"
    path.write_text(json.dumps(job).replace("NaN", "null"))
    done = subprocess.run([NODE, ROOT / "tests/browser.mjs", path], capture_output=True, text=True, timeout=900)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def values(answers: list[dict]) -> list:
    for answer in answers:
        assert "error" not in answer, answer
    return [answer["value"] for answer in answers]


def motion(frames: int, joints: int, dims: int, seed: int = 0, scale: float = 1.0, gaps: float = 0.0) -> np.ndarray:
    """A body that moves, with noise; with gaps single points are missing."""
    rng = np.random.default_rng(seed)
    t = np.arange(frames)[:, None, None] / 7
    rest, phase = rng.normal(size=(1, joints, dims)) * 0.4, rng.uniform(0, 6, (1, joints, dims))
    points = (rest + 0.3 * np.sin(t + phase) + rng.normal(size=(frames, joints, dims)) * 0.01 + 2) * scale
    points[rng.random((frames, joints)) < gaps] = np.nan
    return points


def with_leaps() -> np.ndarray:
    """Two joints come back from gaps somewhere else, one of them twice."""
    points = motion(110, 5, 2)
    reach = np.abs(np.diff(points, axis=0)).max() * 40
    for joint, first, behind in ((1, 30, 36), (3, 50, 53), (3, 58, 62)):
        points[first:behind, joint] = np.nan
        points[behind:, joint] += reach
    return points


def with_long_gaps() -> np.ndarray:
    points = motion(120, 8, 3, gaps=0.05)
    points[40:60] = np.nan  # everybody is away: two recordings
    points[75:81] = np.nan  # bridged
    points[:30, 3] = np.nan  # a joint that comes late, and one that leaves early
    points[100:, 4] = np.nan
    return points


def with_early_leaves() -> np.ndarray:
    points = motion(110, 5, 2)
    points[9:30] = np.nan  # gone before the first window is full
    points[58:64] = np.nan  # nobody in sight where the first window of the second recording ends
    points[95:] = np.nan
    return points


def with_wild_joint() -> np.ndarray:
    """A joint is anywhere for some time, and so little counts for the others."""
    points = motion(90, 9, 3)
    points[20:70, 4] += np.random.default_rng(5).normal(size=(50, 3))
    return points


MOTIONS = {
    "3D": motion(80, 17, 3),
    "2D in pixels": motion(70, 17, 2, scale=300),
    "holes": motion(64, 6, 3, gaps=0.15),
    "long gaps": with_long_gaps(),
    "leaps": with_leaps(),
    "early leaves": with_early_leaves(),
    "a wild joint": with_wild_joint(),
    "a depth in another unit": motion(70, 6, 3) * (1, 1, 1e4),
    "a depth of 0": motion(70, 6, 3) * (1, 1, 0),
    "one joint": motion(50, 1, 3),
    "one joint, 2D, far away": motion(40, 1, 2) + 1e4,
    "one number": motion(40, 3, 1),
    "shorter than a window": motion(12, 5, 2),
    "short with holes": motion(20, 6, 3, gaps=0.2),
    "two frames": motion(2, 4, 3),
    "one frame": motion(1, 4, 3),
    "nothing moves": np.full((40, 4, 3), 3.0),
}
STRENGTHS = (0.0, 0.5, 1.0, 2.5, 4.0)


def plain(points: np.ndarray) -> list:
    return json.loads(json.dumps(points.tolist()).replace("NaN", "null"))


def as_array(answer: list, like: np.ndarray) -> np.ndarray:
    flat = [np.nan if v is None else v for frame in answer for joint in frame for v in joint]
    return np.array(flat, dtype=float).reshape(like.shape)


def assert_close(found: np.ndarray, wanted: np.ndarray, size: float, what: str) -> None:
    np.testing.assert_array_equal(np.isnan(found), np.isnan(wanted), err_msg=what)
    assert np.nanmax(np.abs(found - wanted), initial=0) <= CLOSE * size, what


def size_of(points: np.ndarray) -> float:
    """How far the points reach from their middle; 1 where nothing does."""
    return float(np.nanmax(np.abs(points - np.nanmean(points, axis=(0, 1))))) or 1.0


@needs_node
def test_recordings_come_out_as_python_smooths_them(tmp_path):
    cases = [(name, s, (None, 60, 1e4, 25)[i % 4]) for i, s in enumerate(STRENGTHS) for name in MOTIONS]
    tasks = [
        {"task": "smooth", "points": plain(MOTIONS[n]), "options": {"strength": s, "fps": fps}} for n, s, fps in cases
    ]
    for (name, strength, fps), answer in zip(cases, values(ask(tmp_path, tasks)), strict=True):
        points = MOTIONS[name]
        wanted = Smoother.from_checkpoint(strength=strength, fps=fps)(points)
        # On a line there is no noise but the rounding of Python's float32; in doubles it gives what the page does.
        size = size_of(points) * (2 if name == "two frames" else 1)
        assert_close(as_array(answer, points), wanted, size, f"{name} at strength {strength}")


@needs_node
def test_streams_come_out_as_python_smooths_them(tmp_path):
    names = [
        name for name in MOTIONS if MOTIONS[name].shape[1] < 17
    ]  # each frame is a window: the large ones take long
    most = Smoother.from_checkpoint().window - 1
    cases = [(name, *((0, 1.0, None), (7, 0.5, 120), (most, 2.0, 30))[i % 3]) for i, name in enumerate(names)]
    tasks = [
        {
            "task": "stream",
            "points": plain(MOTIONS[name]),
            "options": {"delay": delay, "strength": strength, "fps": fps},
        }
        for name, delay, strength, fps in cases
    ]
    for (name, delay, strength, fps), answer in zip(cases, values(ask(tmp_path, tasks)), strict=True):
        points = MOTIONS[name]
        wanted = Smoother.from_checkpoint(strength=strength, fps=fps)(points, delay=delay)
        missing = [f if f else [[None] * points.shape[2]] * points.shape[1] for f in answer]
        assert_close(as_array(missing, points), wanted, size_of(points), f"{name}, delay {delay}, strength {strength}")


@needs_node
@pytest.mark.parametrize(
    "settings",
    [
        {"window_size": 64, "knots": 12, "taper": "triangle", "step": 16},
        {"window_size": 17, "knots": 17, "taper": "uniform", "step": 3, "hidden_size": 37, "num_blocks": 1},
        {"window_size": 8, "knots": 2, "step": 1, "res_hidden_size": 5, "hidden_size": 6},
    ],
)
def test_weights_of_other_sizes(tmp_path, settings):
    torch.manual_seed(1)
    model = GeneralSmoother(**settings)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.mul_(1.5)
    save_checkpoint(tmp_path / "w.pth.tar", {"state_dict": model.state_dict(), "model": description(model)})
    (tmp_path / "w.mjs").write_text(weights_module(tmp_path / "w.pth.tar"))
    cases = [("3D", 1.0), ("holes", 2.0), ("shorter than a window", 0.5), ("two frames", 3.0)]
    tasks = [{"task": "smooth", "points": plain(MOTIONS[n]), "options": {"strength": s}} for n, s in cases]
    for (name, strength), answer in zip(cases, values(ask(tmp_path, tasks, tmp_path / "w.mjs")), strict=True):
        points = MOTIONS[name]
        wanted = Smoother.from_checkpoint(tmp_path / "w.pth.tar", strength=strength)(points)
        assert_close(as_array(answer, points), wanted, size_of(points), name)


def test_what_is_generated_is_up_to_date():
    """After new weights, skeletons or words: python run_scripts/browser.py"""
    assert (JS / "weights.js").read_text() == weights_module(find_weights(None))
    assert (JS / "skeletons.js").read_text() == skeletons_module()
    assert (JS / "words.js").read_text() == words_module()


# ------------------------------------------------------------------------------------------------------- files

IN_THE_PAGE = [
    case for case in ONE_OF_EACH if not case.startswith(("deeplabcut", "smpl"))
]  # which the page leaves to Python


def openpose_array(folder: Path) -> list[Path]:
    """All frames in one list, as nodes for diffusion models save them; a number is left out now and then."""
    frames = [json.loads(p.read_text()) for p in sorted(moving_openpose(folder / "frames")[0].parent.iterdir())]
    frames = [frame | {"frame": t + t // 9} for t, frame in enumerate(frames)]
    (folder / "array.json").write_text(json.dumps(frames))
    return [folder / "array.json"]


def moving_openpose(folder: Path) -> list[Path]:
    """Two people who change places in the list; a joint is lost now and then."""
    folder.mkdir(parents=True)
    a, b = motion(50, 25, 2, 1, 90), motion(50, 25, 2, 2, 90) + np.array([900, 0])
    paths = []
    for t in range(50):
        people = []
        for points in (a, b):
            rows = np.column_stack([points[t], np.full(25, 0.875)]).round(3)
            rows[(t * 7) % 25] = 0
            people.append({"person_id": [-1], "pose_keypoints_2d": rows.ravel().tolist()})
        people = people[::-1] if t % 3 == 0 else people
        paths.append(folder / f"walk_{t:012d}_keypoints.json")
        paths[-1].write_text(json.dumps({"version": 1.3, "people": people if t != 20 else people[:1]}))
    return paths


def moving_coco(folder: Path) -> list[Path]:
    points = motion(60, 17, 2, 3, 80)
    results = [
        {"image_id": t, "keypoints": np.column_stack([p, np.ones(17)]).round(2).ravel().tolist(), "score": 0.5}
        for t, p in enumerate(points)
        if t not in (10, 11, 30)
    ]
    (folder / "results.json").write_text(json.dumps(results))
    return [folder / "results.json"]


def moving_mmpose(folder: Path) -> list[Path]:
    frames = [
        {"frame_id": t + 1, "instances": [{"keypoints": p.tolist(), "keypoint_scores": [0.9] * 17}]}
        for t, p in enumerate(motion(60, 17, 3, 4))
    ]
    meta = {"keypoint_id2name": {str(k): f"joint <b>{k}</b>" for k in range(17)}}
    (folder / "mm.json").write_text(json.dumps({"meta_info": meta, "instance_info": frames}))
    return [folder / "mm.json"]


def moving_csv(folder: Path) -> list[Path]:
    points = motion(70, 4, 3, 5, gaps=0.1)
    names = [f"{joint}_{axis}" for joint in ("nose", "left hip", "r'<i>", "__proto__") for axis in "xyz"]
    rows = [",".join(["time", *names])]
    for t, p in enumerate(points):
        rows.append(",".join([f"{t / 25:.2f}", *("" if np.isnan(v) else f"{v:.5f}" for v in p.ravel())]))
    (folder / "m.csv").write_text("\r\n".join(rows) + "\r\n")
    return [folder / "m.csv"]


def matrix_csv(folder: Path) -> list[Path]:
    points = motion(70, 17, 2, 6, 200).reshape(70, -1)
    np.savetxt(folder / "matrix.csv", np.column_stack([np.arange(70), points]), delimiter=",", fmt="%.4f")
    return [folder / "matrix.csv"]


def moving_trc(folder: Path) -> list[Path]:
    points = motion(60, 3, 3, 7, 1000)
    points[:, 2, 1] = 0  # stays, as what never moves does
    points[5:9, 1] = np.nan
    lines = ["PathFileType\t4\t(X/Y/Z)\tm.trc", "DataRate\tCameraRate\tNumFrames", "60.00\t60.00\t60"]
    lines += ["Frame#\tTime\tHip\t\t\tKnee\t\t\tToe\t\t\t", "\t\tX1\tY1\tZ1\tX2\tY2\tZ2\tX3\tY3\tZ3", ""]
    for t, p in enumerate(points):
        lines.append("\t".join([str(t + 1), f"{t / 60:.3f}", *("" if np.isnan(v) else f"{v:.4f}" for v in p.ravel())]))
    (folder / "m.trc").write_text("\n".join(lines) + "\n")
    return [folder / "m.trc"]


def arrays(folder: Path) -> list[list[Path]]:
    """NumPy files: types, orders, people, stored and deflated."""
    points = motion(60, 9, 3, 8, gaps=0.05)
    np.save(folder / "f8.npy", points)
    np.save(folder / "f4.npy", points.astype(np.float32))
    np.save(folder / "columns.npy", np.asfortranarray(points))
    np.save(folder / "big.npy", points.astype(">f4"))
    np.save(folder / "half.npy", points.astype(np.float16))
    np.save(folder / "whole.npy", (np.nan_to_num(motion(60, 9, 2, 9, 300))).astype(np.int32))
    np.save(folder / "people.npy", np.stack([motion(60, 9, 2, 10, 99), motion(60, 9, 2, 11, 99)], axis=1))
    np.save(folder / "far.npy", (motion(60, 9, 3, 12) + 1e6).astype(np.float32))
    np.save(folder / "flat.npy", motion(60, 17, 2, 13, 300).reshape(60, -1))
    scores = np.linspace(0, 1, 60 * 9).reshape(60, 9)
    more = {"scores": scores, "fps": 50.0, "bbox": np.ones((60, 4)), "note": np.array("<b>"), "o": np.array([None, {}])}
    np.savez(folder / "stored.npz", keypoints=points, **more)
    np.savez_compressed(folder / "deflated.npz", keypoints=points, joints_2d=points[..., :2], **more)
    with_score = np.concatenate([motion(60, 9, 2, 14, 200), np.full((60, 9, 1), 0.7) + scores[..., None] / 10], axis=2)
    np.save(folder / "with_score.npy", with_score)
    return [[path] for path in sorted(folder.iterdir())]


MAKERS = (
    moving_openpose, openpose_array, moving_coco, moving_mmpose, moving_csv, matrix_csv, moving_trc,
)  # fmt: skip


@needs_node
@pytest.mark.parametrize("strength", [1.0, 2.0])
def test_files_come_out_as_python_smooths_them(tmp_path, strength):
    sources: list[list[Path]] = []
    for make in MAKERS:
        folder = tmp_path / make.__name__
        folder.mkdir() if make is not moving_openpose else None
        sources.append(make(folder))
    (tmp_path / "arrays").mkdir()
    sources += arrays(tmp_path / "arrays")
    outs = [tmp_path / "js" / str(i) for i in range(len(sources))]
    tasks = [
        {"task": "file", "paths": [str(p) for p in paths], "folder": str(out), "options": {"strength": strength}}
        for paths, out in zip(sources, outs, strict=True)
    ]
    smoothing = Smoothing(SmoothingOptions(strength=strength))
    for paths, out, said in zip(sources, outs, values(ask(tmp_path, tasks)), strict=True):
        several = len(paths) > 1
        source, result = (paths[0].parent, out) if several else (paths[0], out / paths[0].name)
        python = tmp_path / "python" / (source.name if several else f"{paths[0].parent.name}_{source.name}")
        smooth_files([source], python, smoothing)
        old, wanted, found = (read_recording(p) for p in (source, python, result))
        assert said["fps"] == old.fps and said["frames"] == old.frame_count, source
        assert said["names"] == (list(old.names) if old.names else None), source
        for before, ours, theirs in zip(old.tracks, wanted.tracks, found.tracks, strict=True):
            written = 0 if source.suffix in (".npy", ".npz") else 0.011  # decimals of the file
            if source.name == "half.npy":
                written = 2e-3
            np.testing.assert_array_equal(np.isnan(theirs.points), np.isnan(ours.points), err_msg=str(source))
            still = np.ptp(before.points, axis=0) == 0
            np.testing.assert_array_equal(theirs.points[:, still], before.points[:, still], err_msg=str(source))
            apart = np.nanmax(np.abs(theirs.points - ours.points))
            assert apart <= CLOSE * size_of(before.points) + written, source
            assert np.nanmax(np.abs(theirs.points - before.points)) > 20 * apart, source  # it was smoothed
        if source.suffix == ".json":
            assert strip_keypoints(json.loads(result.read_text())) == strip_keypoints(json.loads(source.read_text()))
        if source.suffix in (".csv", ".trc"):
            ours, theirs = (p.read_bytes().decode() for p in (python, result))
            assert [len(line) for line in theirs.splitlines()] == [len(line) for line in ours.splitlines()], source
        if source.suffix == ".npy":
            assert np.load(result).dtype == np.load(python).dtype
            assert np.isfortran(np.load(result)) == np.isfortran(np.load(source))
        if source.suffix == ".npz":
            with zipfile.ZipFile(source) as a, zipfile.ZipFile(result) as b:
                assert b.testzip() is None and a.namelist() == b.namelist()
                for x, y in zip(a.infolist(), b.infolist(), strict=True):
                    assert x.compress_type == y.compress_type
                    points = x.filename in ("keypoints.npy", "joints_2d.npy")
                    assert (a.read(x) == b.read(y)) != points, x.filename


@needs_node
def test_writing_what_was_read_changes_no_byte(tmp_path):
    sources, outs = {}, {}
    for case in IN_THE_PAGE:
        (tmp_path / case).mkdir()
        sources[case] = ONE_OF_EACH[case][0](tmp_path / case)
        outs[case] = tmp_path / "out" / case
    paths = {c: sorted(p.iterdir()) if p.is_dir() else [p] for c, p in sources.items()}
    tasks = [
        {"task": "file", "paths": [str(p) for p in paths[c]], "folder": str(outs[c]), "keep": True} for c in sources
    ]
    for case, said in zip(sources, values(ask(tmp_path, tasks)), strict=True):
        source = sources[case]
        assert contents(outs[case] if source.is_dir() else outs[case] / source.name) == contents(source), case
        wanted = [list(t.points.shape) for t in read_recording(source).tracks]
        assert sorted(said["tracks"]) == sorted(wanted), case


@needs_node
def test_a_frame_whose_joints_are_all_null_shows_nobody(tmp_path):
    shown = [[1.0, 2.0], [3.0, 4.0]]
    for lines in (
        [{"keypoints": shown}, {"keypoints": [None, None]}],
        [{"people": [{"id": 1, "keypoints": shown}]}, {"people": [{"id": 1, "keypoints": [None, None]}]}],
    ):
        (found,) = values(ask(tmp_path, [{"task": "lines", "lines": lines, "options": {"delay": 0}}]))
        stream = Smoother.from_checkpoint().stream(0)
        wanted = [json.loads(line) for line in smooth_lines(map(json.dumps, lines), stream)]
        assert found[1] == wanted[1] == lines[1]


@needs_node
def test_landmarks_arrays_and_lines(tmp_path):
    """What estimators in the browser give: lists of landmarks, bare arrays, and lines of JSON."""
    points = motion(50, 33, 3, 3)
    points[4, 2] = np.nan
    marks = [
        [dict(zip("xyz", p, strict=True), visibility=0.5) if t != 7 else None for p in f] for t, f in enumerate(points)
    ]
    marks[4][2] = None
    points[7] = np.nan
    bare = plain(points)
    bare = [[None if None in joint else joint for joint in frame] for frame in bare]
    forms = {
        "landmarks.json": json.dumps(
            {"fps": 30, "frames": [{"t": t, "poseLandmarks": f} for t, f in enumerate(marks)]}
        ),
        "list.json": json.dumps(marks),
        "tensorflow.json": json.dumps([[{"keypoints": f, "score": 1}] if f else [] for f in marks]),
        "numbers.json": json.dumps(bare),
        "lines.jsonl": "".join(json.dumps({"n": t, "keypoints": f}) + "\n\n" for t, f in enumerate(bare)),
        "people.jsonl": "\n".join(json.dumps({"people": [{"id": "a", "keypoints": f}]}) for f in bare),
    }
    for name, text in forms.items():
        (tmp_path / name).write_text(text)
    tasks = [{"task": "file", "paths": [str(tmp_path / n)], "folder": str(tmp_path / "out")} for n in forms]
    values(ask(tmp_path, tasks))
    told = Smoother.from_checkpoint(fps=30)(points)  # landmarks.json says its rate, the others do not
    untold = Smoother.from_checkpoint()(points)

    def joint(value) -> list:
        if value is None:
            return [None] * 3
        return [value["x"], value["y"], value["z"]] if isinstance(value, dict) else value

    for name in forms:
        text = (tmp_path / "out" / name).read_text()
        if name.endswith(".jsonl"):
            lines = [json.loads(line) for line in text.splitlines() if line]
            frames = [v["keypoints"] if "keypoints" in v else v["people"][0]["keypoints"] for v in lines]
        else:
            value = json.loads(text)
            frames = [f["poseLandmarks"] for f in value["frames"]] if isinstance(value, dict) else value
            if name == "tensorflow.json":
                frames = [f[0]["keypoints"] if f else [None] * 33 for f in value]
        wanted = told if name == "landmarks.json" else untold
        assert_close(as_array([[joint(j) for j in f] for f in frames], points), wanted, size_of(points), name)
        assert len(text.splitlines()) == len(forms[name].splitlines()), name


@needs_node
def test_the_report_is_pythons(tmp_path):
    """How far points moved, jitter, leaps and what looks like motion; the same warnings, and the same doubts before."""
    rng = np.random.default_rng(4)
    slow = np.cumsum(rng.normal(size=(300, 1, 2)) * 0.02, axis=0)
    arrays = {
        "moves": motion(90, 7, 3, gaps=0.1),
        "leaps": rng.permuted(motion(60, 9, 2), axis=1),
        "drifts": slow,
        "features": np.cumsum(rng.normal(size=(80, 263)), axis=0),
        "pose": rng.normal(size=(17, 3)) * 300,
        "picture": motion(1, 7, 2),
        "two pictures": motion(2, 7, 2),
    }
    paths = {name: tmp_path / f"{name}.npy" for name in arrays}
    for name, array in arrays.items():
        np.save(paths[name], array)
    tasks = [{"task": "file", "paths": [str(path)], "folder": str(tmp_path / "out")} for path in paths.values()]
    for (name, path), found in zip(paths.items(), values(ask(tmp_path, tasks)), strict=True):
        (done,) = smooth_files([path], tmp_path / f"{name} smoothed.npy", Smoothing(SmoothingOptions()))
        assert found["notes"] == [note.removeprefix("array: ") for note in read_recording(path).notes], name
        assert str(found["warning"])[:20] == str(done.report.warning())[:20], name  # before figures and options
        ((_, wanted),) = done.report.parts.items()
        ((_, part),) = found["parts"].items()
        if wanted.jitter is None:
            assert part["jitter"] is None and np.allclose(part["moved"], wanted.moved, atol=1e-3), name
            continue
        for key in ("moved", "jitter", "leaps", "correlation", "slow"):
            assert np.allclose(part[key], getattr(wanted, key), rtol=2e-3, atol=1e-6), (name, key)
        assert (wanted.leaps > 0.6) == (name == "leaps") and bool(found["notes"]) == (name in ("features", "pose")), (
            name
        )


@needs_node
def test_lines_come_out_as_python_smooths_them(tmp_path):
    one, two = motion(45, 5, 2, 1), motion(45, 5, 2, 2) + np.array([5, 0])
    forms = [
        [json.dumps({"keypoints": p, "scores": [1] * 5, "t": t}) for t, p in enumerate(plain(one))],
        [json.dumps({"people": [{"id": 7, "keypoints": p}, {"id": "b", "keypoints": q}][: 1 if t == 9 else 2]})
         for t, (p, q) in enumerate(zip(plain(one), plain(two), strict=True))],
        [json.dumps({"instances": [{"keypoints": q}, {"keypoints": p}][:: 1 if t % 2 else -1]})
         for t, (p, q) in enumerate(zip(plain(one), plain(two), strict=True))],
        [json.dumps({0: None, 12: None, 13: []}.get(t, p)) for t, p in enumerate(plain(one))],
        [json.dumps(None if t in (0, 20) else {"people": [
            {"person_id": i, "keypoints": p if (t > 25) == i else q} for i in (0, 1)]})
         for t, (p, q) in enumerate(zip(plain(one), plain(two), strict=True))],
    ]  # fmt: skip
    tasks = [{"task": "lines", "lines": lines, "options": {"delay": 6}} for lines in forms]
    for lines, answer in zip(forms, values(ask(tmp_path, tasks)), strict=True):
        wanted = [json.loads(line) for line in smooth_lines(lines, Smoother.from_checkpoint().stream(6))]
        numbers = [[], []]
        for side, found in zip(numbers, (wanted, answer), strict=True):
            json.loads(json.dumps(found), parse_float=lambda text, side=side: side.append(float(text)))
        assert len(numbers[0]) > 400
        np.testing.assert_allclose(numbers[1], numbers[0], atol=CLOSE * 3)
        assert [sorted(f) for f in answer if isinstance(f, dict)] == [sorted(f) for f in wanted if isinstance(f, dict)]


REFUSED = {
    "a.json": ("{", "not valid JSON"),
    "b.json": ('{"a": 1}', "no poses are found"),
    "c.json": ("[" * 200_000, "not valid JSON|nested too deeply"),
    "d.json": ('[{"image_id": 1, "keypoints": [1, "<img>", 3]}]', "numbers only"),
    "e.json": ('{"people": [{"pose_keypoints_2d": [1, 2]}]}', "not whole joints"),
    "f.csv": ("a_x,a_y\n1,2\n1\n", "line 3: 1 cells"),
    "g.csv": ("a_x,a_y\n1,2\n2,2\n3,<img onerror>\n", "line 4.*is not a number"),
    "h.csv": ("", "is empty"),
    "i.trc": ("PathFileType\n1\n2\n3\n4\n5\n", "names no markers"),
    "j.npy": (b"\x93NUMPY\x01\x00\x10\x00nonsense", "not a readable NumPy file|holds no array"),
    "k.npz": (b"PK\x05\x06" + b"\0" * 10, "not a readable NumPy file"),
    "l.mp4": ("x", "pose estimator first"),
    "m.xyz": ("x", "in no form that the page knows"),
    "n.jsonl": ('{"keypoints": [[1, 2]]}\n{"keypoints": "<b>"}\n7\n', "line 3 must be"),
    "o.json": ('{"people": []}', "holds nobody"),
    "p.csv": ("x-axis (g),y-axis (g),z-axis (g)\n1,2,3\n2,2,3\n", "no positions by their names"),
    "q.csv": ("a_x,a_y,a_z,g_x,g_y,g_z\n1,2,3,4,5,6\n2,2,3,4,5,6\n", "no positions by their names"),
    "r.csv": ("Counter,SampleTime,Acc_X,Acc_Y\n1,2,3,4\n2,4,3,4\n3,9,3,4\n", "no positions by their names"),
}


@needs_node
def test_what_is_not_understood_gets_a_sentence(tmp_path):
    files = dict(REFUSED)
    quaternions = np.random.default_rng(0).normal(size=(30, 5, 4))
    quaternions /= np.linalg.norm(quaternions, axis=2, keepdims=True)
    table = "".join(",".join(f"{n:.9f}" for n in row) + "\n" for row in quaternions[:, 0])
    files["quaternions.csv"] = (f"hip_w,hip_x,hip_y,hip_z\n{table}", "rotations")
    for name, arrays in (
        ("people.npz", {"pose": np.ones((30, 2, 72)), "trans": np.ones((30, 2, 3))}),
        ("shapes.npz", {"poses": np.ones((30, 72)), "shapes": np.ones((30, 10))}),
        ("body.npz", {"body_pose": np.ones((30, 69)), "joints": np.ones((30, 5, 3))}),
    ):
        buffer = io.BytesIO()
        np.savez(buffer, **arrays)
        files[name] = (buffer.getvalue(), "body parameters")
    for name, array, words in (
        ("quaternions.npy", quaternions, "rotations"),
        ("time.npy", np.ascontiguousarray(motion(80, 6, 3).transpose(1, 0, 2)), "frames first"),
        ("objects.npy", np.array([None, {}]), "never unpickled"),
        ("seconds.npy", np.column_stack([np.arange(60) / 30, motion(60, 6, 2).reshape(60, 12)]), "first column counts"),
        ("labels.npy", np.column_stack([motion(60, 6, 2).reshape(60, 12), np.arange(60) // 20]), "as labels are"),
        ("motion.npy", np.ones((60, 322)), "Motion-X"),
    ):
        buffer = io.BytesIO()
        np.save(buffer, array, allow_pickle=True)
        files[name] = (buffer.getvalue(), words)
    for name, (content, _) in files.items():
        (tmp_path / name).write_bytes(content if isinstance(content, bytes) else content.encode())
    tasks = [{"task": "file", "paths": [str(tmp_path / n)], "folder": str(tmp_path / "out")} for n in files]
    for (name, (_, words)), answer in zip(files.items(), ask(tmp_path, tasks), strict=True):
        assert answer.get("kind") == "FileError", (name, answer)
        assert name in answer["error"] and "\n" not in answer["error"], name
        assert re.search(words, answer["error"]), (name, answer["error"])


@needs_node
def test_what_lies_beside_points_comes_back_as_it_was(tmp_path):
    points, rng = motion(60, 5, 2, scale=300), np.random.default_rng(0)
    corner = rng.uniform(0, 50, (60, 1, 2)) + np.array([0, 400])
    arrays = {"boxes of people": np.concatenate([corner, corner + 60], axis=-1), "more": rng.normal(size=(60, 1, 4))}
    np.savez(tmp_path / "a.npz", keypoints=points, 速度=points, body_lin_vel_w=points, **arrays)
    points[20:23, 1] = -99  # a mark of missing points that lies near
    np.savez(tmp_path / "b.npz", 点=points, 框=arrays["more"], people=arrays["boxes of people"])
    beside = [["bbox_x", "bbox_y"], ["v_x [m s^-1]", "v_y [m s^-1]"], ["nose_raw_x", "nose_raw_y"]]
    for table, others in zip("cdef", [*beside, ["twist.linear.x", "twist.linear.y"]], strict=True):
        head = ",".join(["nose_x", "nose_y", *others])
        np.savetxt(tmp_path / f"{table}.csv", points.reshape(60, -1)[:, 4:8], delimiter=",", header=head, comments="")
    for table, head, rest in (("g", "nose_x,nose_y,nose_z", "nan"), ("h", "nose_x,nose_y,x,y,w,h", "1,2,60,80"),
                               ("j", "nose_x,nose_y,nose_visibility,nose_presence", "1,0.9"),
                               ("i", "Timestamp [ms],track_id,nose_x,nose_y,x,y,w,h", "1,2,60,80")):  # fmt: skip
        rows = [f"{x:.3f},{y:.3f},{rest}" for x, y in points[:, 0]]
        rows = [f"{33 * t},7,{row}" for t, row in enumerate(rows)] if table == "i" else rows
        (tmp_path / f"{table}.csv").write_text("\n".join([head, *rows]) + "\n")
    smoothing = Smoothing(SmoothingOptions())
    for name in ("a.npz", "b.npz", *(f"{table}.csv" for table in "cdefghij")):
        smooth_files([tmp_path / name], tmp_path / f"python_{name}", smoothing)
        values(ask(tmp_path, [{"task": "file", "paths": [str(tmp_path / name)], "folder": str(tmp_path / "out")}]))
        old, python, ours = (read_columns(p / n) for p, n in (
            (tmp_path, name), (tmp_path, f"python_{name}"), (tmp_path / "out", name)))  # fmt: skip
        for key, array in old.items():
            same = [np.array_equal(array, other, equal_nan=True) for other in (python[key], ours[key])]
            assert same[0] == same[1], (name, key)
            assert_close(ours[key], python[key], 300, (name, key))


def read_columns(path: Path) -> dict[str, np.ndarray]:
    if path.suffix == ".npz":
        return dict(np.load(path))
    names, *rows = path.read_text().splitlines()
    return dict(zip(names.split(","), np.array([row.split(",") for row in rows], float).T, strict=True))


@needs_node
def test_a_zip_bomb_is_not_unpacked(tmp_path):
    with zipfile.ZipFile(tmp_path / "bomb.npz", "w", zipfile.ZIP_DEFLATED) as file:
        file.writestr("a.npy", b"\0" * (600 << 20))
    task = {"task": "file", "paths": [str(tmp_path / "bomb.npz")], "folder": str(tmp_path / "out")}
    (answer,) = ask(tmp_path, [task])
    assert "512 MB" in answer["error"]


@needs_node
def test_the_modules_are_one_script_without_two_of_a_name(tmp_path):
    (tmp_path / "page.js").write_text(bundle("try.js"))
    done = subprocess.run([NODE, "--check", tmp_path / "page.js"], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[-500:]


@needs_node
def test_the_package_has_what_it_says(tmp_path):
    package = json.loads((JS / "package.json").read_text())
    assert package["version"] == __version__
    for name in ("LICENSE", "NOTICE"):  # npm takes nothing from outside the folder
        assert (JS / name).read_text() == (ROOT / name).read_text()
    have = {path.name for path in JS.iterdir()}
    assert set(package["files"]) <= have
    assert {p.name for p in JS.glob("*.js")} - {"try.js", "player.js", "clip.js", "skeletons.js"} <= set(
        package["files"]
    )
    script = "import('smoothnet').then(m => console.log(m.live({delay: 0}).push([{x: 1, y: 2, visibility: 1}])[0].x))"
    module = tmp_path / "node_modules" / package["name"]
    module.mkdir(parents=True)
    for name in [*package["files"], "package.json"]:
        shutil.copy(JS / name, module / name)
    done = subprocess.run(
        [NODE, "-e", script.replace("smoothnet", package["name"])], cwd=tmp_path, capture_output=True, text=True
    )
    assert float(done.stdout) == pytest.approx(1), done.stderr
