# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) SmoothNet contributors
"""Joint orders, sides and edges of the pose formats."""

import re

import numpy as np
import pytest

from lib.dataset.skeletons import SKELETONS, skeleton_for, skeleton_from_names


@pytest.mark.parametrize("name", SKELETONS)
def test_every_skeleton_is_one_connected_piece_and_as_many_left_as_right(name):
    skeleton = SKELETONS[name]
    count = len(skeleton.joints)
    assert count == int(re.search(r"\d+(?=b?$)", name.replace("2d", ""))[0])
    assert len(set(skeleton.joints)) == count
    assert skeleton.sides.count("left") == skeleton.sides.count("right")
    for joint in skeleton.joints:
        if joint.startswith("left_"):
            assert joint.replace("left_", "right_") in skeleton.joints
    reached, grew = {skeleton.edges[0][0]}, True
    while grew:
        more = {j for edge in skeleton.edges if reached & set(edge) for j in edge}
        grew = not more <= reached
        reached |= more
    # The face is not tied to the body, as in the drawings of MediaPipe and COCO-WholeBody; a mesh has contours alone.
    apart = {"blazepose33": {9, 10, *range(11, 33)}, "wholebody133": set(range(23, 91))}.get(name, set())
    if not name.startswith("face"):
        assert reached == set(range(count)) - apart


@pytest.mark.parametrize("name", SKELETONS)
def test_edges_are_symmetric(name):
    skeleton = SKELETONS[name]
    names = {frozenset(skeleton.joints[j] for j in edge) for edge in skeleton.edges}
    assert len(names) == len(skeleton.edges), "an edge is there twice"

    def mirror(joint):
        if joint.startswith("left_"):
            return joint.replace("left_", "right_")
        return joint.replace("right_", "left_")

    assert {frozenset(mirror(joint) for joint in edge) for edge in names} == names


# Positions that decide a published order: (skeleton, joint number, name).
@pytest.mark.parametrize(
    ("skeleton", "number", "name"),
    [
        ("lsp14", 0, "right_ankle"), ("lsp14", 2, "right_hip"), ("lsp14", 3, "left_hip"),
        ("lsp14", 6, "right_wrist"), ("lsp14", 11, "left_wrist"), ("lsp14", 13, "head_top"),
        ("h36m17", 1, "right_hip"), ("h36m17", 6, "left_foot"), ("h36m17", 9, "nose"),
        ("h36m17", 11, "left_shoulder"), ("h36m17", 16, "right_wrist"),
        ("h36m2d16", 9, "head"), ("h36m2d16", 10, "left_shoulder"),
        ("pw3d17", 1, "left_hip"), ("pw3d17", 6, "right_ankle"), ("pw3d17", 10, "head_top"),
        ("pw3d17", 16, "right_wrist"),
        ("mpi17", 0, "head_top"), ("mpi17", 2, "right_shoulder"), ("mpi17", 13, "left_ankle"),
        ("mpi17", 14, "pelvis"), ("mpi17", 16, "head"),
        ("jhmdb15", 2, "face"), ("jhmdb15", 7, "right_elbow"), ("jhmdb15", 14, "left_ankle"),
        ("body25", 8, "mid_hip"), ("body25", 4, "right_wrist"), ("body25", 24, "right_heel"),
        ("body25b", 18, "head_top"), ("body25b", 9, "left_wrist"), ("body25b", 22, "right_big_toe"),
        ("coco17", 5, "left_shoulder"), ("coco17", 16, "right_ankle"),
        ("coco18", 1, "neck"), ("coco18", 17, "left_ear"),
        ("blazepose33", 11, "left_shoulder"), ("blazepose33", 32, "right_foot_index"),
        ("smpl24", 1, "left_hip"), ("smpl24", 15, "head"), ("smpl24", 23, "right_hand"),
        ("hand21", 0, "wrist"), ("hand21", 4, "thumb_4"), ("hand21", 5, "index_1"), ("hand21", 20, "pinky_4"),
        ("halpe26", 17, "head"), ("halpe26", 19, "hip"), ("halpe26", 21, "right_big_toe"), ("halpe26", 24, "left_heel"),
        ("mhr70", 15, "left_big_toe"), ("mhr70", 21, "right_thumb_tip"), ("mhr70", 41, "right_wrist"),
        ("mhr70", 45, "left_thumb_third"), ("mhr70", 62, "left_wrist"), ("mhr70", 69, "neck"),
        ("wholebody133", 17, "left_big_toe"), ("wholebody133", 23, "face_0"), ("wholebody133", 91, "left_hand"),
        ("wholebody133", 112, "right_hand"), ("wholebody133", 116, "right_thumb_4"),
        ("uiprmd22", 6, "left_collar"), ("uiprmd22", 21, "right_toe"),
    ],
)  # fmt: skip
def test_joint_order(skeleton, number, name):
    assert SKELETONS[skeleton].joints[number] == name


