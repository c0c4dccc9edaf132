# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) SmoothNet contributors
"""What an array or a table is taken for: never a wrong reading without a word."""

import json

import numpy as np
import pytest
from helpers import ROOT

from lib.formats import read_recording, write_recording
from lib.formats.layout import parse_layout
from lib.formats.understood import spoken
from lib.utils.errors import SmoothNetError
from lib.utils.rotations import axis_angle_to_matrix, matrix_to_6d, matrix_to_quaternion

SAMPLE = np.load(ROOT / "data" / "samples" / "sports2d_blazepose.npz", allow_pickle=False)
METRES, PIXELS, SCORES = (SAMPLE[key] for key in ("keypoints_3d_m", "keypoints_2d_px", "scores"))
FRAMES, JOINTS = SCORES.shape
FOUND = np.isfinite(PIXELS).all(axis=2)
LOST = int((~FOUND).sum())


def turning(frames=60, joints=5, seed=0):
    """Rotations that turn slowly, (frames, joints, 3, 3)."""
    rng = np.random.default_rng(seed)
    angles = rng.normal(size=(joints, 3)) + np.cumsum(rng.normal(size=(frames, joints, 3)) * 0.05, axis=0)
    return axis_angle_to_matrix(angles)


def blur(points):
    """A smoother: the mean of three frames."""
    before, after = np.roll(points, 1, axis=0), np.roll(points, -1, axis=0)
    before[0], after[-1] = points[0], points[-1]
    around = np.stack([before, points, after])
    there = np.isfinite(around)
    mean = np.where(there, around, 0).sum(axis=0) / np.maximum(there.sum(axis=0), 1)
    return np.where(np.isfinite(points), mean, np.nan)


def read(folder, array, **options):
    np.save(folder / "a.npy", array)
    return read_recording(folder / "a.npy", **options)


def smooth(recording, out):
    smoothed = [blur(track.points) for track in recording.tracks]
    write_recording(recording, smoothed, out)
    return np.load(out, allow_pickle=False)


# -------------------------------------------------------------------------------------------------- rotations


@pytest.mark.parametrize("name", ["", "x", "poses", "rotmats"])
@pytest.mark.parametrize("shape", [(60, 5, 3, 3), (60, 45), (12, 5, 5, 3, 3)])
def test_matrices_stay_rotations(shape, name, tmp_path):
    matrices = turning().reshape(shape)
    if name:
        np.savez(tmp_path / "a.npz", **{name: matrices})
        recording = read_recording(tmp_path / "a.npz")
        write_recording(recording, [blur(track.points) for track in recording.tracks], tmp_path / "b.npz")
        after = np.load(tmp_path / "b.npz")[name].reshape(-1, 3, 3)
    else:
        recording = read(tmp_path, matrices)
        after = smooth(recording, tmp_path / "b.npy").reshape(-1, 3, 3)
    assert {track.kind for track in recording.tracks} == {"rotations"}
    assert "rotations as 3 x 3 matrices" in recording.understood
    np.testing.assert_allclose(after @ after.transpose(0, 2, 1), np.tile(np.eye(3), (len(after), 1, 1)), atol=1e-9)
    np.testing.assert_allclose(np.linalg.det(after), 1)
    assert np.abs(after - matrices.reshape(-1, 3, 3)).max() > 1e-3


def test_one_matrix_a_frame(tmp_path):
    recording = read(tmp_path, turning()[:, 0])
    assert [track.points.shape for track in recording.tracks] == [(60, 1, 6)]


@pytest.mark.parametrize("order", ["wxyz", "xyzw"])
@pytest.mark.parametrize("flat", [False, True])
def test_quaternions_keep_their_length(order, flat, tmp_path):
    rest = axis_angle_to_matrix(np.random.default_rng(1).normal(size=(60, 5, 3)) * 0.2)
    quaternions = matrix_to_quaternion(rest, order)
    quaternions[::2] *= -1  # the same rotations
    recording = read(tmp_path, quaternions.reshape(60, -1) if flat else quaternions)
    assert f"quaternions {' '.join(order)}" in recording.understood
    after = smooth(recording, tmp_path / "b.npy").reshape(60, 5, 4)
    np.testing.assert_allclose(np.linalg.norm(after, axis=-1), 1)
    assert ((after * quaternions).sum(axis=-1) > 0.9).all()  # on the side of the file


@pytest.mark.parametrize("swap", [False, True])
def test_tables_of_positions_and_quaternions(swap, tmp_path):
    rng = np.random.default_rng(0)
    positions = np.cumsum(rng.normal(size=(60, 5, 3)), axis=0)
    columns = [positions, matrix_to_quaternion(turning())]
    table = np.concatenate(columns[::-1] if swap else columns, axis=-1).reshape(60, 35)
    recording = read(tmp_path, table)
    assert [(t.kind, t.points.shape) for t in recording.tracks] == [
        ("points", (60, 5, 3)),
        ("rotations", (60, 5, 6)),
    ]
    after = smooth(recording, tmp_path / "b.npy").reshape(60, 5, 7)
    np.savez(tmp_path / "a.npz", data=table.reshape(60, 5, 7))  # under a name that says nothing
    assert [track.kind for track in read_recording(tmp_path / "a.npz").tracks] == ["points", "rotations"]
    turned, moved = (after[..., :4], after[..., 4:]) if swap else (after[..., 3:], after[..., :3])
    np.testing.assert_allclose(np.linalg.norm(turned, axis=-1), 1)
    np.testing.assert_allclose(moved, blur(positions))


def write_table(path, names, values):
    np.savetxt(path, values, delimiter=",", header=",".join(names), comments="", fmt="%.9f", encoding="utf-8")
    return path


@pytest.mark.parametrize(
    ("words", "kinds"),
    [
        ("w x y z", ["rotations"]),
        ("qw qx qy qz", ["rotations"]),
        ("x y z qw qx qy qz", ["points", "rotations"]),
        ("tx ty tz qw qx qy qz", ["points", "rotations"]),
    ],
)
def test_quaternions_in_named_columns(words, kinds, tmp_path):
    words = words.split()
    positions = np.cumsum(np.random.default_rng(0).normal(size=(60, 5, 3)), axis=0)
    values = np.concatenate([positions, matrix_to_quaternion(turning())], axis=-1)[..., -len(words) :]
    names = [f"j{joint}_{word}" for joint in range(5) for word in words]
    recording = read_recording(write_table(tmp_path / "a.csv", names, values.reshape(60, -1)))
    assert [track.kind for track in recording.tracks] == kinds and not recording.left_alone
    write_recording(recording, [blur(track.points) for track in recording.tracks], tmp_path / "b.csv")
    after = np.loadtxt(tmp_path / "b.csv", delimiter=",", skiprows=1).reshape(60, 5, -1)
    np.testing.assert_allclose(np.linalg.norm(after[..., -4:], axis=-1), 1, atol=1e-6)
    assert (np.abs(after - values) > 1e-4).any(axis=(0, 1)).all()


@pytest.mark.parametrize("words", ["qw qx qy qz", "qx qy qz qw"])
def test_people_read_the_order_in_which_quaternions_stand(words, tmp_path):
    """In the file of ROS and Unity w is last; the same rotations come out of either order."""
    quaternions = matrix_to_quaternion(turning())
    values = quaternions if words[1] == "w" else np.roll(quaternions, -1, axis=-1)
    names = [f"j{joint}_{word}" for joint in range(5) for word in words.split()]
    recording = read_recording(write_table(tmp_path / "a.csv", names, values.reshape(60, -1)))
    assert f"quaternions {words.replace('q', '')}" in recording.understood
    np.save(tmp_path / "b.npy", quaternions)
    same = read_recording(tmp_path / "b.npy", layout="wxyz").tracks[0].points
    np.testing.assert_allclose(recording.tracks[0].points, same, atol=1e-7)


def test_columns_that_may_be_rotations_need_a_word(tmp_path):
    path = write_table(tmp_path / "a.csv", [f"j{k}_{a}" for k in range(5) for a in ("rx", "ry", "rz")], angles(5))
    with pytest.raises(SmoothNetError, match=r"a\.csv.*--layout axis-angle, or --layout x,y,z"):
        read_recording(path)
    for layout, kind in (("axis-angle", "rotations"), ("x,y,z", "points")):
        assert [track.kind for track in read_recording(path, layout=layout).tracks] == [kind]


