# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) SmoothNet contributors
"""Files of the tools that people use: each sample of tool_samples.py is read, written back and smoothed."""

import json
import os
import pickle
import re
import subprocess
import sys

import numpy as np
import pytest
import tool_samples as samples
from helpers import ROOT, command
from tool_samples import FRAMES, SAMPLES, walk, write

from lib.formats import FORMATS, list_formats, read_recording, write_recording
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


def test_mediapipe_entries_of_several_people_must_say_their_frame(tmp_path):
    def pose(frame, person):
        x = 0.2 + 0.3 * person + 0.01 * frame
        return {"pose_landmarks": [[{"x": x, "y": 0.02 * j, "z": 0.0, "visibility": 0.9} for j in range(33)]]}

    entries = [{"track_id": person, **pose(frame, person)} for frame in range(FRAMES) for person in (1, 2)]
    path = tmp_path / "a.json"
    path.write_text(json.dumps(entries))
    with pytest.raises(SmoothNetError, match="several people that do not say their frame"):
        read_recording(path)
    path.write_text(json.dumps([{"frame": i // 2, **entry} for i, entry in enumerate(entries)]))
    assert len(read_recording(path).tracks) == 2
    path.write_text(json.dumps(entries[::2]))
    recording = read_recording(path)
    assert recording.frame_count == FRAMES and len(recording.tracks) == 1
    path.write_text(json.dumps(entries[0]))
    assert read_recording(path).frame_count == 1


def test_mediapipe_hands_are_told_by_handedness(tmp_path):
    _, tracks = tracks_of(samples.mediapipe_hands(tmp_path))
    assert set(tracks) == {(part, hand) for part in ("landmarks", "landmarks world") for hand in ("Left", "Right")}
    for track in tracks.values():
        assert track.points.shape == (FRAMES, 21, 3) and np.abs(np.diff(track.points, axis=0)).max() < 0.03


def test_hands_of_which_some_frames_have_no_z_are_refused(tmp_path):
    path = samples.mediapipe_hands(tmp_path)
    lines = path.read_text().splitlines()
    lines[2] = re.sub(r', "z": [^,}]+', "", lines[2])
    path.write_text("\n".join(lines))
    with pytest.raises(SmoothNetError, match=r"frame 2 has 2 coordinates a joint, frame 0 3; give all the same"):
        read_recording(path)


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


@pytest.mark.parametrize("names", ["pos_x,pos_y,score", "x_px,y_px,score", "u,v,conf", "V,U,Confidence"])
def test_rows_of_points_may_spell_their_coordinates_otherwise(names, tmp_path):
    path, header = tmp_path / "a.csv", f"frame,joint,{names}"
    turned = names.startswith("V")
    rows = [[100 + 10 * j + t, 50 + t * t / 20] for t in range(FRAMES) for j in range(3)]
    lines = [
        f"{i // 3},{i % 3},{','.join(map(str, row[::-1] if turned else row))},0.{i % 9}" for i, row in enumerate(rows)
    ]
    path.write_text("\n".join([header, *lines]) + "\n")
    recording, tracks = tracks_of(path)
    (track,) = tracks.values()
    np.testing.assert_allclose(track.points, np.array(rows).reshape(FRAMES, 3, 2))
    assert track.scores[1, 2] == pytest.approx(0.5) and recording.left_alone == []


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
    with pytest.raises(SmoothNetError, match=r"second row for nose of frame 0.*column person"):
        read_recording(path)


# -------------------------------------------------------------------------------------------------------- animals


def test_sleap_instances_that_a_person_corrected_stand_for_the_prediction(tmp_path):
    recording, tracks = tracks_of(samples.sleap_labels(tmp_path))
    assert recording.names == ("head", "thorax", "abdomen") and {id for _, id in tracks} == {"female", "male"}
    assert recording.frame_count == FRAMES  # of every second picture
    np.testing.assert_allclose(tracks["points", "female"].points[3], samples.walk(3, 2, 200, 1)[3] + 300.5)
    assert (
        np.isnan(tracks["points", "male"].points[5, 2]).all() and np.isnan(tracks["points", "female"].scores[3]).all()
    )


def test_sleap_io_reads_what_is_written(tmp_path):
    sleap_io = pytest.importorskip("sleap_io", reason="sleap-io is not installed")
    path = samples.sleap_labels(tmp_path)
    recording = read_recording(path)
    write_recording(recording, [track.points + 2 for track in recording.tracks], tmp_path / "out.slp")
    old, new = (sleap_io.load_slp(str(p), open_videos=False).numpy() for p in (path, tmp_path / "out.slp"))
    np.testing.assert_allclose(new, old + 2)


def test_movement_as_xarray_reads_it(tmp_path):
    xarray = pytest.importorskip("xarray", reason="xarray is not installed")
    pytest.importorskip("h5netcdf", reason="h5netcdf is not installed")
    positions = np.stack([samples.walk(3, 2, 200, seed) for seed in (1, 2)], axis=-1).transpose(0, 2, 1, 3)
    data = xarray.Dataset(
        {"position": (("time", "space", "keypoints", "individuals"), positions)},
        {"space": ["x", "y"], "keypoints": ["nose", "back", "tail"], "individuals": ["one", "two"]},
        {"fps": 50.0, "source_software": "SLEAP"},
    )
    data.to_netcdf(tmp_path / "a.nc", engine="h5netcdf")
    recording, tracks = tracks_of(tmp_path / "a.nc")
    assert recording.fps == 50 and recording.names == ("nose", "back", "tail")
    np.testing.assert_array_equal(tracks["points", "two"].points, positions[..., 1].transpose(0, 2, 1))
    write_recording(recording, [track.points + 1 for track in recording.tracks], tmp_path / "b.nc")
    again = xarray.load_dataset(tmp_path / "b.nc", engine="h5netcdf")
    np.testing.assert_allclose(again.position, positions + 1)
    assert again.attrs == data.attrs and list(again.keypoints.values) == ["nose", "back", "tail"]


def test_older_netcdf_says_how_to_save_it(tmp_path):
    pytest.importorskip("h5py", reason="h5py is not installed")
    (tmp_path / "a.nc").write_bytes(b"CDF\x01" + bytes(100))
    with pytest.raises(SmoothNetError, match=r"to_netcdf\(NEW, engine"):
        read_recording(tmp_path / "a.nc")


@pytest.mark.parametrize("make", [samples.lightning_pose, samples.eks])
def test_variances_beside_points_stay(make, tmp_path):
    path = make(tmp_path)
    recording = read_recording(path)
    assert recording.names == ("paw", "nose")
    write_recording(recording, [track.points + 1 for track in recording.tracks], tmp_path / "out.csv")
    old, new = (p.read_text().splitlines()[5].split(",") for p in (path, tmp_path / "out.csv"))
    assert [a == b for a, b in zip(old, new, strict=True)][1:3] == [False, False]
    assert sum(a != b for a, b in zip(old, new, strict=True)) == 4


def test_anipose_leaves_its_errors_and_frames_alone(tmp_path):
    recording, _ = tracks_of(samples.anipose(tmp_path))
    assert recording.names == ("wrist", "elbow") and "wrist_error" in recording.left_alone


# ------------------------------------------------------------------------------------------------ biomechanics


@pytest.mark.parametrize("whole", [False, True])
def test_c3d_as_ezc3d_reads_it(whole, tmp_path):
    ezc3d = pytest.importorskip("ezc3d", reason="ezc3d is not installed")
    path = tmp_path / "a.c3d"
    path.write_bytes(samples._c3d_bytes(samples.walk(5, 3, 300), 3, "<", whole))
    recording = read_recording(path)
    (track,) = recording.tracks
    write_recording(recording, [track.points + 3], tmp_path / "out.c3d")
    shown = track.shown()
    assert not shown[2, 1] and shown.sum() == shown.size - 1 and "analog channels" in recording.left_alone
    for file, shift in ((path, 0), (tmp_path / "out.c3d", 3)):
        c3d = ezc3d.c3d(str(file))
        points = c3d["data"]["points"][:3].transpose(2, 1, 0)[:, : track.points.shape[1]]
        np.testing.assert_allclose(points[shown], track.points[shown] + shift, atol=0.01)
        assert c3d["parameters"]["POINT"]["RATE"]["value"][0] == recording.fps == 120


def test_c3d_written_by_ezc3d(tmp_path):
    ezc3d = pytest.importorskip("ezc3d", reason="ezc3d is not installed")
    c3d, points = ezc3d.c3d(), samples.walk(4, 3, 500)
    c3d["parameters"]["POINT"]["RATE"]["value"] = [100]
    c3d["parameters"]["POINT"]["LABELS"]["value"] = tuple("ABCD")
    c3d["data"]["points"] = np.concatenate([points, np.ones((FRAMES, 4, 1))], axis=2).transpose(2, 1, 0)
    c3d.write(str(tmp_path / "a.c3d"))
    recording = check_format(tmp_path / "a.c3d", "c3d", tmp_path / "out")
    np.testing.assert_allclose(recording.tracks[0].points, points, rtol=1e-6)
    assert recording.names == tuple("ABCD") and recording.fps == 100


def test_c3d_leaves_angles_alone_and_marks_filled_points(tmp_path):
    path = samples.c3d_floats(tmp_path)
    recording = read_recording(path)
    (track,) = recording.tracks
    assert recording.names == ("MARK0", "MARK1", "MARK2", "MARK3") and "1 angles" in recording.left_alone
    filled = np.where(np.isnan(track.points), 5.0, np.nan)
    write_recording(recording, [filled], tmp_path / "out.c3d")
    np.testing.assert_array_equal(read_recording(tmp_path / "out.c3d").tracks[0].points[2, 1], [5, 5, 5])
    assert sum(a != b for a, b in zip(path.read_bytes(), (tmp_path / "out.c3d").read_bytes(), strict=True)) <= 16


def test_angles_that_pass_half_a_turn_are_smoothed_as_angles(tmp_path):
    path = samples.opensim_mot(tmp_path)
    recording, tracks = tracks_of(path)
    angles = tracks["angles in degrees", 0].points[:, 2, 0]
    np.testing.assert_allclose(angles, np.linspace(150, 230, FRAMES), atol=1e-6)
    assert tracks["positions", 0].points.shape == (FRAMES, 1, 3) and recording.fps == 60
    write_recording(recording, [track.points + 0.25 for track in recording.tracks], tmp_path / "out.mot")
    old, new = (np.loadtxt(p, skiprows=9) for p in (path, tmp_path / "out.mot"))
    np.testing.assert_allclose(new[:, 1:], old[:, 1:] + 0.25, atol=1e-7)  # a turn stays where it was
    np.testing.assert_array_equal(new[:, 0], old[:, 0])


def test_states_leave_speeds_and_activations_alone(tmp_path):
    recording, tracks = tracks_of(samples.opensim_states(tmp_path))
    assert list(tracks) == [("angles in radians", 0)] and len(recording.left_alone) == 2


@pytest.mark.parametrize(
    ("names", "header", "last", "message"),
    [
        ("time ground_force_vx", "inDegrees=yes", "1 2", r"ground_force_vx, which is no pose.*low-pass"),
        (
            "time knee_angle_r",
            "nRows=2",
            "1 2",
            "does not say whether knee_angle_r is an angle in degrees or in radians",
        ),
        ("time knee_angle_r", "inDegrees=yes", "1", "line 7: 1 numbers where there should be 2"),
    ],
)
def test_doubtful_motions_are_refused(names, header, last, message, tmp_path):
    path = tmp_path / "a.mot"
    path.write_text("\n".join(["x", "version=1", header, "endheader", names, "0 1", last]))
    with pytest.raises(SmoothNetError, match=message):
        read_recording(path)


def test_names_of_angles_may_have_blanks(tmp_path):
    """Sports2D parts them by tabs."""
    head = ["Coordinates", "version=1", "nRows=20", "nColumns=3", "inDegrees=yes", "", "endheader"]
    rows = [f"{t / 30:.4f}\t{t * 1.5}\t{20 - t}.25" for t in range(20)]
    (tmp_path / "a.mot").write_text("\n".join([*head, "time\tright knee\tleft ankle", *rows]) + "\n")
    recording = read_recording(tmp_path / "a.mot")
    assert recording.names == ("right knee", "left ankle") and recording.tracks[0].part == "angles in degrees"


def test_bvh_turns_are_the_files_and_offsets_stay(tmp_path):
    path = samples.bvh(tmp_path)
    recording, tracks = tracks_of(path)
    assert {part: track.points.shape for (part, _), track in tracks.items()} == {
        "positions": (FRAMES, 1, 3), "rotations": (FRAMES, 3, 6),
    }  # fmt: skip
    assert recording.fps == pytest.approx(120, abs=0.01)
    # A heading that passes half a turn and jumps from 179 to -179 degrees is even as a rotation.
    steps = np.linalg.norm(np.diff(tracks["rotations", 0].points[:, 0], axis=0), axis=1)
    assert steps.max() < 0.3
    write_recording(recording, [track.points + 1e-4 for track in recording.tracks], tmp_path / "out.bvh")
    old, new = (np.loadtxt(p, skiprows=26 - 2) for p in (path, tmp_path / "out.bvh"))
    assert np.abs(new - old).max() < 0.05 and (new[:, 9:15] != old[:, 9:15]).any()


def test_bvh_in_gimbal_lock_keeps_the_last_angle():
    from lib.formats.euler import euler_to_6d, nearest_euler
    from lib.utils.rotations import sixd_to_matrix

    old = np.array([[10.0, 90.0, 20.0], [-350.0, -90.0, 400.0], [200.0, 120.0, -190.0]])
    np.testing.assert_allclose(nearest_euler(sixd_to_matrix(euler_to_6d(old, "ZXY")), old, "ZXY"), old, atol=1e-4)


def test_text_exports_of_motion_capture(tmp_path):
    recording, tracks = tracks_of(samples.vicon_csv(tmp_path))
    assert recording.names == ("Bob:LFHD", "Bob:RFHD") and recording.fps == 100 and recording.left_alone == ["devices"]
    assert np.isnan(tracks["points", 0].points[3, 0]).all() and np.isfinite(tracks["points", 0].points[3, 1]).all()
    recording, tracks = tracks_of(samples.qualisys_tsv(tmp_path))
    assert recording.names == ("L_heel", "R_heel") and recording.fps == 200
    assert np.isnan(tracks["points", 0].points[3, 1]).all()
    recording, tracks = tracks_of(samples.motive_csv(tmp_path))
    assert tracks["points", 0].points.shape == (FRAMES, 2, 3) and tracks["rotations", 0].form == "xyzw"
    assert recording.left_alone == ["mean marker error"] and recording.fps == 120
    recording, tracks = tracks_of(samples.visual3d_txt(tmp_path))
    assert recording.names == ("HEAD", "HAND") and recording.left_alone == ["KNEE"]


# --------------------------------------------------------------------------------------------------- the command


def test_every_sample_goes_through_the_command(tmp_path):
    paths = [make(tmp_path / make.__name__) for make in SAMPLES]
    inputs = [path.rename(path.with_name(f"{i}_{path.name}")) for i, path in enumerate(paths)]
    done = command("smooth_smoothnet.py", *inputs, "-o", tmp_path / "out", "--method", "rts")  # no weights decide this
    assert done.returncode == 0, done.stderr
    for path, name in zip(inputs, SAMPLES.values(), strict=True):
        before, after = read_recording(path), read_recording(tmp_path / "out" / path.name)
        assert after.format == name and len(after.tracks) == len(before.tracks)
        for old, new in zip(before.tracks, after.tracks, strict=True):
            assert np.array_equal(old.shown(), new.shown())
            if len(old.points) >= FRAMES and old.kind == "points" and "single" not in old.part:
                rough = [np.nanmean(np.abs(np.diff(track.points, 2, axis=0))) for track in (old, new)]
                assert rough[1] < 0.9 * rough[0], f"{path.name}, {old.part} is as rough as it was"


# ---------------------------------------------------------------------------------- refusals, formats of others


def refused(path):
    with pytest.raises(SmoothNetError) as error:
        read_recording(path)
    assert "\n" not in str(error.value)
    return str(error.value)


@pytest.mark.parametrize(
    ("name", "content", "words"),
    [
        ("walk.mp4", b"\0\0\0 ftypisom", ["a video", "pose estimator"]),
        ("poses.pkl", pickle.dumps({"kpts": [1, 2]}), ["a Python pickle", "numpy.save("]),
        ("poses.mat", b"MATLAB 5.0", ["a MATLAB file", 'scipy.io.loadmat("poses.mat")']),
        ("poses.parquet", b"PAR1", ['pandas.read_parquet("poses.parquet").to_csv']),
        ("walk.fbx", b"Kaydara FBX Binary", [".bvh"]),
        ("empty.dat", b"", ["an empty file"]),
        ("poses.txt", b"1 2 3 4\n5 6 7 8\n", ["a table of numbers, 4 a row", 'numpy.loadtxt("poses.txt")', "--dims"]),
        ("poses.dat", b"1,2\n3,4\n", ["name it poses.csv"]),
        ("log.txt", b"Loading the model\n", ["text that begins with 'Loading the model'"]),
        (
            "gt.json",
            b'{"images": [], "annotations": [{"keypoints": [1, 2, 2]}]}',
            ["COCO annotations", '["annotations"]'],
        ),
        (
            "boxes.json",
            b'[{"image_id": 1, "category_id": 1, "bbox": [1, 2, 3, 4], "score": 1}]',
            ["COCO results of boxes"],
        ),
        ("one.json", b'{"version": 1.3, "people": []}', ["one frame of OpenPose", "give the folder"]),
        ("arr.json", b'{"a": {"kpts": [[[1, 2], [3, 4]]]}}', ["(1, 2, 2)", 'json.load(open("arr.json"))["a"]["kpts"]']),
        ("odd.json", b'{"who": "me"}', ["a JSON object with 'who'", "jsonl"]),
        ("odd.jsonl", b'{"who": "me"}\n', ["JSON lines", '"keypoints": [[x, y]']),
        ("noise.bin", b"\xff\xfe\x00\x81", ["binary data"]),
    ],
)
def test_refusals_say_what_it_is_and_what_to_do(name, content, words, tmp_path):
    (tmp_path / name).write_bytes(content)
    message = refused(tmp_path / name)
    for word in [*words, "is in no known format", "smooth --formats"]:
        assert word in message


def test_the_line_of_python_in_a_refusal_works(tmp_path):
    path = tmp_path / "arr.json"
    points = samples.walk(4, 2, 100)
    path.write_text(json.dumps({"a": {"kpts": points.tolist()}}))
    line = refused(path).split("no JSON: ")[1].split(" (smooth --formats")[0]
    subprocess.run([sys.executable, "-c", line], check=True, cwd=tmp_path)
    np.testing.assert_array_equal(read_recording(tmp_path / "poses.npy").tracks[0].points, points)


def test_folders_and_hdf5_are_refused_by_what_is_in_them(tmp_path):
    h5py = pytest.importorskip("h5py", reason="h5py is not installed")
    folder = tmp_path / "f"
    folder.mkdir()
    np.save(folder / "0.npy", np.zeros((4, 2)))
    assert "a folder of 1 .npy files" in refused(folder) and "numpy.stack" in refused(folder)
    with h5py.File(tmp_path / "a.h5", "w") as file:
        file["kpts"] = np.zeros((5, 4, 2))
    assert "kpts (5, 4, 2)" in refused(tmp_path / "a.h5") and 'h5py.File("a.h5")["kpts"][:]' in refused(
        tmp_path / "a.h5"
    )


def test_a_format_name_that_is_nearly_one(tmp_path):
    (tmp_path / "a.csv").write_text("x,y\n1,2\n")
    with pytest.raises(SmoothNetError, match="did you mean deeplabcut"):
        read_recording(tmp_path / "a.csv", format="deeplabcutt")


def test_formats_of_other_packages_through_the_command_and_the_test_kit(tmp_path):
    shown = re.findall(r"```python\n(.*?)```", (ROOT / "docs/formats.md").read_text(), re.DOTALL)
    (tmp_path / "walking.py").write_text(shown[0].replace("from smoothnet.", "from lib."))
    (tmp_path / "walking-1.0.dist-info").mkdir()
    (tmp_path / "walking-1.0.dist-info" / "METADATA").write_text("Metadata-Version: 2.1\nName: walking\nVersion: 1.0\n")
    entry = tmp_path / "walking-1.0.dist-info" / "entry_points.txt"
    entry.write_text("[smoothnet.formats]\nwalk = walking:ROW\n")
    path = tmp_path / "sample.walk"
    np.savetxt(path, samples.walk(17, 2, 100, frames=30).reshape(30, -1), fmt="%.17g")
    env = {"PYTHONPATH": f"{tmp_path}{os.pathsep}{ROOT}"}
    done = command("smooth_smoothnet.py", path, "-o", tmp_path / "b.walk", "--method", "gaussian", env=env)
    assert done.returncode == 0, done.stderr
    assert "(walk)" in done.stdout and (tmp_path / "b.walk").read_text() != path.read_text()
    check = shown[1].replace("from smoothnet.", "from lib.") + "from pathlib import Path\ntest_walk(Path('kit'))"
    subprocess.run([sys.executable, "-c", check], check=True, cwd=tmp_path, env={**os.environ, **env})
    entry.write_text("[smoothnet.formats]\nwalk = walking:NOTHING\n")
    done = command("smooth_smoothnet.py", path, "-o", tmp_path / "c.walk", "--method", "gaussian", env=env)
    assert done.returncode == 2 and "the format walk of walking:NOTHING cannot be loaded" in done.stderr


def test_the_test_kit_finds_faults(tmp_path):
    path = samples.sleap_csv(tmp_path / "in")
    with pytest.raises(AssertionError, match="is told to be long-csv, not csv"):
        check_format(path, "csv", tmp_path / "out")


def test_the_list_of_formats_names_all_by_tool():
    listed = list_formats()
    for name in FORMATS:
        assert f"  {name} " in listed
    assert listed.index("biomechanics") < listed.index("c3d") and listed.count("left alone:") == len(FORMATS)


@pytest.mark.parametrize("word", ["null", '"0.4"', "x", "1,5"])
def test_a_word_among_the_numbers_of_a_label_is_named(word, tmp_path):
    folder = samples.ultralytics_labels(tmp_path / "labels")
    file = sorted(folder.glob("*.txt"))[3]
    words = file.read_text().split(" ")
    file.write_text(" ".join([words[0], word, *words[2:]]))
    with pytest.raises(SmoothNetError, match=rf"{re.escape(file.name)}: a line of save_txt"):
        read_recording(folder)


@pytest.mark.parametrize("make", [samples.sleap_csv, samples.mediapipe_long, samples.ultralytics_csv])
@pytest.mark.parametrize("word", ["null", "n/a", "1e400"])
def test_a_word_in_any_cell_is_missing_or_named(make, word, tmp_path):
    """One cell of a row after the other."""
    path = make(tmp_path)
    lines = path.read_text().splitlines()
    cells = lines[3].split(",")
    for i in range(len(cells)):
        path.write_text("\n".join([*lines[:3], ",".join([*cells[:i], word, *cells[i + 1 :]]), *lines[4:]]) + "\n")
        try:
            assert read_recording(path).frame_count
        except SmoothNetError as error:
            assert path.name in str(error)


def test_landmarks_with_numbers_of_their_own_may_be_left_out(tmp_path):
    """MediaPipe's, of which scripts keep the visible ones alone: they were smoothed into one another."""
    body = walk(33, 3, 1, 3)
    shown = (np.arange(FRAMES)[:, None] + np.arange(33)) % 5 > 0
    frames = []
    for t in range(FRAMES):
        points = [(k, *body[t, k].tolist()) for k in np.flatnonzero(shown[t]).tolist()]
        landmarks = [{"id": k, "x": x, "y": y, "z": z, "visibility": 0.9} for k, x, y, z in points]
        frames.append({"frame": t, "landmarks": landmarks})
    path = write(tmp_path / "visible.json", json.dumps(frames))
    (track,) = read_recording(path).tracks
    assert track.points.shape == (FRAMES, 33, 3)
    assert np.array_equal(np.isnan(track.points).all(axis=2).sum(axis=1), (~shown).sum(axis=1))
    firsts = {tuple(track.points[t, k]): k for k in range(33) for t in range(FRAMES)}  # which row a joint has got
    rows = [firsts[tuple(body[1 if k % 5 == 0 else 0, k])] for k in range(33)]
    assert np.array_equal(track.points[:, rows][shown], body[shown])
    check_format(path, "mediapipe", tmp_path / "kit")


@pytest.mark.parametrize("tool", ["openpose", "ultralytics"])
def test_lists_that_leave_out_joints_without_saying_which_are_refused(tool, tmp_path):
    """See also test_browser_people.py."""
    body = 100 * walk(17, 2, 4, 1)
    kept = [[k for k in range(17) if (3 * t + k) % 11] for t in range(FRAMES)]
    if tool == "openpose":
        path = tmp_path / "json"
        for t, joints in enumerate(kept):
            person = {"person_id": [-1], "pose_keypoints_2d": [n for k in joints for n in (*body[t, k], 0.9)]}
            write(path / f"a_{t:012d}_keypoints.json", json.dumps({"version": 1.3, "people": [person]}))
    else:
        people = [
            [{"name": "person", "class": 0, "confidence": 0.9, "box": {"x1": 1, "y1": 2, "x2": 3, "y2": 4},
              "keypoints": {"x": body[t, joints, 0].tolist(), "y": body[t, joints, 1].tolist()}}]
            for t, joints in enumerate(kept)
        ]  # fmt: skip
        path = write(tmp_path / "yolo.json", json.dumps(people))
    with pytest.raises(SmoothNetError, match=f"{path.name}: frame 0 has a list of 15 joints and frame 1 one of 16"):
        read_recording(path)


@pytest.mark.parametrize("column", ["kp", "kpt_idx", "body_part"])
def test_columns_may_call_joints_otherwise(column, tmp_path):
    """Beside a person in each row these were as many people as points, of which none was smoothed."""
    body = 100 * walk(5, 2, 4, 1)
    rows = [
        f"frame,person,{column},x,y",
        *(f"{t},0,{k},{x},{y}" for t in range(FRAMES) for k, (x, y) in enumerate(body[t])),
    ]
    (track,) = read_recording(write(tmp_path / "long.csv", "\n".join(rows) + "\n")).tracks
    assert np.array_equal(track.points, body)


def test_advice_for_decimal_commas_reads_the_file(tmp_path, monkeypatch):
    pandas = pytest.importorskip("pandas")
    for name, parted in (("semicolons.csv", ";"), ("tabs.tsv", "\t"), ("quoted.csv", ",")):
        quote = '"' if parted == "," else ""
        rows = [parted.join(["frame", "a_x", "a_y"])]
        rows += [parted.join([str(t), f"{quote}1.{t:03d},5{quote}", f"{quote}{t},25{quote}"]) for t in range(12)]
        path = write(tmp_path / name, "\n".join(rows) + "\n")
        with pytest.raises(SmoothNetError, match="comma for a decimal point") as error:
            read_recording(path)
        monkeypatch.chdir(tmp_path)
        exec(str(error.value).partition("write points: ")[2], {"pandas": pandas})
        (track,) = read_recording(tmp_path / "points.csv").tracks
        assert track.points[3, 0].tolist() == [1003.5, 3.25]
