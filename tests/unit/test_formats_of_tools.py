# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) SmoothNet contributors
"""Files of the tools that people use: each sample of tool_samples.py is read, written back and smoothed."""

import json

import numpy as np
import pytest
import tool_samples as samples
from tool_samples import FRAMES, SAMPLES

from lib.formats import read_recording, write_recording
from lib.formats.kit import check_format
from lib.utils.errors import SmoothNetError


@pytest.mark.parametrize("make", SAMPLES, ids=lambda make: make.__name__)
def test_every_sample_keeps_what_formats_promise(make, tmp_path):
    check_format(make(tmp_path / "in"), SAMPLES[make], tmp_path / "out")


def tracks_of(path, **how):
    recording = read_recording(path, **how)
    return recording, {(track.part, track.id): track for track in recording.tracks}


# ------------------------------------------------------------------------------------------------ Ultralytics


@pytest.mark.parametrize("make", [make for make, name in SAMPLES.items() if name == "ultralytics"])
def test_ultralytics_people_keep_their_numbers(make, tmp_path):
    recording, tracks = tracks_of(make(tmp_path))
    assert recording.frame_count == FRAMES and sorted(id for _, id in tracks) in ([1, 2], [0, 1])
    assert {track.points.shape[1:] for track in tracks.values()} == {(17, 2)}
    first = min(tracks.values(), key=lambda track: np.nanmean(track.points))
    assert np.isnan(first.points[3, 4]).all() and np.isfinite(first.points[2]).all()
    other = next(track for track in tracks.values() if track is not first)
    assert np.isnan(other.points[5]).all()
    steps = np.abs(np.diff(first.points[:, 0, 0]))
    assert np.nanmax(steps) < 0.1 * np.nanmean(first.points)  # never the other's


def test_ultralytics_labels_tell_scores_and_tracks_from_keypoints(tmp_path):
    _, tracks = tracks_of(samples.ultralytics_labels(tmp_path / "a"))
    assert {id for _, id in tracks} == {1, 2}
    np.testing.assert_allclose(tracks["2D", 1].scores[0, [0, -1]], [0.99, 0.6])
    _, tracks = tracks_of(samples.ultralytics_labels_plain(tmp_path / "b"))
    assert all(track.scores is None for track in tracks.values())


def test_ultralytics_csv_without_frames_says_how_to_save_them(tmp_path):
    path = samples.ultralytics_csv(tmp_path)
    lines = path.read_text().splitlines()
    path.write_text("\n".join([lines[0].lstrip(","), *(line.split(",", 1)[1] for line in lines[1:])]))
    with pytest.raises(SmoothNetError, match=r"which frame.*assign\(frame=i\)"):
        read_recording(path)


def test_ultralytics_json_changes_x_and_y_alone(tmp_path):
    path = samples.ultralytics_list(tmp_path)
    recording = read_recording(path)
    write_recording(recording, [track.points + 1 for track in recording.tracks], tmp_path / "out.json")
    old, new = json.loads(path.read_text()), json.loads((tmp_path / "out.json").read_text())
    assert new[0][0]["keypoints"]["x"][0] == pytest.approx(old[0][0]["keypoints"]["x"][0] + 1)
    for frame in (*old, *new):
        for person in frame:
            del person["keypoints"]["x"], person["keypoints"]["y"]
    assert old == new
    assert path.read_text().count("\n") == (tmp_path / "out.json").read_text().count("\n")


# -------------------------------------------------------------------------------------------------- MediaPipe


def test_mediapipe_landmarks_and_world_landmarks_are_parts_of_one_person(tmp_path):
    recording, tracks = tracks_of(samples.mediapipe_pose(tmp_path))
    assert set(tracks) == {("pose", 0), ("pose world", 0)}
    assert all(np.isnan(track.points[4]).all() and track.scores[3, 0] == 0.98 for track in tracks.values())
    assert "timestamp_ms" not in recording.left_alone


def test_mediapipe_hands_are_told_by_handedness(tmp_path):
    _, tracks = tracks_of(samples.mediapipe_hands(tmp_path))
    assert set(tracks) == {(part, hand) for part in ("landmarks", "landmarks world") for hand in ("Left", "Right")}
    for track in tracks.values():
        assert track.points.shape == (FRAMES, 21, 3) and np.abs(np.diff(track.points, axis=0)).max() < 0.03


def test_mediapipe_faces_leave_blendshapes_alone(tmp_path):
    recording, tracks = tracks_of(samples.mediapipe_face(tmp_path))
    assert tracks["face", 0].points.shape == (6, 478, 3)
    assert "facial_transformation_matrixes" in recording.left_alone and "face_blendshapes" in recording.left_alone