def test_six_numbers_are_rotations(tmp_path):
    matrices = turning()
    for form, numbers in (
        ("6 numbers", matrix_to_6d(matrices)),
        ("6 numbers, two vectors", matrices.transpose(0, 1, 3, 2)[..., :2, :].reshape(60, 5, 6)),
    ):
        recording = read(tmp_path, numbers)
        assert f"rotations as {form}," in recording.understood
        np.testing.assert_allclose(recording.tracks[0].points, matrix_to_6d(matrices), atol=1e-12)
        write_recording(recording, [np.roll(recording.tracks[0].points, 1, axis=0)], tmp_path / "b.npy")
        np.testing.assert_allclose(np.load(tmp_path / "b.npy"), np.roll(numbers, 1, axis=0), atol=1e-12)


def test_transforms_of_four_by_four(tmp_path):
    transforms = np.zeros((60, 5, 4, 4))
    transforms[..., :3, :3], transforms[..., 3, 3] = turning(), 1
    transforms[..., :3, 3] = np.random.default_rng(0).normal(size=(60, 5, 3)).cumsum(axis=0)
    after = smooth(read(tmp_path, transforms), tmp_path / "b.npy")
    np.testing.assert_array_equal(after[..., 3, :], transforms[..., 3, :])
    np.testing.assert_allclose(np.linalg.det(after[..., :3, :3]), 1)
    np.testing.assert_allclose(after[..., :3, 3], blur(transforms[..., :3, 3]))


def test_mirrors_are_no_rotations(tmp_path):
    with pytest.raises(SmoothNetError, match=r"determinant of -1.*--layout"):
        read(tmp_path, turning() * [[1], [1], [-1]])


def test_three_joints_of_three_numbers_are_points(tmp_path):
    recording = read(tmp_path, METRES[:, :3][FOUND.all(axis=1)])
    assert [(t.kind, t.points.shape[1:]) for t in recording.tracks] == [("points", (3, 3))]


def test_angles_of_a_body_are_not_taken_for_points(tmp_path):
    angles = np.random.default_rng(0).normal(size=(24, 3)) + np.random.default_rng(1).normal(size=(90, 24, 3)) * 0.1
    for array in (angles, angles.reshape(90, 72)):
        with pytest.raises(SmoothNetError, match=r"--layout x,y,z or --layout axis-angle"):
            read(tmp_path, array)
    assert read(tmp_path, angles, layout="axis-angle").tracks[0].kind == "rotations"
    assert read(tmp_path, angles.reshape(90, 72), layout="axis-angle").tracks[0].points.shape == (90, 24, 6)
    joints = METRES[FOUND.all(axis=1)][:, :24]
    assert read(tmp_path, joints).tracks[0].kind == "points"


# ------------------------------------------------------------------------------------------------- SMPL by name


def angles(joints, frames=40, seed=0):
    rng = np.random.default_rng(seed)
    return rng.normal(size=3 * joints) * 0.3 + rng.normal(size=(frames, 3 * joints)) * 0.05


def line(frames=40):
    return np.cumsum(np.ones((frames, 3)), axis=0) * 0.01


SMPL_FILES = {
    "both frames of reference": {
        "pose": angles(24), "trans": line(), "pose_world": angles(24, seed=1), "trans_world": line() + 1,
        "betas": np.ones((40, 10)),
    },
    "SMPL-X": {
        "global_orient": angles(1), "body_pose": angles(21), "left_hand_pose": angles(15),
        "right_hand_pose": angles(15, seed=1), "jaw_pose": angles(1, seed=2), "leye_pose": angles(1, seed=3),
        "reye_pose": angles(1, seed=4), "transl": line(),
        "betas": np.ones(10),
    },
    "AIST++": {"smpl_poses": angles(24), "smpl_trans": line(), "smpl_scaling": np.array([1.0])},
    "AMASS SMPL-X": {
        "root_orient": angles(1), "pose_body": angles(21), "pose_hand": angles(30), "pose_jaw": angles(1, seed=5),
        "pose_eye": angles(2), "trans": line(), "betas": np.ones(16),
    },
    "several people": {
        "pose": np.stack([angles(24), angles(24, seed=1)], axis=1), "trans": np.stack([line(), line() + 1], axis=1),
        "betas": np.ones((40, 2, 10)),
    },
    "several people first": {
        "pose": np.stack([angles(24), angles(24, seed=1)]).reshape(2, 40, 24, 3), "trans": np.stack([line(), line()]),
    },
    "one person with an axis": {
        "global_orient": angles(1)[:, None], "body_pose": angles(21)[:, None], "left_hand_pose": angles(15)[:, None],
        "transl": line()[:, None], "betas": np.ones((40, 1, 10)),
    },
    "matrices of several people": {
        "global_orient": turning(40, 2).reshape(40, 2, 1, 3, 3), "body_pose": turning(40, 46).reshape(40, 2, 23, 3, 3),
        "transl": np.stack([line(), line()], axis=1),
    },
}  # fmt: skip


@pytest.mark.parametrize("case", SMPL_FILES)
def test_all_of_a_body_model_is_smoothed(case, tmp_path):
    arrays = SMPL_FILES[case]
    np.savez(tmp_path / "a.npz", **arrays)
    recording = read_recording(tmp_path / "a.npz")
    assert recording.format == "smpl"
    expected = {name for name in arrays if "pose" in name or "orient" in name or "trans" in name}
    assert {track.part for track in recording.tracks} == expected
    kinds = {track.part: track.kind for track in recording.tracks}
    assert all(kind == ("points" if "trans" in part else "rotations") for part, kind in kinds.items())
    assert recording.left_alone == [name for name in arrays if name == "betas"]
    smoothed = [blur(track.points) for track in recording.tracks]
    write_recording(recording, smoothed, tmp_path / "b.npz")
    after = np.load(tmp_path / "b.npz", allow_pickle=False)
    for name in expected:
        assert np.abs(after[name] - arrays[name]).max() > 1e-6 or "trans" in name
        assert np.abs(after[name] - arrays[name]).max() < 0.5
    assert all(np.array_equal(after[name], arrays[name]) for name in arrays if name not in expected)


def test_columns_of_a_pose_under_a_name_of_their_own_stay_equal(tmp_path):
    """With and without an axis of people: they are not smoothed apart."""
    for people in ([0], [0, 1]):
        poses = np.stack([angles(52, seed=person) for person in people], axis=1).squeeze()
        np.savez(tmp_path / "a.npz", poses=poses, pose_body=poses[..., 3:66], root_orient=poses[..., :3], betas=[1, 2])
        recording = read_recording(tmp_path / "a.npz")
        assert {track.part for track in recording.tracks} == {"poses"} and len(recording.tracks) == len(people)
        smooth(recording, tmp_path / "b.npz")
        after = np.load(tmp_path / "b.npz")
        assert not np.array_equal(after["poses"], poses)
        np.testing.assert_array_equal(after["pose_body"], after["poses"][..., 3:66])
        np.testing.assert_array_equal(after["root_orient"], after["poses"][..., :3])


def test_each_person_has_a_translation(tmp_path):
    """People are no joints of one body, whether they have poses beside them or not."""
    trans = np.stack([line(), line() + 1, line() * 2], axis=1)
    for pose in ({"pose": np.stack([angles(24)] * 3, axis=1)}, {"keypoints": np.stack([METRES[:40, :9]] * 3, axis=1)}):
        np.savez(tmp_path / "a.npz", trans=trans, **pose)
        recording = read_recording(tmp_path / "a.npz")
        points = [track.points for track in recording.tracks if track.part == "trans"]
        np.testing.assert_array_equal(points, trans.transpose(1, 0, 2)[:, :, None])
        assert "trans: 40 frames x 1 joint, x y z, 3 people" in recording.understood
    np.savez(tmp_path / "b.npz", pose=np.ones((3, 10, 72)), trans=np.ones((3, 10, 3)))
    assert read_recording(tmp_path / "b.npz", layout="ptkd").frame_count == 10


def test_a_wrap_of_the_root_is_no_jump(tmp_path):
    """3.1 and -3.1 radians about an axis are 5 degrees apart; their mean as numbers would be half a turn off."""
    pose = np.zeros((40, 72))
    pose[:, 2] = np.where(np.arange(40) % 2, 3.1, -3.1)
    np.savez(tmp_path / "a.npz", smpl_poses=pose, smpl_trans=line())
    recording = read_recording(tmp_path / "a.npz")
    write_recording(recording, [blur(track.points) for track in recording.tracks], tmp_path / "b.npz")
    after = np.load(tmp_path / "b.npz", allow_pickle=False)["smpl_poses"]
    assert np.abs(np.abs(after[:, 2]) - np.pi).max() < 0.05


