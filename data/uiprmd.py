# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) SmoothNet contributors
"""UI-PRMD: from the authors' text files to pairs of Kinect estimates and motion-capture ground truth.

Vakanski, Jun, Paul, Baker: "A Data Set of Human Body Movements for Physical Rehabilitation Exercises",
Data 2018, 3(1):2, https://doi.org/10.3390/data3010002
(Open Data Commons Public Domain Dedication and License 1.0).

The two sensors share neither clock nor axes nor joints. So for every clip a lag and a rigid transform are
fitted, and a joint is one weighted mean of nearby markers, the same for everybody: absolute
accuracy and a constant lag of the Kinect cannot be measured with the result.
"""

from __future__ import annotations

import gzip
import logging
import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from scipy.interpolate import CubicSpline
from scipy.spatial.transform import Rotation

from lib.dataset.poses import write_poses
from lib.dataset.skeletons import SKELETONS
from lib.utils.errors import SmoothNetError
from lib.utils.gaps import bridge

log = logging.getLogger(__name__)

JOINTS = SKELETONS["uiprmd22"].joints
# The Kinect files chain the collars to the neck.
PARENTS = (-1, 0, 1, 2, 3, 4, 3, 6, 7, 8, 3, 10, 11, 12, 0, 14, 15, 16, 0, 18, 19, 20)
# fmt: off
MARKERS = [  # Vicon Plug-in Gait
    "LFHD", "RFHD", "LBHD", "RBHD", "C7", "T10", "CLAV", "STRN", "RBAK", "LSHO",
    "LUPA", "LELB", "LFRM", "LWRA", "LWRB", "LFIN", "RSHO", "RUPA", "RELB", "RFRM",
    "RWRA", "RWRB", "RFIN", "LASI", "RASI", "LPSI", "RPSI", "LTHI", "LKNE", "LTIB",
    "LANK", "LHEE", "LTOE", "RTHI", "RKNE", "RTIB", "RANK", "RHEE", "RTOE",
]
# fmt: on

# Every joint as a weighted mean of nearby markers (weights sum to 1). The markers are chosen by anatomy. The
# weights were fitted on people 1-8 of the whole archive when the pairs behind the shipped weights of the
# network were made, and recovered from these pairs to three decimals; `convert(fit=True)` fits anew, over the
# same markers. People's Kinect waists differ by centimetres, so a fit on three of them gives a waist, and all
# that is relative to it, about 2 cm away from this.
REGRESSOR = {
    "waist": "T10 -0.276 STRN -0.099 LASI 0.306 RASI 0.351 LPSI 0.432 RPSI 0.286",
    "spine": "C7 0.446 T10 -0.104 CLAV -0.024 STRN 0.147 LASI 0.105 RASI 0.138 LPSI 0.207 RPSI 0.085",
    "chest": "C7 0.587 T10 -0.134 CLAV 0.464 STRN -0.054 LASI 0.013 RASI 0.003 LPSI 0.089 RPSI 0.032",
    "neck": "C7 0.514 T10 0.067 CLAV 0.422 STRN -0.003",
    "head": "LFHD 0.047 RFHD 0.027 LBHD 0.165 RBHD 0.102 C7 0.293 T10 0.040 CLAV 0.318 STRN 0.008",
    "head_tip": "LFHD 0.096 RFHD 0.178 LBHD 0.417 RBHD 0.367 C7 -0.058 CLAV 0.000",
    "left_collar": "C7 0.549 CLAV 0.218 STRN 0.106 LSHO 0.127",
    "left_shoulder": "C7 -0.049 CLAV 0.304 LSHO 0.197 LUPA 0.745 LELB -0.197",
    "left_elbow": "LSHO 0.050 LUPA 0.033 LELB 0.983 LFRM -0.293 LWRA 0.118 LWRB 0.109",
    "left_wrist": "LELB 0.037 LFRM -0.052 LWRA 0.438 LWRB 0.476 LFIN 0.101",
    "right_collar": "C7 0.575 CLAV 0.234 STRN 0.100 RSHO 0.091",
    "right_shoulder": "C7 -0.029 CLAV 0.270 RSHO 0.189 RUPA 0.723 RELB -0.153",
    "right_elbow": "RSHO 0.002 RUPA 0.049 RELB 1.218 RFRM -0.626 RWRA 0.086 RWRB 0.271",
    "right_wrist": "RELB 0.233 RFRM -0.330 RWRA 0.373 RWRB 0.393 RFIN 0.331",
    "left_hip": "LASI 0.109 RASI 0.255 LPSI 0.107 RPSI 0.080 LTHI 0.517 LKNE -0.068",
    "left_knee": "LASI -0.081 RASI 0.212 LPSI -0.006 RPSI -0.009 LTHI -0.057 LKNE 0.683 LTIB 0.361 LANK -0.103",
    "left_ankle": "LKNE 0.353 LTIB -0.219 LANK 0.147 LHEE 0.577 LTOE 0.142",
    "left_toe": "LANK 0.336 LHEE 0.023 LTOE 0.641",
    "right_hip": "LASI 0.216 RASI 0.087 LPSI 0.136 RPSI 0.126 RTHI 0.468 RKNE -0.033",
    "right_knee": "LASI 0.244 RASI -0.214 LPSI 0.010 RPSI -0.049 RTHI 0.145 RKNE 0.743 RTIB 0.201 RANK -0.080",
    "right_ankle": "RKNE 0.375 RTIB -0.264 RANK 0.125 RHEE 0.618 RTOE 0.146",
    "right_toe": "RANK 0.058 RHEE 0.229 RTOE 0.713",
}

