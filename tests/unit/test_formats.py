# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) SmoothNet contributors
"""Pose files of every format: what is read, and that writing changes coordinates and nothing else."""

import json
import pickle
from concurrent.futures import ThreadPoolExecutor
from csv import reader

import numpy as np
import pytest

from lib.formats import FORMATS, arrays, read_recording, write_recording
from lib.formats.kit import contents
from lib.formats.numbers import number_style
from lib.formats.timeline import timeline
from lib.inference.tracks import Ready, smooth_recording
from lib.utils.errors import SmoothNetError


def write(path, text):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(text.encode() if isinstance(text, str) else text)
    return path


def npz(path, **arrays):
    np.savez_compressed(path, **arrays)
    return path


def numbers(*shape, scale=100.0, seed=0):
    return np.random.default_rng(seed).normal(size=shape) * scale


# ------------------------------------------------------------------------------------------ one file of each


def openpose(folder, missing=True):
    path = folder / "cam1"
    for t in range(6):
        hand = [0.5 * t, 3.25, 0.9, 0, 0, 0] if t > 2 else []
        lost = [0, 0, 0] if missing and t == 3 else [101.125 + t, 50.5, 0.25]
        person = {
            "person_id": [-1],
            "pose_keypoints_2d": [1062.51 + t, 20.125, 0.5, *lost],
            "face_keypoints_2d": [],
            "hand_left_keypoints_2d": hand,
            "pose_keypoints_3d": [],
        }
        other = {"person_id": [-1], "pose_keypoints_2d": [400.5, 300.25, 0.1, 480.5 - t, 331.0, 0.2]}
        people = [other, person] if t in (1, 4) else [person, other] if t != 2 else [person]
        text = json.dumps({"version": 1.3, "people": people, "note": "7.5, [1]"}, separators=(",", ":"))
        write(path / f"cam1_{t:012d}_keypoints.json", text)
    return path


def mmpose(folder):
    frames = [
        {
            "frame_id": t,
            "instances": [
                {
                    "keypoints": [[10.5 + t, 20.25], [30.125, 40.0625]],
                    "keypoint_scores": [0.9, 0.1],
                    "bbox": [[1.0, 2.0, 3.0, 4.0]],
                    "bbox_score": 0.75,
                    "track_id": 5,
                },
                {
                    "keypoints": [[210.5, 20.25], [230.125, 40.0]],
                    "keypoint_scores": [0.9, 0.8],
                    "track_id": 2,
                },
            ][: 1 if t == 1 else 2],
        }
        for t in range(5)
    ]
    value = {"meta_info": {"keypoint_id2name": {"0": "nose", "1": "tail"}}, "instance_info": frames}
    return write(folder / "results.json", json.dumps(value, indent="\t"))


def mmpose_list(folder):
    frames = [[{"keypoints": [[[1.0625 + t, 2.5, 3.125]]], "keypoint_scores": [0.5], "bbox": None}] for t in range(4)]
    return write(folder / "list.json", json.dumps(frames))


def alphapose(folder):
    results = [
        {
            "image_id": f"{t}.jpg",
            "category_id": 1,
            "keypoints": [568.2810668945312 + t, 20.5, 0.875, 30.0, 40.5, 0.9375],
            "score": 2.5,
            "box": [1.5, 2.5, 3.5, 4.5],
            "idx": [[7.0]],
        }
        for t in (0, 1, 2, 4)
    ]
    return write(folder / "alphapose-results.json", json.dumps(results))


def coco(folder):
    results = [
        {
            "image_id": t,
            "category_id": 1,
            "keypoints": [10 + t, 20, 2, 30, 40 + t, 1],
            "score": 0.5,
            "x": None,
        }
        for t in range(1, 6)
    ]
    return write(folder / "keypoints_results.json", json.dumps(results, indent=1))


def csv(folder):
    rows = ["Frame,time,nose_x,nose_y,nose_score,label,left hip.X,left hip.Y,speed"]
    rows += [f'{t},{t / 25:.2f},{t * 2:.3f},"{5 - t:.3f}",0.9,"a, b",{t + 0.125:.3f},,3' for t in range(1, 7)]
    return write(folder / "poses.csv", "\r\n".join(rows) + "\r\n")


def csv_without_header(folder):
    return write(folder / "plain.csv", "".join(f"{t},{t * 1.5:.1f},2.5,3.5,{t:.1f}.\n" for t in range(5)))


def deeplabcut(folder):
    lines = ["scorer,net,net,net,net,net,net", "bodyparts,nose,nose,nose,tail,tail,tail"]
    lines += ["coords,x,y,likelihood,x,y,likelihood"]
    lines += [f"{t},{10.123456789012345 + t},{t},0.99,1.5,{2.25 * t},0.2" for t in range(5)]
    return write(folder / "videoDLC.csv", "\n".join(lines) + "\n")