def test_components_of_a_hand_are_no_rotations(tmp_path):
    np.savez(tmp_path / "a.npz", body_pose=angles(21), left_hand_pose=angles(2), right_hand_pose=angles(4))
    recording = read_recording(tmp_path / "a.npz")
    assert [track.part for track in recording.tracks] == ["body_pose"]
    assert recording.left_alone == ["left_hand_pose", "right_hand_pose"]


def test_joints_and_surfaces_beside_a_pose(tmp_path):
    joints, surface = METRES[:40, :17], np.ones((40, 50, 3))
    np.savez(tmp_path / "a.npz", pose=angles(24), trans=line(), joints3d=joints, verts=surface)
    recording = read_recording(tmp_path / "a.npz")
    assert {track.part for track in recording.tracks} == {"pose", "trans", "joints3d"}
    assert "joints3d smoothed apart from the rotations" in recording.understood
    assert "verts dropped: computed from the poses" in recording.understood and recording.left_alone == []
    write_recording(recording, [track.points.copy() for track in recording.tracks], tmp_path / "same.npz")
    assert np.array_equal(np.load(tmp_path / "same.npz")["verts"], surface)
    smooth(recording, tmp_path / "b.npz")
    assert set(np.load(tmp_path / "b.npz")) == {"pose", "trans", "joints3d"}


def jittered(points):
    """Joints found so badly that no bone keeps its length, as angles do not."""
    return points + np.random.default_rng(5).normal(size=points.shape) * 0.2


def test_joints_tell_that_a_pose_beside_them_is_of_angles(tmp_path):
    joints = jittered(METRES[20:60, :24])
    for arrays in ({"pose": angles(24)}, {"pose": angles(22), "shape": np.ones((40, 10))}):
        np.savez(tmp_path / "a.npz", joints3d=joints, **arrays)
        for layout in (None, "axis-angle"):  # which is meant for the pose
            kinds = {t.part: t.kind for t in read_recording(tmp_path / "a.npz", layout=layout).tracks}
            assert kinds == {"pose": "rotations", "joints3d": "points"}


@pytest.mark.parametrize("joints", [21, 22, 23, 24, 51, 52, 54, 55])
def test_poses_of_a_body_model_alone_need_a_word(joints, tmp_path):
    np.savez(tmp_path / "a.npz", poses=angles(joints))
    with pytest.raises(SmoothNetError, match=r"a\.npz, poses.*--layout x,y,z or --layout axis-angle"):
        read_recording(tmp_path / "a.npz")
    assert read_recording(tmp_path / "a.npz", layout="axis-angle").tracks[0].kind == "rotations"
    assert read_recording(tmp_path / "a.npz", layout="x,y,z").tracks[0].kind == "points"


def test_matrices_under_a_name_of_smpl(tmp_path):
    np.savez(tmp_path / "a.npz", body_pose=turning(40, 23), global_orient=turning(40, 1), betas=np.ones(10))
    recording = read_recording(tmp_path / "a.npz")
    assert [(t.part, t.form, t.points.shape) for t in recording.tracks] == [
        ("body_pose", "matrix", (40, 23, 6)), ("global_orient", "matrix", (40, 1, 6)),
    ]  # fmt: skip


# ---------------------------------------------------------------------------------------- arrays beside keypoints


def test_boxes_and_what_else_lies_beside_keypoints_is_left_alone(tmp_path):
    rng = np.random.default_rng(0)
    others = {
        "bboxes": rng.uniform(0, 100, (FRAMES, 1, 4)), "velocity": rng.normal(size=(FRAMES, JOINTS, 2)),
        "intrinsics": rng.normal(size=(FRAMES, 3, 3)), "joint_angles": rng.normal(size=(FRAMES, 12)),
        "rest_joints": rng.normal(size=(24, 3)),
    }  # fmt: skip
    np.savez(tmp_path / "a.npz", keypoints=PIXELS, keypoint_scores=SCORES, **others)
    recording = read_recording(tmp_path / "a.npz")
    assert [track.part for track in recording.tracks] == ["keypoints"] and recording.tracks[0].scores is not None
    assert recording.left_alone == list(others)
    assert spoken(recording.left_alone) == f"not smoothed: {', '.join(others)}"
    smoothed = [blur(track.points) for track in recording.tracks]
    write_recording(recording, smoothed, tmp_path / "b.npz")
    after = np.load(tmp_path / "b.npz", allow_pickle=False)
    assert all(np.array_equal(after[name], array) for name, array in others.items())
    assert not np.array_equal(after["keypoints"], PIXELS, equal_nan=True)


@pytest.mark.parametrize("layout", [None, "x,y"])
@pytest.mark.parametrize("points", ["keypoints", "people", "关键点"])
@pytest.mark.parametrize("name", ["tracks", "people_in_frame", "边框", "roi"])
def test_boxes_are_known_by_their_values_too(name, points, layout, tmp_path):
    corner = np.random.default_rng(0).uniform(0, 50, (FRAMES, 2, 2))
    boxes = np.concatenate([corner, corner + 60], axis=-1)
    np.savez(tmp_path / "a.npz", **{points: PIXELS, name: boxes})
    recording = read_recording(tmp_path / "a.npz", layout=layout)
    assert [track.part for track in recording.tracks] == [points] and recording.left_alone == [name]
    smooth(recording, tmp_path / "b.npz")
    np.testing.assert_array_equal(np.load(tmp_path / "b.npz")[name], boxes)


def test_an_array_that_cannot_be_told_is_left_alone_beside_keypoints(tmp_path):
    values = np.random.default_rng(0).normal(size=(FRAMES, 1, 4)) * 100
    np.savez(tmp_path / "a.npz", keypoints=PIXELS, more=values)
    recording = read_recording(tmp_path / "a.npz")
    assert [track.part for track in recording.tracks] == ["keypoints"] and recording.left_alone == ["more"]
    np.savez(tmp_path / "b.npz", keypoints=values, more=PIXELS)
    with pytest.raises(SmoothNetError, match=r"b\.npz, keypoints: the fourth number.*--layout"):
        read_recording(tmp_path / "b.npz")


def test_names_in_chinese(tmp_path):
    np.savez(tmp_path / "a.npz", 关键点=PIXELS, 分数=SCORES, 速度=np.gradient(PIXELS, axis=0))
    recording = read_recording(tmp_path / "a.npz")
    assert [(track.part, track.scores is not None) for track in recording.tracks] == [("关键点", True)]
    assert recording.left_alone == ["速度"]
    table = np.column_stack([np.arange(20) * 2, PIXELS[20:40, 0], SCORES[20:40, 0]])
    write_table(tmp_path / "a.csv", ["帧", "鼻子_x", "鼻子_y", "鼻子_置信度"], table)
    recording = read_recording(tmp_path / "a.csv")
    assert recording.names == ("鼻子",) and recording.tracks[0].scores is not None and not recording.left_alone


def test_boxes_alone_are_no_points(tmp_path):
    corner = np.random.default_rng(0).uniform(0, 50, (60, 2, 2))
    with pytest.raises(SmoothNetError, match="looks like boxes"):
        read(tmp_path, np.concatenate([corner, corner + 60], axis=-1))


def test_left_alone_in_text_files(tmp_path):
    rows = "".join(f"{t},{t}.5,1.5,0.9,{t * t}.25\n" for t in range(9))
    (tmp_path / "a.csv").write_text("frame,nose_x,nose_y,nose_score,speed\n" + rows)
    assert read_recording(tmp_path / "a.csv").left_alone == ["speed"]
    others = [f"{name}_{axis}" for name in ("bbox", "nose_vel", "wrist acc", "LKneeAngles") for axis in "xy"]
    write_table(tmp_path / "b.csv", ["nose_x", "nose_y", *others], PIXELS[20:40].reshape(20, -1)[:, :10])
    recording = read_recording(tmp_path / "b.csv")
    assert recording.tracks[0].points.shape == (20, 1, 2) and recording.left_alone == others
    results = [{"image_id": t, "category_id": 1, "keypoints": [t, 2, 1], "bbox": [1, 2, 3, 4]} for t in range(9)]
    (tmp_path / "a.json").write_text(json.dumps(results))
    assert read_recording(tmp_path / "a.json").left_alone == ["bbox"]


# --------------------------------------------------------------------------------------------------------- scores

XYZV = np.concatenate([METRES, SCORES[..., None]], axis=-1)
XYS = np.concatenate([PIXELS, SCORES[..., None]], axis=-1)