def test_3dpw_reordering_gives_the_lsp_joints():
    picked = [SKELETONS["pw3d17"].joints[j] for j in [6, 5, 4, 1, 2, 3, 16, 15, 14, 11, 12, 13, 8, 10]]
    assert tuple(picked) == SKELETONS["lsp14"].joints


def test_edge_between_hips_is_middle_and_the_arm_has_its_side():
    skeleton = SKELETONS["lsp14"]
    side = {
        frozenset(skeleton.joints[j] for j in e): s for e, s in zip(skeleton.edges, skeleton.edge_sides, strict=True)
    }
    assert side[frozenset(("right_hip", "left_hip"))] == "middle"
    assert side[frozenset(("neck", "left_shoulder"))] == "left"
    assert side[frozenset(("right_elbow", "right_wrist"))] == "right"


def test_guess_by_count_and_by_shape():
    assert skeleton_for(33, 3) == "blazepose33"
    assert skeleton_for(17, 2) == "coco17"
    assert skeleton_for(17, 3) == "h36m17"
    assert skeleton_for(5, 3) is None
    # A body in BODY_25B order: neighbours in that skeleton lie close together.
    place = {
        "head_top": (0, 10), "nose": (0, 9), "eye": (1, 9.3), "ear": (2, 9), "upper_neck": (0, 8),
        "shoulder": (2, 7.5), "elbow": (3, 5.5), "wrist": (3, 3.5), "hip": (1, 3), "knee": (1, 1),
        "ankle": (1, -1), "big_toe": (1.2, -1.6), "small_toe": (1.6, -1.6), "heel": (0.9, -1.4),
    }  # fmt: skip
    pose = []
    for joint in SKELETONS["body25b"].joints:
        x, y = place[joint.replace("left_", "").replace("right_", "")]
        pose.append((x if joint.startswith("left") else -x, y))
    poses = np.array([pose], dtype=float)
    assert skeleton_for(25, 2) == "body25"
    assert skeleton_for(25, 2, poses) == "body25b"
    poses[0, 3] = np.nan
    assert skeleton_for(25, 2, poses) == "body25b"


@pytest.mark.parametrize(
    "names",
    [
        ["Hip", "RHip", "RKnee", "RAnkle", "RBigToe", "LHip", "Neck", "Head", "LShoulder", "LElbow"],
        ["HIP", "RIGHT_HIP", "RIGHT_KNEE", "RIGHT_ANKLE", "RIGHT_BIG_TOE", "LEFT_HIP", "NECK", "HEAD",
         "LEFT_SHOULDER", "LEFT_ELBOW"],
        ["hip", "hip_r", "knee_r", "ankle_r", "big toe right", "hip_l", "neck", "head",
         "l_shoulder", "elbow_left"],
    ],
)  # fmt: skip
def test_names_alone_make_a_skeleton(names):
    skeleton = skeleton_from_names(names)
    assert skeleton.joints[4] == "right_big_toe" and skeleton.joints[9] == "left_elbow"
    edges = {frozenset(edge) for edge in skeleton.edges}
    assert edges == {frozenset(e) for e in [(0, 1), (1, 2), (2, 3), (3, 4), (0, 5), (0, 6), (6, 7), (6, 8), (8, 9)]}
    assert skeleton.sides[1] == "right" and skeleton.sides[5] == "left" and skeleton.sides[6] == "middle"


def test_names_that_say_nothing_stay_as_they_are_and_connect_nothing():
    assert skeleton_from_names(["snout", "tail", "Paw"]).edges == ()
    assert skeleton_from_names(["RHand", "right_hand"]).joints == ("RHand", "right_hand")


@pytest.mark.parametrize("name", ["hand21", "halpe26", "mhr70", "wholebody133", "face468", "face478"])
def test_poses_of_these_many_joints_get_their_bones(name):
    assert skeleton_for(len(SKELETONS[name].joints), 2) == skeleton_for(len(SKELETONS[name].joints), 3) == name