def deeplabcut_animals(folder):
    lines = ["scorer" + ",net" * 8, "individuals" + ",mouse1" * 3 + ",mouse2" * 3 + ",single" * 2]
    lines += ["bodyparts" + ",nose" * 6 + ",corner" * 2]
    lines += ["coords,x,y,likelihood,x,y,likelihood,x,y"]
    lines += [f"{t},1.5,{t}.25,0.9,{'' if t == 2 else 100.5},{'' if t == 2 else 7.75},0.8,5.5,6.5" for t in range(4)]
    return write(folder / "animals.csv", "\n".join(lines))


def deeplabcut_h5(folder):
    """The "table" layout of pandas, as DataFrame.to_hdf(format="table") writes it."""
    h5py = pytest.importorskip("h5py")
    labels = [("net", part, coord) for part in ("nose", "tail") for coord in ("x", "y", "likelihood")]
    rows = np.zeros(5, dtype=[("index", "<i8"), ("values_block_0", "<f8", (6,))])
    rows["values_block_0"] = numbers(5, 6)
    with h5py.File(folder / "video.h5", "w") as file:
        group = file.create_group("df_with_missing")
        group.attrs["pandas_type"] = np.bytes_(b"frame_table")
        table = group.create_dataset("table", data=rows)
        table.attrs["values_block_0_kind"] = np.bytes_(pickle.dumps(labels, protocol=0))
    return folder / "video.h5"


def trc(folder):
    lines = ["PathFileType\t4\t(X/Y/Z)\ta.trc"]
    lines += ["DataRate\tCameraRate\tNumFrames\tNumMarkers\tUnits\tOrigDataRate\tOrigDataStartFrame\tOrigNumFrames"]
    lines += [
        "120.00\t120.00\t5\t2\tmm\t120.00\t1\t5",
        "Frame#\tTime\tHip\t\t\tKnee\t\t\t",
        "\t\tX1\tY1\tZ1\tX2\tY2\tZ2",
        "",
    ]
    lines += [f"{t}\t{t / 120:.3f}\t{t:.5f}\t2.50000\t3.00000\t\t\t\t" for t in (1, 2)]
    lines += [f"{t}\t{t / 120:.3f}\t{t:.5f}\t2.50000\t3.00000\t7.12345\t{t:.5f}\t9.00000\t" for t in (3, 4, 5)]
    return write(folder / "a.trc", "\r\n".join(lines) + "\r\n")


def npy(folder):
    values = numbers(7, 4, 3).astype(np.float32)
    values[2, 1] = np.nan
    np.save(folder / "a.npy", values)
    return folder / "a.npy"


def npy_people(folder):
    values = numbers(7, 2, 4, 2)
    values[3, 1] = 0
    np.save(folder / "people.npy", values)
    return folder / "people.npy"


def npz_points(folder):
    objects = np.empty(2, dtype=object)
    objects[:] = ["kept", [1]]
    scores = np.linspace(0, 1, 28).reshape(7, 4)
    return npz(
        folder / "a.npz",
        keypoints=numbers(7, 4, 2),
        joints=numbers(7, 12),
        scores=scores,
        fps=30.0,
        extra=objects,
    )


def smpl(folder):
    poses = numbers(6, 156, scale=0.5)
    return npz(
        folder / "amass.npz", poses=poses, trans=numbers(6, 3, scale=1), betas=numbers(16),
        dmpls=numbers(6, 8), gender="female", mocap_framerate=120.0, pose_body=poses[:, 3:66],
    )  # fmt: skip


ONE_OF_EACH = {
    make.__name__: (make, name)
    for make, name in (
        (openpose, "openpose"), (mmpose, "mmpose"), (mmpose_list, "mmpose"), (alphapose, "alphapose"),
        (coco, "coco"),
        (csv, "csv"), (deeplabcut, "deeplabcut"), (deeplabcut_animals, "deeplabcut"),
        (deeplabcut_h5, "deeplabcut-h5"), (trc, "trc"), (npy, "npy"), (npy_people, "npy"),
        (npz_points, "npz"), (smpl, "smpl"),
    )
}  # fmt: skip


@pytest.mark.parametrize("case", ONE_OF_EACH)
def test_writing_what_was_read_changes_no_byte(case, tmp_path):
    make, name = ONE_OF_EACH[case]
    path = make(tmp_path)
    recording = read_recording(path)
    assert recording.format == name
    (tmp_path / "out").mkdir()
    out = tmp_path / "out" / path.name
    write_recording(recording, [track.points.copy() for track in recording.tracks], out)
    assert contents(out) == contents(path)


