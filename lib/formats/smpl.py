# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) SmoothNet contributors
"""SMPL parameters by name: which arrays of a file are axis-angle poses, which translations.

One table serves every file that holds such arrays by name. Where the names come from: AMASS (SMPL-H, SMPL-X: poses,
trans, root_orient, pose_body, pose_hand, pose_jaw, pose_eye), smplx (global_orient, body_pose, left_hand_pose,
jaw_pose, leye_pose, transl), AIST++ (smpl_poses, smpl_trans) and WHAM (pose_world, trans_world).
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from ..utils.errors import SmoothNetError
from .arrays import (
    BODY_JOINTS,
    FRAME_OF_REFERENCE,
    TRANSLATION,
    Arrays,
    is_numpy,
    open_arrays,
    other_points,
    read_piece,
    read_points_of,
    record,
    says_points,
)
from .layout import ROTATION_WORDS, Layout, Piece
from .meaning import MayBeAngles, Meaning, of_array, refuse_angles
from .recording import Recording
from .rotations import looks_like

# Name -> the joints it may have. Hand poses of 6 or 12 numbers are PCA coefficients, no rotations.
_NAMES = (
    (re.compile(rf"(?:smplx?_|smplh_)?(?:full_?)?poses?{FRAME_OF_REFERENCE}"), BODY_JOINTS),
    (re.compile(rf"(?:smplx?_|smplh_)?(?:body_poses?|poses?_body|thetas?){FRAME_OF_REFERENCE}"), None),
    (re.compile(rf"(?:smplx?_|smplh_)?(?:global_orient|root_orient|root_pose|rh){FRAME_OF_REFERENCE}"), (1,)),
    (re.compile(r"(?:left|right|l|r)_?hand_pose|pose_(?:left|right|l|r)_?hand"), (15,)),
    (re.compile(r"hand_pose|pose_hand"), (15, 30)),
    (re.compile(r"jaw_pose|pose_jaw|[lr]eye_pose|(?:left|right)_eye_pose|pose_[lr]eye"), (1,)),
    (re.compile(r"pose_eyes?|eye_pose"), (1, 2)),
)
_WHOLE = _NAMES[0][0]
# "poses" alone can be points; these beside it say whose poses they are.
_COMPANY = {
    *("betas", "shape", "shapes", "trans", "transl", "gender", "mocap_framerate", "mocap_frame_rate", "smpl_trans"),
}
# Made from the poses: smoothing them apart would take an hour, leaving them makes them disagree. They are dropped.
_SURFACES = re.compile(r"(?:.*_)?(?:verts|vertices)(?:_.*)?")


def pose_form(name: str, array_shape: tuple[int, ...]) -> tuple[str, tuple[int, int, int]] | None:
    """How an SMPL array of this name writes rotations, and its shape as (T, J, numbers); None: it is none."""
    joints_of = next((joints for pattern, joints in _NAMES if pattern.fullmatch(name.lower())), "")
    if joints_of == "" or len(array_shape) < 2:
        return None
    frames, numbers = array_shape[0], int(np.prod(array_shape[1:]))
    if array_shape[-2:] == (3, 3) and len(array_shape) >= 3:
        form, each = "matrix", 9
    elif len(array_shape) == 2 or (len(array_shape) == 3 and array_shape[2] == 3):
        form, each = "axis-angle", 3
    else:
        return None
    fits = numbers > 0 and numbers % each == 0 and (joints_of is None or numbers // each in joints_of)
    # A frame axis of one person beside which all is one matrix: (T, 3, 3).
    return (form, (frames, numbers // each, each)) if fits else None


@dataclass(frozen=True)
class _Pose:
    form: str
    shape: tuple[int, ...]  # (T, J, numbers), or (T, P, J, numbers) of several people


def _poses(source: Arrays) -> dict[str, _Pose]:
    found = {}
    for name, header in source.headers.items():
        pose = _pose(name, header.shape) if header.dtype.kind == "f" else None
        if pose and pose.form == "matrix" and not looks_like("matrix", source[name].reshape(-1, 9)):
            pose = None
        if pose:
            found[name] = pose
    return found


def _pose(name: str, shape: tuple[int, ...]) -> _Pose | None:
    form = pose_form(name, shape)
    if form:
        return _Pose(*form)
    # With the axis of people left out it has to be the pose of one.
    form = pose_form(name, (shape[0], *shape[2:])) if len(shape) > 2 and shape[1] else None
    return _Pose(form[0], (*shape[:2], *form[1][1:])) if form else None


def _axes(source: Arrays, poses: dict[str, _Pose], layout: Layout | None) -> dict[str, Meaning]:
    """How each pose is looked at; where there are people, the first says which axis theirs is, for all."""
    said = layout.axes if layout is not None and layout.axes in ("tpkd", "ptkd", "tckd", "ctkd") else None
    meanings: dict[str, Meaning] = {}
    of_shape: dict[tuple[int, ...], str] = {}
    for name, pose in poses.items():
        pieces, note = (Piece(tuple(range(pose.shape[-1])), pose.form),), ""
        axes = "tkd" if len(pose.shape) == 3 else of_shape.get(pose.shape[:2])
        if axes is None:
            words = Layout(said, ROTATION_WORDS[pose.form])
            meaning = of_array(source[name].reshape(pose.shape), f"{source.path}, {name}", None, words)
            axes, note = of_shape.setdefault(pose.shape[:2], meaning.axes), meaning.note
        meanings[name] = Meaning(pose.shape, axes, pieces, note)
    return meanings


def _translation(shape: tuple[int, ...], poses: dict[str, Meaning]) -> Meaning | None:
    """How an array of this shape is looked at if it has a translation for each of the poses."""
    numbers = tuple(n for n in shape if n != 1)
    for pose in poses.values():
        people = pose.shape[:2] if len(pose.shape) == 4 else (pose.shape[0], 1)
        if numbers == (*(n for n in people if n != 1), 3) and shape[:1] == pose.shape[:1] and shape[-1] == 3:
            return Meaning((*pose.shape[:-2], 1, 3), pose.axes, (Piece((0, 1, 2)),))
    return None


def sniff_smpl(path: Path) -> bool:
    """An .npz with axis-angle poses of SMPL's joint counts, under names that only SMPL has or in SMPL's company."""
    if not is_numpy(path) or path.suffix.lower() != ".npz":
        return False
    source = open_arrays(path)
    poses = _poses(source)
    company = bool({name.lower() for name in source.headers} & _COMPANY) or _are_angles(source, poses)
    return any(company or not re.fullmatch("(full_?)?poses?", name.lower()) for name in poses)


def _are_angles(source: Arrays, poses: dict[str, _Pose]) -> bool:
    """Whether arrays called poses are angles: others are called joints, and in these no bone keeps its length."""
    if not any(says_points(name) and len(header.shape) > 1 for name, header in source.headers.items()):
        return False
    for name, pose in poses.items():
        if pose.form != "axis-angle":
            continue
        try:
            refuse_angles(source[name].reshape(pose.shape), str(source.path), BODY_JOINTS)
        except MayBeAngles:
            return True
    return False


def read_smpl(path: Path, dims: int | None = None, layout: Layout | None = None) -> Recording:
    if not is_numpy(path) or path.suffix.lower() != ".npz":
        raise SmoothNetError(f"{path} is not an .npz file with SMPL parameters")
    source = open_arrays(path)
    poses = _poses(source)
    if not poses:
        raise SmoothNetError(f'{path} has no array "poses" of axis-angle numbers (frames, 3 x joints)')
    wholes = [name for name in poses if _WHOLE.fullmatch(name.lower())]
    tracks = []
    meanings = _axes(source, poses, layout)
    for name, meaning in meanings.items():
        origin = None if name in wholes else _columns_of(source, name, wholes)
        if origin is not None:
            source.copies[name] = origin
            continue
        source.meanings[name] = meaning
        tracks += read_piece(source, name)
    for name, header in source.headers.items():
        if TRANSLATION.fullmatch(name.lower()) and header.dtype.kind == "f":
            found = _translation(header.shape, meanings)
            if found is not None:
                source.meanings[name] = found
                tracks += read_piece(source, name)
    notes = []
    known = set(source.meanings)
    others = [name for name in other_points(source) if not _belongs_to_body(name)]
    tracks += read_points_of(source, others, dims, layout)
    points = [name for name in others if name in source.meanings and name not in known]
    if points:
        notes.append(f"{', '.join(points)} smoothed apart from the rotations: the two agree less exactly than before")
    source.stale = {n for n, h in source.headers.items() if _SURFACES.fullmatch(n.lower()) and h.dtype.kind == "f"}
    if source.stale:
        notes.append(f"{', '.join(sorted(source.stale))} dropped: computed from the poses before they were smoothed")
    return record(source, "smpl", tracks, notes)


def _belongs_to_body(name: str) -> bool:
    """Whether SMPL has a name for it, so that it is no point even where its shape is not that of rotations (PCA)."""
    patterns = (_SURFACES, TRANSLATION, *(pattern for pattern, _ in _NAMES))
    return any(pattern.fullmatch(name.lower()) for pattern in patterns)


def _columns_of(source: Arrays, name: str, wholes: list[str]) -> tuple[str, int] | None:
    """The pose of which this array repeats some columns (AMASS for SMPL-X: pose_body is poses[:, 3:66])."""
    if source.headers[name].dtype.kind != "f" or len(source.headers[name].shape) not in (2, 3):
        return None
    part = source[name]
    lead = part.shape[:-1]  # frames, and people
    for whole in wholes:
        if source[whole].shape[: len(lead)] != lead:
            continue
        table = source[whole].reshape(*lead, -1)
        for start in range(0, table.shape[-1] - part.shape[-1] + 1, 3):
            if np.array_equal(table[..., start : start + part.shape[-1]], part):
                return whole, start
    return None
