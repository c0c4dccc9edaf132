# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) SmoothNet contributors
"""Rows of a table in any order, and of several people: no person is mixed with another, nor one moment with another."""

from __future__ import annotations

from itertools import product

import numpy as np
import pytest

from lib.formats import read_recording, write_recording
from lib.utils.errors import SmoothNetError

FRAMES = 12


def row(frame: int, person: int = 0, /, **first) -> dict:
    """One person in one frame: a point at 100 x person + frame."""
    return {**first, "nose_x": 100 * person + frame, "nose_y": frame + 0.5}


def table(path, rows):
    lines = [",".join(rows[0]), *(",".join(str(cell) for cell in row.values()) for row in rows)]
    path.write_text("\n".join(lines) + "\n")
    return path


def people(path) -> list[list[float]]:
    return [track.points[:, 0, 0].tolist() for track in read_recording(path).tracks]


@pytest.mark.parametrize(
    "name",
    [
        lambda frame: {"frame": frame},
        lambda frame: {"Frame No": frame},
        lambda frame: {"time": frame / 4},
        lambda frame: {"timestamp_ms": frame * 33},
        lambda frame: {"image": f"img_{frame}.png"},
    ],
)
@pytest.mark.parametrize("sort", [sorted, lambda rows, key: rows[::-1]])
def test_rows_in_any_order_are_read_in_the_order_of_time_and_written_where_they_stood(name, sort, tmp_path):
    rows = [row(frame, **name(frame)) for frame in range(FRAMES)]
    path = table(tmp_path / "a.csv", sort(rows, key=lambda row: str(row["nose_x"])))
    recording = read_recording(path)
    (track,) = recording.tracks
    assert track.points[:, 0, 0].tolist() == list(range(FRAMES))
    write_recording(recording, [track.points + 1], tmp_path / "b.csv")
    before, after = (np.genfromtxt(tmp_path / f, delimiter=",", skip_header=1)[:, 1:] for f in ("a.csv", "b.csv"))
    assert np.allclose(after - before, 1)


@pytest.mark.parametrize("who", ["track_id", "BodyID", "Person ID", "tracking-id"])
@pytest.mark.parametrize("when", ["frame", "Timestamp"])
@pytest.mark.parametrize("one_after_the_other", [False, True])
def test_a_column_that_names_people_tells_them_apart(who, when, one_after_the_other, tmp_path):
    order = sorted(product(range(FRAMES), (0, 1)), key=lambda place: place[1] if one_after_the_other else 0)
    rows = [row(frame, person, **{when: frame, who: person + 7}) for frame, person in order]
    assert people(table(tmp_path / "a.csv", rows)) == [
        [100 * person + frame for frame in range(FRAMES)] for person in (0, 1)
    ]