@pytest.mark.parametrize("case", ONE_OF_EACH)
def test_only_coordinates_change(case, tmp_path):
    make, name = ONE_OF_EACH[case]
    path = make(tmp_path)
    recording = read_recording(path)
    shift = 0.0625 if name == "smpl" else 1.5
    (tmp_path / "out").mkdir()
    out = tmp_path / "out" / path.name
    write_recording(recording, [track.points + shift for track in recording.tracks], out)
    again = read_recording(out)
    assert (again.format, again.fps, again.names) == (recording.format, recording.fps, recording.names)
    assert len(again.tracks) == len(recording.tracks)
    for old, new in zip(recording.tracks, again.tracks, strict=True):
        np.testing.assert_array_equal(np.isnan(new.points), np.isnan(old.points))
        np.testing.assert_array_equal(new.scores, old.scores) if old.scores is not None else None
        if old.kind == "points":
            np.testing.assert_allclose(new.points, old.points + shift, atol=0.006)
    if path.suffix in (".csv", ".trc"):
        coordinates = {int(column) for track in recording.tracks for column in track.where.flat}
        rows = [list(reader(p.open(newline=""), delimiter="," if name != "trc" else "\t")) for p in (path, out)]
        for before, after in zip(*rows, strict=True):
            assert len(before) == len(after)
            changed = {i for i, cells in enumerate(zip(before, after, strict=True)) if cells[0] != cells[1]}
            assert changed <= coordinates
    if path.suffix == ".json":
        without = [strip_keypoints(json.loads(p.read_text())) for p in (path, out)]
        assert without[0] == without[1]
        assert key_order(json.loads(path.read_text())) == key_order(json.loads(out.read_text()))


def strip_keypoints(value):
    if isinstance(value, dict):
        return {
            key: strip_keypoints(item) for key, item in value.items() if key not in ("keypoints", "pose_keypoints_2d")
        }
    return [strip_keypoints(item) for item in value] if isinstance(value, list) else value


def key_order(value):
    if isinstance(value, dict):
        return [(key, key_order(item)) for key, item in value.items()]
    return [key_order(item) for item in value] if isinstance(value, list) else None


# --------------------------------------------------------------------------------------------- what is read


def test_openpose_people_parts_and_holes(tmp_path):
    recording = read_recording(openpose(tmp_path))
    assert recording.frame_count == 6
    tracks = sorted(recording.tracks, key=lambda track: -np.nanmax(track.points))
    first, other = tracks
    # Two body joints and two of a hand that is only there from frame 3 on; people change places in the files.
    assert first.points.shape == (6, 4, 2)
    np.testing.assert_allclose(first.points[:, 0, 0], 1062.51 + np.arange(6))
    assert np.isnan(first.points[3, 1]).all() and np.isnan(first.points[:3, 2]).all()
    np.testing.assert_allclose(first.points[4, 2], [2.0, 3.25])
    np.testing.assert_allclose(other.points[[0, 1, 3, 4], 1, 0], [480.5, 479.5, 477.5, 476.5])
    assert np.isnan(other.points[2]).all()


def test_openpose_text_outside_the_coordinates_stays(tmp_path):
    path = openpose(tmp_path)
    recording = read_recording(path)
    write_recording(recording, [track.points + 1 for track in recording.tracks], tmp_path / "out")
    text = (tmp_path / "out" / "cam1_000000000000_keypoints.json").read_text()
    assert text == (
        '{"version":1.3,"people":[{"person_id":[-1],"pose_keypoints_2d":[1063.51,21.125,0.5,102.125,51.5,0.25],'
        '"face_keypoints_2d":[],"hand_left_keypoints_2d":[],"pose_keypoints_3d":[]},{"person_id":[-1],'
        '"pose_keypoints_2d":[401.5,301.25,0.1,481.5,332,0.2]}],"note":"7.5, [1]"}'
    )
    lost = json.loads((tmp_path / "out" / "cam1_000000000003_keypoints.json").read_text())
    assert lost["people"][0]["pose_keypoints_2d"][3:] == [0, 0, 0]


