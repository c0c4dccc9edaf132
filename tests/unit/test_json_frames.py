# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) SmoothNet contributors
"""JSON with a value a frame, in the shapes that tools and scripts give it: read, and written back with nothing else
changed."""

from __future__ import annotations

import copy
import json

import numpy as np
import pytest

from lib.formats import read_recording, write_recording
from lib.utils.errors import SmoothNetError

FRAMES, JOINTS, SCORE = 20, 5, 0.5
TIMES = np.arange(FRAMES)[:, None]


def points(person: int, dims: int = 2) -> np.ndarray:
    places = np.stack([TIMES * (3.25 + d) + np.arange(JOINTS) * 40 * (d + 1.5) for d in range(dims)], axis=2)
    return places + 500 * person


def rows(t: int, person: int = 0, dims: int = 2, score: bool = True) -> list:
    return [[*joint, *([SCORE + 0.01 * k] * score)] for k, joint in enumerate(points(person, dims)[t].tolist())]


def flat(t: int, person: int = 0) -> list:
    return [number for row in rows(t, person) for number in row]


def objects(t: int, person: int = 0) -> list:
    return [{"x": x, "y": y, "score": score, "name": f"j{k}"} for k, (x, y, score) in enumerate(rows(t, person))]


def in_position(t: int, person: int = 0) -> list:
    return [
        {"score": joint["score"], "part": joint["name"], "position": {"x": joint["x"], "y": joint["y"]}}
        for joint in objects(t, person)
    ]


def by_name(t: int, dims: int = 3) -> dict:
    keys = (*"xyz"[:dims], "confidence")
    return {f"j{k}": dict(zip(keys, row, strict=True)) for k, row in enumerate(rows(t, 0, dims))}


def frames(make) -> list:
    return [make(t) for t in range(FRAMES)]


def both(make) -> list:
    return [make(t, person) for t in range(FRAMES) for person in (0, 1)]


# What the file holds -> people, coordinates, whether there are scores.
KINDS = {
    "alphapose cmu": (
        {f"{t}.jpg": {"version": "AlphaPose v0.3", "bodies": [{"joints": flat(t, p)} for p in (1, 0)]}
         for t in range(FRAMES)}, 2, 2, True),
    "alphapose open": (
        {f"{t}.jpg": {"people": [{"person_id": [-1], "pose_keypoints_2d": flat(t, p)} for p in (0, 1)]}
         for t in range(FRAMES)}, 2, 2, True),
    "azure kinect": (
        {"joint_names": ["a"], "frames": frames(lambda t: {"frame_id": t, "bodies": [
            {"body_id": p + 1, "joint_positions": rows(t, p, 3, False), "joint_orientations": [[1.0, 0.0, 0.0, 0.0]]}
            for p in (0, 1)]})}, 2, 3, False),
    "tensorflow.js": (
        frames(lambda t: [{"id": p, "score": 0.9, "keypoints": objects(t, p)} for p in (0, 1)]), 2, 2, True),
    "posenet": (
        frames(lambda t: [{"score": 0.9, "keypoints": in_position(t, p)} for p in (0, 1)]), 2, 2, True),
    "ml5": (
        frames(lambda t: [{"pose": {"score": 0.9, "keypoints": in_position(t)}, "skeleton": []}]), 1, 2, True),
    "positions by name": (
        frames(lambda t: {"joints": {j.pop("part"): j for j in in_position(t)}}), 1, 2, True),
    "vision": (frames(lambda t: {"timestamp": t / 60, "joints": by_name(t)}), 1, 3, True),
    "by name and frame": ({str(t): by_name(t) for t in range(FRAMES)}, 1, 3, True),
    "lists by name": (
        frames(lambda t: {"frame": t, "joints": {f"j{k}": row for k, row in enumerate(rows(t, score=False))}}), 1, 2,
        False),
    "lists": (frames(lambda t: {"keypoints": rows(t)}), 1, 2, True),
    "lists below frames": ({"fps": 25, "frames": frames(lambda t: {"keypoints": rows(t)})}, 1, 2, True),
    "an entry a person": (both(lambda t, p: {"frame": t, "track_id": p, "keypoints": rows(t, p)}), 2, 2, True),
    "scores beside": (
        frames(lambda t: {"keypoints": rows(t, score=False), "scores": [SCORE + 0.01 * k for k in range(JOINTS)]}), 1,
        2, True),
}  # fmt: skip


