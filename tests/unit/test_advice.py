# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) SmoothNet contributors
"""Files that are not read say in one sentence what would do."""

from __future__ import annotations

import json
import zipfile

import numpy as np
import pytest

from lib.formats import read_recording
from lib.utils.errors import SmoothNetError

POINTS = np.random.default_rng(0).normal(size=(20, 5, 2)).cumsum(axis=0)


def table(delimiter: str, decimal: str, long: bool) -> str:
    if long:
        rows = [["frame", "joint", "x", "y"], *([t, k, *POINTS[t, k]] for t in range(20) for k in range(5))]
    else:
        rows = [["frame", "nose_x", "nose_y"], *([t, *POINTS[t, 0]] for t in range(20))]
    return "".join(delimiter.join(str(cell).replace(".", decimal) for cell in row) + "\n" for row in rows)


def fields():
    array = np.zeros(POINTS.shape[:2], [("x", "f4"), ("y", "f4")])
    array["x"], array["y"] = POINTS[..., 0], POINTS[..., 1]
    return array


def zipped(path):
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("metadata.json", "{}")


FILES = {
    "comma.csv": (lambda p: p.write_text(table(";", ",", False)), r"comma for a decimal point; write points: .*sep="),
    "long.csv": (lambda p: p.write_text(table(";", ",", True)), r"comma for a decimal point; write points: .*sep="),
    "wide16.csv": (lambda p: p.write_text(table(",", ".", False), encoding="utf-16"), "UTF-16; save it as UTF-8"),
    "long16.csv": (lambda p: p.write_text(table(",", ".", True), encoding="utf-16"), "UTF-16; save it as UTF-8"),
    "objects.npy": (
        lambda p: np.save(p, {"keypoints": POINTS}, allow_pickle=True),  # type: ignore[arg-type]
        r"never unpickled; where you trust it .*, load it in Python, with numpy.load .* numpy.save",
    ),
    "objects.npz": (
        lambda p: np.savez(p, positions_2d=np.array({"S1": POINTS})),
        r"Python objects in positions_2d, .*, load positions_2d in Python, with numpy.load .* numpy.save",
    ),
    "detections.npz": (
        lambda p: np.savez(p, boxes=np.array([None]), keypoints=np.array([None])),
        r"Python objects in boxes, keypoints, .*, load keypoints in Python",
    ),
    "fields.npy": (lambda p: np.save(p, fields()), "put its fields side by side: .*numpy.stack"),
    "joints.pth": (
        lambda p: p.write_bytes(b"\x80\x02"),
        r"these are poses, .* torch\.load\(\"joints\.pth\", weights_only=True\)",
    ),
    "walk.bag": (lambda p: p.write_bytes(b"#ROSBAG V2.0\n"), "a recording of ROS; write its poses to a .csv"),
    "walk.anim": (lambda p: p.write_text("%YAML 1.1\n"), r"of a game engine; export it as \.bvh"),
    "01.amc": (lambda p: p.write_text("#!OML:ASF\n1\nroot 1 2 3\n"), r"motion capture .* write it as \.bvh"),
    "S001.skeleton": (lambda p: p.write_text("60\n1\n25\n"), "NTU RGB.*the first three numbers of each joint's line"),
    "walk.rrd": (lambda p: p.write_bytes(b"RRF2" + bytes(30)), "a recording of Rerun; save the positions"),
    "zeros.dat": (lambda p: p.write_bytes(b"ABCD" + bytes(30)), "like binary data of no kind"),
    "app.dat": (zipped, "like an archive; unpack it"),
    "ragged.txt": (lambda p: p.write_text("60\n1 2 3\n4 5 6\n7 8 9\n"), "lines of different length; save positions"),
    "blanks.csv": (lambda p: p.write_text(table(" ", ".", False)), r"parted by blanks; part them by commas: .*sep=r"),
    "head.csv": (lambda p: p.write_text("Video,a.mp4\n" + table(",", ".", True)), "line 2: .*; remove lines above"),
    "axes.csv": (
        lambda p: p.write_text("frame,nose,nose\n,x,y\n0,1,2\n1,2,3\n"),
        "which is to stand in the first: nose_x",
    ),
    "point.csv": (
        lambda p: p.write_text("frame,place,x,y\n0,a,1,2\n0,b,2,3\n"),
        "one with a row a joint a column joint",
    ),
    "lines.json": (
        lambda p: p.write_text("".join(f"{json.dumps({'keypoints': pose.tolist()})}\n" for pose in POINTS)),
        r"a frame a line, name it lines\.jsonl",
    ),
    "people.json": (
        lambda p: p.write_text(json.dumps([{"keypoints": [pose.tolist()] * 2} for pose in POINTS])),
        r'an object for each of several: \{"people": ',
    ),
    "columns.npz": (
        lambda p: np.savez(p, time=POINTS[:, 0, 0], poseX0=POINTS[:, 0, 0], poseY0=POINTS[:, 0, 1]),
        r'numpy.stack\(\[a\["poseX0"\], a\["poseY0"\]\], -1\)',
    ),
    "walk.mvnx": (lambda p: p.write_text("<mvnx/>"), r"a recording of Xsens; export it as \.c3d or \.bvh"),
}