KINECT_HZ, VICON_HZ = 30, 100
MAX_LAG = 1.5  # seconds, either way
FRAMES_AT_LEAST = 32
OVERLAP_AT_LEAST = 0.75  # of the frames of the Kinect
RESIDUAL_AT_MOST = 0.060  # metres, mean distance of the trunk's joints after the fit of a clip
# A clip is dropped where its trunk does not fit: were the limbs counted, the estimates' own errors would
# select the clips.
TRUNK = [
    *(JOINTS.index(joint) for joint in ("waist", "spine", "chest", "neck", "head")),
    *(JOINTS.index(f"{side}_{joint}") for side in ("left", "right") for joint in ("collar", "hip")),
]
LARGEST = 1e6  # of a file's numbers: centimetres, millimetres, degrees
ROUNDS = 3  # of fitting the weights, then the clips again
HUBER = 0.03  # metres; joints further off count less
RIDGE = 0.05  # metres of noise that the ridge stands for: keeps the weights near the plain mean


@dataclass
class Clip:
    """One repetition of an exercise.

    Attributes:
        name: such as m01_s09_e01, with _inc if executed incorrectly (m: exercise, s: person, e: repetition).
        kinect: (L, 22, 3) absolute joints, metres, 30 Hz.
        vicon: (T, 39, 3) markers, metres, 100 Hz, gaps closed.
        lag, rotation, translation: Vicon time = Kinect time + lag, Kinect = rotation @ Vicon + translation.
        residual: mean distance of the trunk's joints after the fit, metres.
        rows: Kinect frames that Vicon covers. markers: (len(rows), 39, 3) Vicon at these frames.
    """

    name: str
    person: int
    kinect: np.ndarray
    vicon: np.ndarray
    lag: float = 0.0
    rotation: np.ndarray = field(default_factory=lambda: np.eye(3))
    translation: np.ndarray = field(default_factory=lambda: np.zeros(3))
    residual: float = np.inf
    rows: slice = field(default_factory=lambda: slice(0, 0))
    markers: np.ndarray = field(default_factory=lambda: np.zeros((0, 39, 3)))


@dataclass
class Pairs:
    """What `convert` made: phase -> sequences, names, and why clips were dropped."""

    names: dict[str, list[str]]
    detected: dict[str, list[np.ndarray]]
    groundtruth: dict[str, list[np.ndarray]]
    dropped: dict[str, str]