@pytest.mark.parametrize("kind", KINDS)
def test_points_scores_and_people_are_found(kind, tmp_path):
    value, people, dims, scored = KINDS[kind]
    path = tmp_path / "a.json"
    path.write_text(json.dumps(value))
    recording = read_recording(path)
    assert recording.format == "json"
    found = sorted(recording.tracks, key=lambda track: track.points[0, 0, 0])
    assert [track.points.tolist() for track in found] == [points(p, dims).tolist() for p in range(people)]
    for track in found:
        assert (track.scores is not None) == scored
        if scored:
            assert np.allclose(track.scores, SCORE + 0.01 * np.arange(JOINTS))
    assert set(recording.left_alone) <= {"person_id", "joint_orientations"}
    assert recording.fps == (25 if kind == "lists below frames" else None)


def numbers(value):
    """The numbers of a document in the order of the file."""
    if isinstance(value, list | dict):
        for item in value.values() if isinstance(value, dict) else value:
            yield from numbers(item)
    elif isinstance(value, int | float):
        yield value


@pytest.mark.parametrize("kind", KINDS)
def test_coordinates_change_and_nothing_else(kind, tmp_path):
    value, people, dims, _ = KINDS[kind]
    path = tmp_path / "a.json"
    path.write_text(json.dumps(value, indent=1))
    recording = read_recording(path)
    write_recording(recording, [track.points for track in recording.tracks], tmp_path / "same.json")
    assert (tmp_path / "same.json").read_text() == path.read_text()
    write_recording(recording, [track.points + 10000 for track in recording.tracks], tmp_path / "b.json")
    before, after = np.array([*numbers(value)]), np.array([*numbers(json.loads((tmp_path / "b.json").read_text()))])
    assert len(before) == len(after)
    changed = before != after
    assert changed.sum() == people * FRAMES * JOINTS * dims
    assert np.allclose(after[changed] - before[changed], 10000)


def test_joints_by_name_are_known_by_it_and_may_be_left_out(tmp_path):
    value = frames(by_name)
    value[3] = dict(reversed(value[3].items()))
    del value[5]["j2"]
    (tmp_path / "a.json").write_text(json.dumps(value))
    recording = read_recording(tmp_path / "a.json")
    (track,) = recording.tracks
    assert recording.names == tuple(f"j{k}" for k in range(JOINTS))
    expected = points(0, 3)
    expected[5, 2] = np.nan
    assert np.array_equal(track.points, expected, equal_nan=True)
    write_recording(recording, [np.nan_to_num(track.points) + 1], tmp_path / "b.json")
    new = json.loads((tmp_path / "b.json").read_text())
    assert new[3]["j1"]["x"] == value[3]["j1"]["x"] + 1
    assert "j2" not in new[5]


def test_a_folder_with_a_file_a_frame(tmp_path):
    for t in range(FRAMES):
        (tmp_path / f"f{t:02d}.json").write_text(json.dumps({"bodies": [{"joints": flat(t, p)} for p in (0, 1)]}))
    recording = read_recording(tmp_path)
    assert [len(track.points) for track in recording.tracks] == [FRAMES, FRAMES]


@pytest.mark.parametrize(
    "value",
    [
        {"keypoints": frames(lambda t: {"0": rows(t)})},
        frames(lambda t: {"box": {"x": 1, "y": 2, "w": 3, "h": 4}, "center": [1, 2]}),
        {"images": [], "annotations": frames(lambda t: {"image_id": t, "keypoints": flat(t)})},
        frames(lambda t: {"joints": 17}),
    ],
)
def test_what_is_no_frame_is_refused(value, tmp_path):
    (tmp_path / "a.json").write_text(json.dumps(value))
    with pytest.raises(SmoothNetError, match="is in no known format"):
        read_recording(tmp_path / "a.json")