def test_mediapipe_holistic_has_a_part_each(tmp_path):
    _, tracks = tracks_of(samples.mediapipe_holistic(tmp_path))
    assert {part: track.points.shape[1] for (part, _), track in tracks.items()} == {
        "pose": 33, "left hand": 21, "face": 468,
    }  # fmt: skip
    assert np.isnan(tracks["left hand", 0].points[2:4]).all()


# --------------------------------------------------------------------------------------------- MMPose, Sapiens


def test_folders_of_predictions_follow_people_who_change_places(tmp_path):
    recording, tracks = tracks_of(samples.mmpose_images(tmp_path))
    assert recording.frame_count == FRAMES and len(tracks) == 2 and "bbox" in recording.left_alone
    assert all(np.abs(np.diff(track.points, axis=0)).max() < 20 for track in tracks.values())


def test_sapiens_whole_bodies_and_a_frame_without_anybody(tmp_path):
    recording, tracks = tracks_of(samples.sapiens(tmp_path))
    assert recording.frame_count == FRAMES
    assert all(track.start == 1 and track.points.shape == (FRAMES - 1, 133, 2) for track in tracks.values())


# ------------------------------------------------------------------------------------------------------- lines


def test_lines_of_a_stream_keep_blank_lines_and_other_keys(tmp_path):
    path = samples.stream_lines(tmp_path)
    recording, tracks = tracks_of(path)
    assert {id for _, id in tracks} == {0, 1} and recording.frame_count == FRAMES
    assert all(np.isnan(track.points[4]).all() for track in tracks.values())
    write_recording(recording, [track.points + 1 for track in recording.tracks], tmp_path / "out.jsonl")
    lines = (tmp_path / "out.jsonl").read_bytes().split(b"\r\n")
    assert lines[4] == path.read_bytes().split(b"\r\n")[4] and lines[FRAMES:] == [b"", b""]
    assert b'"time": 0.5, "note": "1.5, [2]"}' in lines[1]


def test_lines_say_which_is_wrong(tmp_path):
    path = tmp_path / "a.jsonl"
    path.write_text('{"keypoints": [[1, 2]]}\n\n{"keypoints": [[1, 2, 3, 4]]}\n')
    with pytest.raises(SmoothNetError, match=r"a\.jsonl, frame 1: keypoints must be"):
        read_recording(path)
    path.write_text('{"keypoints": [[1, 2]]}\n{"keypoints": [[1, 2]\n')
    with pytest.raises(SmoothNetError, match=r"a\.jsonl, line 2 is not valid JSON"):
        read_recording(path)


# --------------------------------------------------------------------------------------------- tables in long form


def test_landmarks_in_long_form(tmp_path):
    recording, tracks = tracks_of(samples.mediapipe_long(tmp_path))
    assert {key: track.points.shape for key, track in tracks.items()} == {
        ("3D", 0): (FRAMES, 33, 3), ("3D world", 0): (FRAMES, 33, 3),
    }  # fmt: skip
    assert np.isnan(tracks["3D", 0].points[4, 7]).all() and np.isfinite(tracks["3D", 0].points[4, 8]).all()
    assert recording.names[:2] == ("LANDMARK_0", "LANDMARK_1")
    np.testing.assert_allclose(tracks["3D world", 0].points[3], samples.walk(33, 3, 1.5, 4)[3], atol=1e-6)


def test_hands_in_long_form_are_tracks(tmp_path):
    _, tracks = tracks_of(samples.mediapipe_hands_long(tmp_path))
    assert {id for _, id in tracks} == {"Left", "Right"}


def test_wide_world_landmarks_are_a_part_of_their_own(tmp_path):
    recording, tracks = tracks_of(samples.mediapipe_wide(tmp_path))
    assert {part: track.points.shape[1] for (part, _), track in tracks.items()} == {"3D": 33, "3D world": 33}
    assert recording.left_alone == []


def test_sleap_csv_has_a_row_an_animal(tmp_path):
    recording, tracks = tracks_of(samples.sleap_csv(tmp_path))
    assert recording.names == ("head", "thorax", "abdomen") and recording.left_alone == []
    assert np.isnan(tracks["2D", "track_1"].points[6, 2]).all() and tracks["2D", "track_0"].scores[0, 0] == 0.9


def test_two_rows_of_one_landmark_ask_for_people(tmp_path):
    path = tmp_path / "a.csv"
    path.write_text("frame,joint,x,y\n0,nose,1,2\n0,nose,3,4\n")
    with pytest.raises(SmoothNetError, match="second row for nose of frame 0.*column person"):
        read_recording(path)
