# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) SmoothNet contributors
"""Files of several people, rows in any order: the page of lib/browser reads them as Python does, or refuses them."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from test_browser import ask, needs_node

from lib.formats import read_recording, write_recording
from lib.utils.errors import SmoothNetError

FRAMES = 12
ONE = [(frame, 0) for frame in range(FRAMES)]
TWO = [(frame, person) for frame in range(FRAMES) for person in (0, 1)]
AFTER = sorted(TWO, key=lambda place: place[1])  # one after the other
MIXED = [TWO[i] for i in np.random.default_rng(0).permutation(len(TWO))]
MIXED_ONE = [ONE[i] for i in np.random.default_rng(1).permutation(len(ONE))]
AS_TEXT = sorted(ONE, key=lambda place: str(place[0]))


def place(frame: int, person: int) -> tuple[float, float]:
    return 100 * person + frame + 0.25, frame + 0.5


def table(places: list[tuple[int, int]], head: Callable[[int, int], dict], end: str = "\n") -> bytes:
    rows = []
    for frame, person in places:
        x, y = place(frame, person)
        rows.append({**head(frame, person), "nose_x": x, "nose_y": y, "hip_x": x + 5, "hip_y": "" if frame == 3 else y})
    lines = [",".join(rows[0]), *(",".join(str(cell) for cell in row.values()) for row in rows)]
    return (end.join(lines) + end).encode()


def frame_and(who: str, plus: int = 0, when: str = "frame") -> Callable[[int, int], dict]:
    return lambda frame, person: {when: frame, who: person + plus}


def numbered_in_each_frame() -> bytes:
    """Detections by their place in the frame, which changes from frame to frame."""
    lines = ["frame,person,nose_x,nose_y,hip_x,hip_y,foot_x,foot_y"]
    for t in range(FRAMES):
        for number in (0, 1):
            x = 300 * ((number + t) % 2) + t
            lines.append(f"{t},{number},{x},10.5,{x + 9},60.5,{x - 4},120.5")
    return ("\n".join(lines) + "\n").encode()


COUNTED = table(ONE, lambda t, p: {"frame": t})

# Name -> content, tracks.
TABLES: dict[str, tuple[bytes, int]] = {
    "text order": (table(AS_TEXT, lambda t, p: {"frame": t}), 1),
    "backwards": (table(ONE[::-1], lambda t, p: {"Frame No": t}, "\r\n"), 1),
    "times": (table(AS_TEXT, lambda t, p: {"time": t / 4}), 1),
    "milliseconds": (table(AS_TEXT, lambda t, p: {"timestamp_ms": t * 33}), 1),
    "pictures": (table(AS_TEXT, lambda t, p: {"image": f"img_{t}.png"}), 1),
    "halves": (table(AS_TEXT, lambda t, p: {"frame": t / 2}), 1),
    "every third": (table(AS_TEXT, lambda t, p: {"frame": 3 * t + 1}), 1),
    **{f"{who}, rows mixed": (table(MIXED, frame_and(who, 7)), 2) for who in (
        "track_id", "BodyID", "Person ID", "tracking-id", "id", "subject")},
    "times of two": (table(TWO, frame_and("BodyID", 7, "Timestamp")), 2),
    "times of one or two": (table([p for p in MIXED if p != (4, 1)], frame_and("BodyID", 7, "Timestamp")), 2),
    "one after the other": (table(AFTER, frame_and("track_id")), 2),
    "followed by another": (table([(t, t // 6) for t, _ in ONE], frame_and("track_id")), 2),
    "names of people": (table(TWO, lambda t, p: {"video": "a", "frame": t, "person": ("Ann", "Bob")[p]}), 2),
    "quoted": (table(TWO, lambda t, p: {"frame": f'"{t}"', '"person"': f'"{p}"'}), 2),
    "two columns name them": (table(TWO, lambda t, p: {"frame": t, "body": "a", "track": p}), 2),
    "frames beside pictures": (table(TWO, lambda t, p: {"image": f"{t}.png", "frame": t, "time": t / 5, "pid": p}), 2),
    "pictures of two without a name": (
        table([p for p in TWO if p[0] > 3], lambda t, p: {"image": f"{t}.png"}), 2),
    "sometimes alone": (table([p for p in TWO if p not in ((4, 1), (0, 0))], frame_and("track_id")), 2),
    "with scores": (table(TWO, lambda t, p: {"frame": t, "track_id": p, "nose_v": 0.5, "hip_conf": 0.75}), 2),
    "with a box": (table(TWO, lambda t, p: {"frame": t, "track_id": p, "bbox_x": 4, "bbox_y": t}), 2),
    "a clock of whole seconds": (table(ONE, lambda t, p: {"time": t // 4}), 1),
    "a video's name": (table(ONE, lambda t, p: {"filename": "walk.mp4", "time": t / 4}), 1),
    "a file's name": (table(ONE, lambda t, p: {"file": "walk.mp4", "frame": t}), 1),
    "one who stands up": (table(ONE, lambda t, p: {"frame": t, "pose": "up" if t < 5 else "down"}), 1),
    "frames with names": (table(AS_TEXT, lambda t, p: {"frame": f"img_{t}.png"}), 1),
    "paths of pictures": (table(AS_TEXT, lambda t, p: {"image_path": f"a/img_{t}.png"}), 1),
    "pandas' index": (table([p for p in AS_TEXT if p[0] != 4], lambda t, p: {"": t}), 1),
    "milliseconds as time": (table(ONE, lambda t, p: {"time": t * 33}), 1),
    "with angles": (table(ONE, lambda t, p: {"frame": t, "HeadRotX": t, "HeadRotY": 2, "gaze_x": t, "gaze_y": 3}), 1),
    "with angles, rows mixed": (table(MIXED, lambda t, p: {"frame": t, "track_id": p, "rot_x": t, "rot_y": 2}), 2),
    "rows with ids": (table(ONE, lambda t, p: {"id": t}), 1),
    "one person's id": (table(ONE, lambda t, p: {"person_id": 3}), 1),
    "comments": (b"# made by hand\n" + COUNTED.replace(b"\n3,", b"\n# looked at\n3,"), 1),
    "the header of numpy": (b"# " + COUNTED, 1),
    "numbers of those in each frame": (numbered_in_each_frame(), 2),
    "times that leave frames out": (
        table([p for p in MIXED_ONE if p[0] not in (4, 8)], lambda t, p: {"time": t / 4}), 1),
    "OpenFace": (
        table(ONE, lambda t, p: {"frame": t, "x_0": t + 300, "y_0": t / 2, "X_0": t / 3, "Y_0": 4, "Z_0": t + 700}), 2),
    "not in UTF-8": (table(TWO, lambda t, p: {"frame": t, "track_id": p, "caf\xe9": 1}).decode().encode("latin-1"), 2),
}  # fmt: skip


# Name -> content, what the page says, what Python says if it does not read the file.
REFUSED_TABLES: dict[str, tuple[bytes, str, str | None]] = {
    "ids without frames": (table(TWO, lambda t, p: {"track_id": p}), "add a column frame", "add a column frame"),
    "who": (table(TWO, lambda t, p: {"time": t / 4, "who": p}), "differ in who; name that", "differ in who; name that"),
    "words": (table(TWO, lambda t, p: {"time": t, "who": "ab"[p]}), "differ in who; name", "differ in who; name that"),
    "frames": (table(TWO, lambda t, p: {"frame": t, "who": p}), "second row for frame 0.*track_id", "second row for"),
    "two takes": (table([*ONE, *ONE], lambda t, p: {"frame": t}), "line 14: a second row for frame 0", "line 14: a se"),
    "two videos": (
        table(AFTER, lambda t, p: {"video": f"{p}.mp4"}), "recordings, by the column video", "several recordings, by"),
    "two cameras": (table(TWO, lambda t, p: {"frame": t, "cam": p}), "recordings, by the column cam", "several record"),
    "names of two videos": (table(AFTER, lambda t, p: {"filename": f"{p}.mp4"}), "several record", "several record"),
    "a mean": (
        table(ONE, lambda t, p: {"": t if t < 11 else "mean"}), "line 13: mean in the column 1", "line 13: mean in"),
    "two clocks": (table([*ONE, *ONE], lambda t, p: {"time": t / 4}), "line 14: time goes back to 0;", "line 14: time"),
    "a row a point": (
        "".join(["frame,landmark,x,y\n", *(f"{t},{k},{t},{k}\n" for t in range(9) for k in range(3))]).encode(),
        "a row a point.*smoothnet smooth FILE", None),
    "UTF-16": (table(ONE, lambda t, p: {"frame": t}).decode().encode("utf-16"), "save it as UTF-8", "save it as UTF-8"),
    "boxes": (
        b"".join([b"frame,x1,y1,x2,y2,class\n", *(b"%d,%d,3,%d,40,0\n" % (t, t, t + 50) for t in range(9))]),
        "x1, y1, x2, y2 hold boxes", "x1, y1, x2, y2 hold boxes"),
    "boxes of people": (
        b"".join([b"frame,track_id,x1,y1,x2,y2\n",
                  *(b"%d,%d,%d,3,%d,40\n" % (t, p, t, t + 50) for t in range(9) for p in (1, 2))]),
        "x1, y1, x2, y2 hold boxes", "x1, y1, x2, y2 hold boxes"),
    "a row without a frame": (
        table(ONE, lambda t, p: {"frame": "" if t == 5 else t}), "row without a number", "row without a number"),
    "names without axes": (
        b"frame,elbow_flexion,theta,area\n" + b"".join(b"%d,%d,3,%d\n" % (t, t * t, 9 - t) for t in range(9)),
        "nothing says which of the columns elbow_flexion", "nothing says which of the columns elbow_flexion"),
    "turns beside places": (
        b"frame,hip_px,hip_py,hip_pz,hip_rx,hip_ry,hip_rz\n"
        + b"".join(b"%d,%d,3,%d,4,%d,6\n" % (t, t, 9 - t, t) for t in range(9)),
        "columns such as hip_rx are rotations", None),
    "turns alone": (
        b"frame,hip_rotx,hip_roty,hip_rotz\n" + b"".join(b"%d,%d,3,%d\n" % (t, t * t, 9 - t) for t in range(9)),
        "columns such as hip_rotx are rotations", "columns such as hip_rotx"),
    "joints without frames": (
        b"joint,x,y\n" + b"".join(b"%d,%d,%d\n" % (k, 90 * k + t, 70 * k * k) for t in range(20) for k in range(5)),
        "several joints, by the column joint, and no", "several joints, by the column joint, and no"),
    "joints without names": (
        b"x,y\n" + b"".join(b"%d,%d\n" % (90 * k % 250 + t, 70 * k * k) for t in range(20) for k in range(5)),
        "as if 5 joints of each frame stood", "as if 5 joints of each frame stood"),
    "one pose": (
        b"joint,x,y\n" + b"".join(b"%d,%d,%d\n" % (k, 90 * k, 70 * k * k) for k in range(15)),
        "holds one pose", "holds one pose"),
    "commas": (
        table(ONE, lambda t, p: {"frame": t}).replace(b",", b";").replace(b".", b","), "comma for a decimal point",
        "comma for a decimal point"),
}  # fmt: skip


def rows(frame: int, person: int, *score: float) -> list:
    """Three joints that move, in pixels."""
    return [[300.5 + 9 * frame + 400 * person + 31 * k, 200.25 + 7 * frame * (k + 1), *score] for k in range(3)]


def objects(frame: int, person: int) -> list:
    return [{"x": x, "y": y, "visibility": s} for x, y, s in rows(frame, person, 0.875)]


def entries(places: list[tuple[int, int]], make: Callable[[int, int], object]) -> list:
    return [make(frame, person) for frame, person in places]


DOCUMENTS: dict[str, tuple[object, int]] = {
    "an entry a person": (entries(TWO, lambda t, p: {"frame": t, "track_id": p, "keypoints": rows(t, p)}), 2),
    "in any order": (entries(MIXED, lambda t, p: {"frame": t, "person_id": p, "keypoints": objects(t, p)}), 2),
    "frames left out": (entries(ONE, lambda t, p: {"frame_id": t * t, "keypoints": rows(t, p)}), 1),
    "nobody is named": (entries(TWO, lambda t, p: {"frame": t, "keypoints": rows(t, p)}), 2),
    "scores behind": (entries(ONE, lambda t, p: {"keypoints": rows(t, p, 0.5 + t / 100)}), 1),
    "scores beside": (entries(ONE, lambda t, p: {"keypoints": rows(t, p), "scores": [0.5, 0.25, 0.125]}), 1),
    "people of a frame": (
        [[{"id": p, "keypoints": objects(t, p)} for p in ((0, 1), (1, 0))[t % 2]] for t in range(FRAMES)], 2),
    "ids that change places": (
        [[{"id": p, "keypoints": objects(t, p if t < 6 else 1 - p)} for p in (0, 1)] for t in range(FRAMES)], 2),
    "landmarks with a number": (entries(ONE, lambda t, p: {"id": t, "landmarks": objects(t, p)}), 1),
    "below frames": ({"fps": 25, "frames": entries(TWO, lambda t, p: {
        "frame": t, "track_id": p, "keypoints": rows(t, p)})}, 2),
}  # fmt: skip

# What the page refuses; Python reads some of these, or refuses them as well.
REFUSED_DOCUMENTS: dict[str, object] = {
    "people without frames": entries(TWO, lambda t, p: {"track_id": p, "keypoints": rows(t, p)}),
    "people by id without frames": entries(TWO, lambda t, p: {"id": p, "keypoints": objects(t, p)}),
    "below frames": {"frames": entries(TWO, lambda t, p: {"body_id": p, "keypoints": rows(t, p)})},
    "one frame": {"poses": entries(ONE[:2], lambda t, p: {"keypoints": objects(t, p)})},
}

LINES = {
    "a line a person": (entries(TWO, lambda t, p: {"frame": t, "track_id": p, "keypoints": rows(t, p)}), 2),
    "frames left out": (entries(ONE, lambda t, p: {"frame": 2 * t + t // 5, "keypoints": rows(t, p)}), 1),
    "people of a frame": (
        [{"frame": 3 * t + t // 5, "people": [{"id": p, "keypoints": rows(t, p)} for p in (0, 1)]} for t in range(9)],
        2),
}  # fmt: skip


def written(folder: Path, files: dict[str, bytes], ending: str) -> dict[str, Path]:
    paths = {name: folder / f"{i}{ending}" for i, name in enumerate(files)}
    for name, path in paths.items():
        path.write_bytes(files[name])
    return paths


def described(tracks: list, of: Callable) -> list:
    """Tracks in a form that node gives, too, in an order of their own."""
    found = [(part, start, np.round(np.nan_to_num(points, nan=-1), 9).tolist(), scores)
             for part, start, points, scores in map(of, tracks)]  # fmt: skip
    return sorted(found, key=lambda track: track[:3])


def of_python(track) -> tuple:
    """Landmarks of MediaPipe have a part of their own in Python."""
    scores = None if track.scores is None else np.nan_to_num(track.scores, nan=-1).tolist()
    return track.part.replace("landmarks", "2D"), track.start, track.points, scores


def of_node(track: dict) -> tuple:
    def numbers(values: list, *shape: int) -> np.ndarray:
        return np.array([np.nan if v is None else v for v in values]).reshape(shape)

    points = numbers(track["data"], track["frames"], track["joints"], track["dims"])
    scores = track["scores"]
    if scores is not None:
        scores = np.nan_to_num(numbers(scores, track["frames"], track["joints"]), nan=-1).tolist()
    return track["part"], track["start"], points, scores


def assert_same(folder: Path, paths: dict[str, Path], people: dict[str, int]) -> None:
    """The page finds what Python finds, and writes the bytes that Python writes."""
    tasks = [{"task": task, "paths": [str(path)], "folder": str(folder / "js"), "plus": 10}
             for path in paths.values() for task in ("read", "file")]  # fmt: skip
    answers = iter(ask(folder, tasks))
    for name, path in paths.items():
        read, wrote = next(answers), next(answers)
        recording = read_recording(path)
        assert len(recording.tracks) == people[name], name
        assert "error" not in read, (name, read)
        assert "error" not in wrote, (name, wrote)
        assert described(read["value"]["tracks"], of_node) == described(recording.tracks, of_python), name
        assert [read["value"][key] for key in ("frames", "fps")] == [recording.frame_count, recording.fps], name
        write_recording(recording, [track.points + 10 for track in recording.tracks], folder / "python")
        assert (folder / "js" / path.name).read_bytes() == (folder / "python").read_bytes(), name


def assert_refused(folder: Path, paths: dict[str, Path], messages: dict[str, str]) -> None:
    answers = ask(folder, [{"task": "read", "paths": [str(path)]} for path in paths.values()])
    for (name, path), answer in zip(paths.items(), answers, strict=True):
        assert answer.get("kind") == "FileError", (name, answer)
        assert path.name in answer["error"] and "\n" not in answer["error"], (name, answer)
        with pytest.raises(SmoothNetError, match=messages[name]):
            raise SmoothNetError(answer["error"])


@needs_node
def test_rows_of_tables_are_read_as_python_reads_them(tmp_path):
    paths = written(tmp_path, {name: content for name, (content, _) in TABLES.items()}, ".csv")
    assert_same(tmp_path, paths, {name: people for name, (_, people) in TABLES.items()})


@needs_node
def test_tables_that_mix_people_are_refused_in_both(tmp_path):
    paths = written(tmp_path, {name: content for name, (content, _, _) in REFUSED_TABLES.items()}, ".csv")
    assert_refused(tmp_path, paths, {name: words for name, (_, words, _) in REFUSED_TABLES.items()})
    for name, (_, _, words) in REFUSED_TABLES.items():
        if words is not None:
            with pytest.raises(SmoothNetError, match=words):
                read_recording(paths[name])


@needs_node
def test_people_in_json_are_read_as_python_reads_them(tmp_path):
    paths = written(tmp_path, {name: json.dumps(value).encode() for name, (value, _) in DOCUMENTS.items()}, ".json")
    assert_same(tmp_path, paths, {name: people for name, (_, people) in DOCUMENTS.items()})


@needs_node
def test_people_in_lines_are_read_as_python_reads_them(tmp_path):
    texts = {name: "".join(json.dumps(line) + "\n" for line in lines) for name, (lines, _) in LINES.items()}
    paths = written(tmp_path, {name: text.encode() for name, text in texts.items()}, ".jsonl")
    assert_same(tmp_path, paths, {name: people for name, (_, people) in LINES.items()})


@needs_node
def test_people_in_json_who_do_not_say_their_frame_are_refused(tmp_path):
    paths = written(tmp_path, {name: json.dumps(value).encode() for name, value in REFUSED_DOCUMENTS.items()}, ".json")
    lines = "".join(json.dumps(line) + "\n" for line in REFUSED_DOCUMENTS["people without frames"])
    paths |= written(tmp_path, {"lines": lines.encode()}, ".jsonl")
    assert_refused(tmp_path, paths, dict.fromkeys(paths, 'do not say their frame; give each a "frame"'))


@needs_node
def test_a_third_number_that_may_be_a_score_is_asked_for(tmp_path):
    rng = np.random.default_rng(0)
    (tmp_path / "a.json").write_text(json.dumps([{"keypoints": rng.uniform(size=(4, 3)).tolist()} for _ in range(20)]))
    task = {"task": "read", "paths": [str(tmp_path / "a.json")]}
    refused, said = ask(tmp_path, [task, {**task, "options": {"layout": "x, y, score"}}])
    assert "may be a coordinate or a score" in refused["error"]
    (track,) = said["value"]["tracks"]
    assert track["dims"] == 2 and len(track["scores"]) == 80


@needs_node
def test_entries_of_people_in_turn_are_refused(tmp_path):
    lines = [{"keypoints": rows(t // 2, t % 2)} for t in range(40)]
    paths = written(tmp_path, {"list": json.dumps(lines).encode()}, ".json")
    paths |= written(tmp_path, {"lines": "\n".join(map(json.dumps, lines)).encode()}, ".jsonl")
    assert_refused(tmp_path, paths, dict.fromkeys(paths, "as where 2 people have entries in turn"))
    for path in paths.values():
        with pytest.raises(SmoothNetError, match="as where 2 people have entries in turn"):
            read_recording(path)


@needs_node
def test_angles_graphs_and_depths_are_not_taken_for_positions(tmp_path):
    rng = np.random.default_rng(0)
    head = ",".join(f"{joint}.{axis}" for joint in ("Hips", "Chest", "Head", "LeftLeg") for axis in "xyz")
    turns = np.cumsum(rng.normal(0, 3, (60, 12)), axis=0) + 10
    np.savetxt(tmp_path / "walk_rotations.csv", turns, delimiter=",", header=head, comments="")
    turns[:, 4] = (170 + 20 * np.sin(np.arange(60) / 3) + 180) % 360 - 180
    np.savetxt(tmp_path / "walk.csv", turns, delimiter=",", header=head, comments="")
    np.save(tmp_path / "graph.npy", rng.uniform(0, 1, (3, 60, 17, 1)))
    holistic = rng.uniform(0, 1, (20, 258))
    np.save(tmp_path / "holistic.npy", holistic)
    np.savetxt(tmp_path / "holistic.csv", holistic, delimiter=",")
    paths = {path.name: path for path in tmp_path.iterdir()}
    says = {"walk_rotations.csv": "holds angles, by .rotations.", "walk.csv": "holds angles, by leaps of a whole turn"}
    says |= dict.fromkeys(["holistic.npy", "holistic.csv"], "looks like MediaPipe Holistic")
    assert_refused(tmp_path, paths, says | {"graph.npy": "may be C, T, V, M of ST-GCN"})
    for name in says:
        with pytest.raises(SmoothNetError, match=says[name]):
            read_recording(paths[name])
    points = rng.uniform(100, 300, (60, 5, 3)) + 1000
    points[:, :, 2] = 2000 + rng.normal(0, 5, (60, 5))
    points[[7, 8, 30], 2, 2] = 0
    np.save(tmp_path / "depth.npy", points)
    (answer,) = ask(tmp_path, [{"task": "read", "paths": [str(tmp_path / "depth.npy")]}])
    assert described(answer["value"]["tracks"], of_node) == described(
        read_recording(tmp_path / "depth.npy").tracks, of_python
    )
    assert int((~read_recording(tmp_path / "depth.npy").tracks[0].shown()).sum()) == 3


def assert_refused_in_both(folder: Path, paths: dict[str, Path], messages: dict[str, str]) -> None:
    assert_refused(folder, paths, messages)
    for name, path in paths.items():
        with pytest.raises(SmoothNetError, match=messages[name]) as error:
            read_recording(path)
        assert path.name in str(error.value)


def _turned(shown: int) -> list[list[tuple[int, float, float]]]:
    """(joint, x, y) of one person with six joints, in another order in each frame, of which so many are shown."""
    orders = [np.roll(np.arange(6), t)[:shown].tolist() for t in range(FRAMES)]
    return [[(k, 100 * k + t + 0.25, 40 * k + 0.5) for k in order] for t, order in enumerate(orders)]


def _as(make: Callable, shown: int = 5, key: str = "keypoints") -> bytes:
    frames = [{"frame": t, key: [make(*joint) for joint in joints]} for t, joints in enumerate(_turned(shown))]
    return json.dumps(frames).encode()


def _named(k: int, x: float, y: float) -> dict:
    return {"name": f"joint {k}", "x": x, "y": y, "score": 0.5 + k / 20}


def _numbered(k: int, x: float, y: float) -> dict:
    return {"id": k, "x": x, "y": y}


@needs_node
def test_joints_that_say_which_they_are_may_be_left_out_or_change_places(tmp_path):
    """TensorFlow.js and ml5, of which scripts keep the sure points alone: these were smoothed into one another."""
    files = {f"{shown} {make.__name__}": _as(make, shown) for shown in (5, 6) for make in (_named, _numbered)}
    files["landmarks"] = _as(_numbered, key="landmarks")
    paths = written(tmp_path, files, ".json")
    assert_same(tmp_path, paths, dict.fromkeys(files, 1))
    for path in paths.values():
        (track,) = read_recording(path).tracks
        assert track.points.shape == (FRAMES, 6, 2)
        assert np.nanmax(np.abs(np.diff(track.points, axis=0))) == 1, path.name


def _in_position(k: int, x: float, y: float) -> dict:
    return {"part": f"joint {k}", "score": 0.9, "position": {"x": x, "y": y}}


@needs_node
def test_positions_that_are_objects_of_their_own(tmp_path):
    """PoseNet, as TensorFlow.js and ml5 give it."""
    poses = [[_in_position(*joint) for joint in joints] for joints in _turned(5)]
    files = {
        "one": [{"score": 0.9, "keypoints": pose} for pose in poses],
        "several": [[{"score": 0.9, "keypoints": pose}] for pose in poses],
        "ml5": [[{"pose": {"score": 0.9, "keypoints": pose}, "skeleton": []}] for pose in poses],
        "ml5, one": [{"pose": {"score": 0.9, "keypoints": pose}, "skeleton": []} for pose in poses],
    }
    paths = written(tmp_path, {name: json.dumps(value).encode() for name, value in files.items()}, ".json")
    assert_same(tmp_path, paths, dict.fromkeys(files, 1))
    for path in paths.values():
        (track,) = read_recording(path).tracks
        assert track.points.shape == (FRAMES, 6, 2)


@needs_node
def test_all_frames_below_one_key(tmp_path):
    """As scripts write arrays beside the frame rate or names; in a frame these keys have the joints of one person."""
    points = np.array([[joint[1:] for joint in joints] for joints in _turned(6)], float)
    points += np.arange(len(points))[:, None, None] ** 2 / 7
    marks = [[{"x": x, "y": y} for x, y in frame] for frame in points.tolist()]
    files = {
        "keypoints": {"fps": 25, "keypoints": points.tolist()},
        "joints": {"names": ["a", "b"], "joints": [None, *points.tolist()]},
        "below": {"video": {"name": "x.mp4"}, "data": {"positions": points.tolist()}},
        "landmarks": {"pose_landmarks": marks},
        "two people": {"keypoints": np.stack([points, points + 500], axis=1).tolist()},
    }
    paths = written(tmp_path, {name: json.dumps(value).encode() for name, value in files.items()}, ".json")
    assert_same(tmp_path, paths, {name: 1 + (name == "two people") for name in files})
    for name, path in paths.items():
        recording = read_recording(path)
        assert recording.tracks[0].points.tolist() == points.tolist(), name
        assert recording.fps == (25 if name == "keypoints" else None)


@needs_node
def test_people_of_one_frame_are_not_taken_for_frames(tmp_path):
    """A result of MediaPipe for one picture; the page smoothed one person into the next."""
    people = [
        [{"x": x, "y": y, "z": 0.0} for x, y in pose] for pose in np.random.default_rng(0).random((4, 7, 2)).tolist()
    ]
    (tmp_path / "picture.json").write_text(json.dumps({"landmarks": people}))
    assert read_recording(tmp_path / "picture.json").frame_count == 1
    (answer,) = ask(tmp_path, [{"task": "read", "paths": [str(tmp_path / "picture.json")]}])
    assert "no poses are found" in answer.get("error", "")


@needs_node
def test_lists_of_other_lengths_that_do_not_say_which_joints_are_left_out_are_refused(tmp_path):
    lists = _turned(5)
    lists[3] = lists[3][:4]
    of_frames = [
        {"frame_id": t, "instances": [{"keypoints": [j[1:] for j in f], "keypoint_scores": [0.9] * len(f)}]}
        for t, f in enumerate(lists)
    ]
    of_results = [
        {"image_id": t, "category_id": 1, "score": 0.9, "keypoints": [n for j in f for n in (*j[1:], 0.9)]}
        for t, f in enumerate(lists)
    ]
    files = {
        "mmpose": of_frames,
        "results": of_results,
        "lists": [{"frame": t, "keypoints": [j[1:] for j in f]} for t, f in enumerate(lists)],
        "objects": [{"frame": t, "keypoints": [{"x": x, "y": y} for _, x, y in f]} for t, f in enumerate(lists)],
    }
    paths = written(tmp_path, {name: json.dumps(value).encode() for name, value in files.items()}, ".json")
    assert_refused_in_both(tmp_path, paths, dict.fromkeys(files, "nothing says which joints are left out"))
    lines = "".join(json.dumps({"keypoints": [j[1:] for j in f]}) + "\n" for f in lists)
    paths = written(tmp_path, {"lines": lines.encode()}, ".jsonl")
    assert_refused_in_both(tmp_path, paths, {"lines": "nothing says which joints are left out"})


def _rows(matrix: np.ndarray, names: list[str] | None, parted: str = ",", comma: bool = False) -> bytes:
    lines = [[f"{v:.3f}".replace(".", "," if comma else ".") for v in row] for row in matrix]
    return "".join(parted.join(line) + "\n" for line in [*([names] if names else []), *lines]).encode()


@needs_node
@pytest.mark.parametrize("form", ["({}, {})", "[{} {}]", "{};{}"])
def test_cells_of_several_numbers_are_refused_with_advice(form, tmp_path):
    lines = [f'{t},"{form.format(t * 1.5, 3 - t)}","{form.format(7, t)}"' for t in range(FRAMES)]
    paths = written(tmp_path, {"cells": "\n".join(["frame,nose,left_eye", *lines]).encode()}, ".csv")
    assert_refused_in_both(tmp_path, paths, {"cells": r"the column nose holds several numbers, .*such as nose_x"})


@needs_node
def test_tables_of_what_is_no_position_are_refused(tmp_path):
    """Decimal commas without a header lost what stood before them; forces, sensors and states became coordinates."""
    rng = np.random.default_rng(0)
    body = 50 * rng.standard_normal((25, 3)) + np.cumsum(rng.standard_normal((60, 25, 3)), axis=0)
    flat = body.reshape(60, -1)
    with_states = np.concatenate([body, np.where(rng.random((60, 25, 1)) < 0.1, 1.0, 2.0)], axis=2).reshape(60, -1)
    velocities = np.diff(body, axis=0).reshape(59, -1)
    axes = [f"s{k}_{axis}" for k in range(25) for axis in "xyz"]
    words = {
        "decimals.csv": (_rows(flat[:, :6], None, ";", comma=True), "comma for a decimal point"),
        "tabs.tsv": (_rows(flat[:, :6], None, "\t", comma=True), "comma for a decimal point"),
        "comment.csv": (b"#T;X;Y\n" + _rows(flat[:, :3], None, ";", comma=True), "comma for a decimal point"),
        "units.csv": (b"a_x,a_y\nmm,mm\n" + _rows(flat[:, :2], None), "remove lines that are no frames"),
        "sensor.csv": (_rows(flat[:, :6], ["ax", "ay", "az", "gx", "gy", "gz"]), "hold no positions by their names"),
        "plate.csv": (_rows(flat[:, :6], ["Fx", "Fy", "Fz", "Mx", "My", "Mz"]), "hold no positions by their names"),
        "force.csv": (_rows(flat[:, :3], [f"ground_force_v{axis}" for axis in "xyz"]), "hold no positions"),
        "pupil.csv": (_rows(flat[:, :3], ["left_gaze_x", "left_gaze_y", "pupil_diameter"]), "hold no positions"),
        "states.csv": (_rows(with_states, None), "25 joints of 4 numbers"),
        "Segment Velocity.csv": (_rows(velocities, axes), "no positions, by .velocity. in its name"),
    }
    paths = {}
    for name, (content, _) in words.items():
        paths[name] = tmp_path / name
        paths[name].write_bytes(content)
    assert_refused_in_both(tmp_path, paths, {name: message for name, (_, message) in words.items()})


@needs_node
def test_positions_keep_their_names_and_joints_may_be_called_a(tmp_path):
    """Pins what was so before."""
    rng = np.random.default_rng(0)
    body = np.array([[100, 20, 3], [7, 200, 50]]) + np.cumsum(rng.standard_normal((20, 2, 3)), axis=0)
    files = {
        "velocity of a kick": _rows(body.reshape(20, -1), [f"{joint}_{axis}" for joint in "pq" for axis in "xyz"]),
        "letters": _rows(body.reshape(20, -1), [f"{joint}{axis}" for joint in "ab" for axis in "xyz"]),
        "semicolons": _rows(body.reshape(20, -1), None, ";"),
    }
    assert_same(tmp_path, written(tmp_path, files, ".csv"), dict.fromkeys(files, 1))


@needs_node
def test_numbers_that_count_the_joints_are_no_coordinates(tmp_path):
    """[0, x, y], [1, x, y] as scripts around hand trackers have them."""
    frames = [[[k, 30 * k + t % 7, 20 * (k % 5) + t] for k in range(21)] for t in range(20)]
    path = tmp_path / "hand.npy"
    np.save(path, np.array(frames, dtype=float))
    lines = "".join(json.dumps({"keypoints": frame}) + "\n" for frame in frames)
    paths = {"hand": path, **written(tmp_path, {"lines": lines.encode()}, ".jsonl")}
    assert_refused_in_both(tmp_path, paths, dict.fromkeys(paths, "counts the joints"))
    (track,) = read_recording(path, layout="_,x,y").tracks
    assert track.points.shape == (20, 21, 2) and track.points[1, 2].tolist() == [61, 41]


def _body(joints: int = 6, frames: int = 60, dims: int = 2) -> np.ndarray:
    """(frames, joints, dims) in pixels of a body that sways."""
    rng, t = np.random.default_rng(1), np.arange(frames)[:, None, None] / 30
    rest, phase = rng.uniform(100, 500, (1, joints, dims)), rng.uniform(0, 6, (1, joints, dims))
    return rest + 30 * np.sin(3 * t + phase) + rng.normal(0, 0.5, (frames, joints, dims))


FLAT = _body().reshape(60, -1)
SCORED_FIRST = np.insert(_body(), 0, np.linspace(0.8, 1, 6), axis=2)


def _lettered(names: str, values: np.ndarray, comment: str = "", parted: str = ",") -> bytes:
    return comment.encode() + _rows(values, names.replace(",", parted).split(parted), parted)


PLAIN_TABLES = {
    "an id, then a count": _rows(np.column_stack([np.full(60, 3), np.arange(60), FLAT]), None),
    "a count that leaves frames out": _rows(np.column_stack([np.delete(np.arange(70), range(30, 40)), FLAT]), None),
    "texts in the rows": b"".join(b"walk," + line + b"\n" for line in _rows(FLAT, None).splitlines()),
    "a header that counts in decimals": _lettered("0.0,1.0,2.0,3.0", FLAT[:, :4]),
    "units behind": _lettered("nose_x_px,nose_y_px,hip_x_px,hip_y_px", FLAT[:, :4]),
    "brackets": _lettered("nose[x],nose[y],hip[x],hip[y]", FLAT[:, :4]),
    "left and right": _lettered("lx,ly,rx,ry", FLAT[:, :4]),
    "Excel's first line": _lettered("nose_x,nose_y", FLAT[:, :2], "sep=;\n", ";"),
    "rows without anything at the end": _lettered("frame,x,y", np.insert(FLAT[:, :2], 0, np.arange(60), 1))
    + b",,\n,,\n",
    "a score of the point": _lettered("x,y,likelihood", np.column_stack([FLAT[:, :2], np.linspace(0.5, 1, 60)])),
    "scores as pandas counts names": _lettered("x,y,conf,x.1,y.1,conf.1", np.abs(np.sin(FLAT[:, :6]))),
    "a letter that is no score": _lettered("x,y,v", FLAT[:, :3]),
}
REFUSED_PLAIN_TABLES = {
    "several rows of a frame": (
        _rows(np.column_stack([np.repeat(np.arange(30), 2), FLAT]), None), "several rows of each frame"),
    "boxes of MOTChallenge": (
        _rows(np.column_stack([np.arange(60), np.ones(60), FLAT[:, :4], np.ones(60), -np.ones((60, 3))]), None),
        "boxes of MOTChallenge"),
    "on its side": (_rows(FLAT.T, None), "as if frames stood side by side"),
    "scores first": (_rows(SCORED_FIRST.reshape(60, -1), None), "first number of a joint"),
    "names without axes": (_lettered("JawOpen,BrowUp,EyeL,EyeR", FLAT[:, :4]), "nothing says which of the columns"),
}  # fmt: skip


@needs_node
def test_tables_of_numbers_are_read_as_python_reads_them(tmp_path):
    """What counts frames was taken for a coordinate, a row of data for a header, a unit for a name."""
    paths = written(tmp_path, PLAIN_TABLES, ".csv")
    assert_same(tmp_path, paths, dict.fromkeys(PLAIN_TABLES, 1))
    scored = [name for name, path in paths.items() if read_recording(path).tracks[0].scores is not None]
    assert scored == ["a score of the point", "scores as pandas counts names"]
    assert read_recording(paths["a letter that is no score"]).left_alone == ["v"]


@needs_node
def test_columns_of_the_same_name_are_joints_in_their_order_if_the_user_says_so(tmp_path):
    path = tmp_path / "a.csv"
    path.write_bytes(_lettered("frame,x,y,x,y,x,y", np.insert(FLAT[:, :6], 0, np.arange(60), axis=1)))
    assert_refused_in_both(tmp_path, {"x": path}, {"x": "two columns stand for x"})
    recording = read_recording(path, layout="x,y")
    np.testing.assert_allclose(recording.tracks[0].points, _body()[:, :3], atol=1e-3)
    (answer,) = ask(tmp_path, [{"task": "read", "paths": [str(path)], "options": {"layout": "x, y"}}])
    assert described(answer["value"]["tracks"], of_node) == described(recording.tracks, of_python)


@needs_node
def test_tables_of_numbers_are_refused_in_both(tmp_path):
    paths = written(tmp_path, {name: content for name, (content, _) in REFUSED_PLAIN_TABLES.items()}, ".csv")
    assert_refused_in_both(tmp_path, paths, {name: words for name, (_, words) in REFUSED_PLAIN_TABLES.items()})


@needs_node
def test_scores_among_coordinates_and_angles_of_bones_are_refused_in_both(tmp_path):
    """The page took a score behind x and y of a line for a depth, and one before them for x."""
    last = np.roll(SCORED_FIRST, -1, axis=2)
    files = {f"{name}.jsonl": "\n".join(json.dumps({"keypoints": pose}) for pose in poses.tolist())
             for name, poses in (("first", SCORED_FIRST), ("third", last))}  # fmt: skip
    files["list.json"] = json.dumps([{"keypoints": pose} for pose in SCORED_FIRST.tolist()])
    rng, t = np.random.default_rng(2), np.arange(90)[:, None, None] / 30
    speed, phase, rest = (rng.uniform(low, high, (1, 3, 3)) for low, high in ((1.4, 3), (0, 6), (-0.7, 0.7)))
    turns = rest + 0.7 * np.sin(speed * t + phase) + rng.normal(0, 0.01, (90, 3, 3))
    bones = ("Spine", "RightUpperArm", "LeftLowerLeg")
    rig = [[{"name": n, **dict(zip("xyz", v, strict=True))} for n, v in zip(bones, p, strict=True)] for p in turns]
    files["rig.json"] = json.dumps([{"keypoints": pose} for pose in rig])
    for name, text in files.items():
        (tmp_path / name).write_text(text)
    np.save(tmp_path / "first.npy", SCORED_FIRST)
    np.save(tmp_path / "smpl.npy", np.cumsum(rng.normal(0, 0.05, (60, 24, 3)), axis=0))
    messages = dict.fromkeys(files, "number of a joint(, .*,)? (is|may be) a score") | {
        "rig.json": "by bones such as RightUpperArm", "first.npy": "may be a score",
        "smpl.npy": "joints or the axis-angle pose of SMPL"}  # fmt: skip
    assert_refused_in_both(tmp_path, {name: tmp_path / name for name in messages}, messages)


@needs_node
def test_arrays_that_are_no_positions_by_their_names_are_left_alone_in_both(tmp_path):
    turned = np.tile(np.eye(3), (60, 1, 1))
    np.savez(tmp_path / "a.npz", resized_keypoints=_body(), R=turned, head_pose=_body(3), normals=_body(3, dims=3))
    np.savez(tmp_path / "b.npz", pts=_body(), weights=_body(3), rest=_body(3, dims=3))
    paths = {name: tmp_path / name for name in ("a.npz", "b.npz")}
    answers = ask(tmp_path, [{"task": "read", "paths": [str(path)]} for path in paths.values()])
    for path, answer in zip(paths.values(), answers, strict=True):
        found = [track.part for track in read_recording(path).tracks]
        assert "error" not in answer, answer
        assert [track["part"] for track in answer["value"]["tracks"]] == found
    assert found == ["pts", "rest"]


@needs_node
def test_people_of_lines_are_known_by_person_id_too(tmp_path):
    """Two who change places in the lines, and leap: nothing but their ids tells who is who."""
    lines = [{"people": [{"person_id": p, "keypoints": rows(t, p if t < 6 else 1 - p)} for p in (4, 7)]}
             for t in range(FRAMES)]  # fmt: skip
    (tmp_path / "a.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    assert_same(tmp_path, {"lines": tmp_path / "a.jsonl"}, {"lines": 2})


@needs_node
def test_a_second_person_of_zeros_is_missing_in_both(tmp_path):
    np.save(tmp_path / "a.npy", np.concatenate([_body(9, dims=3) - 300, np.zeros((60, 9, 3))], axis=1))
    (answer,) = ask(tmp_path, [{"task": "read", "paths": [str(tmp_path / "a.npy")]}])
    recording = read_recording(tmp_path / "a.npy")
    assert described(answer["value"]["tracks"], of_node) == described(recording.tracks, of_python)
    assert int((~recording.tracks[0].shown()).sum()) == 60 * 9


@needs_node
def test_the_page_says_which_columns_it_leaves_and_refuses_texts_among_numbers(tmp_path):
    turned = "".join(f"{t},{t},{t % 3},0.1,0,0,0.99\n" for t in range(FRAMES))
    (tmp_path / "a.csv").write_text("frame,hip.x,hip.y,hip_rot.x,hip_rot.y,hip_rot.z,hip_rot.w\n" + turned)
    frames = [{"frame": t, "keypoints": [[t, 1.5, "NaN" if t == 5 else 0.5]] * 3} for t in range(FRAMES)]
    (tmp_path / "a.json").write_text(json.dumps(frames))
    paths = [tmp_path / "a.csv", tmp_path / "a.json"]
    table, texts = ask(tmp_path, [{"task": "file", "paths": [str(p)], "folder": str(tmp_path / "o")} for p in paths])
    assert "columns such as hip_rot.x are left as they are" in table["value"]["notes"][0]
    assert "frame 5 must hold numbers only" in texts["error"]
    with pytest.raises(SmoothNetError, match="frame 5, keypoints must hold numbers only"):
        read_recording(paths[1])