def test_faults_are_named(tmp_path):
    value = copy.deepcopy(KINDS["tensorflow.js"][0])
    del value[4][1]["keypoints"][2]["y"]
    (tmp_path / "a.json").write_text(json.dumps(value))
    with pytest.raises(SmoothNetError, match="frame 4, 1, keypoints: each joint needs x, y"):
        read_recording(tmp_path / "a.json")


@pytest.mark.parametrize("key", ["track_id", "PersonID", "id"])
@pytest.mark.parametrize("around", [lambda entries: entries, lambda entries: {"fps": 30, "frames": entries}])
def test_people_whose_frames_are_not_said_are_refused(key, around, tmp_path):
    entries = both(lambda t, p: {key: p, "keypoints": rows(t, p)})
    (tmp_path / "a.json").write_text(json.dumps(around(entries)))
    with pytest.raises(SmoothNetError, match="several people that do not say their frame"):
        read_recording(tmp_path / "a.json")


def test_a_track_in_one_entry_names_the_file(tmp_path):
    path = tmp_path / "a.json"
    path.write_text(json.dumps([{"track_id": n, "keypoints": [[[1, 2], [3, 4]]] * 9} for n in (1, 2)]))
    with pytest.raises(SmoothNetError, match=r"a\.json.* of one person in one frame; it has shape \(9, 2, 2\)"):
        read_recording(path)


@pytest.mark.parametrize("key", ["camera", "videoId", "trial"])
def test_entries_of_several_recordings_are_refused(key, tmp_path):
    path = tmp_path / "a.json"
    entries = [{key: f"part {n}", "frame": 9 * n + t, "keypoints": [[t, n], [3, 4]]} for n in (0, 1) for t in range(9)]
    path.write_text(json.dumps(entries))
    with pytest.raises(SmoothNetError, match=f"several recordings, by '{key}'"):
        read_recording(path)


@pytest.mark.parametrize("key", ["frame", "frameNumber", "FrameID", "timestamp"])
def test_entries_in_any_order_are_read_in_that_of_their_frames(key, tmp_path):
    path = tmp_path / "a.json"
    entries = [{key: t, "keypoints": [[t, 2.5], [3, 4]]} for t in sorted(range(12), key=str)]
    path.write_text(json.dumps(entries))
    assert read_recording(path).tracks[0].points[:, 0, 0].tolist() == list(range(12))