@pytest.mark.parametrize(
    ("values", "dims"),
    [(XYZV, 3), (XYS, 2), (XYS * [1, 1, 1.4], 2)],
    ids=["x y z visibility", "x y score", "heatmap peaks above 1"],
)
@pytest.mark.parametrize("kind", ["npy", "flat npy", "csv"])
def test_scores_are_no_coordinates(values, dims, kind, tmp_path):
    values = values[FOUND.all(axis=1)]
    if kind == "csv":
        np.savetxt(tmp_path / "a.csv", values.reshape(len(values), -1), delimiter=",", fmt="%.6f")
        recording = read_recording(tmp_path / "a.csv")
    else:
        recording = read(tmp_path, values.reshape(len(values), -1) if kind == "flat npy" else values)
    (track,) = recording.tracks
    assert track.points.shape == (len(values), JOINTS, dims)
    np.testing.assert_allclose(track.scores, values[..., -1], atol=1e-6)
    assert f"{' '.join('xyz'[:dims])} + score" in recording.understood


@pytest.mark.parametrize("flat", [False, True])
def test_percent_and_unit_coordinates_need_a_word(flat, tmp_path):
    for values in (XYS * [1, 1, 90], XYS / [1768, 994, 1.05]):
        values = np.nan_to_num(values) * np.linspace(0.3, 1, JOINTS)[:, None] ** [0, 0, 2]  # not all near the top
        values = values.reshape(FRAMES, -1) if flat else values
        with pytest.raises(SmoothNetError, match=r"a\.npy.*--layout x,y,z or --layout x,y,score"):
            read(tmp_path, values)
        assert read(tmp_path, values, layout="x,y,score").tracks[0].points.shape == (FRAMES, JOINTS, 2)


def test_a_fourth_number_that_is_no_score(tmp_path):
    with pytest.raises(SmoothNetError, match=r"fourth number.*--layout x,y,z,_"):
        read(tmp_path, np.random.default_rng(0).normal(size=(60, 5, 4)))
    recording = read(tmp_path, np.random.default_rng(0).normal(size=(60, 5, 4)), layout="x,y,z,_")
    assert recording.tracks[0].points.shape == (60, 5, 3) and recording.tracks[0].scores is None


def test_flat_rows_of_two_or_three(tmp_path):
    assert read(tmp_path, PIXELS.reshape(FRAMES, -1)).tracks[0].points.shape == (FRAMES, 33, 2)
    assert read(tmp_path, METRES[:, :22].reshape(FRAMES, -1)).tracks[0].points.shape == (FRAMES, 22, 3)


# ----------------------------------------------------------------------------------------------------------- pandas


@pytest.mark.parametrize("index", [True, False])
@pytest.mark.parametrize("joints", [1, 5])
def test_what_pandas_writes_without_names(index, joints, tmp_path):
    pandas = pytest.importorskip("pandas")
    frame = pandas.DataFrame(PIXELS[20:80, :joints].reshape(60, -1).astype(np.float64))
    frame.to_csv(tmp_path / "a.csv", index=index)
    recording = read_recording(tmp_path / "a.csv")
    np.testing.assert_allclose(recording.tracks[0].points, PIXELS[20:80, :joints], equal_nan=True)
    write_recording(recording, [recording.tracks[0].points + 1], tmp_path / "b.csv")
    again = pandas.read_csv(tmp_path / "b.csv", index_col=0 if index else None)
    np.testing.assert_allclose(again.to_numpy(), frame.to_numpy() + 1)
    assert list(again.columns) == [str(name) for name in frame.columns]


def test_an_index_that_does_not_start_at_nought(tmp_path):
    table = np.column_stack([np.arange(100, 160), PIXELS[20:80, :5].reshape(60, -1)])
    np.savetxt(tmp_path / "a.csv", table, delimiter=",")
    recording = read_recording(tmp_path / "a.csv")
    assert recording.tracks[0].points.shape == (60, 5, 2) and "count of the rows" in recording.understood
    np.savetxt(tmp_path / "t.csv", np.column_stack([np.arange(60) / 30, table[:, 1:]]), delimiter=",")
    recording = read_recording(tmp_path / "t.csv")
    assert recording.tracks[0].points.shape == (60, 5, 2) and recording.fps == pytest.approx(30, abs=0.01)


# --------------------------------------------------------------------------------------------------- missing points


@pytest.mark.parametrize("mark", [0, -1, -9999, -999, -100, 999])
@pytest.mark.parametrize("kind", ["npy", "csv"])
def test_marks_of_missing_points(mark, kind, tmp_path):
    lost = SCORES < 0.3
    lost[40:42] = True
    values = np.where((lost | ~FOUND)[..., None], mark, PIXELS).astype(np.float64)
    if kind == "csv":
        np.savetxt(tmp_path / "a.csv", values.reshape(FRAMES, -1), delimiter=",")
        recording = read_recording(tmp_path / "a.csv")
        track = recording.tracks[0]
    else:
        recording = read(tmp_path, values)
        track = recording.tracks[0]
        after = smooth(recording, tmp_path / "b.npy")
        assert (after[lost] == mark).all()  # the file keeps what it says
        shown = FOUND & ~lost  # and drags nothing there
        without = smooth(read(tmp_path, np.where(shown[..., None], values, np.nan)), tmp_path / "b.npy")
        np.testing.assert_allclose(after[shown], without[shown])
    np.testing.assert_array_equal(np.isnan(track.points[..., 0]), lost | ~FOUND)
    assert f"{int((lost | ~FOUND).sum())} points missing as ({mark}, {mark})" in recording.understood


def test_a_joint_that_was_never_found(tmp_path):
    values = np.where(FOUND[..., None], PIXELS, 0)
    values[:, 5] = 0
    assert np.isnan(read(tmp_path, values).tracks[0].points[:, 5]).all()


@pytest.mark.parametrize("flat", [False, True])
@pytest.mark.parametrize("mark", [0, -1])
def test_a_second_person_of_zeros_behind_the_joints_of_the_first_changes_nothing(flat, mark, tmp_path):
    """NTU's 150 columns: two bodies of 25 joints, in metres around the camera's axis. The second drew at the first."""
    one = np.where(FOUND[..., None], METRES, mark)
    values = np.concatenate([one, np.full_like(one, mark)], axis=1)
    recording = read(tmp_path, values.reshape(len(values), -1) if flat else values, dims=3)
    points = recording.tracks[0].points
    assert np.isnan(points[:, one.shape[1] :]).all()
    alone = read(tmp_path, one, dims=3).tracks[0].points
    np.testing.assert_array_equal(points[:, : one.shape[1]], alone)


def test_the_root_at_nought_is_no_hole(tmp_path):
    values = METRES - METRES[:, :1]
    points = read(tmp_path, values).tracks[0].points
    np.testing.assert_array_equal(np.isfinite(points).all(axis=2), FOUND)


@pytest.mark.parametrize("at", [0, 7, -60])
def test_true_positions_at_a_mark_stay(at, tmp_path):
    """A joint that walks through (0, 0), and one that rests where others pass: no jump, no mark."""
    walk = np.zeros((41, 2, 2))
    walk[:, 0] = np.arange(-20, 21)[:, None]
    walk[:, 1] = np.arange(-20, 21)[:, None] + 100.5
    walk = np.repeat(walk, 2, axis=0) + at
    assert np.isfinite(read(tmp_path, walk).tracks[0].points).all()


def test_missing_said_by_the_user(tmp_path):
    values = np.where(FOUND[..., None], PIXELS, 0)
    values[3, 4] = 500
    assert np.isnan(read(tmp_path, values, layout="missing=500").tracks[0].points).sum() == 2
    assert np.isfinite(read(tmp_path, values, layout="missing=none").tracks[0].points).all()


# ------------------------------------------------------------------------------------------------------------- axes


def test_many_numbers_a_frame_that_are_no_whole_joints_are_doubted(tmp_path):
    """HumanML3D's 263 features were smoothed each by itself, without a word."""
    features = np.random.default_rng(0).normal(size=(60, 263)).cumsum(axis=0)
    assert "263 numbers a frame are no whole joints" in read(tmp_path, features).understood
    assert "as those of HumanML3D" in read(tmp_path, features).understood
    assert "no whole joints" not in read(tmp_path, features, dims=1).understood
    assert "no whole joints" not in read(tmp_path, features[:, :7]).understood


def test_rows_of_motion_x_are_parted(tmp_path):
    """Turns and shapes were smoothed as 161 points."""
    with pytest.raises(SmoothNetError, match=r"looks like Motion-X.*pose_hand=a\[:, 66:156\]"):
        read(tmp_path, np.random.default_rng(0).normal(size=(60, 322)).cumsum(axis=0))


