# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) SmoothNet contributors
"""Generated demo data: people who walk, squat, wave, turn and reach, and an estimator's view of them.

Frame: metres, y up, the floor at y = 0, right-handed. At yaw 0 a person faces +z, the left hand at +x; yaw
turns about y. The estimator's camera stands on the +z side and looks towards -z. Joints: 17, as Human3.6M.

All randomness comes from the generator that the caller hands in, so a seed gives the same data again.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
from scipy.interpolate import CubicSpline
from scipy.ndimage import gaussian_filter1d
from scipy.signal import lfilter

from lib.dataset.poses import refuse_existing, write_poses
from lib.utils.errors import SmoothNetError

FPS = 30.0  # frames per second: the rate of 3DPW and of most webcams
MOST_FRAMES = 20_000_000  # in all: some 10 GB while they are made
ACTIONS = ("walk", "squat", "wave", "turn", "reach")
IMAGE_SIZE = 1000  # pixels, width and height, as the Human3.6M cameras
FOCAL_LENGTH = 1145.0  # pixels, as the Human3.6M cameras

HIP, R_HIP, R_KNEE, R_FOOT, L_HIP, L_KNEE, L_FOOT, SPINE, THORAX, NOSE, HEAD = range(11)
L_SHOULDER, L_ELBOW, L_WRIST, R_SHOULDER, R_ELBOW, R_WRIST = range(11, 17)
PARENTS = (-1, 0, 1, 2, 0, 4, 5, 0, 7, 8, 9, 8, 11, 12, 8, 14, 15)

# Segment lengths as a share of body height (Drillis and Contini 1966, rounded, to the joint centres).
SEGMENTS = {
    "hip": 0.075,
    "thigh": 0.245,
    "shank": 0.246,
    "ankle_height": 0.039,
    "lower_trunk": 0.135,
    "upper_trunk": 0.150,
    "shoulder": 0.095,
    "shoulder_drop": 0.012,
    "upper_arm": 0.186,
    "forearm": 0.146,
    "neck": 0.075,
    "nose_forward": 0.045,
    "head": 0.070,
}

# Every angle (radians) that an action may move, with its value at rest; yaw_rate is in radians per second.
# Flexion raises a limb forwards, "out" swings a raised arm sideways; knees and elbows bend at angles above 0.
REST = {
    "yaw_rate": 0.0,
    "pelvis_pitch": 0.02,
    "pelvis_roll": 0.0,
    "pelvis_yaw": 0.0,
    "spine_pitch": 0.05,
    "spine_roll": 0.0,
    "spine_yaw": 0.0,
    "neck_pitch": 0.0,
    "neck_yaw": 0.0,
    **{f"{side}_{name}": value for side in "LR" for name, value in (
        ("hip_flexion", 0.05),
        ("hip_abduction", 0.04),
        ("knee", 0.08),
        ("arm_flexion", 0.05),
        ("arm_abduction", 0.15),
        ("arm_out", 0.0),
        ("elbow", 0.25),
    )},
}  # fmt: skip
MINIMUM_BEND = 0.02  # radians: knees and elbows never overstretch
SHIFT_SECONDS = 0.04  # standard deviation of the time in which the weight goes from foot to foot

# The estimator's error has three parts. Sizes are per coordinate, times the factor of the joint, in metres.
# Together they have what Kinect v2 has on UI-PRMD at 30 fps: standard deviation 23 mm, autocorrelation 0.89
# after 1 frame and 0.30 after 9. (An AR(1) process alone that has 0.89 after 1 frame still has 0.35 after 9,
# and jitter and bursts only lower the first number: so the lasting part must leave 1 more slowly, as a
# two-pole process does.)
JOINT_ERROR = np.array(
    [0.3, 0.5, 0.9, 1.35, 0.5, 0.9, 1.35, 0.5, 0.7, 0.8, 0.9, 0.85, 1.05, 1.5, 0.85, 1.05, 1.5],
    dtype=np.float64,
)  # extremities are worse
AXIS_ERROR = np.array([0.9, 0.9, 1.18])  # depth (z) is worse
JITTER = 0.0040  # independent in every frame
LASTING = 0.0190  # wanders over many frames
LASTING_SECONDS = 0.139  # time constant of either pole of the lasting part
BURST = 0.080  # offset while a joint is lost
FLICKER = 0.45  # of BURST, independent in every frame of it
BURST_SECONDS = (0.1, 0.7)  # a burst lasts so long, uniformly
BURST_RATE = 0.03  # bursts per second of a visible joint
HIDDEN_RATE = 0.15  # bursts per second of a joint fully hidden behind the trunk

# Path of an ankle over one cycle of walking, from the moment its foot is put down: how far in front of the
# hip (1 = the farthest) and how far lifted (1 = the highest). While the foot bears weight, until about 0.6,
# it moves back at a constant speed, so that the body moves on at one.
GAIT = CubicSpline(
    [0.00, 0.10, 0.20, 0.30, 0.40, 0.50, 0.60, 0.70, 0.80, 0.90, 1.00],
    np.transpose([
        [1.00, 0.67, 0.33, 0.00, -0.33, -0.67, -0.95, -0.75, 0.10, 0.85, 1.00],
        [0.00, 0.00, 0.00, 0.00, 0.01, 0.08, 0.40, 1.00, 0.80, 0.30, 0.00],
    ]),
    bc_type="periodic",
)  # fmt: skip


def make_sequence(rng: np.random.Generator, frames: int, fps: float = FPS, action: str | None = None) -> np.ndarray:
    """One person in motion.

    Args:
        rng: source of the person's size, tempo and movements.
        frames: length L, at least 1.
        fps: frames per second.
        action: one of ACTIONS; None for several, 2 to 5 seconds each, blended into one another.

    Returns:
        (L, 17, 3) float64, metres, world frame of the module. Bone lengths are constant; the foot that bears
        the weight stays where it is, which is what moves the person along.

    Raises:
        SmoothNetError: an unknown action, fewer than 1 frame or a frame rate that is not positive.
    """
    if action is not None and action not in ACTIONS:
        raise SmoothNetError(f"unknown action {action!r}; choose from {', '.join(ACTIONS)}")
    if frames < 1 or not 1 <= fps <= 1000:
        raise SmoothNetError(f"a sequence needs at least 1 frame and 1 to 1000 fps, not {frames} frames at {fps}")
    body = _make_body(rng)
    names, weights = _schedule(rng, frames, fps, action)
    angles = {name: np.zeros(frames) for name in REST}
    for name, weight in zip(names, weights, strict=True):
        moved = _MOVERS[name](rng, frames, fps)
        for key, rest in REST.items():
            angles[key] += weight * moved.get(key, rest)
    for key in angles:  # nobody stands perfectly still
        size = 0.0 if key == "yaw_rate" else 0.015
        angles[key] += size * _wander(rng, frames, fps, seconds=1.5)
    for key in angles:
        if key.endswith(("knee", "elbow")):
            angles[key] = _soft_floor(angles[key], MINIMUM_BEND)
    return _stand_on_floor(rng, _forward_kinematics(rng, angles, body, fps), body, fps)


def estimator_noise(rng: np.random.Generator, poses: np.ndarray, fps: float = FPS) -> np.ndarray:
    """The error of a pose estimator that watches `poses`: jitter, lasting errors, bursts at hidden joints.

    Args:
        rng: source of the errors.
        poses: (L, 17, 3) true joints, metres, world frame of the module; they decide which joints are hidden.
        fps: frames per second.

    Returns:
        (L, 17, 3) float64, metres, to be added to `poses`.
    """
    frames = len(poses)
    scale = JOINT_ERROR[:, None] * AXIS_ERROR
    jitter = JITTER * rng.standard_normal((frames, 17, 3))

    # Two equal poles at exp(-1 / time constant in frames): a critically damped second-order process.
    pole = np.exp(-1.0 / (LASTING_SECONDS * fps))
    warm_up = int(np.ceil(12 * LASTING_SECONDS * fps))
    drive = rng.standard_normal((warm_up + frames, 17, 3))
    lasting = lfilter([1.0], [1.0, -2 * pole, pole**2], drive, axis=0)[warm_up:]
    lasting *= LASTING * np.sqrt((1 - pole**2) ** 3 / (1 + pole**2))  # to unit variance, times the size

    # A burst is thrown at a joint at a rate that grows the farther it is behind the trunk.
    rate = BURST_RATE + (HIDDEN_RATE - BURST_RATE) * _hidden(poses)
    longest = int(np.ceil(BURST_SECONDS[1] * fps))
    rate = np.concatenate([np.repeat(rate[:1], longest, axis=0), rate])  # those under way at the first frame
    bursts = np.zeros((longest + frames + longest, 17, 3))
    for start, joint in np.argwhere(rng.random(rate.shape) < rate / fps):
        length = max(2, round(rng.uniform(*BURST_SECONDS) * fps))
        course = np.ones(length)
        course[[0, -1]] = rng.uniform(0.3, 1.0, 2)  # gone and found again within a frame or two
        place = rng.standard_normal(3) + FLICKER * rng.standard_normal((length, 3))
        bursts[start : start + length, joint] += BURST * course[:, None] * place
    return (jitter + lasting + bursts[longest : longest + frames]) * scale


def project(poses: np.ndarray, camera: np.ndarray | None = None) -> np.ndarray:
    """Pinhole image of a sequence, seen by a resting camera that looks towards -z.

    Args:
        poses: (..., 3) metres, world frame of the module.
        camera: (3,) metres, where it stands; None for `camera_for(poses)`, which sees every joint.

    Returns:
        (..., 2) pixels, x to the right and y down; the optical axis meets the middle of the image.
    """
    offset = poses - (camera_for(poses) if camera is None else camera)
    flipped = offset[..., :2] * np.array([1.0, -1.0])
    return IMAGE_SIZE / 2 + FOCAL_LENGTH * flipped / -offset[..., 2:]


def camera_for(poses: np.ndarray) -> np.ndarray:
    """Where the camera stands, (3,) metres: level with the middle of `poses` (..., 3), far enough back."""
    points = poses.reshape(-1, 3)
    middle = (points.min(axis=0) + points.max(axis=0)) / 2
    reach = np.abs(points[:, :2] - middle[:2]).max(axis=1)
    distance = (points[:, 2] + reach * FOCAL_LENGTH / (0.45 * IMAGE_SIZE)).max()
    return np.array([middle[0], middle[1], max(distance, points[:, 2].max() + 1.0)])


def write_demo(
    folder: Path | str,
    train_sequences: int = 60,
    test_sequences: int = 12,
    frames: int = 400,
    seed: int = 0,
    fps: float = FPS,
    representation: str = "3D",
    force: bool = False,
) -> list[Path]:
    """Write a demo dataset in the official layout, as dataset `demo`, estimator `synthetic`.

    Under `folder`/demo_synthetic_{representation}: groundtruth/demo_gt_{representation}_{phase}.npz and
    detected/demo_synthetic_{representation}_{phase}.npz for the phases train and test. 3D: key joints_3d, per
    sequence (L, 51) float32 metres relative to the hip, as single-image estimators give them. 2D: key
    joints_2d, (L, 34) float32 pixels, and imgshape [height, width] in the ground truth. Both: imgname.

    Every phase and sequence has its own random stream: more sequences do not change the first ones, and 2D
    and 3D of one seed show the same people.

    Args:
        folder: usually data/poses; made if it is not there.
        train_sequences, test_sequences: how many; actions take turns, every sixth sequence mixes them.
        frames: frames per sequence.
        seed: any integer from 0.
        representation: "3D" or "2D".
        force: replace files that are there.

    Returns:
        The four files written.

    Raises:
        SmoothNetError: a wrong argument; a file is there already or cannot be written.
    """
    if representation not in ("3D", "2D"):
        raise SmoothNetError(f"demo data are 3D or 2D, not {representation!r}")
    if min(train_sequences, test_sequences) < 1 or seed < 0:
        raise SmoothNetError(
            "demo data need at least 1 train and 1 test sequence and a seed from 0, "
            f"not {train_sequences}, {test_sequences} and seed {seed}"
        )
    total = (train_sequences + test_sequences) * frames
    if total > MOST_FRAMES:
        raise SmoothNetError(f"demo data have at most {MOST_FRAMES:,} frames in all, not {total:,}; make fewer")
    if not force:
        refuse_existing(folder, "demo", "synthetic", representation)
    written = []
    for phase, (phase_name, count) in enumerate((("train", train_sequences), ("test", test_sequences))):
        names, truth, detected = [], [], []
        for index in range(count):
            rng = np.random.default_rng([seed, phase, index])
            action = (*ACTIONS, None)[index % (len(ACTIONS) + 1)]
            poses = make_sequence(rng, frames, fps, action)
            estimate = poses + estimator_noise(rng, poses, fps)
            if representation == "3D":
                pair = (poses - poses[:, :1], estimate - estimate[:, :1])
            else:
                camera = camera_for(poses)
                pair = (project(poses, camera), project(estimate, camera))
            truth.append(pair[0].reshape(frames, -1).astype(np.float32))
            detected.append(pair[1].reshape(frames, -1).astype(np.float32))
            label = f"{phase_name}_{index:04d}_{action or 'mixed'}"
            names.append(np.array([f"{label}/{frame:05d}" for frame in range(frames)]))
        shape = {"imgshape": [np.array([IMAGE_SIZE, IMAGE_SIZE])] * count} if representation == "2D" else {}
        written += write_poses(folder, "demo", "synthetic", representation, phase_name, names, truth, detected, shape)
    return written


def _make_body(rng: np.random.Generator) -> dict[str, float]:
    """Segment lengths in metres of a person between some 1.5 and 1.95 m."""
    height = np.clip(rng.normal(1.70, 0.09), 1.5, 1.95)
    return {name: height * share * rng.uniform(0.96, 1.04) for name, share in SEGMENTS.items()}


def _wander(rng: np.random.Generator, frames: int, fps: float, seconds: float) -> np.ndarray:
    """(frames,) smooth curve of about unit size: a spline through a random value every `seconds`."""
    knots = int(np.ceil(frames / (fps * seconds))) + 4
    times = (np.arange(knots) - 1.5 + rng.uniform(-0.5, 0.5)) * seconds
    return CubicSpline(times, rng.standard_normal(knots))(np.arange(frames) / fps)


def _phase(rng: np.random.Generator, frames: int, fps: float, hertz: float) -> np.ndarray:
    """(frames,) phase in radians of a cycle at about `hertz` that is never quite regular."""
    rate = hertz * (1 + 0.05 * _wander(rng, frames, fps, seconds=2.0))
    return rng.uniform(0, 2 * np.pi) + 2 * np.pi * np.cumsum(rate) / fps


def _bump(phase: np.ndarray, centre: float, sharpness: float) -> np.ndarray:
    """Periodic bump of height 1 at `centre` (share of a cycle)."""
    return np.exp(sharpness * (np.cos(phase - 2 * np.pi * centre) - 1))


def _soft_floor(values: np.ndarray, floor: float, softness: float = 0.03) -> np.ndarray:
    """max(values, floor) without a kink."""
    return floor + softness * np.logaddexp(0, (values - floor) / softness)


def _targets(
    rng: np.random.Generator, frames: int, fps: float, seconds: tuple[float, float], values: np.ndarray
) -> np.ndarray:
    """(frames, D) course over random rows of `values` (n, D): go to one (minimum jerk), rest there, go on."""
    moves = int(np.ceil(frames / (fps * seconds[0]))) + 2
    stops = values[rng.integers(len(values), size=moves + 1)]
    ends = np.cumsum(rng.uniform(*seconds, moves))
    time = np.arange(frames) / fps
    move = np.searchsorted(ends, time, side="right")
    begin = np.concatenate([[0.0], ends])[move]
    share = np.clip((time - begin) / (0.75 * (ends[move] - begin)), 0, 1)[:, None]
    return stops[move] + (stops[move + 1] - stops[move]) * share**3 * (10 - 15 * share + 6 * share**2)


def _schedule(rng: np.random.Generator, frames: int, fps: float, action: str | None) -> tuple[list[str], np.ndarray]:
    """Actions and their weights (n, frames), which sum to 1 in every frame and change within a second."""
    if action is not None:
        return [action], np.ones((1, frames))
    count = int(np.ceil(frames / (2.0 * fps))) + 1
    order = np.empty(count, dtype=int)
    order[0] = rng.integers(len(ACTIONS))
    for i in range(1, count):  # never the same twice running
        order[i] = (order[i - 1] + rng.integers(1, len(ACTIONS))) % len(ACTIONS)
    ends = np.cumsum(rng.uniform(2.0, 5.0, count))
    time = np.arange(frames) / fps
    # The index of the current action as a staircase with smooth steps, turned into weights of each action.
    weights = np.zeros((len(ACTIONS), frames))
    slot = np.searchsorted(ends, time, side="right")
    share = np.clip(time - ends[slot] + 1.0, 0, 1)  # the last second of a slot leads over to the next
    share = share**3 * (10 - 15 * share + 6 * share**2)
    every = np.arange(frames)
    weights[order[slot], every] += 1 - share
    weights[order[slot + 1], every] += share
    return list(ACTIONS), weights


def _walk(rng: np.random.Generator, frames: int, fps: float) -> dict[str, np.ndarray]:
    """Gait from the path of the ankles under the hip; arms swing against the legs; the way is a circle."""
    stride = rng.uniform(0.7, 1.05)  # cycles (two steps) per second
    reach = rng.uniform(0.13, 0.16) * (stride / 0.9) ** 0.5  # of body height; quick steps are long steps
    lift = rng.uniform(0.07, 0.10)  # of body height
    left = _phase(rng, frames, fps, stride)
    hip_height = 0.462 + 0.004 * np.cos(2 * left - 3.0)  # of body height, above the standing ankle
    angles = {
        "yaw_rate": rng.choice([-1, 1]) * rng.uniform(0.3, 0.7) + 0.2 * _wander(rng, frames, fps, 2.0),
        "pelvis_yaw": -0.08 * np.cos(left),
        "pelvis_roll": 0.03 * np.sin(left),
        "spine_yaw": 0.20 * np.cos(left),
        "spine_pitch": 0.08 + 0.02 * np.cos(2 * left),
    }
    swing = rng.uniform(0.25, 0.45)
    for side, phase in (("L", left), ("R", left + np.pi)):
        forward, up = GAIT(phase / (2 * np.pi) % 1.0).T
        angles[f"{side}_hip_flexion"], angles[f"{side}_knee"] = _leg_to(reach * forward - 0.01, lift * up - hip_height)
        angles[f"{side}_arm_flexion"] = 0.02 - swing * np.cos(phase - 0.2)
        angles[f"{side}_elbow"] = 0.40 - 0.18 * np.cos(phase - 0.4)
    return angles


def _leg_to(forward: np.ndarray, up: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Hip flexion and knee angle (cosine rule) that bring the ankle to a place relative to the hip joint.

    Lengths in shares of body height. A place out of reach gives a nearly stretched leg that points to it.
    """
    thigh, shank = SEGMENTS["thigh"], SEGMENTS["shank"]
    length = np.minimum(np.hypot(forward, up), 0.998 * (thigh + shank))
    knee = np.pi - np.arccos((thigh**2 + shank**2 - length**2) / (2 * thigh * shank))
    above = np.arccos((thigh**2 + length**2 - shank**2) / (2 * thigh * length))
    return np.arctan2(forward, -up) + above, knee