def convert(raw: str | Path, train_people: Sequence[int], test_people: Sequence[int], fit: bool = False) -> Pairs:
    """Read the authors' folder `raw` and make pairs: (L, 66) float32, metres, each relative to its own waist.

    Ground truth is in the axes and at the times of the Kinect. Frames that Vicon does not cover are left out.
    The joints come from the markers by REGRESSOR or, with `fit`, by weights
    fitted on the training people of `raw`.

    Raises:
        SmoothNetError: the folder is not UI-PRMD, a file is damaged, or nobody is there to train on.
    """
    people = {"train": set(train_people), "test": set(test_people)}
    clips, dropped = read_clips(raw, people["train"] | people["test"])
    weights = fitted_weights(clips, people["train"], raw) if fit else regressor_weights()
    pairs = Pairs(
        {phase: [] for phase in people}, {phase: [] for phase in people}, {phase: [] for phase in people}, dropped
    )
    for clip in clips:
        align(clip, weights)
        frames = clip.rows.stop - clip.rows.start
        if frames < FRAMES_AT_LEAST:
            dropped[clip.name] = (
                f"the sensors share less than {FRAMES_AT_LEAST} frames or {OVERLAP_AT_LEAST:.0%} of the clip"
            )
        elif clip.residual >= RESIDUAL_AT_MOST:
            dropped[clip.name] = f"the trunk is {1000 * clip.residual:.0f} mm off after the fit"
        else:
            phase = "train" if clip.person in people["train"] else "test"
            joints = np.einsum("km,tmd->tkd", weights, clip.markers) @ clip.rotation.T
            pairs.names[phase].append(clip.name)
            pairs.detected[phase].append(_from_waist(clip.kinect[clip.rows]))
            pairs.groundtruth[phase].append(_from_waist(joints))
    return pairs


def fitted_weights(clips: Sequence[Clip], people: set[int], raw: str | Path) -> np.ndarray:
    """(22, 39) weights fitted on the clips of these people, in turns with the clips' lags and transforms."""
    training = [clip for clip in clips if clip.person in people]
    if not training:
        raise SmoothNetError(f"{raw} has no usable clip of people {_listed(people)}, on whom the joints are fitted")
    weights = mean_weights()
    for number in range(ROUNDS):
        for clip in training:
            align(clip, weights)
        paired = [clip for clip in training if len(clip.markers)]
        if not paired:
            raise SmoothNetError(f"{raw}: in no clip do both sensors have enough frames at the same time")
        weights = fit_weights([clip for clip in paired if clip.residual < RESIDUAL_AT_MOST] or paired)
        residual = 1000 * np.mean([clip.residual for clip in paired])
        log.info("round %d: residual %.1f mm", number + 1, residual)
    return weights


def write_pairs(pairs: Pairs, folder: str | Path) -> list[Path]:
    """Write `folder`/uiprmd_kinect_3D in the layout of the other datasets, without empty phases."""
    paths = []
    for phase, names in pairs.names.items():
        if names:
            truth, detected = pairs.groundtruth[phase], pairs.detected[phase]
            images = [[f"{n}/{i:05d}" for i in range(len(x))] for n, x in zip(names, detected, strict=True)]
            paths += write_poses(folder, "uiprmd", "kinect", "3D", phase, images, truth, detected)
    return paths


def read_clips(raw: str | Path, people: set[int]) -> tuple[list[Clip], dict[str, str]]:
    """The clips of these people, correct executions first, and those dropped (name -> why)."""
    raw = Path(raw)
    if not raw.is_dir():
        raise SmoothNetError(f"{raw} is not a folder: give the one that holds 'Segmented Movements' of UI-PRMD")
    found = sorted(
        (bool(match[3]), match[1], path)
        for path in raw.rglob("*positions*")
        if path.parts[-3:-1] == ("Kinect", "Positions")
        and (match := re.fullmatch(r"(m\d\d_s(\d\d)_e\d\d)_positions(_inc)?\.txt(\.gz)?", path.name))
        and int(match[2]) in people
        and path.is_file()
    )
    if not found:
        raise SmoothNetError(
            f"{raw} has no clips of UI-PRMD's people {_listed(people)}: expected files such as "
            f"{raw / 'Segmented Movements/Kinect/Positions/m01_s01_e01_positions.txt'} (or .txt.gz)"
        )
    clips: list[Clip] = []
    dropped: dict[str, str] = {}
    for incorrect, name, path in found:
        sensors = path.parent.parent.parent
        suffix = "_inc" if incorrect else ""
        angles_path = _beside(sensors / "Kinect/Angles", f"{name}_angles{suffix}")
        vicon_path = _beside(sensors / "Vicon/Positions", f"{name}_positions{suffix}")
        if angles_path is None or vicon_path is None:  # the authors' archive itself lacks some
            dropped[name + suffix] = f"there is no file of its {'Vicon positions' if angles_path else 'angles'}"
            continue
        positions = read_table(path, 66).reshape(-1, 22, 3)
        angles = read_table(angles_path, 66).reshape(-1, 22, 3)
        if len(positions) != len(angles):
            raise SmoothNetError(f"{path} has {len(positions)} frames, but its angles have {len(angles)}")
        vicon = close_gaps(read_table(vicon_path, 117).reshape(-1, 39, 3) / 1000)
        if vicon is None:
            dropped[name + suffix] = "a marker is never seen"
        elif len(vicon) < 4 or len(positions) < FRAMES_AT_LEAST:
            dropped[name + suffix] = f"only {len(positions)} frames"
        else:
            clips.append(Clip(name + suffix, int(name[5:7]), kinect_joints(positions, angles), vicon))
    return clips, dropped