@pytest.mark.parametrize("head", [lambda t: {}, lambda t: {"frame": 2 * t + t // 5}])
def test_openpose_frames_in_one_list_are_read_with_hands_and_face(head, tmp_path):
    """What nodes for diffusion models save: a list of frames, a hand that is null where there is none."""
    frames = [json.loads(path.read_text()) for path in sorted(openpose(tmp_path).iterdir())]
    for t, frame in enumerate(frames):
        frame |= {**head(t), "canvas_width": 512}
        frame["people"][0]["hand_right_keypoints_2d"] = None
    path = write(tmp_path / "video.json", json.dumps(frames))
    one, folder = read_recording(path), read_recording(tmp_path / "cam1")
    assert one.format == "openpose"
    shown = [int(t) for t in np.unique([2 * t + t // 5 for t in range(6)])] if head(0) else range(6)
    for track, same in zip(one.tracks, folder.tracks, strict=True):
        np.testing.assert_array_equal(track.points[list(shown)], same.points)
    write_recording(one, [track.points + 1 for track in one.tracks], tmp_path / "out.json")
    after = json.loads((tmp_path / "out.json").read_text())
    assert after[4]["people"][1]["hand_left_keypoints_2d"] == [3.0, 4.25, 0.9, 0, 0, 0]
    assert after[4]["people"][0]["hand_right_keypoints_2d"] is None and after[4]["canvas_width"] == 512


def test_filled_points_are_written_where_the_file_has_a_place(tmp_path):
    path = openpose(tmp_path)
    recording = read_recording(path)
    smoothed, report = smooth_recording(recording, Ready(lambda points: points), fill=True)
    # The second joint of frame 3 is 0, 0, 0 in the file; the other person is not in frame 2 at all.
    # Missing: 10 points of the first person (9 of the hand), 2 + 12 of the other, who has no hand.
    assert (report.missing, report.interpolated, report.filled) == (24, 3, 1)
    write_recording(recording, smoothed, tmp_path / "out")
    lost = json.loads((tmp_path / "out" / "cam1_000000000003_keypoints.json").read_text())
    assert lost["people"][0]["pose_keypoints_2d"][3:] == [104.125, 50.5, 0]
    assert (tmp_path / "out" / "cam1_000000000002_keypoints.json").read_bytes() == (
        path / "cam1_000000000002_keypoints.json"
    ).read_bytes()


def test_mmpose_ids_scores_and_names(tmp_path):
    recording = read_recording(mmpose(tmp_path))
    tracks = {track.id: track for track in recording.tracks}
    assert set(tracks) == {5, 2} and recording.names == ("nose", "tail")
    np.testing.assert_allclose(tracks[5].points[:, 0], [[10.5 + t, 20.25] for t in range(5)])
    np.testing.assert_allclose(tracks[5].scores[0], [0.9, 0.1])
    assert np.isnan(tracks[2].points[1]).all()


def test_alphapose_frames_come_from_the_names(tmp_path):
    recording = read_recording(alphapose(tmp_path))
    (track,) = recording.tracks
    assert recording.frame_count == 5 and track.id == 7.0
    assert np.isnan(track.points[3]).all()  # 3.jpg is not in the file
    np.testing.assert_allclose(track.points[4, 0, 0], 572.2810668945312)


def test_csv_columns_and_rate(tmp_path):
    recording = read_recording(csv(tmp_path))
    (track,) = recording.tracks
    assert recording.names == ("nose", "left hip") and recording.fps == 25
    np.testing.assert_allclose(track.points[:, 0], [[t * 2, 5 - t] for t in range(1, 7)])
    assert np.isnan(track.points[:, 1]).all()  # no y
    np.testing.assert_allclose(track.scores[:, 0], 0.9)


def test_csv_keeps_cells_it_does_not_smooth(tmp_path):
    path = csv(tmp_path)
    recording = read_recording(path)
    write_recording(recording, [track.points + 0.5 for track in recording.tracks], tmp_path / "out.csv")
    lines = (tmp_path / "out.csv").read_bytes().decode().split("\r\n")
    assert lines[1] == '1,0.04,2.500,"4.500",0.9,"a, b",1.125,,3'


def test_csv_frames_that_are_left_out_are_missing(tmp_path):
    path = write(tmp_path / "a.csv", "frame,p_x,p_y\n" + "".join(f"{t},{t}.5,1.5\n" for t in (10, 11, 14, 15)))
    recording = read_recording(path)
    np.testing.assert_allclose(recording.tracks[0].points[:, 0, 0], [10.5, 11.5, np.nan, np.nan, 14.5, 15.5])
    write_recording(recording, [recording.tracks[0].points + 1], tmp_path / "out.csv")
    assert (tmp_path / "out.csv").read_text().splitlines()[3] == "14,15.5,2.5"


def test_csv_without_names_is_cut_into_joints(tmp_path):
    path = write(tmp_path / "a.csv", "".join(f"{t},1.5,2.5,3.5,{t}.25,5.5,6.5\n" for t in range(5)))
    assert read_recording(path).tracks[0].points.shape == (5, 2, 3)  # the first column counts the rows
    assert read_recording(path, dims=2).tracks[0].points.shape == (5, 3, 2)


def test_trc_rate_names_and_holes(tmp_path):
    recording = read_recording(trc(tmp_path))
    assert recording.fps == 120 and recording.names == ("Hip", "Knee")
    np.testing.assert_array_equal(np.isnan(recording.tracks[0].points[:, 1, 0]), [True, True, False, False, False])


def test_deeplabcut_animals_are_tracks(tmp_path):
    tracks = {track.id: track for track in read_recording(deeplabcut_animals(tmp_path)).tracks}
    assert {id: track.points.shape for id, track in tracks.items()} == {
        "mouse1": (4, 1, 2), "mouse2": (4, 1, 2), "single": (4, 1, 2),
    }  # fmt: skip
    assert np.isnan(tracks["mouse2"].points[2]).all() and tracks["single"].scores is None


@pytest.mark.parametrize("layout", ["table", "fixed"])
def test_deeplabcut_h5_as_pandas_writes_it(layout, tmp_path):
    pandas = pytest.importorskip("pandas")
    pytest.importorskip("tables")
    columns = pandas.MultiIndex.from_product(
        [["net"], ["mouse"], ["nose", "tail"], ["x", "y", "likelihood"]],
        names=["scorer", "individuals", "bodyparts", "coords"],
    )
    frame = pandas.DataFrame(numbers(6, 6), columns=columns)
    frame.to_hdf(tmp_path / "a.h5", key="df_with_missing", format=layout, mode="w")
    recording = read_recording(tmp_path / "a.h5")
    assert [track.id for track in recording.tracks] == ["mouse"] and recording.names == ("nose", "tail")
    write_recording(recording, [recording.tracks[0].points + 2], tmp_path / "out.h5")
    expected = frame.copy()
    expected.iloc[:, [0, 1, 3, 4]] += 2
    pandas.testing.assert_frame_equal(pandas.read_hdf(tmp_path / "out.h5"), expected)


def test_h5_labels_cannot_run_code(tmp_path):
    h5py = pytest.importorskip("h5py")
    path = deeplabcut_h5(tmp_path)
    with h5py.File(path, "r+") as file:
        file["df_with_missing/table"].attrs["values_block_0_kind"] = np.bytes_(b"cos\nsystem\n(S'true'\ntR.")
    with pytest.raises(SmoothNetError, match=r"os\.system"):
        read_recording(path)


@pytest.mark.parametrize(
    ("shape", "dims", "tracks", "points"),
    [
        ((9, 5, 3), None, 1, (9, 5, 3)),
        ((9, 5, 2), None, 1, (9, 5, 2)),
        ((9, 5, 3), 2, 1, (9, 5, 2)),
        ((9, 5, 4), None, 1, (9, 5, 3)),
        ((9, 15), None, 1, (9, 5, 3)),
        ((9, 14), None, 1, (9, 7, 2)),
        ((9, 12), 2, 1, (9, 6, 2)),
        ((9, 3, 5, 2), None, 3, (9, 5, 2)),
        ((0, 5, 2), None, 1, (0, 5, 2)),
        ((1, 5, 2), None, 1, (1, 5, 2)),
    ],
)
def test_shapes_of_arrays(shape, dims, tracks, points, tmp_path):
    values = numbers(*shape)
    if shape[-1] == 4:
        values[..., 3] = np.linspace(0, 1, values[..., 3].size).reshape(values.shape[:-1])  # scores
    np.save(tmp_path / "a.npy", values)
    recording = read_recording(tmp_path / "a.npy", dims=dims)
    assert [track.points.shape for track in recording.tracks] == [points] * tracks
    write_recording(recording, [track.points for track in recording.tracks], tmp_path / "b.npy")
    assert (tmp_path / "b.npy").read_bytes() == (tmp_path / "a.npy").read_bytes()


def test_third_number_within_zero_and_one_beside_pixels_is_a_score(tmp_path):
    values = numbers(9, 5, 3)
    values[..., 2] = np.random.default_rng(0).uniform(size=(9, 5))
    np.save(tmp_path / "a.npy", values)
    (track,) = read_recording(tmp_path / "a.npy").tracks
    assert track.points.shape == (9, 5, 2)
    np.testing.assert_array_equal(track.scores, values[..., 2])


def test_npz_keeps_type_and_other_members(tmp_path):
    recording = read_recording(npz_points(tmp_path))
    assert {track.part for track in recording.tracks} == {"keypoints", "joints"} and recording.fps == 30
    keypoints = next(track for track in recording.tracks if track.part == "keypoints")
    assert keypoints.scores.shape == (7, 4)
    write_recording(recording, [track.points + 1 for track in recording.tracks], tmp_path / "out.npz")
    before, after = contents(tmp_path / "a.npz"), contents(tmp_path / "out.npz")
    assert [name for name in before if before[name] != after[name]] == ["keypoints.npy", "joints.npy"]
    assert list(after) == list(before)
    np.testing.assert_allclose(np.load(tmp_path / "out.npz")["joints"], np.load(tmp_path / "a.npz")["joints"] + 1)


def test_whole_numbers_become_floats(tmp_path):
    np.save(tmp_path / "a.npy", np.arange(24).reshape(4, 3, 2))
    recording = read_recording(tmp_path / "a.npy")
    write_recording(recording, [recording.tracks[0].points + 0.25], tmp_path / "b.npy")
    np.testing.assert_allclose(np.load(tmp_path / "b.npy"), np.arange(24).reshape(4, 3, 2) + 0.25)


def test_smpl_rotations_and_translation(tmp_path):
    path = smpl(tmp_path)
    recording = read_recording(path)
    rotations, translation = recording.tracks
    assert (rotations.kind, rotations.points.shape) == ("rotations", (6, 52, 6))
    assert (translation.kind, translation.points.shape, recording.fps) == ("points", (6, 1, 3), 120)
    # A quarter turn about z is written as [0, 0, pi/2], in `poses` and in the copy of its columns.
    quarter = rotations.points.copy()
    quarter[2, 5] = [0, -1, 1, 0, 0, 0]
    write_recording(recording, [quarter, translation.points + 1], tmp_path / "out.npz")
    before, after = np.load(path), np.load(tmp_path / "out.npz")
    turn = after["poses"][2, 15:18]
    np.testing.assert_allclose(turn[:2], 0, atol=1e-6)
    assert np.isclose(turn[2] % (2 * np.pi), np.pi / 2)
    np.testing.assert_array_equal(after["pose_body"], after["poses"][:, 3:66])
    np.testing.assert_allclose(after["trans"], before["trans"] + 1)
    changed = after["poses"] != before["poses"]
    assert changed[2, 15:18].any() and changed.sum() <= 3
    for name in ("betas", "dmpls", "gender"):
        np.testing.assert_array_equal(after[name], before[name])


def test_axis_angle_stays_on_the_turn_of_the_file(tmp_path):
    poses = np.zeros((5, 72))
    poses[:, 2] = 6.0 + 0.01 * np.arange(5)  # beyond pi
    path = npz(tmp_path / "a.npz", poses=poses, betas=np.zeros(10))
    recording = read_recording(path)
    (track,) = recording.tracks
    later = np.roll(track.points, 1, axis=0)
    write_recording(recording, [later], tmp_path / "out.npz")
    np.testing.assert_allclose(np.load(tmp_path / "out.npz")["poses"][1:, 2], poses[:-1, 2], atol=1e-9)


@pytest.mark.parametrize(("name", "shift"), [("quaternion", 0), ("quaternion-xyzw", -1)])
def test_quaternions_on_request_keep_their_sign(name, shift, tmp_path):
    half = np.linspace(0, 1.2, 6) / 2
    quaternions = np.zeros((6, 2, 4))
    quaternions[..., 0], quaternions[..., 3] = np.cos(half)[:, None], np.sin(half)[:, None]
    quaternions[:, 1] *= -1
    quaternions = np.roll(quaternions, shift, axis=-1)
    np.save(tmp_path / "q.npy", quaternions)
    recording = read_recording(tmp_path / "q.npy", format=name)
    (track,) = recording.tracks
    assert (track.kind, track.points.shape) == ("rotations", (6, 2, 6))
    np.testing.assert_allclose(
        track.points[5, 0], [np.cos(1.2), -np.sin(1.2), np.sin(1.2), np.cos(1.2), 0, 0], atol=1e-12
    )
    write_recording(recording, [np.roll(track.points, 1, axis=0)], tmp_path / "out.npy")
    np.testing.assert_allclose(np.load(tmp_path / "out.npy")[1:], quaternions[:-1], atol=1e-12)


# --------------------------------------------------------------------------------------- numbers and frames


@pytest.mark.parametrize(
    ("tokens", "value", "text"),
    [
        (["568.281", "1052.04", "99.0625"], 12.3456789, "12.3457"),
        (["1.250", "10.300"], 2.0, "2.000"),
        (["1.25", "10.3", "112.75"], 2.123456, "2.12"),
        (["10.123456789012345"], 0.1, "0.1"),
        (["10", "20"], 2.123456, "2.123"),
        ([], 2.5, "2.5"),
    ],
)
def test_numbers_look_like_those_of_the_file(tokens, value, text):
    assert number_style(tokens)(value) == text


@pytest.mark.parametrize(
    ("labels", "frames"),
    [
        (["a_10.jpg", "a_11.jpg", "a_13.jpg"], [0, 1, 3]),
        ([5, 15, 10], [0, 2, 1]),
        ([139, 802, 581781], [0, 1, 2]),
        (["left", "right"], [0, 1]),
        ([], []),
    ],
)
def test_timeline(labels, frames):
    assert list(timeline(labels).values()) == frames


# ------------------------------------------------------------------------------------------------- mistakes

MALFORMED = {
    "a.json": [
        ("{", "not valid JSON"),
        ("[]", "no known format"),
        ("[" * 100_000, "a.json"),
        ('[{"image_id": "1.jpg", "keypoints": [1, 2]}]', "result 0"),
        ('[{"image_id": 1, "keypoints": [1, 2, "a"]}]', "image 1.*numbers only"),
        ('[{"image_id": 1, "keypoints": [1, 2, 3]}, 5]', "result 1"),
        ('[{"image_id": 1, "keypoints": [1, 2, 3]}, {"image_id": 2}]', "image 2"),
        ('{"instance_info": [{"frame_id": 3, "instances": [{}]}]}', "frame 3, instance 0.*keypoints"),
        ('{"instance_info": [{"frame_id": 3, "instances": [{"keypoints": [[1, 2], [3]]}]}]}', "frame 3"),
        ('{"instance_info": [{"frame_id": 3, "instances": '
         '[{"keypoints": [[1, 2]], "keypoint_scores": [1, 2]}]}]}',
         "1 keypoints but 2"),
        ('{"instance_info": [{"frame_id": 3, "instances": 7}]}', "must be a list"),
        ('{"instance_info": [{"frame_id": null, "instances": []}]}', "frame_id"),
        (b"\xff\xfe", "not valid JSON"),
    ],
    "a.csv": [
        ("", "empty"),
        ("frame,p_x,p_y\n1,2,3\n2,x,3\n", "line 3.*'x' is not a number"),
        ("frame,p_x,p_y\n1,2\n", "line 2: 2 cells"),
        ("frame,p_x,p_y\n1,2,3\n1,2,3\n", "line 3: a second row for frame 1"),
        ("p_x,p_y,p_x\n1,2,3\n", "two columns"),
        ("a,b\nc,d\n", "no columns of coordinates"),
        ("scorer,a\nbodyparts,b\n", "coords"),
        ("scorer,a,a\nbodyparts,b,b\ncoords,x,y\n0,1\n", "line 4: 2 cells"),
        (b"\x00\x01\x02", "binary"),
    ],
    "a.trc": [
        ("PathFileType 4\n", "not a .trc"),
        ("PathFileType\t4\nDataRate\nfast\nFrame#\tTime\tA\t\t\n\n", "line 3"),
        ("PathFileType\t4\nDataRate\n60\nFrame#\tTime\n\n", "names no markers"),
        ("PathFileType\t4\nDataRate\n60\nFrame#\tTime\tA\t\t\n\n1\t0\t1\t2\t3\t4\n", "line 6"),
        ("PathFileType\t4\nDataRate\n60\nFrame#\tTime\tA\t\t\n\n1\t0\t1\t?\t3\n", "line 6.*'\\?'"),
    ],
    "a.npy": [(b"", "not a readable"), (b"\x93NUMPY", "not a readable")],
    "a.npz": [(b"PK", "not a readable"), (b"", "not a readable")],
    "a.h5": [(b"\x89HDF\r\n\x1a\n", "not a DeepLabCut"), (b"x", "no known format")],
    "a.mp4": [(b"", "it looks like an empty file")],
}  # fmt: skip


@pytest.mark.parametrize(
    ("name", "content", "message"), [(name, *case) for name, cases in MALFORMED.items() for case in cases]
)
def test_malformed_files_say_what_is_wrong(name, content, message, tmp_path):
    path = write(tmp_path / name, content)
    with pytest.raises(SmoothNetError, match=message) as error:
        read_recording(path)
    assert name in str(error.value)


@pytest.mark.parametrize("case", ONE_OF_EACH)
@pytest.mark.parametrize("name", FORMATS)
def test_a_forced_format_reads_or_explains(case, name, tmp_path):
    path = ONE_OF_EACH[case][0](tmp_path)
    try:
        read_recording(path, format=name)
    except SmoothNetError as error:
        assert path.name in str(error)


def test_malformed_openpose_frames(tmp_path):
    path = openpose(tmp_path)
    frame = path / "cam1_000000000002_keypoints.json"
    for content, message in (
        ('{"people": [{"pose_keypoints_2d": [1, 2]}]}', "person 0, pose_keypoints_2d: 2 numbers"),
        ('{"people": [7]}', "person 0"),
        ("[]", "not an OpenPose frame"),
        ('{"people": [{"pose_keypoints_2d": [1, 2, [3]]}]}', "numbers only"),
    ):
        write(frame, content)
        with pytest.raises(SmoothNetError, match=rf"000002_keypoints\.json.*{message}"):
            read_recording(path)
    frame.unlink()
    write(path / "cam2_000000000000_keypoints.json", '{"people": []}')
    with pytest.raises(SmoothNetError, match="more than one sequence"):
        read_recording(path)


def test_one_huge_person_among_many_small_ones_does_not_fill_memory(tmp_path):
    small, huge = {"pose_keypoints_2d": [1, 2, 1]}, {"pose_keypoints_2d": [1, 2, 1] * 30_000}
    write(tmp_path / "crowd" / "0.json", json.dumps({"people": [huge, *[small] * 4000]}))
    with pytest.raises(SmoothNetError, match="crowd holds 34000 joints, for which tracks would need 120030000 places"):
        read_recording(tmp_path / "crowd")
    frames = [
        {"frame_id": t, "instances": [{"keypoints": [[1, 2]] * (1 if t else 30_000), "track_id": 1}]}
        for t in range(4000)
    ]
    write(tmp_path / "mmpose.json", json.dumps({"instance_info": frames}))
    with pytest.raises(SmoothNetError, match=r"mmpose\.json holds 33999 joints"):
        read_recording(tmp_path / "mmpose.json")


def test_more_people_than_can_be_told_apart(tmp_path):
    people = [{"pose_keypoints_2d": [i, 2, 1]} for i in range(3001)]
    write(tmp_path / "crowd" / "0.json", json.dumps({"people": people}))
    with pytest.raises(SmoothNetError, match=r"crowd: frame 0 shows 3001 people without ids"):
        read_recording(tmp_path / "crowd")
    people = [{"keypoints": [[1, 2]] * (1 if i else 5_000)} for i in range(1000)]
    write(tmp_path / "huge.json", json.dumps({"instance_info": [{"frame_id": 0, "instances": people}]}))
    with pytest.raises(
        SmoothNetError, match=r"huge\.json: frame 0 shows 1000 people without ids, of up to 5000 joints"
    ):
        read_recording(tmp_path / "huge.json")


def test_openpose_without_people(tmp_path):
    for t in range(3):
        write(tmp_path / "none" / f"{t}.json", '{"people":[]}')
    recording = read_recording(tmp_path / "none")
    assert (recording.frame_count, recording.tracks) == (3, [])
    write_recording(recording, [], tmp_path / "out")
    assert contents(tmp_path / "out") == contents(tmp_path / "none")


def test_unknown_names_and_paths(tmp_path):
    with pytest.raises(SmoothNetError, match="does not exist"):
        read_recording(tmp_path / "a.npy")
    np.save(tmp_path / "a.npy", numbers(3, 2, 2))
    with pytest.raises(SmoothNetError, match="'fbx' is no known format"):
        read_recording(tmp_path / "a.npy", format="fbx")
    np.save(tmp_path / "b.npy", numbers(3))
    with pytest.raises(SmoothNetError, match=r"no array of points.*\(3,\)"):
        read_recording(tmp_path / "b.npy")


def test_object_arrays_are_never_unpickled(tmp_path):
    objects = np.empty(1, dtype=object)
    objects[0] = numbers(3, 2, 2)
    np.save(tmp_path / "a.npy", objects, allow_pickle=True)
    with pytest.raises(SmoothNetError, match=r"a\.npy is not a readable NumPy file"):
        read_recording(tmp_path / "a.npy")


def test_a_failing_write_leaves_nothing(tmp_path):
    recording = read_recording(openpose(tmp_path))
    with pytest.raises(SmoothNetError):
        write_recording(recording, [t.points + 1 for t in recording.tracks], tmp_path / "no" / "folder")
    assert sorted(p.name for p in tmp_path.iterdir()) == ["cam1"]


def test_a_file_that_changed_is_read_anew(tmp_path):
    path = npy(tmp_path)
    first = read_recording(path).tracks[0].points
    np.save(path, np.load(path) + 1)
    np.testing.assert_allclose(read_recording(path).tracks[0].points, first + 1)


def test_arrays_that_lie_by_columns(tmp_path):
    values = np.asfortranarray(numbers(7, 6))
    np.save(tmp_path / "a.npy", values)
    recording = read_recording(tmp_path / "a.npy")
    write_recording(recording, [recording.tracks[0].points + 1], tmp_path / "b.npy")
    np.testing.assert_allclose(np.load(tmp_path / "b.npy"), values + 1)
    write_recording(recording, [recording.tracks[0].points], tmp_path / "c.npy")
    assert (tmp_path / "c.npy").read_bytes() == (tmp_path / "a.npy").read_bytes()


def test_threads_that_read_one_file_do_not_share_what_they_take_from_it(tmp_path):
    """The array of a large .npy is given away to be changed; another thread that told its format had none left."""
    np.save(tmp_path / "big.npy", np.zeros((20, 5, 3), np.float32))
    told = arrays.open_arrays(tmp_path / "big.npy")
    with ThreadPoolExecutor(1) as pool:
        pool.submit(lambda: arrays.open_arrays(tmp_path / "big.npy").give()).result()
    assert arrays.open_arrays(tmp_path / "big.npy") is told and not told.given
    arrays.open_arrays.forget()
    assert arrays.open_arrays(tmp_path / "big.npy") is not told