def _squat(rng: np.random.Generator, frames: int, fps: float) -> dict[str, np.ndarray]:
    """Down and up with the arms forwards as a counterweight."""
    phase = _phase(rng, frames, fps, rng.uniform(0.35, 0.65))
    depth = rng.uniform(0.7, 1.0) * (1 + 0.1 * _wander(rng, frames, fps, 3.0))
    down = depth * _bump(phase, 0.5, 1.3)
    arms, lean = rng.uniform(0.9, 1.5), rng.uniform(0.25, 0.45)
    angles = {
        "pelvis_pitch": 0.02 + 0.35 * down,
        "spine_pitch": 0.05 + lean * down,
        "neck_pitch": -0.4 * down,
    }
    for side in "LR":
        angles[f"{side}_hip_flexion"] = 0.05 + 1.75 * down
        angles[f"{side}_hip_abduction"] = 0.08 + 0.12 * down
        angles[f"{side}_knee"] = 0.08 + 1.85 * down
        angles[f"{side}_arm_flexion"] = 0.05 + arms * down
    return angles


def _wave(rng: np.random.Generator, frames: int, fps: float) -> dict[str, np.ndarray]:
    """One arm up at the side, its forearm swinging left and right."""
    phase = _phase(rng, frames, fps, rng.uniform(1.1, 1.9))
    raised = 1.0 + 0.12 * _wander(rng, frames, fps, 2.0)
    side = rng.choice(["L", "R"])
    tilt = -1 if side == "L" else 1
    return {
        "spine_roll": tilt * -0.03 * np.cos(phase / 2),
        "neck_yaw": 0.2 * _wander(rng, frames, fps, 2.5),
        f"{side}_arm_out": 1.25 + 0.1 * _wander(rng, frames, fps, 2.0),
        f"{side}_arm_flexion": rng.uniform(1.3, 1.8) * raised + 0.08 * np.sin(phase),
        f"{side}_elbow": 1.15 + rng.uniform(0.3, 0.5) * np.sin(phase),
    }