def read_table(path: Path, columns: int) -> np.ndarray:
    """Comma-separated numbers from .txt or .txt.gz: (rows, columns)."""
    try:
        with gzip.open(path, "rt") if path.suffix == ".gz" else open(path) as file:
            table = np.loadtxt(file, delimiter=",", ndmin=2)
    except (OSError, EOFError, ValueError) as error:
        raise SmoothNetError(f"{path} is not a table of numbers ({error}); unpack the archive again") from error
    if not (np.abs(table) < LARGEST).all():
        raise SmoothNetError(f"{path} is damaged: it holds NaN or {LARGEST:g} and more; unpack the archive again")
    if table.shape[1] != columns:
        raise SmoothNetError(f"{path} has {table.shape[1]} columns, not the {columns} of UI-PRMD")
    return table


def kinect_joints(positions: np.ndarray, angles: np.ndarray) -> np.ndarray:
    """Forward kinematics of the Kinect's chain of joints.

    Args:
        positions: (L, 22, 3) cm, the first joint absolute, the others in the parent's frame.
        angles: (L, 22, 3) degrees about x, y, z, applied as Rz Rx Ry.

    Returns:
        (L, 22, 3) absolute, metres.
    """
    local = Rotation.from_euler("ZXY", angles[..., [2, 0, 1]].reshape(-1, 3), degrees=True).as_matrix()
    local = local.reshape(*angles.shape, 3)
    turned, joints = local.copy(), positions / 100
    for joint, parent in enumerate(PARENTS[1:], start=1):
        turned[:, joint] = turned[:, parent] @ local[:, joint]
        offset = np.einsum("tij,tj->ti", turned[:, parent], joints[:, joint])
        joints[:, joint] = joints[:, parent] + offset
    return joints


def close_gaps(markers: np.ndarray) -> np.ndarray | None:
    """Bridge frames in which a marker was lost (0, 0, 0) by a line; None if it is never seen."""
    lost = (markers == 0).all(-1)
    if lost.all(0).any():
        return None
    return bridge(np.where(lost[..., None], np.nan, markers).reshape(len(markers), -1)).reshape(markers.shape)


def regressor_weights() -> np.ndarray:
    """(22, 39) weights of the markers by REGRESSOR."""
    weights = np.zeros((len(JOINTS), len(MARKERS)))
    for joint, name in enumerate(JOINTS):
        pairs = REGRESSOR[name].split()
        for marker, weight in zip(pairs[::2], pairs[1::2], strict=True):
            weights[joint, MARKERS.index(marker)] = float(weight)
    return weights


def nearby_markers() -> list[np.ndarray]:
    """Numbers of the markers each joint is estimated from: those that REGRESSOR names."""
    return [np.array([MARKERS.index(name) for name in REGRESSOR[joint].split()[::2]]) for joint in JOINTS]


def mean_weights() -> np.ndarray:
    """(22, 39) weights to start a fit from: the plain mean of the nearby markers."""
    weights = np.zeros((len(JOINTS), len(MARKERS)))
    for joint, markers in enumerate(nearby_markers()):
        weights[joint, markers] = 1 / len(markers)
    return weights