UNEVEN = np.cumsum(np.random.default_rng(1).uniform(0.02, 0.05, 60))
BESIDE = {  # what stands before or behind the coordinates of joints -> whether it is first
    "a count": (np.arange(60.0), True),
    "seconds": (np.arange(60) / 30, True),
    "seconds as they came": (UNEVEN, True),
    "a time of day": (1.7e9 + UNEVEN, True),
    "labels": (np.arange(60) // 20, False),
}


@pytest.mark.parametrize("joints", [11, 12])
@pytest.mark.parametrize("what", BESIDE)
def test_frames_times_and_labels_beside_flat_joints_are_no_coordinates(what, joints, tmp_path):
    """They were smoothed as one: 17 joints and a time came back as 35 channels, or as pairs that begin with it."""
    column, first = BESIDE[what]
    points = PIXELS[20:80, :joints].reshape(60, -1)
    table = np.column_stack([column, points] if first else [points, column])
    for said in (None, 2):
        with pytest.raises(SmoothNetError, match="its first column counts" if first else "its last column holds whole"):
            read(tmp_path, table, dims=said)
    np.savetxt(tmp_path / "b.csv", table, delimiter=",", fmt="%.6f")
    recording = read_recording(tmp_path / "b.csv")
    np.testing.assert_allclose(recording.tracks[0].points.reshape(60, -1), points, atol=1e-6)
    assert "column taken for" in recording.understood


def test_times_and_ids_behind_a_count_are_no_coordinates(tmp_path):
    points = PIXELS[20:80, :12].reshape(60, -1)
    table = np.column_stack([np.arange(60), np.round(np.arange(60) / 30, 3), np.full(60, 3), points])
    np.savetxt(tmp_path / "a.csv", table, delimiter=",", fmt="%.3f")
    recording = read_recording(tmp_path / "a.csv")
    np.testing.assert_allclose(recording.tracks[0].points.reshape(60, -1), points, atol=1e-3)
    assert recording.fps == pytest.approx(30, rel=0.02)


def test_a_table_without_names_that_has_texts_among_its_numbers_is_refused(tmp_path):
    """Frame, confidence, R, then the hand: all were smoothed as joints."""
    rows = [f"{t},0.9,R," + ",".join(f"{n:.3f}" for n in PIXELS[t, :4].ravel()) for t in range(20, 60)]
    (tmp_path / "a.csv").write_text("\n".join(rows) + "\n")
    with pytest.raises(SmoothNetError, match="column 3 holds text among numbers; name the columns"):
        read_recording(tmp_path / "a.csv")


@pytest.mark.parametrize("name", ["resized_keypoints", "triangle_points", "boxing_joints", "reinforced_kpts"])
def test_words_that_hold_another_by_chance_say_nothing(name, tmp_path):
    np.savez(tmp_path / "a.npz", **{name: PIXELS, "joint_angles": METRES, "object_size": METRES})
    recording = read_recording(tmp_path / "a.npz")
    assert [track.part for track in recording.tracks] == [name]
    assert recording.left_alone == ["joint_angles", "object_size"]


def test_the_user_may_say_that_an_array_holds_points_whatever_its_name(tmp_path):
    """The refusal advises --layout, which did not help."""
    np.savez(tmp_path / "a.npz", box_corners=PIXELS)
    with pytest.raises(SmoothNetError, match=r"holds no array of points.*--layout"):
        read_recording(tmp_path / "a.npz")
    assert read_recording(tmp_path / "a.npz", layout="x,y").tracks[0].points.shape == PIXELS.shape


def test_the_axis_of_time(tmp_path):
    expected = np.where(FOUND[..., None], PIXELS, np.nan)
    cameras = np.stack([PIXELS, PIXELS * 0.5 + 900, PIXELS + np.array([50, 200])])
    for array, tracks in (
        (PIXELS.transpose(1, 0, 2), 1),
        (PIXELS[None], 1),
        (cameras, 3),
        (cameras.transpose(1, 0, 2, 3), 3),
        (PIXELS[FOUND.all(axis=1)].reshape(-1, 66).T, 1),
    ):
        recording = read(tmp_path, array)
        assert len(recording.tracks) == tracks
        points = recording.tracks[0].points
        np.testing.assert_allclose(points, expected[: len(points)] if array.ndim > 2 else PIXELS[FOUND.all(axis=1)])
        write_recording(recording, [track.points + 1 for track in recording.tracks], tmp_path / "b.npy")
        np.testing.assert_allclose(np.load(tmp_path / "b.npy"), array + 1, rtol=1e-6)


def test_axes_that_may_be_either(tmp_path):
    ramp = np.linspace(0, 1, 30)
    surface = np.sin(6 * ramp)[:, None, None] * 3 + np.cos(6 * ramp)[None, :, None] + [0.0, 1.0]
    surface = surface + np.random.default_rng(0).normal(size=(30, 1, 2)) * 0.2
    with pytest.raises(SmoothNetError, match=r"--layout tkd or --layout ktd"):
        read(tmp_path, surface)
    assert read(tmp_path, surface, layout="tkd").tracks[0].points.shape == (30, 30, 2)
    with pytest.raises(SmoothNetError, match=r"--layout tpkd or --layout ptkd \(or ctkd for cameras\)"):
        read(tmp_path, np.random.default_rng(0).normal(size=(1, 40, 17, 2)))


@pytest.mark.parametrize(
    ("layout", "order"), [("tdk", (0, 2, 1)), ("ktd", (1, 0, 2)), ("dkt", (2, 1, 0)), ("tkd", (0, 1, 2))]
)
def test_axes_said_by_the_user(layout, order, tmp_path):
    points = PIXELS[FOUND.all(axis=1)]
    recording = read(tmp_path, points.transpose(order), layout=layout)
    np.testing.assert_array_equal(recording.tracks[0].points, points)
    flat = points.transpose(order).reshape(points.shape[order[0]], -1) if layout in ("tdk", "tkd") else None
    if flat is not None:
        recording = read(tmp_path, flat, layout=f"{layout}; x,y")
        np.testing.assert_array_equal(recording.tracks[0].points, points)
        write_recording(recording, [recording.tracks[0].points + 1], tmp_path / "b.npy")
        np.testing.assert_allclose(np.load(tmp_path / "b.npy"), flat + 1)


def test_an_array_of_other_axes_says_how_to_name_them(tmp_path):
    np.savez(tmp_path / "a.npz", keypoints=PIXELS.transpose(0, 2, 1))
    np.savez(tmp_path / "b.npz", one=PIXELS.reshape(FRAMES, -1), two=PIXELS.reshape(FRAMES, -1))
    with pytest.raises(SmoothNetError, match=r"a\.npz holds no array of points.*--layout tdk"):
        read_recording(tmp_path / "a.npz")
    assert read_recording(tmp_path / "a.npz", layout="tdk").tracks[0].points.shape == (FRAMES, JOINTS, 2)
    with pytest.raises(SmoothNetError, match=r'b\.npz holds no array of points.*"keypoints"'):
        read_recording(tmp_path / "b.npz")


def test_cameras_said_by_the_user(tmp_path):
    recording = read(tmp_path, np.stack([PIXELS, PIXELS + 9, PIXELS]), layout="ctkd")
    assert len(recording.tracks) == 3 and "3 cameras" in recording.understood


# ------------------------------------------------------------------------------------------------------- magnitudes


def test_whole_and_large_numbers_keep_their_precision(tmp_path):
    walk = np.cumsum(np.full((60, 5, 2), 10), axis=0) + np.arange(5)[:, None] * 50
    for array in (walk.astype(np.int64) + 10**9, walk.astype(np.float32) + np.float32(1e9), walk + 1e9):
        recording = read(tmp_path, array)
        write_recording(recording, [recording.tracks[0].points + 0.25], tmp_path / "b.npy")
        after = np.load(tmp_path / "b.npy")
        assert after.dtype == np.float64
        np.testing.assert_allclose(after - 1e9, array.astype(np.float64) - 1e9 + 0.25, atol=1e-5)


def rgbd(frames=60, noise=8.0):
    """(frames, joints, 3): pixels and a depth in millimetres, two metres away; and which depths were not measured."""
    rng = np.random.default_rng(5)
    pixels = (
        rng.uniform(100, 400, (1, 9, 2)) + np.arange(frames)[:, None, None] * 1.5 + rng.normal(0, 1, (frames, 9, 2))
    )
    depth = 2000 + rng.uniform(-300, 300, (1, 9)) + np.arange(frames)[:, None] * 4 + rng.normal(0, noise, (frames, 9))
    lost = np.zeros((frames, 9), bool)
    lost[[7, 8, 30], 3] = lost[44, 6] = lost[0:2, 1] = True
    return np.dstack([pixels, depth]), lost


@pytest.mark.parametrize("name", ["a.npy", "a.csv"])
def test_a_depth_of_zero_was_not_measured(name, tmp_path):
    points, lost = rgbd()
    points[lost, 2] = 0
    path = tmp_path / name
    if name == "a.npy":
        np.save(path, points)
    else:
        header = ",".join(f"j{k}_{axis}" for k in range(9) for axis in "xyz")
        np.savetxt(path, points.reshape(60, -1), delimiter=",", header=header, comments="")
    recording = read_recording(path)
    assert "6 points with a depth of 0 taken as missing" in recording.understood
    np.testing.assert_array_equal(recording.tracks[0].shown(), ~lost)
    np.testing.assert_allclose(recording.tracks[0].points[~lost], points[~lost])
    kept = read_recording(path, layout="tkd x,y,z missing=none" if name == "a.npy" else "x,y,z missing=none")
    assert kept.tracks[0].shown().all()


@pytest.mark.parametrize("kind", ["sides", "floor", "plane", "never"])
def test_a_depth_of_zero_that_is_one_stays(kind, tmp_path):
    points, _ = rgbd()
    if kind == "sides":  # relative to the hips, as MediaPipe has it
        points[..., 2] -= 2000
        points[30, 3, 2] = 0
    elif kind == "floor":  # heights, of which one comes down to the floor and rests there
        points[..., 2] = np.abs(30 * np.sin(np.arange(60)[:, None] / 6 + np.arange(9)))
        points[20:25, 3, 2] = 0
    elif kind == "plane":
        points[..., 2] = 0
    else:
        points[:, 3, 2] = 0
    np.save(tmp_path / "a.npy", points)
    recording = read_recording(tmp_path / "a.npy", layout="tkd x,y,z")
    assert recording.tracks[0].shown().all() and "depth" not in recording.understood


def test_one_absurd_value_is_reported_and_many_are_refused(tmp_path):
    values = np.where(FOUND[..., None], PIXELS, 0).astype(np.float64)
    values[50, 7, 0] = 1e30
    recording = read(tmp_path, values)
    assert "1 absurd point (as far as 1e+30) taken as missing" in recording.understood
    assert np.isnan(recording.tracks[0].points[50, 7]).all() and np.isfinite(recording.tracks[0].points[50, 8]).all()
    with pytest.raises(SmoothNetError, match=r"a\.npy.*joint 0 in frame 0.*no recording reaches that far"):
        read(tmp_path, PIXELS[FOUND.all(axis=1)] * 1e18)


@pytest.mark.filterwarnings("error")
def test_absurd_values_beside_missing_points_warn_nobody(tmp_path):
    values = np.where(FOUND[..., None], PIXELS, 0).astype(np.float64)
    values[::2, 7] = [1e300, 3.0]
    values[1::2, 7] = 0
    assert "(as far as 1e+300) taken as missing" in read(tmp_path, values).understood


# -------------------------------------------------------------------------------------- one recording, three forms


def test_one_recording_in_three_forms(tmp_path):
    values = np.where(FOUND[..., None], PIXELS, 0).astype(np.float64).round(3)
    scores = np.where(FOUND, SCORES, 0).astype(np.float64)
    rows = np.concatenate([values, scores[..., None]], axis=-1).reshape(FRAMES, -1)
    np.savez(tmp_path / "a.npz", keypoints=values, scores=scores)
    results = [{"image_id": t, "category_id": 1, "keypoints": row.tolist()} for t, row in enumerate(rows)]
    (tmp_path / "a.json").write_text(json.dumps(results))
    (tmp_path / "a").mkdir()
    for t, row in enumerate(rows):
        person = {"person_id": [-1], "pose_keypoints_2d": row.tolist()}
        (tmp_path / "a" / f"{t:06d}.json").write_text(json.dumps({"people": [person]}))
    smoothed = []
    for name in ("a.npz", "a.json", "a"):
        recording = read_recording(tmp_path / name)
        assert len(recording.tracks) == 1 and f"{LOST} points missing" in recording.understood
        smoothed.append(blur(recording.tracks[0].points))
    np.testing.assert_array_equal(smoothed[0], smoothed[1])
    np.testing.assert_array_equal(smoothed[0], smoothed[2])


def test_the_line_that_says_what_was_understood(tmp_path):
    np.savez(tmp_path / "a.npz", keypoints=np.where(FOUND[..., None], PIXELS, 0), scores=SCORES, betas=np.ones(10))
    recording = read_recording(tmp_path / "a.npz")
    assert recording.understood == (
        f"keypoints: 230 frames x 33 joints, x y + score, 1 person, {LOST} points missing as (0, 0)"
    )
    assert recording.left_alone == ["betas"]


@pytest.mark.parametrize("header", ["{}", "{}.0"])
@pytest.mark.parametrize("whole", [True, False])
def test_what_pandas_writes_without_names_is_no_frame(header, whole, tmp_path):
    points = np.nan_to_num(PIXELS[:, 11:17]).reshape(FRAMES, -1)
    rows = [[header.format(i) for i in range(points.shape[1])], *(points.round() if whole else points).tolist()]
    text = "\n".join(",".join(str(int(x)) if whole else str(x) for x in row) for row in rows[1:])
    (tmp_path / "a.csv").write_text(",".join(rows[0]) + "\n" + text + "\n")
    assert read_recording(tmp_path / "a.csv", dims=2).frame_count == FRAMES


def test_fours_between_nought_and_one_need_a_word(tmp_path):
    unit = np.clip(np.nan_to_num(METRES) / 4 + 0.5, 0, 1)
    values = np.concatenate([unit, np.nan_to_num(SCORES)[..., None]], axis=-1).reshape(FRAMES, -1)
    np.save(tmp_path / "a.npy", values)
    with pytest.raises(SmoothNetError, match="--layout x,y,z,score"):
        read_recording(tmp_path / "a.npy")
    (track,) = read_recording(tmp_path / "a.npy", layout="x,y,z,score").tracks
    assert track.points.shape == (FRAMES, JOINTS, 3) and track.scores is not None


def test_cameras_that_see_alike_are_not_smoothed_across(tmp_path):
    seen = np.nan_to_num(PIXELS[:, 11:29])
    views = np.stack([seen + np.random.default_rng(i).normal(size=seen.shape) for i in range(4)])
    np.save(tmp_path / "a.npy", views)
    try:
        assert read_recording(tmp_path / "a.npy").frame_count == FRAMES
    except SmoothNetError as error:
        assert "--layout" in str(error)


@pytest.mark.parametrize(
    "angle",
    [
        *("Head_rot", "Head rotation", "HeadRot", "hip.orientation", "gaze", "palm_normal", "nose_speed", "mag"),
        *("field.twist.twist.linear", "gyroscope", "nose_delta", "knee_moments", "LKneePower", "nose_std"),
    ],
)
def test_angles_and_directions_in_named_columns_are_no_points(angle, tmp_path):
    ends = "XYZ" if angle == "HeadRot" else ("_x", "_y", "_z")
    names = ["nose_x", "nose_y", "nose_z", *(angle + end for end in ends)]
    write_table(tmp_path / "a.csv", names, METRES[20:60, :2].reshape(40, -1))
    recording = read_recording(tmp_path / "a.csv")
    assert recording.names == ("nose",) and recording.left_alone == names[3:]
    write_table(tmp_path / "b.csv", names[3:], METRES[20:60, 1])
    with pytest.raises(SmoothNetError, match="hold no positions by their names"):
        read_recording(tmp_path / "b.csv")


@pytest.mark.parametrize(
    "pattern", ["v_{} [m s^-1]", "Gyro {} (rad/s)", "{}-axis (g)", "Roll {} (deg)", "V{} (cm/s)", "plate_{} (N)"]
)
def test_units_that_are_no_lengths_make_no_points(pattern, tmp_path):
    """EuRoC, phyphox, MetaWear, TRex: velocities were smoothed as joints, and turns without a word for rotations."""
    names = [pattern.format(axis) for axis in "xyz"]
    write_table(
        tmp_path / "a.csv", ["nose_x (mm)", "nose_y (mm)", "nose_z (mm)", *names], METRES[20:60, :2].reshape(40, -1)
    )
    recording = read_recording(tmp_path / "a.csv")
    assert recording.names == ("nose",) and recording.left_alone == names
    write_table(tmp_path / "b.csv", names, METRES[20:60, 1])
    with pytest.raises(SmoothNetError, match="hold no positions by their names"):
        read_recording(tmp_path / "b.csv")


def test_quaternions_may_have_a_unit_behind_their_names(tmp_path):
    """EuRoC: q_RS_w [] to q_RS_z [], of which x, y and z were smoothed as a point."""
    turns = matrix_to_quaternion(turning(joints=1))[:, 0]
    names = [f" p_{axis} [m]" for axis in "xyz"] + [f" q_RS_{axis} []" for axis in "wxyz"]
    write_table(tmp_path / "a.csv", names, np.concatenate([METRES[:60, 1], turns], axis=1))
    assert [track.kind for track in read_recording(tmp_path / "a.csv").tracks] == ["points", "rotations"]


@pytest.mark.parametrize(
    "names",
    [
        ["a_x", "a_y", "a_z", "g_x", "g_y", "g_z"],
        ["PacketCounter", "SampleTimeFine", "Euler_X", "Euler_Y", "FreeAcc_X", "FreeAcc_Y"],
    ],
)
def test_sensors_and_their_clocks_are_no_points(names, tmp_path):
    """Letters of sensors were smoothed as joints; a clock beside accelerations as a channel."""
    values = METRES[20:60, :2].reshape(40, -1).copy()
    values[:, 0] = np.arange(40) if names[0] == "PacketCounter" else values[:, 0]
    with pytest.raises(SmoothNetError, match="hold no positions by their names"):
        read_recording(write_table(tmp_path / "a.csv", names, values))


def test_letters_for_velocities_beside_places_are_no_joints(tmp_path):
    """Noitom: Hips-X-x is a place, Hips-V-x, -A-x and -W-x how it moves, Hips-Q-s to -z a quaternion."""
    names = [f"Hips-{kind}-{axis}" for kind in "XVAW" for axis in "xyz"] + [f"Hips-Q-{part}" for part in "sxyz"]
    write_table(tmp_path / "a.csv", names, METRES[20:60, :6].reshape(40, -1)[:, :16])
    recording = read_recording(tmp_path / "a.csv")
    assert recording.names == ("Hips-X",) and recording.left_alone == names[3:]
    points = write_table(tmp_path / "b.csv", ["a_x", "a_y", "v_x", "v_y"], PIXELS[20:60, :2].reshape(40, -1))
    with pytest.raises(SmoothNetError, match="hold no positions by their names"):
        read_recording(points)
    points = write_table(
        tmp_path / "c.csv", ["P_x", "P_y", "Q_x", "Q_y", "R_x", "R_y"], PIXELS[20:60, :3].reshape(40, -1)
    )
    assert read_recording(points).names == ("P", "Q", "R")


def test_what_is_below_nought_is_no_score(tmp_path):
    """OpenFace's p_0, a parameter of the face, was the score of its point 0, and --min_score took that for missing."""
    write_table(
        tmp_path / "a.csv", ["x_0", "y_0", "p_0"], np.column_stack([PIXELS[20:60, 0], np.linspace(-20, 20, 40)])
    )
    assert np.isnan(read_recording(tmp_path / "a.csv").tracks[0].scores).all()


def test_people_who_change_places_by_their_ids_are_refused(tmp_path):
    two = np.stack([PIXELS, PIXELS + 500], axis=1)
    ids = np.tile([3, 7], (FRAMES, 1))
    np.savez(tmp_path / "a.npz", keypoints=two, track_ids=ids)
    assert len(read_recording(tmp_path / "a.npz").tracks) == 2
    two[::2], ids[::2] = two[::2, ::-1], ids[::2, ::-1]
    np.savez(tmp_path / "b.npz", keypoints=two, track_ids=ids)
    with pytest.raises(SmoothNetError, match="people change places in keypoints, by track_ids"):
        read_recording(tmp_path / "b.npz")


@pytest.mark.parametrize("again", ["nose_norm_x", "norm_nose_x", "nose.raw.x", "nose_x_norm"])
def test_the_same_point_in_another_unit_stays(again, tmp_path):
    """Pixels and shares of the picture are no two joints of one body."""
    names = ["nose_x", "nose_y", again, again[:-1] + "y" if again.endswith("x") else again.replace("_x_", "_y_")]
    write_table(tmp_path / "a.csv", names, PIXELS[20:60, :2].reshape(40, -1))
    recording = read_recording(tmp_path / "a.csv")
    assert recording.names == ("nose",) and recording.left_alone == names[2:]


def test_rows_of_points_leave_their_orientations_alone(tmp_path):
    """Kinect: position and rotation of each joint were taken for two joints of as many people as joints."""
    names = ["frame", "joint", *(f"position_{a}" for a in "xyz"), *(f"rotation_{a}" for a in "xyzw")]
    rows = "".join(f"{t},{k},{t + k},{k},1.5,0.1,0.2,0.3,0.9\n" for t in range(9) for k in range(4))
    (tmp_path / "a.csv").write_text(",".join(names) + "\n" + rows)
    recording = read_recording(tmp_path / "a.csv")
    assert [track.points.shape for track in recording.tracks] == [(9, 4, 3)]
    assert recording.left_alone == names[5:]


@pytest.mark.parametrize(
    "names",
    [
        ["elbow_flex", "knee_flex", "hip_rot"],
        ["xHead", "yHead", "theta", "xTail", "yTail", "area"],
        ["L5 Lateral Bending", "L5 Axial Bending", "L5 Flexion/Extension"],
        ["Hips_Xposition", "Hips_Yposition", "Hips_Zposition", "Hips_Xrotation", "Hips_Yrotation", "Hips_Zrotation"],
    ],
)
def test_columns_whose_names_say_no_axis_need_a_word(names, tmp_path):
    write_table(tmp_path / "a.csv", names, np.nan_to_num(PIXELS)[20:60].reshape(40, -1)[:, : len(names)])
    with pytest.raises(SmoothNetError, match=f"nothing says which of the columns {names[0]}, .*--dims 1"):
        read_recording(tmp_path / "a.csv")
    assert read_recording(tmp_path / "a.csv", dims=1).tracks[0].points.shape == (40, len(names), 1)


@pytest.mark.parametrize("ends", ["12", "uv", ("px", "py")])
def test_names_that_go_on_in_each_joint_may_be_coordinates(ends, tmp_path):
    """Pins what was so before."""
    names = [f"{joint}_{end}" for joint in ("nose", "hip", "knee", "toe") for end in ends]
    write_table(tmp_path / "a.csv", names, PIXELS[20:60, :4].reshape(40, -1))
    assert read_recording(tmp_path / "a.csv").tracks[0].points.shape == (40, 4, 2)


def test_pixels_in_small_letters_beside_millimetres_in_capitals(tmp_path):
    """OpenFace: x_0, y_0 and X_0, Y_0, Z_0."""
    names = [f" {axis}_{k}" for axis in "xyXYZ" for k in range(2)]
    values = np.concatenate([PIXELS[20:40, :2].transpose(0, 2, 1), METRES[20:40, :2].transpose(0, 2, 1)], axis=1)
    write_table(tmp_path / "a.csv", names, values.reshape(20, -1))
    flat, solid = read_recording(tmp_path / "a.csv").tracks
    np.testing.assert_allclose(flat.points, PIXELS[20:40, :2], atol=1e-6)
    np.testing.assert_allclose(solid.points, METRES[20:40, :2], atol=1e-6)


@pytest.mark.parametrize("header", [False, True])
def test_tables_on_their_side_are_refused(header, tmp_path):
    """What pandas writes of a table that was turned: frames side by side."""
    t = np.arange(40)
    rows = [100 * k + 5 * np.sin(t / 9 + k) for k in np.random.default_rng(0).permutation(12)]
    lines = [[f"joint{k // 2}_{'xy'[k % 2]}", *map(str, numbers)] for k, numbers in enumerate(rows)]
    lines = [["", *map(str, t)], *lines] if header else [cells[1:] for cells in lines]
    (tmp_path / "a.csv").write_text("".join(",".join(cells) + "\n" for cells in lines))
    with pytest.raises(SmoothNetError, match="as if frames stood side by side"):
        read_recording(tmp_path / "a.csv")


@pytest.mark.parametrize("flat", [False, True])
def test_scores_before_the_coordinates_need_a_word(flat, tmp_path):
    scores = np.random.default_rng(0).uniform(0.7, 1, SCORES.shape)[..., None]
    points = np.where(np.isfinite(PIXELS), PIXELS, np.random.default_rng(1).uniform(300, 400, PIXELS.shape))
    array = np.concatenate([scores, points], axis=-1)
    with pytest.raises(SmoothNetError, match="--layout score,x,y"):
        read(tmp_path, array.reshape(len(array), -1) if flat else array)
    (track,) = read_recording(tmp_path / "a.npy", layout=parse_layout("score,x,y")).tracks
    np.testing.assert_array_equal(track.points, points)
    np.testing.assert_array_equal(track.scores, scores[..., 0])


def test_poses_at_rest_and_other_arrays_beside_joints_stay(tmp_path):
    others = {"rest_joints": METRES[:FRAMES], "joints_rest": METRES[:1], "normals": METRES, "joint_vecs": METRES}
    others |= {"K": np.tile(np.eye(3), (FRAMES, 1, 1)), "head_pose": np.arange(FRAMES * 6.0).reshape(-1, 6)}
    others |= {"mean_joints": METRES[0]}  # as many rows as the others have joints
    np.savez(tmp_path / "a.npz", pts3d=METRES, **others)
    recording = read_recording(tmp_path / "a.npz")
    assert [track.part for track in recording.tracks] == ["pts3d"]
    assert set(recording.left_alone) == set(others)


@pytest.mark.parametrize("name", ["joint_vel", "body_lin_vel_w", "jointVel", "ang_acc", "world_scale"])
def test_velocities_and_scales_beside_positions_stay(name, tmp_path):
    """Those of motions for robots were smoothed as joints of the body, a scale as a channel."""
    np.savez(tmp_path / "a.npz", body_pos_w=METRES, **{name: METRES[:, :1, 0] if name == "world_scale" else METRES})
    recording = read_recording(tmp_path / "a.npz")
    assert [track.part for track in recording.tracks] == ["body_pos_w"] and recording.left_alone == [name]


def test_poses_beside_shapes_are_rotations(tmp_path):
    """EasyMocap: poses, Rh, Th and shapes; poses were smoothed as points, Rh and Th not at all."""
    rng = np.random.default_rng(0)
    turns = rng.normal(size=(60, 72)).cumsum(axis=0) * 0.05
    np.savez(tmp_path / "a.npz", poses=turns, Rh=turns[:, :3] + 0.5, Th=METRES[:60, 0], shapes=np.zeros((60, 10)))
    kinds = {track.part: track.kind for track in read_recording(tmp_path / "a.npz").tracks}
    assert kinds == {"poses": "rotations", "Rh": "rotations", "Th": "points"}


def test_poses_called_axis_angle_are_rotations(tmp_path):
    np.savez(tmp_path / "a.npz", pose_aa=0.1 * METRES[:, :24].reshape(FRAMES, -1) + 0.3)
    (track,) = read_recording(tmp_path / "a.npz").tracks
    assert track.form == "axis-angle" and track.points.shape[1] == 24


# --------------------------------------------------------------------------- arrays of graph networks, and single poses


def graph(joints=17, people=1, frames=60, second=False):
    """(3, T, V, M): x, y in pixels and a score."""
    rng = np.random.default_rng(2)
    pixels = (
        rng.uniform(100, 300, (joints, 2))
        + np.arange(frames)[:, None, None] * 2
        + rng.normal(0, 1, (frames, joints, 2))
    )
    array = np.zeros((3, frames, joints, people))
    for person in range(people if second else 1):
        array[:2, ..., person] = np.moveaxis(pixels + 150 * person, 2, 0)
        array[2, ..., person] = rng.uniform(0.6, 1, (frames, joints))
    return array


@pytest.mark.parametrize(("people", "second"), [(1, False), (2, False), (2, True)])
@pytest.mark.parametrize("joints", [17, 18, 25])
def test_arrays_of_graph_networks(joints, people, second, tmp_path):
    array = graph(joints, people, second=second)
    recording = read(tmp_path, array)
    assert [track.points.shape for track in recording.tracks] == [(60, joints, 2)] * people
    assert "C, T, V, M of ST-GCN" in recording.understood and "camera" not in recording.understood
    np.testing.assert_array_equal(recording.tracks[0].points, np.moveaxis(array[:2, ..., 0], 0, 2))
    np.testing.assert_array_equal(recording.tracks[0].scores, array[2, ..., 0])
    after = smooth(recording, tmp_path / "b.npy")
    np.testing.assert_array_equal(after[2], array[2])  # scores stay where they are
    assert after.shape == array.shape and (after[:2, ..., 0] != array[:2, ..., 0]).any()


def test_cameras_and_graph_networks_are_told_apart_or_refused(tmp_path):
    two = graph(17, 2, second=True)
    space = np.concatenate([two[:2] / 1000, two[:1] / 900])  # metres in three axes, two people: or three cameras
    with pytest.raises(SmoothNetError, match="say --layout dtkp or --layout ctkd"):
        read(tmp_path, space)
    assert [t.points.shape for t in read(tmp_path, space, layout="dtkp x,y,z").tracks] == [(60, 17, 3)] * 2
    pixels = np.moveaxis(two[:2, ..., 0], 0, 2)
    cameras = read(tmp_path, np.stack([pixels, pixels * 0.9 + 20, pixels + 60]))
    assert [track.points.shape for track in cameras.tracks] == [(60, 17, 2)] * 3
    with pytest.raises(SmoothNetError, match=r"like \(N, C, T, V, M\) of ST-GCN, which --layout cdtkp says"):
        read(tmp_path, np.stack([two, two]))
    clips = read(tmp_path, np.stack([two, two]), layout="cdtkp x,y,score")
    assert [track.points.shape for track in clips.tracks] == [(60, 17, 2)] * 4


@pytest.mark.parametrize("dims", [2, 3])
def test_one_pose_taken_for_one_joint_is_doubted(dims, tmp_path):
    pose = np.random.default_rng(0).uniform(0, 200, (17, dims))
    assert "if it is one, there is nothing to smooth; give all frames" in read(tmp_path, pose).understood
    path = np.cumsum(np.random.default_rng(0).normal(1, 0.3, (60, dims)), axis=0) * 10
    assert "pose" not in read(tmp_path, path).understood


@pytest.mark.parametrize("joints", [2, 17, 33])
@pytest.mark.parametrize("dims", [2, 3])
def test_joints_one_below_the_other_are_no_frames(joints, dims, tmp_path):
    rng = np.random.default_rng(0)
    body = rng.permutation(np.linspace(0, 400, joints * dims)).reshape(joints, dims)
    rows = (body + np.arange(40)[:, None, None] + rng.normal(0, 1, (40, joints, dims))).reshape(-1, dims)
    np.savetxt(tmp_path / "b.csv", rows, delimiter=",", header="x,y,z"[: 2 * dims - 1], comments="")
    np.save(tmp_path / "b.npy", rows)
    for name in ("b.csv", "b.npy"):
        with pytest.raises(SmoothNetError, match=f"as if {joints} joints of each frame stood one below the other"):
            read_recording(tmp_path / name)
        assert read_recording(tmp_path / name, layout="x,y,z"[: 2 * dims - 1]).tracks[0].points.shape[1:] == (1, dims)


@pytest.mark.parametrize("period", [7.5, 30])
def test_a_joint_that_goes_round_stays_a_joint(period, tmp_path):
    """Pins what was so before."""
    t = np.arange(120)[:, None] * 2 * np.pi / period
    circle = np.hstack([np.cos(t), np.sin(t)]) * 90 + np.random.default_rng(0).normal(0, 6, (120, 2))
    assert read(tmp_path, circle).tracks[0].points.shape == (120, 1, 2)


def test_rows_of_holistic_are_parted(tmp_path):
    rng = np.random.default_rng(0)
    body = np.concatenate([rng.uniform(0, 1, (20, 33, 3)), rng.uniform(0.8, 1, (20, 33, 1))], axis=2).reshape(20, -1)
    for others in (42, 468 + 42):
        with pytest.raises(SmoothNetError, match=rf"then {others} of x, y, z; part them: numpy\.save"):
            read(tmp_path, np.hstack([body, rng.uniform(0, 1, (20, others * 3))]))


@pytest.mark.parametrize("kind", [np.float16, np.float32])
def test_flat_rows_of_any_float_that_fall_into_nines(kind, tmp_path):
    """float16 ended in a traceback, as it was looked at for matrices."""
    walk = np.random.default_rng(0).uniform(-1, 1, (1, 63)) + np.linspace(0, 1, 40)[:, None]
    assert read(tmp_path, walk.astype(kind)).tracks[0].points.shape == (40, 21, 3)


@pytest.mark.filterwarnings("error")
def test_rows_without_a_number_warn_nobody(tmp_path):
    assert not read(tmp_path, np.full((30, 126), np.nan)).tracks[0].shown().any()