def _turn(rng: np.random.Generator, frames: int, fps: float) -> dict[str, np.ndarray]:
    """Turning on the spot with small steps, to one side and to the other."""
    left = _phase(rng, frames, fps, rng.uniform(0.8, 1.15))
    rates = np.array([[-1.3], [-0.8], [0.8], [1.3]]) * rng.uniform(0.8, 1.2)
    rate = _targets(rng, frames, fps, (1.5, 3.5), rates)[:, 0]
    angles = {
        "yaw_rate": rate,
        "neck_yaw": 0.25 * rate,
        "spine_yaw": 0.08 * rate,
        "pelvis_roll": 0.03 * np.sin(left),
    }
    for side, phase in (("L", left), ("R", left + np.pi)):
        lift = _bump(phase, 0.25, 2.5)
        angles[f"{side}_hip_flexion"] = 0.05 + 0.45 * lift
        angles[f"{side}_knee"] = 0.08 + 0.80 * lift
        angles[f"{side}_arm_flexion"] = 0.05 - 0.15 * np.cos(phase)
    return angles


def _reach(rng: np.random.Generator, frames: int, fps: float) -> dict[str, np.ndarray]:
    """Hands go to things: forwards, up, to the side, down to knee height, and back."""
    # columns: arm_flexion, arm_out, elbow of the reaching arm; spine_pitch; bend of the legs; spine_yaw
    places = np.array(
        [
            [0.05, 0.0, 0.30, 0.05, 0.00, 0.0],
            [1.40, 0.0, 0.20, 0.15, 0.00, -0.2],
            [2.50, 0.3, 0.25, 0.00, 0.00, -0.1],
            [1.50, 1.1, 0.20, 0.05, 0.00, 0.4],
            [1.30, -0.3, 0.35, 0.20, 0.05, -0.4],
            [1.00, 0.2, 0.15, 0.70, 0.45, -0.1],
            [1.20, 0.1, 1.70, 0.05, 0.00, 0.0],
        ]
    )
    course = {side: _targets(rng, frames, fps, (0.7, 1.6), places) for side in "LR"}
    busy = rng.choice([(1.0, 0.15), (0.15, 1.0), (0.8, 0.8)])  # one arm, the other, or both
    angles = {}
    lean, bend, yaw = 0.0, 0.0, 0.0
    for side, share, sign in (("L", busy[0], 1), ("R", busy[1], -1)):
        target = places[0] + share * (course[side] - places[0])
        angles[f"{side}_arm_flexion"], angles[f"{side}_arm_out"], angles[f"{side}_elbow"] = target[:, :3].T
        lean, bend, yaw = lean + target[:, 3] / 2, bend + target[:, 4] / 2, yaw + sign * target[:, 5]
    angles |= {
        "spine_pitch": lean,
        "pelvis_pitch": 0.02 + 0.3 * lean,
        "spine_yaw": yaw,
        "neck_pitch": 0.3 * bend,
    }
    for side in "LR":
        angles[f"{side}_hip_flexion"] = 0.05 + 0.3 * lean + 1.1 * bend
        angles[f"{side}_knee"] = 0.08 + 1.5 * bend
    return angles