def align(clip: Clip, weights: np.ndarray) -> None:
    """Fit the lag and the rigid transform of a clip, given the weights (22, 39) of the markers."""
    # 300 Hz has the frames of both sensors: every 10th is Kinect's, every 3rd Vicon's (100 / 30 = 10 / 3)
    frames, steps = len(clip.kinect), 3 * (len(clip.vicon) - 1)
    spline = CubicSpline(np.arange(len(clip.vicon)), clip.vicon)
    fine = np.einsum("km,tmd->tkd", weights, spline(np.arange(steps + 1) / 3))
    best = None
    for lag in range(-round(MAX_LAG * VICON_HZ), round(MAX_LAG * VICON_HZ) + 1):
        first = max(0, -(3 * lag // 10)) if lag < 0 else 0
        last = min(frames, (steps - 3 * lag) // 10 + 1)
        if last - first < max(FRAMES_AT_LEAST, OVERLAP_AT_LEAST * frames):
            continue
        vicon = fine[10 * first + 3 * lag : 10 * last + 3 * lag - 9 : 10]
        error = rigid_error(vicon, clip.kinect[first:last])
        if best is None or error < best[0]:
            best = error, lag, slice(first, last), vicon
    if best is None:  # too short together; convert() says so
        clip.rows, clip.residual, clip.markers = slice(0, 0), np.inf, clip.vicon[:0]
        return
    _, lag, clip.rows, vicon = best
    kinect = clip.kinect[clip.rows]
    clip.rotation, clip.translation = rigid_transform(vicon, kinect)
    error = np.linalg.norm(vicon @ clip.rotation.T + clip.translation - kinect, axis=-1)
    clip.residual = error[:, TRUNK].mean()
    clip.lag = lag / VICON_HZ
    clip.markers = spline(np.arange(clip.rows.start, clip.rows.stop) * VICON_HZ / KINECT_HZ + lag)


def rigid_error(source: np.ndarray, target: np.ndarray) -> float:
    """Mean squared distance that the best rigid transform leaves, without computing it (Kabsch)."""
    source, target = source.reshape(-1, 3), target.reshape(-1, 3)
    source, target = source - source.mean(0), target - target.mean(0)
    covariance = target.T @ source
    values = np.linalg.svd(covariance, compute_uv=False)
    values[2] *= np.sign(np.linalg.det(covariance))
    return ((source**2).sum() + (target**2).sum() - 2 * values.sum()) / len(source)


def rigid_transform(source: np.ndarray, target: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Rotation (3, 3) and translation (3,) that take points `source` (..., 3) to `target` (Kabsch)."""
    source, target = source.reshape(-1, 3), target.reshape(-1, 3)
    centre_s, centre_t = source.mean(0), target.mean(0)
    u, _, vt = np.linalg.svd((target - centre_t).T @ (source - centre_s))
    rotation = u @ np.diag([1, 1, np.linalg.det(u @ vt)]) @ vt
    return rotation, centre_t - rotation @ centre_s


def fit_weights(clips: Sequence[Clip]) -> np.ndarray:
    """(22, 39) weights over the nearby markers of each joint, summing to 1, that give the Kinect's best.

    Ridge regression with Huber weights: w = 1/n + v minimises sum h |joint - w markers|^2 + ridge |v|^2.
    """
    markers = np.concatenate([clip.markers for clip in clips])
    joints = np.concatenate([(clip.kinect[clip.rows] - clip.translation) @ clip.rotation for clip in clips])
    weights = np.zeros((len(JOINTS), len(MARKERS)))
    for joint, nearby in enumerate(nearby_markers()):
        mean = markers[:, nearby].mean(1)
        spread = np.moveaxis(markers[:, nearby] - mean[:, None], 1, 2)  # (frames, 3, n), each row sums to 0
        wanted = joints[:, joint] - mean
        huber = np.ones(len(wanted))
        for _ in range(5):
            square = np.einsum("t,tdi,tdj->ij", huber, spread, spread, optimize=True)
            product = np.einsum("t,tdi,td->i", huber, spread, wanted, optimize=True)
            ridge = RIDGE**2 * len(wanted) * np.eye(len(nearby))
            v = np.linalg.solve(square + ridge, product)  # sums to 0, as every row of spread does
            error = np.linalg.norm(wanted - spread @ v, axis=-1)
            huber = np.minimum(1, HUBER / np.maximum(error, 1e-9))
        weights[joint, nearby] = 1 / len(nearby) + v
    return weights


def _from_waist(joints: np.ndarray) -> np.ndarray:
    return (joints - joints[:, :1]).reshape(len(joints), -1).astype(np.float32)


def _beside(folder: Path, stem: str) -> Path | None:
    for path in (folder / f"{stem}.txt", folder / f"{stem}.txt.gz"):
        if path.is_file():
            return path
    return None


def _listed(people: set[int]) -> str:
    return ", ".join(str(person) for person in sorted(people))
