# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) SmoothNet contributors
"""What the joints of each pose format are called, how they connect, and which side of the body they are on.

Joint orders: Human3.6M, 3DPW, MPI-INF-3DHP, JHMDB and LSP as the SmoothNet data files store them; OpenPose's
BODY_25, BODY_25B and COCO-18 after its `poseParameters`; COCO-17; the 33 BlazePose landmarks of MediaPipe;
the 24 SMPL joints; the 22 joints of UI-PRMD's Kinect recordings; hands (21), HALPE (26), MHR (70),
COCO-WholeBody (133) and MediaPipe's face mesh (468, 478).
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np

LEFT, RIGHT, MIDDLE = "left", "right", "middle"


@dataclass(frozen=True)
class Skeleton:
    """One pose format: `joints` in file order, `edges` as pairs of their numbers, `root`: mean of these."""

    joints: tuple[str, ...]
    edges: tuple[tuple[int, int], ...]
    root: tuple[int, ...]

    @property
    def sides(self) -> tuple[str, ...]:
        """The side of the body of each joint: "left", "right" or "middle"."""
        return tuple(_side(joint) for joint in self.joints)

    @property
    def edge_sides(self) -> tuple[str, ...]:
        """The side of each edge: that of its joints, "middle" for one that goes from left to right."""
        sides = self.sides
        return tuple(_edge_side(sides[a], sides[b]) for a, b in self.edges)


def _side(joint: str) -> str:
    """Joint names are written so that the side comes first or not at all."""
    prefix = joint.split("_")[0]
    return prefix if prefix in (LEFT, RIGHT) else MIDDLE


def _edge_side(a: str, b: str) -> str:
    lateral = {a, b} - {MIDDLE}
    return lateral.pop() if len(lateral) == 1 else MIDDLE


def _skeleton(joints: str, chains: tuple[str, ...], root: str) -> Skeleton:
    """Build a Skeleton from names: `r_`/`l_` abbreviate the side, a chain connects each name to the next."""

    def full(name: str) -> str:
        return {"l_": "left_", "r_": "right_"}.get(name[:2], name[:2]) + name[2:]

    names = tuple(full(name) for name in joints.split())
    number = {name: index for index, name in enumerate(names)}
    edges: list[tuple[int, int]] = []
    for chain in chains:
        stops = [number[full(name)] for name in chain.split()]
        edges += pairwise(stops)
    return Skeleton(names, tuple(edges), tuple(number[full(name)] for name in root.split()))


_H36M_JOINTS = (
    "hip r_hip r_knee r_foot l_hip l_knee l_foot spine thorax nose head "
    "l_shoulder l_elbow l_wrist r_shoulder r_elbow r_wrist"
)
_FACE_TO_FEET = (  # chains that COCO-17 and BODY_25B share
    "nose l_eye l_ear",
    "nose r_eye r_ear",
    "r_shoulder l_shoulder l_elbow l_wrist",
    "r_shoulder r_elbow r_wrist",
    "l_shoulder l_hip l_knee l_ankle",
    "r_shoulder r_hip r_knee r_ankle",
    "r_hip l_hip",
)

_FINGERS = ("thumb", "index", "middle", "ring", "pinky")


def _hand(side: str, base: str, parts: tuple[str, ...]) -> tuple[str, tuple[str, ...]]:
    """The joints of the fingers of a hand in file order, and its chains from `base`; parts from the palm to the tip."""
    fingers = [[f"{side}{finger}_{part}" for part in parts] for finger in _FINGERS]
    return " ".join(joint for finger in fingers for joint in finger), tuple(" ".join([base, *f]) for f in fingers)


def _points(prefix: str, *numbers: int) -> str:
    return " ".join(f"{prefix}{number}" for number in numbers)


_OUTWARD = ("1", "2", "3", "4")
_HAND, _HAND_CHAINS = _hand("", "wrist", _OUTWARD)
_L_HAND, _L_HAND_CHAINS = _hand("l_", "l_hand", _OUTWARD)
_R_HAND, _R_HAND_CHAINS = _hand("r_", "r_hand", _OUTWARD)
_INWARD = ("tip", "first", "second", "third")  # MHR counts from the tip
_FROM_TIP = {
    side: " ".join(f"{side}{finger}_{part}" for finger in _FINGERS for part in _INWARD) for side in ("l_", "r_")
}
# The 68 points of a face in the order of iBUG 300-W: jaw, brows, nose, eyes, mouth.
_FACE68_CHAINS = tuple(
    _points("face_", *numbers)
    for numbers in (
        range(17), range(17, 22), range(22, 27), range(27, 31), range(31, 36), (*range(36, 42), 36),
        (*range(42, 48), 42), (*range(48, 60), 48), (*range(60, 68), 60),
    )
)  # fmt: skip
# Contours of MediaPipe's face mesh: oval, lips, eyes, brows; with 478 points the irises too.
_MESH_CONTOURS = (
    (10, 338, 297, 332, 284, 251, 389, 356, 454, 323, 361, 288, 397, 365, 379, 378, 400, 377, 152, 148, 176, 149, 150,
     136, 172, 58, 132, 93, 234, 127, 162, 21, 54, 103, 67, 109, 10),
    (61, 146, 91, 181, 84, 17, 314, 405, 321, 375, 291, 409, 270, 269, 267, 0, 37, 39, 40, 185, 61),
    (78, 95, 88, 178, 87, 14, 317, 402, 318, 324, 308, 415, 310, 311, 312, 13, 82, 81, 80, 191, 78),
    (263, 249, 390, 373, 374, 380, 381, 382, 362, 398, 384, 385, 386, 387, 388, 466, 263),
    (33, 7, 163, 144, 145, 153, 154, 155, 133, 173, 157, 158, 159, 160, 161, 246, 33),
    (276, 283, 282, 295, 285), (300, 293, 334, 296, 336), (46, 53, 52, 65, 55), (70, 63, 105, 66, 107),
)  # fmt: skip
_IRISES = ((474, 475, 476, 477, 474), (469, 470, 471, 472, 469))

SKELETONS: dict[str, Skeleton] = {
    "lsp14": _skeleton(
        "r_ankle r_knee r_hip l_hip l_knee l_ankle r_wrist r_elbow r_shoulder l_shoulder l_elbow l_wrist neck head_top",
        (
            "r_ankle r_knee r_hip l_hip l_knee l_ankle",
            "neck r_shoulder r_elbow r_wrist",
            "neck l_shoulder l_elbow l_wrist",
            "r_shoulder r_hip",
            "l_shoulder l_hip",
            "neck head_top",
        ),
        "r_hip l_hip",
    ),
    "h36m17": _skeleton(
        _H36M_JOINTS,
        (
            "hip r_hip r_knee r_foot",
            "hip l_hip l_knee l_foot",
            "hip spine thorax nose head",
            "thorax l_shoulder l_elbow l_wrist",
            "thorax r_shoulder r_elbow r_wrist",
        ),
        "hip",
    ),
    # Human3.6M as the 2D detectors give it: the 17 without the nose.
    "h36m2d16": _skeleton(
        _H36M_JOINTS.replace("nose ", ""),
        (
            "hip r_hip r_knee r_foot",
            "hip l_hip l_knee l_foot",
            "hip spine thorax head",
            "thorax l_shoulder l_elbow l_wrist",
            "thorax r_shoulder r_elbow r_wrist",
        ),
        "hip",
    ),
    # 3DPW as stored; evaluation picks and re-orders 14 of these to lsp14.
    "pw3d17": _skeleton(
        "hip l_hip l_knee l_ankle r_hip r_knee r_ankle spine neck head head_top "
        "l_shoulder l_elbow l_wrist r_shoulder r_elbow r_wrist",
        (
            "hip l_hip l_knee l_ankle",
            "hip r_hip r_knee r_ankle",
            "hip spine neck head head_top",
            "neck l_shoulder l_elbow l_wrist",
            "neck r_shoulder r_elbow r_wrist",
        ),
        "hip",
    ),
    "mpi17": _skeleton(
        "head_top neck r_shoulder r_elbow r_wrist l_shoulder l_elbow l_wrist r_hip r_knee r_ankle "
        "l_hip l_knee l_ankle pelvis spine head",
        (
            "pelvis r_hip r_knee r_ankle",
            "pelvis l_hip l_knee l_ankle",
            "pelvis spine neck head head_top",
            "neck r_shoulder r_elbow r_wrist",
            "neck l_shoulder l_elbow l_wrist",
        ),
        "pelvis",
    ),
    "jhmdb15": _skeleton(
        "neck belly face r_shoulder l_shoulder r_hip l_hip r_elbow l_elbow r_knee l_knee "
        "r_wrist l_wrist r_ankle l_ankle",
        (
            "belly neck face",
            "neck r_shoulder r_elbow r_wrist",
            "neck l_shoulder l_elbow l_wrist",
            "belly r_hip r_knee r_ankle",
            "belly l_hip l_knee l_ankle",
        ),
        "belly",
    ),
    "smpl24": _skeleton(
        "pelvis l_hip r_hip spine_1 l_knee r_knee spine_2 l_ankle r_ankle spine_3 l_foot r_foot neck "
        "l_collar r_collar head l_shoulder r_shoulder l_elbow r_elbow l_wrist r_wrist l_hand r_hand",
        (
            "pelvis l_hip l_knee l_ankle l_foot",
            "pelvis r_hip r_knee r_ankle r_foot",
            "pelvis spine_1 spine_2 spine_3 neck head",
            "spine_3 l_collar l_shoulder l_elbow l_wrist l_hand",
            "spine_3 r_collar r_shoulder r_elbow r_wrist r_hand",
        ),
        "pelvis",
    ),
    "uiprmd22": _skeleton(
        "waist spine chest neck head head_tip l_collar l_shoulder l_elbow l_wrist "
        "r_collar r_shoulder r_elbow r_wrist l_hip l_knee l_ankle l_toe r_hip r_knee r_ankle r_toe",
        (
            "waist spine chest neck head head_tip",
            "chest l_collar l_shoulder l_elbow l_wrist",
            "chest r_collar r_shoulder r_elbow r_wrist",
            "waist l_hip l_knee l_ankle l_toe",
            "waist r_hip r_knee r_ankle r_toe",
        ),
        "waist",
    ),
    "coco17": _skeleton(
        "nose l_eye r_eye l_ear r_ear l_shoulder r_shoulder l_elbow r_elbow l_wrist r_wrist "
        "l_hip r_hip l_knee r_knee l_ankle r_ankle",
        (*_FACE_TO_FEET, "l_ear l_shoulder", "r_ear r_shoulder"),
        "l_hip r_hip",
    ),
    "coco18": _skeleton(
        "nose neck r_shoulder r_elbow r_wrist l_shoulder l_elbow l_wrist r_hip r_knee r_ankle "
        "l_hip l_knee l_ankle r_eye l_eye r_ear l_ear",
        (
            "neck nose r_eye r_ear",
            "nose l_eye l_ear",
            "neck r_shoulder r_elbow r_wrist",
            "neck l_shoulder l_elbow l_wrist",
            "neck r_hip r_knee r_ankle",
            "neck l_hip l_knee l_ankle",
        ),
        "r_hip l_hip",
    ),
    "body25": _skeleton(
        "nose neck r_shoulder r_elbow r_wrist l_shoulder l_elbow l_wrist mid_hip r_hip r_knee r_ankle "
        "l_hip l_knee l_ankle r_eye l_eye r_ear l_ear "
        "l_big_toe l_small_toe l_heel r_big_toe r_small_toe r_heel",
        (
            "mid_hip neck nose r_eye r_ear",
            "nose l_eye l_ear",
            "neck r_shoulder r_elbow r_wrist",
            "neck l_shoulder l_elbow l_wrist",
            "mid_hip r_hip r_knee r_ankle r_big_toe r_small_toe",
            "mid_hip l_hip l_knee l_ankle l_big_toe l_small_toe",
            "r_ankle r_heel",
            "l_ankle l_heel",
        ),
        "mid_hip",
    ),
    "body25b": _skeleton(
        "nose l_eye r_eye l_ear r_ear l_shoulder r_shoulder l_elbow r_elbow l_wrist r_wrist "
        "l_hip r_hip l_knee r_knee l_ankle r_ankle upper_neck head_top "
        "l_big_toe l_small_toe l_heel r_big_toe r_small_toe r_heel",
        (
            *_FACE_TO_FEET,
            "l_shoulder upper_neck r_shoulder",
            "nose upper_neck head_top",
            "l_ankle l_big_toe l_small_toe",
            "l_ankle l_heel",
            "r_ankle r_big_toe r_small_toe",
            "r_ankle r_heel",
        ),
        "l_hip r_hip",
    ),
    # MediaPipe writes mouth_left and mouth_right; the side comes first here.
    "blazepose33": _skeleton(
        "nose l_eye_inner l_eye l_eye_outer r_eye_inner r_eye r_eye_outer l_ear r_ear l_mouth r_mouth "
        "l_shoulder r_shoulder l_elbow r_elbow l_wrist r_wrist "
        "l_pinky r_pinky l_index r_index l_thumb r_thumb "
        "l_hip r_hip l_knee r_knee l_ankle r_ankle l_heel r_heel l_foot_index r_foot_index",
        (
            "nose l_eye_inner l_eye l_eye_outer l_ear",
            "nose r_eye_inner r_eye r_eye_outer r_ear",
            "l_mouth r_mouth",
            "r_shoulder l_shoulder l_elbow l_wrist l_pinky l_index l_wrist l_thumb",
            "r_shoulder r_elbow r_wrist r_pinky r_index r_wrist r_thumb",
            "l_shoulder l_hip l_knee l_ankle l_heel l_foot_index l_ankle",
            "r_shoulder r_hip r_knee r_ankle r_heel r_foot_index r_ankle",
            "r_hip l_hip",
        ),
        "l_hip r_hip",
    ),
    # One hand, of MediaPipe, OpenPose or COCO-WholeBody.
    "hand21": _skeleton(f"wrist {_HAND}", (*_HAND_CHAINS, "index_1 middle_1 ring_1 pinky_1"), "wrist"),
    # HALPE, the default of rtmlib, Pose2Sim and Sports2D.
    "halpe26": _skeleton(
        "nose l_eye r_eye l_ear r_ear l_shoulder r_shoulder l_elbow r_elbow l_wrist r_wrist l_hip r_hip l_knee r_knee "
        "l_ankle r_ankle head neck hip l_big_toe r_big_toe l_small_toe r_small_toe l_heel r_heel",
        (
            "hip neck head",
            "neck nose l_eye l_ear",
            "nose r_eye r_ear",
            "neck l_shoulder l_elbow l_wrist",
            "neck r_shoulder r_elbow r_wrist",
            "hip l_hip l_knee l_ankle l_big_toe l_small_toe",
            "hip r_hip r_knee r_ankle r_big_toe r_small_toe",
            "l_ankle l_heel",
            "r_ankle r_heel",
        ),
        "hip",
    ),
    # MHR, of SAM 3D Body and Sapiens 2.
    "mhr70": _skeleton(
        "nose l_eye r_eye l_ear r_ear l_shoulder r_shoulder l_elbow r_elbow l_hip r_hip l_knee r_knee l_ankle r_ankle "
        "l_big_toe l_small_toe l_heel r_big_toe r_small_toe r_heel "
        f"{_FROM_TIP['r_']} r_wrist {_FROM_TIP['l_']} l_wrist "
        "l_olecranon r_olecranon l_cubital_fossa r_cubital_fossa l_acromion r_acromion neck",
        (
            "neck nose l_eye l_ear",
            "nose r_eye r_ear",
            *(
                chain.replace("s_", side)
                for side in ("l_", "r_")
                for chain in (
                    "neck s_acromion s_shoulder s_elbow s_wrist",
                    "s_olecranon s_elbow s_cubital_fossa",
                    "s_shoulder s_hip s_knee s_ankle s_big_toe s_small_toe",
                    "s_ankle s_heel",
                    *(" ".join(["s_wrist", *(f"s_{f}_{part}" for part in reversed(_INWARD))]) for f in _FINGERS),
                )
            ),
            "r_hip l_hip",
        ),
        "l_hip r_hip",
    ),
    "wholebody133": _skeleton(
        "nose l_eye r_eye l_ear r_ear l_shoulder r_shoulder l_elbow r_elbow l_wrist r_wrist "
        "l_hip r_hip l_knee r_knee l_ankle r_ankle "
        "l_big_toe l_small_toe l_heel r_big_toe r_small_toe r_heel "
        f"{_points('face_', *range(68))} l_hand {_L_HAND} r_hand {_R_HAND}",
        (
            *_FACE_TO_FEET,
            "l_ear l_shoulder",
            "r_ear r_shoulder",
            *(f"{side}ankle {side}big_toe {side}small_toe" for side in ("l_", "r_")),
            *(f"{side}ankle {side}heel" for side in ("l_", "r_")),
            "l_wrist l_hand",
            "r_wrist r_hand",
            *_L_HAND_CHAINS,
            *_R_HAND_CHAINS,
            *_FACE68_CHAINS,
        ),
        "l_hip r_hip",
    ),
    "face468": _skeleton(
        _points("face_", *range(468)), tuple(_points("face_", *contour) for contour in _MESH_CONTOURS), "face_1"
    ),
    "face478": _skeleton(
        _points("face_", *range(478)),
        tuple(_points("face_", *contour) for contour in (*_MESH_CONTOURS, *_IRISES)),
        "face_1",
    ),
}

# The formats of (joint count, dims), the likeliest first. h36m17 and pw3d17 differ in their sides, which
# positions alone do not tell; a caller who knows the dataset names its skeleton.
_CANDIDATES: dict[tuple[int, int], tuple[str, ...]] = {
    (14, 2): ("lsp14",),
    (14, 3): ("lsp14",),
    (15, 2): ("jhmdb15",),
    (16, 2): ("h36m2d16",),
    (17, 2): ("coco17", "h36m17"),
    (17, 3): ("h36m17", "coco17", "mpi17"),
    (18, 2): ("coco18",),
    (18, 3): ("coco18",),
    **{
        (count, dims): (name,)
        for dims in (2, 3)
        for count, name in (
            (21, "hand21"),
            (26, "halpe26"),
            (70, "mhr70"),
            (133, "wholebody133"),
            (468, "face468"),
            (478, "face478"),
        )
    },
    (22, 2): ("uiprmd22",),
    (22, 3): ("uiprmd22",),
    (24, 3): ("smpl24",),
    (25, 2): ("body25", "body25b"),
    (25, 3): ("body25", "body25b"),
    (33, 2): ("blazepose33",),
    (33, 3): ("blazepose33",),
}


def skeleton_for(joint_count: int, dims: int, poses: np.ndarray | None = None) -> str | None:
    """Guess the name of the skeleton of poses with `joint_count` joints in `dims` dimensions.

    Where several formats have that many joints, `poses` (frames, joints, dims; NaN = missing) decide: a wrong
    joint order draws long lines across the body, so the format with the clearly shorter edges is taken.

    Returns:
        A key of SKELETONS, or None where no known format has this many joints.
    """
    names = _CANDIDATES.get((joint_count, dims), ())
    if not names:
        return None
    if poses is None or len(names) == 1:
        return names[0]
    lengths = {name: _mean_edge_length(SKELETONS[name], poses) for name in names}
    shortest = min(names, key=lengths.__getitem__)
    # 0.8: a wrong order more than doubles the lengths (2.7 times for a real BODY_25B file read as BODY_25).
    return shortest if lengths[shortest] < 0.8 * lengths[names[0]] else names[0]


def _mean_edge_length(skeleton: Skeleton, poses: np.ndarray) -> float:
    pairs = np.asarray(skeleton.edges)
    lengths = np.linalg.norm(poses[:, pairs[:, 0]] - poses[:, pairs[:, 1]], axis=-1)
    finite = lengths[np.isfinite(lengths)]
    return float(finite.mean()) if finite.size else np.inf


# What is connected where joints are known by their names alone: on one side, then from side to middle.
# The middle's joints have many names; the first one present is taken.
_LIMBS = (
    ("shoulder", "elbow"), ("elbow", "wrist"), ("hip", "knee"), ("knee", "ankle"), ("ankle", "heel"),
    ("ankle", "big_toe"), ("big_toe", "small_toe"), ("ankle", "toe"), ("ankle", "foot"), ("eye", "ear"),
)  # fmt: skip
_PELVIS = ("hip", "mid_hip", "c_hip", "pelvis", "waist", "root")
_NECK = ("neck", "upper_neck", "thorax", "chest")
_HEAD = ("head", "head_top", "nose")


def skeleton_from_names(names: Sequence[str]) -> Skeleton:
    """A skeleton for joints in any order, from names such as RShoulder, left_knee or LEFT_HEEL.

    Joints whose names say nothing are drawn as points.
    """
    joints = tuple(_canonical(name) for name in names)
    if len(set(joints)) < len(joints):  # what was different must stay so
        joints = tuple(names)
    number = {name: index for index, name in enumerate(joints)}
    pelvis, neck, head = (next((n for n in group if n in number), None) for group in (_PELVIS, _NECK, _HEAD))
    pairs = [(pelvis, neck), (neck, head), *((head, n) for n in _HEAD if n != head)]
    for side in (LEFT, RIGHT):
        pairs += [(f"{side}_{a}", f"{side}_{b}") for a, b in _LIMBS]
        pairs += [(neck, f"{side}_shoulder"), (pelvis, f"{side}_hip"), ("nose", f"{side}_eye")]
        if neck is None or pelvis is None:
            pairs.append((f"{side}_shoulder", f"{side}_hip"))
    pairs += [("left_shoulder", "right_shoulder")] if neck is None else []
    pairs += [("left_hip", "right_hip")] if pelvis is None else []
    edges = tuple((number[a], number[b]) for a, b in pairs if a in number and b in number)
    root = (number[pelvis],) if pelvis else tuple(number[n] for n in ("left_hip", "right_hip") if n in number)
    return Skeleton(joints, edges, root or (0,))


def _canonical(name: str) -> str:
    """RBigToe, right_big_toe and "Right Big Toe" -> right_big_toe."""
    words = [word.lower() for word in re.findall(r"[A-Z]?[a-z]+|[A-Z]+(?![a-z])|\d+", name)]
    for spellings, side in ((("left", "l"), LEFT), (("right", "r"), RIGHT)):
        for place in (0, -1):
            if len(words) > 1 and words[place] in spellings:
                del words[place]
                return "_".join([side, *words])
    return "_".join(words) or name