def test_people_who_follow_one_another_are_two(tmp_path):
    rows = [row(t, t // FRAMES, frame=t, track_id=t // FRAMES) for t in range(2 * FRAMES)]
    assert [len(track) for track in people(table(tmp_path / "a.csv", rows))] == [FRAMES, FRAMES]


@pytest.mark.parametrize(
    ("heads", "message"),
    [
        (lambda frame, person: {"track_id": person}, "track_id names several people, and no column numbers the frames"),
        (lambda frame, person: {"time": frame / 4, "who": person}, "differ in who; name that column track_id"),
        (lambda frame, person: {"time": frame / 4, "who": "ab"[person]}, "differ in who; name that column track_id"),
        (lambda frame, person: {"frame": frame, "who": person}, "a second row for frame 0"),
    ],
)
def test_people_that_cannot_be_told_apart_are_refused(heads, message, tmp_path):
    rows = [row(frame, person, **heads(frame, person)) for frame in range(FRAMES) for person in (0, 1)]
    with pytest.raises(SmoothNetError, match=message):
        read_recording(table(tmp_path / "a.csv", rows))


@pytest.mark.parametrize(
    ("heads", "message"),
    [
        (lambda frame: {"frame": frame}, "line 14: a second row for frame 0"),
        (lambda frame: {"time": frame / 4}, "line 14: time goes back to 0; .* several recordings need a file each"),
    ],
)
def test_recordings_one_below_the_other_are_refused(heads, message, tmp_path):
    rows = [row(frame, **heads(frame)) for frame in [*range(FRAMES), *range(FRAMES)]]
    with pytest.raises(SmoothNetError, match=message):
        read_recording(table(tmp_path / "a.csv", rows))


@pytest.mark.parametrize(
    "heads",
    [
        lambda frame: {"time": frame // 4},  # a clock of whole seconds
        lambda frame: {"filename": "walk.mp4", "time": frame / 4},
        lambda frame: {"file": "walk.mp4", "frame": frame},
        lambda frame: {"frame": frame, "pose": "up" if frame < 5 else "down"},
        lambda frame: {"id": frame},
        lambda frame: {"person_id": 3},
    ],
)
def test_one_person_stays_one(heads, tmp_path):
    rows = [row(frame, **heads(frame)) for frame in range(FRAMES)]
    assert people(table(tmp_path / "a.csv", rows)) == [list(range(FRAMES))]


def test_a_clock_of_whole_seconds_tells_no_rate(tmp_path):
    rows = [row(frame, time=frame // 4) for frame in range(FRAMES)]
    assert read_recording(table(tmp_path / "a.csv", rows)).fps is None


@pytest.mark.parametrize("name", ["video", "trial", "Clip ID", "cam", "filename"])
def test_recordings_by_a_column_are_refused(name, tmp_path):
    rows = [row(frame, part, **{name: f"part {part}.mp4"}) for part in (0, 1) for frame in range(FRAMES)]
    with pytest.raises(SmoothNetError, match=f"several recordings, by the column {name}"):
        read_recording(table(tmp_path / "a.csv", rows))


@pytest.mark.parametrize("name", ["frame", "index", "", "label", "time"])
@pytest.mark.parametrize("word", ["mean", "std"])
def test_rows_that_sum_up_others_are_refused(name, word, tmp_path):
    rows = [row(frame, **{name: "walk" if name == "label" else frame}) for frame in range(FRAMES)]
    with pytest.raises(SmoothNetError, match=f"line 14: {word} in the column .*: rows that sum up others"):
        read_recording(table(tmp_path / "a.csv", [*rows, row(3, **{name: word})]))


@pytest.mark.parametrize("who", [{}, {"track_id": 7}])
def test_a_row_without_a_frame_is_refused(who, tmp_path):
    rows = [row(frame, frame=frame, **who) for frame in range(FRAMES)]
    with pytest.raises(SmoothNetError, match=r"line 14: .*number"):
        read_recording(table(tmp_path / "a.csv", [*rows, row(3, frame="", **who)]))


@pytest.mark.parametrize("name", ["frame", "image_path", "frame_count", "", "index", "Unnamed: 0"])
def test_rows_in_the_order_of_texts_are_read_in_that_of_frames(name, tmp_path):
    """What sorting by names makes: 0, 1, 10, 11, 2."""
    text = "frame_{}.png" if name in ("frame", "image_path") else "{}"
    rows = [row(frame, **{name: text.format(frame)}) for frame in sorted(range(FRAMES), key=str)]
    assert people(table(tmp_path / "a.csv", rows)) == [list(range(FRAMES))]


def test_rows_that_pandas_dropped_are_missing_frames(tmp_path):
    rows = [row(frame, **{"": frame}) for frame in range(FRAMES) if frame not in (4, 5)]
    (points,) = people(table(tmp_path / "a.csv", rows))
    assert np.isnan(points[4:6]).all() and points[6:] == list(range(6, FRAMES))


@pytest.mark.parametrize("first", [0, 1])
def test_numbers_of_the_people_in_each_frame_are_no_ids(first, tmp_path):
    """Whoever is found first is number 0."""
    rows = [
        {**row(frame, person, frame=frame, instance=first + number), "hip_x": 100 * person + frame, "hip_y": frame + 9}
        for frame in range(FRAMES)
        for number, person in enumerate((0, 1) if frame % 3 else (1, 0))
    ]
    tracks = people(table(tmp_path / "a.csv", rows))
    assert sorted(tracks) == [list(range(FRAMES)), [100 + frame for frame in range(FRAMES)]]


def test_an_id_that_changes_its_owner_once_stays_an_id(tmp_path):
    """A tracker's mistake is not mended here; pins what was so before."""
    owners = [(frame, n, n if frame < 6 else 1 - n) for frame in range(FRAMES) for n in (0, 1)]
    rows = [{**row(frame, who, frame=frame, track_id=n), "hip_x": 100 * who, "hip_y": 9} for frame, n, who in owners]
    expected = [frame if frame < 6 else 100 + frame for frame in range(FRAMES)]
    assert people(table(tmp_path / "a.csv", rows))[0] == expected


@pytest.mark.parametrize("end", [[], [1, -1, -1, -1]])
def test_rows_of_several_people_without_names_are_refused(end, tmp_path):
    box = [20, 50]
    lines = [[t, n + 1, 100 * n + t, t + 5.5, *box, *end] for t in range(FRAMES) for n in (0, 1)]
    (tmp_path / "a.csv").write_text("".join(",".join(map(str, cells)) + "\n" for cells in lines))
    with pytest.raises(SmoothNetError, match="MOTChallenge" if end else "several rows of each frame"):
        read_recording(tmp_path / "a.csv")


@pytest.mark.parametrize("unit", ["px", "mm", "norm", "coord"])
def test_units_behind_the_axis(unit, tmp_path):
    names = [f"{joint}_{axis}_{unit}" for joint in ("nose", "hip") for axis in "xy"]
    rows = [dict(zip(names, (frame, 2.5, 3.5, 4.5 * frame), strict=True)) for frame in range(FRAMES)]
    assert read_recording(table(tmp_path / "a.csv", rows)).names == ("nose", "hip")
    rows = [{**rows[frame], "nose_x": 100 + frame, "nose_y": 7} for frame in range(FRAMES)]
    recording = read_recording(table(tmp_path / "b.csv", rows))
    assert recording.tracks[0].points[0].tolist() == [[3.5, 0], [100, 7]] and recording.left_alone == names[:2]


@pytest.mark.parametrize("heads", [lambda t: [t, 1], lambda t: [1, t], lambda t: [t / 25, 3]])
def test_ids_and_frames_before_coordinates_without_names_stay(heads, tmp_path):
    lines = [[*heads(t), t * t + 0.5, 7.5 - t, 3 * t % 5 + 0.25, 9.0 + t] for t in range(FRAMES)]
    (tmp_path / "a.csv").write_text("".join(",".join(map(str, cells)) + "\n" for cells in lines))
    (track,) = read_recording(tmp_path / "a.csv", dims=2).tracks
    assert track.points.reshape(FRAMES, -1).tolist() == [cells[2:] for cells in lines]


def test_axes_in_brackets(tmp_path):
    rows = [{"nose[x]": t, "nose[y]": 2, "hip(X)": 3, "hip(Y)": t} for t in range(FRAMES)]
    assert read_recording(table(tmp_path / "a.csv", rows)).names == ("nose", "hip")


@pytest.mark.parametrize("people", [1, 2])
def test_comments_are_no_rows(people, tmp_path):
    who = [{"track_id": person} for person in range(people)] if people > 1 else [{}]
    rows = [row(frame, n, frame=frame, **head) for frame in range(FRAMES) for n, head in enumerate(who)]
    lines = table(tmp_path / "plain.csv", rows).read_text().splitlines()
    text = "\n".join(["# by a tool, with commas", "#", *lines[:5], "# here, too", *lines[5:], "# end"]) + "\n"
    (tmp_path / "a.csv").write_text(text)
    recording, plain = read_recording(tmp_path / "a.csv"), read_recording(tmp_path / "plain.csv")
    for track, expected in zip(recording.tracks, plain.tracks, strict=True):
        np.testing.assert_array_equal(track.points, expected.points)
    write_recording(recording, [track.points for track in recording.tracks], tmp_path / "b.csv")
    assert (tmp_path / "b.csv").read_text() == text


def test_the_header_of_numpy_is_a_comment(tmp_path):
    numbers = np.random.default_rng(0).normal(size=(FRAMES, 4))
    np.savetxt(tmp_path / "a.csv", numbers, delimiter=",", header="nose_x,nose_y,hip_x,hip_y")
    recording = read_recording(tmp_path / "a.csv")
    assert recording.names == ("nose", "hip") and not recording.left_alone
    np.testing.assert_array_equal(recording.tracks[0].points.reshape(FRAMES, 4), numbers)


@pytest.mark.parametrize("text", ["squat", "img.jpg"])
def test_a_row_with_a_text_is_no_header(text, tmp_path):
    numbers = np.random.default_rng(0).normal(size=(FRAMES, 4)) * 50
    (tmp_path / "a.csv").write_text("".join(f"{text},{','.join(map(str, cells))}\n" for cells in numbers.tolist()))
    (track,) = read_recording(tmp_path / "a.csv", dims=2).tracks
    assert track.points.shape == (FRAMES, 2, 2)


@pytest.mark.parametrize(("step", "fps"), [(0.04, 25), (1.0, None), (40.0, None), (40e6, None)])
def test_times_that_are_no_seconds_tell_no_rate(step, fps, tmp_path):
    rows = [row(frame, time=frame * step) for frame in range(FRAMES)]
    assert read_recording(table(tmp_path / "a.csv", rows)).fps == fps


@pytest.mark.parametrize("which", ["JointType", "bone", "Bone Name"])
def test_rows_of_joint_types_and_bones_are_one_body(which, tmp_path):
    """Kinect's JointType and the bones of animation programs name joints, no people."""
    rows = [
        {"time": t / 4, which: joint, "x": 10 * k + t, "y": t + 0.5, "z": 1}
        for t in range(FRAMES)
        for k, joint in enumerate(("Head", "Neck", "SpineBase"))
    ]
    (track,) = read_recording(table(tmp_path / "a.csv", rows)).tracks
    assert track.points[:, :, 0].tolist() == [[t, 10 + t, 20 + t] for t in range(FRAMES)]


def test_joints_may_be_told_by_two_columns(tmp_path):
    """Kaggle's signs: landmark 0 of the face, and that of a hand."""
    rows = [
        {"frame": frame, "type": part, "landmark_index": k, "x": frame + k, "y": frame / 2, "z": number}
        for frame in range(FRAMES)
        for number, part in enumerate(("face", "left_hand"))
        for k in range(3)
    ]
    recording = read_recording(table(tmp_path / "a.csv", rows))
    assert recording.names == tuple(f"{part}/{k}" for part in ("face", "left_hand") for k in range(3))
    assert (recording.tracks[0].points[:, :, 2] == [0, 0, 0, 1, 1, 1]).all()


@pytest.mark.parametrize("order", [[0, 1, 2, 3, 7, 8, 9], [9, 8, 7, 3, 2, 1, 0]])
def test_rows_of_deeplabcut_are_read_in_the_order_of_their_frames(order, tmp_path):
    lines = ["scorer,net,net,net", "bodyparts,nose,nose,nose", "coords,x,y,likelihood"]
    (tmp_path / "a.csv").write_text("\n".join([*lines, *(f"{t},{t}.5,2.5,0.9" for t in order)]) + "\n")
    (track,) = read_recording(tmp_path / "a.csv").tracks
    assert np.isnan(track.points[4:7]).all() and track.points[[0, 3, 7, 9], 0, 0].tolist() == [0.5, 3.5, 7.5, 9.5]


BOXES = np.c_[np.random.default_rng(0).uniform(0, 200, (20, 2)), np.random.default_rng(1).uniform(300, 600, (20, 2))]


@pytest.mark.parametrize("heads", ["frame,x1,y1,x2,y2,conf,class", "frame,track_id,x1,y1,x2,y2,confidence"])
def test_boxes_of_a_detector_are_no_joints(heads, tmp_path):
    after = heads.split(",")[heads.split(",").index("y2") + 1 :]
    before = heads.split(",")[: heads.split(",").index("x1")]
    rows = [heads] + [
        ",".join([*[str(t if name == "frame" else 1) for name in before], *map(str, box), *["0" for _ in after]])
        for t, box in enumerate(BOXES)
    ]
    (tmp_path / "a.csv").write_text("\n".join(rows) + "\n")
    with pytest.raises(SmoothNetError, match=r"x1, y1, x2, y2 hold boxes.*call them a_x, a_y, b_x, b_y"):
        read_recording(tmp_path / "a.csv")


@pytest.mark.parametrize("who", ["", "track_id,"])
def test_boxes_beside_joints_are_left_alone(who, tmp_path):
    rows = [f"frame,{who}x1,y1,x2,y2,nose_x,nose_y"]
    for t, box in enumerate(BOXES):
        rows += [
            f"{t}," + (f"{i}," if who else "") + ",".join(map(str, [*box, t + i, 50])) for i in range(1 + bool(who))
        ]
    (tmp_path / "a.csv").write_text("\n".join(rows) + "\n")
    recording = read_recording(tmp_path / "a.csv")
    assert recording.names == ("nose",) and {"x1", "y1", "x2", "y2"} <= set(recording.left_alone)


def test_two_joints_with_numbers_stay_joints(tmp_path):
    rows = ["frame,x1,y1,x2,y2", *(f"{t},{20 + t},40,{60 - 3 * t},80" for t in range(20))]
    (tmp_path / "a.csv").write_text("\n".join(rows) + "\n")
    assert read_recording(tmp_path / "a.csv").names == ("1", "2")


@pytest.mark.parametrize("first", ["sep=;", '"sep=;"', "\ufeffsep=;", "SEP=;\r"])
def test_the_line_by_which_excel_parts_cells_is_no_header(first, tmp_path):
    def content(plus: int) -> bytes:
        rows = "".join(f"{t};{t + plus}.25;{2 * t + plus}.75\n" for t in range(12))
        return f"{first}\nframe;nose_x;nose_y\n{rows}".encode()

    (tmp_path / "a.csv").write_bytes(content(0))
    recording = read_recording(tmp_path / "a.csv")
    assert recording.names == ("nose",) and recording.frame_count == 12
    write_recording(recording, [recording.tracks[0].points + 1], tmp_path / "b.csv")
    assert (tmp_path / "b.csv").read_bytes() == content(1)


@pytest.mark.parametrize("order", [0, 1])
@pytest.mark.parametrize("pair", [("x_norm", "y_norm"), ("x_pixel", "y_pixel")])
def test_rows_of_points_that_have_them_twice_leave_the_other_unit_alone(pair, order, tmp_path):
    """Whichever came first was smoothed, and of the other nothing was said."""
    twice = [pair, ("x", "y")][:: 1 - 2 * order]
    rows = [
        {"frame": f, "joint": k, **{name: f + k + 10 * d for names in twice for d, name in enumerate(names)}}
        for f in range(FRAMES)
        for k in range(3)
    ]
    recording = read_recording(table(tmp_path / "a.csv", rows))
    write_recording(recording, [track.points + 0.5 for track in recording.tracks], tmp_path / "b.csv")
    before, after = (np.genfromtxt(tmp_path / f, delimiter=",", names=True) for f in ("a.csv", "b.csv"))
    assert [name for name in before.dtype.names if (before[name] != after[name]).any()] == ["x", "y"]
    assert recording.left_alone == list(pair)


def test_rows_of_points_in_two_pictures_have_both_smoothed(tmp_path):
    rows = [
        {"frame": f, "joint": k, "left_x": f, "left_y": k, "right_x": f + 5, "right_y": k, "x": f, "y": k}
        for f in range(FRAMES)
        for k in range(3)
    ]
    assert len(read_recording(table(tmp_path / "a.csv", rows)).tracks) == 3


def test_people_are_told_apart_by_clocks_of_milliseconds_too(tmp_path):
    rows = [row(t, p, timestamp_ms=33 * t, track_id=p) for t in range(FRAMES) for p in (0, 1)]
    path = table(tmp_path / "a.csv", rows)
    assert people(path) == [[100 * p + t for t in range(FRAMES)] for p in (0, 1)]
    assert read_recording(path).fps is None


@pytest.mark.parametrize("who", ["tracker_id", "participant", "hand_label"])
def test_more_names_for_those_who_are_in_a_row(who, tmp_path):
    rows = [row(t, p, frame=t, **{who: "lr"[p]}) for t in range(FRAMES) for p in (0, 1)]
    assert people(table(tmp_path / "a.csv", rows)) == [[100 * p + t for t in range(FRAMES)] for p in (0, 1)]


@pytest.mark.parametrize("who", [{}, {"track_id": 1}])
def test_a_depth_that_never_has_a_number_does_not_make_points_missing(who, tmp_path):
    """Joints of x, y and an empty z were all missing, and nothing was smoothed."""
    rows = [row(t, frame=t, **who) | {"nose_z": "", "hip_x": t, "hip_y": 5, "hip_z": "nan"} for t in range(FRAMES)]
    recording = read_recording(table(tmp_path / "a.csv", rows))
    assert [track.points.shape for track in recording.tracks] == [(FRAMES, 2, 2)]
    assert np.isfinite(recording.tracks[0].points).all() and recording.left_alone == ["nose_z", "hip_z"]


@pytest.mark.parametrize("who", [{}, {"track_id": 1}])
@pytest.mark.parametrize("size", [("w", "h"), ("width", "height")])
def test_boxes_of_a_place_and_a_size_are_no_joints(size, who, tmp_path):
    """x, y of the box were smoothed as a joint beside its width and height, which stayed."""
    rows = [row(t, frame=t, **who, x=t, y=2 * t) | dict.fromkeys(size, 50) for t in range(FRAMES)]
    recording = read_recording(table(tmp_path / "a.csv", rows))
    assert recording.names == ("nose",) and {"x", "y"} <= set(recording.left_alone)
    ball = [{name: row[name] for name in row if not name.startswith("nose")} for row in rows]
    assert read_recording(table(tmp_path / "b.csv", ball)).tracks[0].points.shape == (FRAMES, 1, 2)  # it has no other


@pytest.mark.parametrize("mark", ["-", "--", "."])
def test_marks_of_trackers_for_a_missing_number_are_missing(mark, tmp_path):
    """EthoVision writes - for a sample in which it did not see the animal."""
    rows = [row(t, frame=t) | ({"nose_x": mark, "nose_y": mark} if t == 5 else {}) for t in range(FRAMES)]
    points = read_recording(table(tmp_path / "a.csv", rows)).tracks[0].points
    assert np.flatnonzero(np.isnan(points).all(axis=(1, 2))).tolist() == [5]


def test_times_in_milliseconds_of_a_fast_camera_are_no_seconds(tmp_path):
    """Steps of 4 were taken for one frame in four seconds, and a cut-off of 6 Hz was refused."""
    rows = [row(t, time=4 * t) for t in range(FRAMES)]
    assert read_recording(table(tmp_path / "a.csv", rows)).fps is None


def test_landmarks_with_a_visibility_and_a_presence_have_the_first_for_a_score(tmp_path):
    rows = [row(t, frame=t) | {"nose_visibility": 0.9, "nose_presence": 0.8} for t in range(FRAMES)]
    recording = read_recording(table(tmp_path / "a.csv", rows))
    assert (recording.tracks[0].scores == 0.9).all() and recording.left_alone == ["nose_presence"]


def test_names_that_pandas_had_in_two_rows_are_read_in_one(tmp_path):
    heads = ["frame", *(f"\"('{joint}', '{axis}')\"" for joint in ("nose", "hip") for axis in ("x", "y"))]
    rows = [dict(zip(heads, (t, t, 2, 3, t), strict=True)) for t in range(FRAMES)]
    assert read_recording(table(tmp_path / "a.csv", rows)).names == ("nose", "hip")


@pytest.mark.parametrize("people_too", [False, True])
@pytest.mark.parametrize(("name", "per_second"), [("Time [s]", 1), ("Timestamp (ms)", 1e3), ("Time (sec)", 1)])
def test_times_may_have_their_unit_behind_them(name, per_second, people_too, tmp_path):
    """Frames that they left out were no gaps, rows in another order were smoothed in that order."""
    times = [t for t in range(30) if t not in (12, 13)]
    who = {"track_id": 4} if people_too else {}
    rows = [row(t, **{name: round(per_second * t / 25, 3)}, **who) for t in times]
    recording = read_recording(table(tmp_path / "a.csv", rows[::-1]))
    assert np.isnan(recording.tracks[0].points[12:14]).all()
    assert recording.tracks[0].points[14:, 0, 0].tolist() == list(range(14, 30))
    assert recording.fps == (pytest.approx(25) if per_second == 1 else None)