def test_a_clock_that_stands_still_numbers_no_frames(tmp_path):
    """Pins what was so before."""
    path = tmp_path / "a.json"
    path.write_text(json.dumps([{"timestamp": t // 4, "keypoints": [[t, 2.5], [3, 4]]} for t in range(12)]))
    assert read_recording(path).tracks[0].points[:, 0, 0].tolist() == list(range(12))


def test_times_that_come_again_after_later_ones_are_refused(tmp_path):
    path = tmp_path / "a.json"
    path.write_text(json.dumps([{"timestamp": t / 4, "keypoints": [[t, 2], [3, 4]]} for t in (0, 1, 2, 0, 1, 2)]))
    with pytest.raises(SmoothNetError, match="times go back and come again"):
        read_recording(path)


@pytest.mark.parametrize("order", [[0, 1, 2], [2, 0, 1]])
def test_scores_among_the_coordinates_of_lines_are_refused(order, tmp_path):
    rng, path = np.random.default_rng(0), tmp_path / "a.jsonl"
    table = np.dstack([rng.uniform(100, 600, (20, 5, 2)), rng.uniform(0.7, 1, (20, 5))])[..., order]
    path.write_text("".join(json.dumps({"keypoints": points}) + "\n" for points in table.tolist()))
    with pytest.raises(SmoothNetError, match=r"a\.jsonl: the (first|third) number of a joint is a score"):
        read_recording(path)


def test_coordinates_of_lines_may_look_like_anything_else(tmp_path):
    """Pins what was so before."""
    path, rng = tmp_path / "a.jsonl", np.random.default_rng(0)
    path.write_text(
        "".join(json.dumps({"keypoints": points}) + "\n" for points in rng.uniform(size=(20, 5, 3)).tolist())
    )
    assert read_recording(path).tracks[0].points.shape == (20, 5, 3)


def test_a_folder_of_recordings_is_no_recording(tmp_path):
    for name in ("walk_1.json", "walk_2.json"):
        entries = [{"frame": t, "keypoints": [[t, 2.5], [3, 4]]} for t in range(9)]
        (tmp_path / name).write_text(json.dumps(entries))
    with pytest.raises(SmoothNetError, match=r"walk_1\.json holds several frames; give such files one by one"):
        read_recording(tmp_path)


@pytest.mark.parametrize("kind", ["coco", "json", "csv", "people.csv"])
@pytest.mark.parametrize("names", ["{}/{:04d}.jpg", "v{}_{}.png"])
def test_pictures_of_two_videos_are_refused(kind, names, tmp_path):
    path = tmp_path / f"a.{'csv' if 'csv' in kind else 'json'}"
    pictures = [names.format(n, t) for n in (0, 1) for t in range(9)]
    points = [3, 4, 1] if kind == "coco" else [[3, 4]]
    entries = [{"image_id": name, "category_id": 1, "keypoints": points} for name in pictures]
    if "csv" in kind:
        who = [0, 1] if kind == "people.csv" else [0]
        rows = [f"{name},{n},3,4\n" for name in pictures for n in who]
        path.write_text("image,track_id,nose_x,nose_y\n" + "".join(rows))
    else:
        path.write_text(json.dumps(entries))
    with pytest.raises(SmoothNetError, match="pictures of more than one sequence"):
        read_recording(path)


def test_an_id_of_its_own_for_each_entry_is_no_person(tmp_path):
    (tmp_path / "a.json").write_text(json.dumps(frames(lambda t: {"id": t, "keypoints": rows(t)})))
    recording = read_recording(tmp_path / "a.json")
    assert [len(track.points) for track in recording.tracks] == [FRAMES]


def _two_in_turn(*names):
    """Entries of two people in turn over 20 frames, with what `names` says: (frame, id) -> keys and values."""
    rng = np.random.default_rng(0)
    body = rng.uniform(0, 100, (9, 2))
    entries = []
    for t in range(20):
        for who in (1, 2):
            joints = body + np.array([300 * who + 2 * t, 50]) + rng.normal(0, 0.4, (9, 2))
            facts = {"frame": t, "time": t / 20, "person_id": who, "track_id": who, "id": who}
            entries.append({**{name: facts[name] for name in names}, "keypoints": joints.tolist()})
    return entries


def _write_entries(path, entries):
    path.write_text("\n".join(map(json.dumps, entries)) if path.suffix == ".jsonl" else json.dumps(entries))
    return path


@pytest.mark.parametrize("ending", [".jsonl", ".json"])
@pytest.mark.parametrize("names", [["person_id"], ["track_id"], ["id"], []])
def test_people_in_turn_who_do_not_say_their_frame_are_refused(names, ending, tmp_path):
    path = _write_entries(tmp_path / f"a{ending}", _two_in_turn(*names))
    with pytest.raises(SmoothNetError, match='give each a "frame"'):
        read_recording(path)


@pytest.mark.parametrize("ending", [".jsonl", ".json"])
@pytest.mark.parametrize("names", [["frame", "person_id"], ["time", "person_id"], ["time", "track_id"]])
def test_people_in_turn_are_told_by_their_frame_or_time(names, ending, tmp_path):
    recording = read_recording(_write_entries(tmp_path / f"a{ending}", _two_in_turn(*names)))
    assert [(track.id, track.points.shape, track.start) for track in recording.tracks] == [
        (1, (20, 9, 2), 0),
        (2, (20, 9, 2), 0),
    ]


@pytest.mark.parametrize("ids", [range(30), [7] * 30, [1] * 15 + [2] * 15])
def test_lines_with_a_person_each_stay_frames(ids, tmp_path):
    walk = np.random.default_rng(0).uniform(0, 90, (9, 2)) + np.arange(30)[:, None, None]
    entries = [{"id": id, "keypoints": joints.tolist()} for id, joints in zip(ids, walk, strict=True)]
    recording = read_recording(_write_entries(tmp_path / "a.jsonl", entries))
    assert recording.frame_count == 30 and len(recording.tracks) == len({*ids} if len({*ids}) < 30 else {0})


def test_lists_of_all_frames_by_joint_are_refused(tmp_path):
    """Ended in a traceback."""
    path = tmp_path / "a.json"
    path.write_text(
        json.dumps({"joints": {name: {"x": [1.0, 2.0], "y": [3.0, 4.0]} for name in ("hip", "knee", "toe")}})
    )
    with pytest.raises(SmoothNetError, match="a joint must be one point of a frame"):
        read_recording(path)


def test_bodies_of_zed(tmp_path):
    """The export of ZED's body tracking: frames by their time, keypoints in metres and in pixels."""
    rng = np.random.default_rng(0)
    metres = rng.uniform(-1, 1, (12, 18, 3)) + np.array([0, 0, 3])
    frames = {
        str(1_625_000_000_000 + 33 * t): {
            "is_new": True,
            "timestamp": 1_625_000_000_000 + 33 * t,
            "body_list": [
                {
                    "id": 3, "tracking_state": "OK", "position": [0, 0, 3], "global_root_orientation": [0, 0, 0, 1],
                    "keypoint_2d": (joints[:, :2] * 300 + 500).tolist(), "keypoint": joints.tolist(),
                    "keypoint_confidence": [90.0] * 18,
                }
            ],
        }
        for t, joints in enumerate(metres)
    }  # fmt: skip
    (tmp_path / "bodies.json").write_text(json.dumps(frames))
    recording = read_recording(tmp_path / "bodies.json")
    parts = {track.part: track for track in recording.tracks}
    np.testing.assert_array_equal(parts["3D"].points, metres)
    assert parts["2D"].points.shape == (12, 18, 2) and parts["3D"].id == 3
    assert {"position", "global_root_orientation"} <= set(recording.left_alone)


TURNS = np.tile([0.5, 0.5, 0.5, 0.5], (FRAMES, JOINTS, 1))
# What stands in a joint -> --layout, which numbers are x and y, what is said to be left alone.
MORE_NUMBERS = {
    "a number": (np.arange(JOINTS)[:, None], "_,x,y", "the number 1"),
    "a score": (np.linspace(0.8, 0.9, JOINTS)[:, None], "score,x,y", None),
    "two flags": (np.ones((JOINTS, 2)), "_,_,x,y", "the numbers 1, 2"),
}


@pytest.mark.parametrize("kind", MORE_NUMBERS)
@pytest.mark.parametrize("form", ["lists", "by name", "flat", "lines"])
def test_the_layout_says_where_coordinates_stand_in_lists(form, kind, tmp_path):
    """--layout _,x,y was advised and did not help; lines took no notice of it, and read the number for x."""
    before, layout, left = MORE_NUMBERS[kind]
    joints = [np.hstack([before, pose]).tolist() for pose in points(0)]
    values = {
        "by name": [{"joints": {f"j{k}": joint for k, joint in enumerate(pose)}} for pose in joints],
        "flat": [{"keypoints": [n for joint in pose for n in joint]} for pose in joints],
    }.get(form, [{"keypoints": pose} for pose in joints])
    path = tmp_path / ("a.jsonl" if form == "lines" else "a.json")
    path.write_text("\n".join(map(json.dumps, values)) if form == "lines" else json.dumps(values))
    recording = read_recording(path, layout=layout)
    (track,) = recording.tracks
    assert track.points.tolist() == points(0).tolist()
    assert (track.scores is not None) == (kind == "a score")
    assert form == "lines" or recording.left_alone == ([] if left is None else [f"of each joint {left}"])
    write_recording(recording, [track.points + 0.5], tmp_path / "out")
    text = (tmp_path / "out").read_text()
    new = list(map(json.loads, text.split("\n"))) if form == "lines" else json.loads(text)
    changed = [np.hstack([before, pose + 0.5]).ravel().tolist() for pose in points(0)]
    found = [value.get("keypoints") or list(value["joints"].values()) for value in new]
    assert [np.ravel(value).tolist() for value in found] == changed


def test_numbers_behind_the_coordinates_are_said_to_be_left_alone(tmp_path):
    (tmp_path / "a.json").write_text(
        json.dumps([{"keypoints": pose.tolist()} for pose in np.concatenate([points(0, 3), TURNS], axis=2)])
    )
    recording = read_recording(tmp_path / "a.json")
    assert recording.tracks[0].points.tolist() == points(0, 3).tolist()
    assert recording.left_alone == ["of each joint the numbers 4, 5, 6, 7"]


@pytest.mark.parametrize(("layout", "message"), [("tdk x,y", "says its axes itself"), ("axis-angle", "not read from")])
def test_what_the_layout_cannot_say_of_json_is_refused(layout, message, tmp_path):
    """tdk made twelve numbers two joints; axis-angle was smoothed as positions."""
    (tmp_path / "a.json").write_text(json.dumps([{"keypoints": pose.ravel().tolist()} for pose in points(0)]))
    with pytest.raises(SmoothNetError, match=message):
        read_recording(tmp_path / "a.json", layout=layout)


def test_a_layout_that_a_format_has_no_use_for_is_said_to_do_nothing(tmp_path):
    results = [{"image_id": t, "category_id": 1, "score": 1, "keypoints": flat(t)} for t in range(FRAMES)]
    (tmp_path / "a.json").write_text(json.dumps(results))
    said = read_recording(tmp_path / "a.json", layout="x,y,z missing=-1").understood
    assert said.endswith("of --layout only missing=VALUE counts, coco says the rest itself")
    assert "--layout" not in read_recording(tmp_path / "a.json", layout="missing=-1").understood


@pytest.mark.parametrize("kind", ["poses", "people", "below a key", "frames without anybody"])
def test_arrays_as_numpy_puts_them_into_json_are_read(kind, tmp_path):
    """json.dump(array.tolist()), which the page read and the command refused."""
    two = np.stack([points(0), points(1)], axis=1).tolist()
    one = points(0).tolist()
    value = {
        "poses": one, "people": two, "below a key": {"fps": 25, "data": one},
        "frames without anybody": [[], *one[1:5], None, *one[6:]],
    }[kind]  # fmt: skip
    (tmp_path / "a.json").write_text(json.dumps(value))
    recording = read_recording(tmp_path / "a.json")
    assert recording.frame_count == FRAMES
    assert [track.points.shape[1:] for track in recording.tracks] == [(JOINTS, 2)] * (1 + (kind == "people"))
    write_recording(recording, [track.points + 1 for track in recording.tracks], tmp_path / "b.json")
    new = json.loads((tmp_path / "b.json").read_text())
    new = new["data"] if kind == "below a key" else new
    old = value["data"] if kind == "below a key" else value
    assert [frame and (np.array(frame) - 1).tolist() for frame in new] == old


@pytest.mark.parametrize("people", [1, 2])
def test_lists_of_landmarks_alone_are_frames(people, tmp_path):
    """[[{"x": ..., "y": ...}, ...], ...], as results of MediaPipe are saved; the page read it."""
    value = [objects(t) if people == 1 else [objects(t, p) for p in range(people)] for t in range(FRAMES)]
    (tmp_path / "a.json").write_text(json.dumps(value))
    recording = read_recording(tmp_path / "a.json")
    assert [track.points.tolist() for track in recording.tracks] == [points(p).tolist() for p in range(people)]
    assert recording.names == tuple(f"j{k}" for k in range(JOINTS)) and recording.tracks[0].scores[0, 2] == SCORE + 0.02
    write_recording(recording, [track.points + 1 for track in recording.tracks], tmp_path / "b.json")
    first = json.loads((tmp_path / "b.json").read_text())[0]
    assert (first if people == 1 else first[0])[1] == {**objects(0)[1], "x": objects(0)[1]["x"] + 1,
                                                       "y": objects(0)[1]["y"] + 1}  # fmt: skip


def test_results_of_coco_may_have_a_list_a_joint(tmp_path):
    results = [{"image_id": t, "category_id": 1, "score": 1, "keypoints": rows(t)} for t in range(FRAMES)]
    (tmp_path / "a.json").write_text(json.dumps(results))
    recording = read_recording(tmp_path / "a.json", format="coco")
    assert recording.tracks[0].points.tolist() == points(0).tolist()
    write_recording(recording, [recording.tracks[0].points + 1], tmp_path / "b.json")
    new = json.loads((tmp_path / "b.json").read_text())[3]["keypoints"]
    assert [joint[:2] for joint in new] == (points(0)[3] + 1).tolist() and new[1][2] == SCORE + 0.01


def test_an_array_in_json_whose_second_axis_is_the_time_is_refused(tmp_path):
    walk = np.cumsum(np.random.default_rng(0).normal(size=(200, JOINTS, 2)), axis=0)
    walk = np.apply_along_axis(np.convolve, 0, walk, np.ones(15) / 15) + 100 * np.arange(JOINTS)[None, :, None]
    (tmp_path / "a.json").write_text(json.dumps(walk.transpose(1, 0, 2).tolist()))
    with pytest.raises(SmoothNetError, match="its second axis is the time"):
        read_recording(tmp_path / "a.json")


def test_one_table_in_json_is_no_frame_of_many_joints(tmp_path):
    (tmp_path / "a.json").write_text(json.dumps(points(0).reshape(FRAMES, -1).tolist()))
    with pytest.raises(SmoothNetError, match="in no known format"):
        read_recording(tmp_path / "a.json")


def test_objects_may_have_a_quaternion_beside_their_coordinates(tmp_path):
    joints = [[joint | {"qw": 1.0, "qx": 0, "qy": 0, "qz": 0} for joint in objects(t)] for t in range(FRAMES)]
    (tmp_path / "a.json").write_text(json.dumps([{"joints": pose} for pose in joints]))
    recording = read_recording(tmp_path / "a.json")
    assert recording.tracks[0].points.tolist() == points(0).tolist()
    assert recording.left_alone == ["qw, qx, qy, qz of each joint"]


# What game engines, animation programs and the Kinect's libraries write of a bone.
BONES = {
    "Unity": lambda x, y, z: {
        "position": {"x": x, "y": y, "z": z},
        "rotation": {"x": 0.0, "y": 0.0, "z": 0.0, "w": 1.0},
    },
    "Unreal": lambda x, y, z: {"Location": {"X": x, "Y": y, "Z": z}, "Rotation": {"Pitch": 1.0, "Yaw": 2.0, "Roll": 3}},
    "Blender": lambda x, y, z: {"location": [x, y, z], "rotation_quaternion": [1.0, 0.0, 0.0, 0.0], "scale": [1, 1, 1]},
    "Kinect": lambda x, y, z: {"JointType": 4, "Position": {"X": x, "Y": y, "Z": z}, "TrackingState": 2},
}
BESIDE = {
    "Unity": ["rotation of each joint"],
    "Unreal": ["Rotation of each joint"],
    "Blender": ["rotation_quaternion, scale of each joint"],
    "Kinect": [],
}


@pytest.mark.parametrize("tool", BONES)
@pytest.mark.parametrize("form", ["list of bones", "bones by name", "joints of bodies", "joints alone"])
def test_bones_have_a_position_and_a_rotation_that_stays(form, tool, tmp_path):
    rng = np.random.default_rng(3)
    wanted = np.cumsum(rng.normal(size=(FRAMES, 4, 3)), axis=0).round(4)
    names = ["Hips", "Spine", "Head", "LeftHand"]
    frames = []
    for t, pose in enumerate(wanted.tolist()):
        bones = {name: BONES[tool](*point) for name, point in zip(names, pose, strict=True)}
        frames.append({"time": t / 30} | {
            "list of bones": {"bones": [{"name": name} | bone for name, bone in bones.items()]},
            "bones by name": {"Bones": bones},
            "joints of bodies": {"Bodies": [{"TrackingId": 72, "Joints": bones}]},
            "joints alone": bones,
        }[form])  # fmt: skip
    path = tmp_path / "a.json"
    path.write_text(json.dumps({"frames": frames}))
    recording = read_recording(path)
    (track,) = recording.tracks
    np.testing.assert_array_equal(track.points, wanted)
    assert recording.names == tuple(names) and recording.left_alone == BESIDE[tool]
    write_recording(recording, [track.points + 1], tmp_path / "b.json")
    after = json.dumps(json.loads((tmp_path / "b.json").read_text()), indent=0).splitlines()
    before = json.dumps({"frames": frames}, indent=0).splitlines()
    assert sum(a != b for a, b in zip(after, before, strict=True)) == wanted.size
    np.testing.assert_allclose(read_recording(tmp_path / "b.json").tracks[0].points, wanted + 1)


def test_what_else_has_a_position_in_a_scene_is_no_joint(tmp_path):
    place = {"x": 0.5, "y": 1.5, "z": 2.5}
    scene = {
        "camera": {"position": place, "fov": 60.5},
        "lamp": {"pos": place, "color": [1, 1, 1]},
        "floor": {"pos": place},
    }
    (tmp_path / "a.json").write_text(json.dumps({"frames": [{"time": t / 30} | scene for t in range(FRAMES)]}))
    with pytest.raises(SmoothNetError, match="in no known format"):
        read_recording(tmp_path / "a.json")


def test_bones_that_say_what_is_joined_to_what_are_no_joints(tmp_path):
    """Pins what was so before bones with positions were read."""
    poses = np.random.default_rng(0).normal(size=(FRAMES, 3, 2)).tolist()
    (tmp_path / "a.json").write_text(json.dumps([{"keypoints": pose, "bones": [[0, 1], [1, 2]]} for pose in poses]))
    recording = read_recording(tmp_path / "a.json")
    assert [track.part for track in recording.tracks] == ["2D"] and recording.left_alone == ["bones"]


@pytest.mark.parametrize("key", ["poses", "people", "detections"])
@pytest.mark.parametrize("when", [{"frame": 1}, {"timestamp": 0.1}, {"image_id": 5}])
def test_poses_that_say_their_frame_are_frames_and_no_people_of_one(key, when, tmp_path):
    poses = np.random.default_rng(2).normal(size=(FRAMES, 3, 2))
    entries = [
        {name: value * t for name, value in when.items()} | {"keypoints": pose} for t, pose in enumerate(poses.tolist())
    ]
    (tmp_path / "a.json").write_text(json.dumps({"fps": 25, key: entries}))
    recording = read_recording(tmp_path / "a.json")
    (track,) = recording.tracks
    assert recording.frame_count == FRAMES and recording.fps == 25
    np.testing.assert_array_equal(track.points, poses)


def test_the_frame_rate_beside_landmarks_is_read(tmp_path):
    """As beside keypoints; MediaPipe's own results have none, so that those who save them add it."""
    frame = {"pose_landmarks": [{"x": 0.5, "y": 0.25, "z": 0.0, "visibility": 0.9}] * 3}
    (tmp_path / "a.json").write_text(json.dumps({"fps": 24, "frames": [frame] * FRAMES}))
    recording = read_recording(tmp_path / "a.json")
    assert recording.format == "mediapipe" and recording.fps == 24


def test_a_frame_rate_of_too_many_digits_is_one_too_high(tmp_path):
    (tmp_path / "a.json").write_text(f'{{"fps": 1{"0" * 400}, "keypoints": {[[[1, 2], [3, 4], [5, 7]]] * FRAMES}}}')
    recording = read_recording(tmp_path / "a.json")
    assert recording.frame_count == FRAMES and recording.fps is None and "are ignored" in " ".join(recording.notes)


def test_an_array_without_any_joint_is_refused_in_a_sentence(tmp_path):
    for key in ("keypoints", "landmarks"):
        (tmp_path / "a.json").write_text(json.dumps({key: [[]] * FRAMES}))
        with pytest.raises(SmoothNetError, match=rf"a.json, frame 0, {key} must be .* it has shape \({FRAMES}, 0\)"):
            read_recording(tmp_path / "a.json")