_MOVERS = {"walk": _walk, "squat": _squat, "wave": _wave, "turn": _turn, "reach": _reach}


def _rotation(axis: str, angle: np.ndarray) -> np.ndarray:
    """(L, 3, 3) right-handed rotations by `angle` (L,) about the axis x, y or z."""
    i, j = {"x": (1, 2), "y": (2, 0), "z": (0, 1)}[axis]
    matrix = np.zeros((len(angle), 3, 3))
    matrix[:, range(3), range(3)] = 1.0
    matrix[:, i, i] = matrix[:, j, j] = np.cos(angle)
    matrix[:, j, i] = np.sin(angle)
    matrix[:, i, j] = -matrix[:, j, i]
    return matrix


def _forward_kinematics(
    rng: np.random.Generator, angles: dict[str, np.ndarray], body: dict[str, float], fps: float
) -> np.ndarray:
    """(L, 17, 3) joints with the hip at the origin."""
    heading = rng.uniform(0, 2 * np.pi) + np.cumsum(angles["yaw_rate"]) / fps
    upright = _rotation("y", heading + angles["pelvis_yaw"])
    pelvis = upright @ _rotation("z", angles["pelvis_roll"]) @ _rotation("x", angles["pelvis_pitch"])
    # The two halves of the trunk share its bend.
    half = {name: angles[f"spine_{name}"] / 2 for name in ("yaw", "pitch", "roll")}
    bend = _rotation("y", half["yaw"]) @ _rotation("x", half["pitch"]) @ _rotation("z", half["roll"])
    chest = pelvis @ bend @ bend
    skull = chest @ _rotation("y", angles["neck_yaw"]) @ _rotation("x", angles["neck_pitch"])

    joints = np.zeros((len(heading), 17, 3))

    def place(joint: int, frame: np.ndarray, x: float, y: float, z: float) -> None:
        joints[:, joint] = joints[:, PARENTS[joint]] + frame @ np.array([x, y, z])

    place(SPINE, pelvis @ bend, 0, body["lower_trunk"], 0)
    place(THORAX, chest, 0, body["upper_trunk"], 0)
    place(NOSE, skull, 0, body["neck"], body["nose_forward"])
    place(HEAD, skull, 0, body["head"], -body["nose_forward"])
    for side, left, hip, knee, foot, shoulder, elbow, wrist in (
        ("L", 1, L_HIP, L_KNEE, L_FOOT, L_SHOULDER, L_ELBOW, L_WRIST),
        ("R", -1, R_HIP, R_KNEE, R_FOOT, R_SHOULDER, R_ELBOW, R_WRIST),
    ):
        flexion, abduction = angles[f"{side}_hip_flexion"], left * angles[f"{side}_hip_abduction"]
        thigh = pelvis @ _rotation("z", abduction) @ _rotation("x", -flexion)
        shank = thigh @ _rotation("x", angles[f"{side}_knee"])
        place(hip, pelvis, left * body["hip"], 0, 0)
        place(knee, thigh, 0, -body["thigh"], 0)
        place(foot, shank, 0, -body["shank"], 0)
        out, abduction = left * angles[f"{side}_arm_out"], left * angles[f"{side}_arm_abduction"]
        upper_arm = chest @ _rotation("y", out) @ _rotation("z", abduction)
        upper_arm = upper_arm @ _rotation("x", -angles[f"{side}_arm_flexion"])
        forearm = upper_arm @ _rotation("x", -angles[f"{side}_elbow"])
        place(shoulder, chest, left * body["shoulder"], -body["shoulder_drop"], 0)
        place(elbow, upper_arm, 0, -body["upper_arm"], 0)
        place(wrist, forearm, 0, -body["forearm"], 0)
    return joints