@pytest.mark.parametrize("name", FILES)
def test_a_refusal_says_what_to_do(name, tmp_path):
    make, message = FILES[name]
    make(tmp_path / name)
    with pytest.raises(SmoothNetError, match=message):
        read_recording(tmp_path / name)


def test_the_advice_on_movenet_works(tmp_path):
    """Its outputs of all frames one on the other: (frames, 1, 1, joints, y x score)."""
    output = np.concatenate([POINTS[..., ::-1], np.full((20, 5, 1), 0.5)], axis=2)
    np.save(tmp_path / "a.npy", output[:, None, None])
    with pytest.raises(SmoothNetError, match='MoveNet has --layout "tcpkd y,x,score"'):
        read_recording(tmp_path / "a.npy")
    (track,) = read_recording(tmp_path / "a.npy", layout="tcpkd y,x,score").tracks
    assert np.array_equal(track.points, POINTS) and (track.scores == 0.5).all()


def test_the_advice_on_frames_by_number_keeps_their_order(tmp_path, monkeypatch):
    """It was to save the first of the lists, one pose, as if it were all frames."""
    (tmp_path / "a.json").write_text(json.dumps({str(t): POINTS[t].tolist() for t in sorted(range(20), key=str)}))
    monkeypatch.chdir(tmp_path)
    with pytest.raises(SmoothNetError, match="20 lists of numbers, each of shape") as refused:
        read_recording("a.json")
    line = str(refused.value).split("if each is a frame: ")[1].split(" (smooth --formats")[0]
    exec(line, {})
    assert np.array_equal(np.load(tmp_path / "poses.npy"), POINTS)


def test_the_advice_on_fields_works(tmp_path):
    a = fields()
    np.save(tmp_path / "poses.npy", np.stack([a[field] for field in a.dtype.names], -1))
    (track,) = read_recording(tmp_path / "poses.npy").tracks
    assert np.allclose(track.points, POINTS, atol=1e-5)


def test_cameras_beside_points_stay_as_they_are(tmp_path):
    turns = np.tile(np.eye(3), (20, 1, 1))
    poses = np.tile(np.eye(4), (20, 1, 1))
    np.savez(tmp_path / "a.npz", keypoints=POINTS, R=turns, K=turns, world2cam=poses, c2w=poses)
    recording = read_recording(tmp_path / "a.npz")
    assert [track.part for track in recording.tracks] == ["keypoints"]
    assert recording.left_alone == ["R", "K", "world2cam", "c2w"]


def test_a_rotation_alone_is_read(tmp_path):
    np.savez(tmp_path / "a.npz", R=np.tile(np.eye(3), (20, 1, 1)))
    assert [track.kind for track in read_recording(tmp_path / "a.npz").tracks] == ["rotations"]