def _stand_on_floor(rng: np.random.Generator, joints: np.ndarray, body: dict[str, float], fps: float) -> np.ndarray:
    """Move the hip such that the lower ankle is at its height above the floor and does not slide."""
    feet = joints[:, [L_FOOT, R_FOOT]]
    softness = 0.02  # metres: feet that differ by less in height share the weight
    load = np.exp(-(feet[..., 1] - feet[..., 1].min(axis=1, keepdims=True)) / softness)
    height = feet[..., 1].min(axis=1) - softness * np.log(load.mean(axis=1))
    load /= load.sum(axis=1, keepdims=True)
    # Nobody shifts the weight from one foot to the other at once.
    load, height = (gaussian_filter1d(x, SHIFT_SECONDS * fps, axis=0, mode="nearest") for x in (load, height))
    bearing = (load[1:] + load[:-1]) / 2
    hip = np.zeros((len(joints), 3))
    hip[1:] = -np.cumsum((bearing[..., None] * np.diff(feet, axis=0)).sum(axis=1), axis=0)
    hip[:, 1] = body["ankle_height"] - height
    hip[:, [0, 2]] += rng.uniform(-0.5, 0.5, 2)
    return joints + hip[:, None]


def _hidden(poses: np.ndarray) -> np.ndarray:
    """(L, 17) from 0 (in plain view) to 1: how far a joint is behind the trunk for the camera at +z."""
    trunk = (poses[:, [HIP]] + poses[:, [THORAX]]) / 2
    offset = poses - trunk
    behind = 1 / (1 + np.exp(offset[..., 2] / 0.04 + 2.5))
    beside = np.exp(-0.5 * (offset[..., 0] / 0.2) ** 2)
    return behind * beside
