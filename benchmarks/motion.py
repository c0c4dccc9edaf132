# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) SmoothNet contributors
"""True motion for benchmarks/accuracy.py: generated, and clean recordings that the user has; and who is held out.

Units: millimetres; y up where the source has it so.
"""

from __future__ import annotations

import re
from collections.abc import Hashable, Iterable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import numpy as np
from scipy.interpolate import CubicSpline
from scipy.spatial.transform import Rotation

from data.demo import PARENTS, SEGMENTS, make_sequence

PARTS = ("settings", "report")  # settings are chosen on one, figures reported on the other
GENERATED_FPS = 120.0
POSSIBLE = 14.0  # m/s: a joint faster than that is a marker that was lost, and its clip is left out
FAST = 7.0  # body sizes a second: motion whose joints are this fast in 1 % of the frames is called fast
JOINTS = (
    *("hip", "right_hip", "right_knee", "right_foot", "left_hip", "left_knee", "left_foot", "spine", "thorax"),
    *("nose", "head", "left_shoulder", "left_elbow", "left_wrist", "right_shoulder", "right_elbow", "right_wrist"),
)


@dataclass(frozen=True)
class Clip:
    """One recording of true motion.

    Attributes:
        points: (T, K, 3) float64, mm.
        fps: frames per second.
        person: who moves, or which movement where the source tells no person; clips of one are never split.
        sides: (n, 2) joints that are each other's left and right.
        parents: (K,) joint indices, -1 for the root.
    """

    name: str
    person: Hashable
    points: np.ndarray
    fps: float
    sides: np.ndarray
    parents: tuple[int, ...]

    @property
    def fast(self) -> bool:
        speed = np.linalg.norm(np.diff(self.points, axis=0), axis=-1) * self.fps
        return bool(np.percentile(speed, 99) > FAST * body_size(self.points))

    def at(self, fps: float, start: float, seconds: float) -> np.ndarray:
        """(T, K, 3), `seconds` from `start` on, read at another frame rate (not above its own)."""
        time = np.arange(len(self.points)) / self.fps
        wanted = np.arange(start, min(start + seconds, time[-1]), 1 / fps)
        return CubicSpline(time, self.points, axis=0)(wanted)


def body_size(points: np.ndarray) -> float:
    """RMS distance of the joints (T, K, D) from their centroid."""
    centred = points - np.nanmean(points, axis=1, keepdims=True)
    return float(np.sqrt(np.nanmean((centred**2).sum(axis=-1))))


def held_out(people: Iterable[Hashable]) -> set[Hashable]:
    """Those whose data is for the report: the last third of the people or movements of a source, in order."""
    ordered = sorted(set(people), key=lambda person: f"{person:09d}" if isinstance(person, int) else str(person))
    return set(ordered[len(ordered) - len(ordered) // 3 :])


def of_part(people: Sequence[Hashable], part: str) -> list[bool]:
    """For each item's person, whether it belongs to "settings" or "report"."""
    out = held_out(people)
    return [(person in out) == (part == "report") for person in people]


def _sides(names: Sequence[str]) -> np.ndarray:
    """(n, 2) of joints whose names differ in left and right: left_x, l_x, lx."""
    lower = [str(name).lower() for name in names]
    pairs = []
    for i, name in enumerate(lower):
        for left, right in (("left", "right"), ("l_", "r_"), ("l", "r")):
            if name.startswith(left) and right + name[len(left) :] in lower:
                pairs.append((i, lower.index(right + name[len(left) :])))
                break
    return np.array(pairs, int).reshape(-1, 2)


# ---------------------------------------------------------------- generated
@lru_cache(maxsize=8)
def generated(part: str, seconds: float = 10.0, people: int = 3) -> tuple[Clip, ...]:
    """People of the demo's generator, and as many who strike, kick, jump and spin."""
    frames = round(seconds * GENERATED_FPS)
    clips = []
    for i in range(people):
        for kind in ("calm", "fast"):
            rng = np.random.default_rng([7, PARTS.index(part), i, kind == "fast"])
            if kind == "fast":
                points = fast_motion(rng, frames, GENERATED_FPS)
            else:
                points = make_sequence(rng, frames, GENERATED_FPS)
            name = f"generated {kind} {part} {i}"
            clips.append(Clip(name, name, 1000 * points, GENERATED_FPS, _sides(JOINTS), PARENTS))
    return tuple(clips)


def fast_motion(rng: np.random.Generator, frames: int, fps: float) -> np.ndarray:
    """One person who boxes, kicks, jumps and spins as athletes do.

    Every angle goes from pose to pose by minimum-jerk moves of 0.15 to 0.6 s with short rests, the limbs on their
    own; jumps are ballistic. Hands and feet reach some 10 m/s, as in a punch or a kick.

    Returns:
        (frames, 17, 3) float64, metres, y up, Human3.6M's joints.
    """
    height = rng.uniform(1.55, 1.92)
    yaw = np.cumsum(_moves(rng, frames, fps, (0.0, 0.0, 0.0, -6.0, 6.0, 2.0), (0.3, 0.8), 0.5)) / fps
    lean = _moves(rng, frames, fps, (0.0, 0.2, 0.5, -0.2), (0.25, 0.6), 0.4)
    twist = _moves(rng, frames, fps, (0.0, -0.6, 0.6), (0.15, 0.4), 0.3)
    pelvis = Rotation.from_euler("yx", np.stack([yaw, 0.5 * lean], axis=1))
    chest = pelvis * Rotation.from_euler("yx", np.stack([twist, 0.5 * lean], axis=1))
    joints = np.zeros((frames, 17, 3))

    def place(joint: int, turned: Rotation, *offset: float) -> None:
        joints[:, joint] = joints[:, PARENTS[joint]] + height * turned.apply(np.array(offset))

    part = SEGMENTS
    place(7, pelvis, 0, part["lower_trunk"], 0)
    place(8, chest, 0, part["upper_trunk"], 0)
    place(9, chest, 0, part["neck"], part["nose_forward"])
    place(10, chest, 0, part["head"], -part["nose_forward"])
    for side, hip, shoulder in ((1, 4, 11), (-1, 1, 14)):  # left at +x
        flexion = _moves(rng, frames, fps, (0.1, 0.1, 0.3, 1.6, -0.4, 2.0), (0.26, 0.6), 0.4)
        out = side * np.abs(_moves(rng, frames, fps, (0.05, 0.1, 0.7), (0.25, 0.6), 0.4))
        knee = np.abs(_moves(rng, frames, fps, (0.1, 0.3, 1.8, 0.6), (0.22, 0.5), 0.3)) + 0.02
        thigh = pelvis * Rotation.from_euler("zx", np.stack([out, -flexion], axis=1))
        shank = thigh * Rotation.from_euler("x", knee[:, None])
        place(hip, pelvis, side * part["hip"], 0, 0)
        place(hip + 1, thigh, 0, -part["thigh"], 0)
        place(hip + 2, shank, 0, -part["shank"], 0)
        raised = _moves(rng, frames, fps, (0.3, 0.8, 1.5, 2.6, -0.5), (0.22, 0.5), 0.25)
        out = side * _moves(rng, frames, fps, (0.1, 0.3, 1.2, -0.4), (0.22, 0.6), 0.25)
        elbow = np.abs(_moves(rng, frames, fps, (2.1, 0.2, 1.2, 2.2, 0.1), (0.15, 0.4), 0.25)) + 0.02
        arm = chest * Rotation.from_euler("zx", np.stack([out, -raised], axis=1))
        forearm = arm * Rotation.from_euler("x", -elbow[:, None])
        place(shoulder, chest, side * part["shoulder"], -part["shoulder_drop"], 0)
        place(shoulder + 1, arm, 0, -part["upper_arm"], 0)
        place(shoulder + 2, forearm, 0, -part["forearm"], 0)
    root = np.stack([_moves(rng, frames, fps, (0.0, 0.4, -0.4, 0.9), (0.4, 0.9), 0.4) for _ in range(3)], axis=1)
    root[:, 1] = 0.5 * height + _jumps(rng, frames, fps) - 0.1 * np.abs(lean)
    return joints + root[:, None]


def _moves(
    rng: np.random.Generator,
    frames: int,
    fps: float,
    places: tuple[float, ...],
    seconds: tuple[float, float],
    rest: float,
) -> np.ndarray:
    """(frames,): from one of `places` (varied by a fifth) to the next by minimum-jerk moves, each with a rest after."""
    count = int(frames / fps / seconds[0]) + 3
    stops = rng.choice(places, count + 1) * rng.uniform(0.8, 1.2, count + 1)
    length = rng.uniform(*seconds, count)
    begin = np.concatenate([[0.0], np.cumsum(length + rest * rng.exponential(1.0, count))[:-1]])
    time = np.arange(frames) / fps
    move = np.searchsorted(begin, time, side="right") - 1
    share = np.clip((time - begin[move]) / length[move], 0, 1)
    return stops[move] + (stops[move + 1] - stops[move]) * share**3 * (10 - 15 * share + 6 * share**2)


def _jumps(rng: np.random.Generator, frames: int, fps: float) -> np.ndarray:
    """(frames,) metres above the standing height: parabolas of 0.35 to 0.65 s with a dip before and after each."""
    time = np.arange(frames) / fps
    y = np.zeros(frames)
    start = rng.uniform(0.3, 1.5)
    while start < time[-1]:
        flight, dip = rng.uniform(0.35, 0.65), rng.uniform(0.15, 0.25)
        t = time - start
        speed = 9.81 * flight / 2
        y += np.where((t >= 0) & (t <= flight), speed * t - 9.81 / 2 * t**2, 0)
        for s in (-t / dip, (t - flight) / dip):  # leaves and meets the ground at the speed of the flight
            u = np.clip(s, 0, 1)
            y -= np.where((s > 0) & (s < 1), speed * dip * u * (1 - u) ** 2, 0)
        start += flight + rng.uniform(0.8, 2.5)
    return y


# ---------------------------------------------------------------- recordings of the user's
def recorded(folder: Path | None, part: str) -> list[Clip]:
    """The clean recordings in `folder`: .npz files with int16 positions, in one of two forms.

    positions (frames, K, 3), start (clips + 1,), fps (clips,), clip, joints, parents; or pos, length (clips,), one fps,
    name, joint_names, parents. mm = positions x scale_mm + offset_mm[clip]. Clips below 25 fps are left out. Of clips
    that bear no person's number, the movement stands for the person, so that the same one is not in both parts.
    """
    clips: list[Clip] = []
    for path in sorted(folder.rglob("*.npz")) if folder else ():
        with np.load(path, allow_pickle=False) as file:
            if "scale_mm" in file and {"positions", "pos"} & set(file.files):
                clips += _clips(file)
    keep = []
    for source in {clip.name.split(":")[0] for clip in clips}:
        mine = [clip for clip in clips if clip.name.split(":")[0] == source]
        keep += [clip for clip, yes in zip(mine, of_part([c.person for c in mine], part), strict=True) if yes]
    return sorted(keep, key=lambda clip: clip.name)


def _clips(file: np.lib.npyio.NpzFile) -> list[Clip]:
    first = "positions" in file
    positions = file["positions" if first else "pos"]
    start = file["start"] if first else np.concatenate([[0], np.cumsum(file["length"])])
    names = file["clip" if first else "name"]
    rates = np.broadcast_to(file["fps"], len(names))
    sides = _sides(list(file["joints" if first else "joint_names"]))
    parents = tuple(int(p) for p in file["parents"])
    clips = []
    for i, name in enumerate(names):
        if rates[i] < 25:
            continue
        points = positions[start[i] : start[i + 1]] * float(file["scale_mm"]) + file["offset_mm"][i]
        points, fps = _without_repeats(points.astype(np.float64), float(rates[i]))
        if np.linalg.norm(np.diff(points, axis=0), axis=-1).max(initial=0) * fps > 1000 * POSSIBLE:
            continue
        number = re.match(r"(\d+)_\d+$", str(name))  # 03_02: the second clip of person 3
        person = int(number[1]) if number else re.sub(r"^(amp_)?humanoid(3d)?_", "", str(name)).split("_")[0]
        source = "cmu" if number else "retargeted"
        clips.append(Clip(f"{source}:{name}", person, points, fps, sides, parents))
    return clips


def _without_repeats(points: np.ndarray, fps: float) -> tuple[np.ndarray, float]:
    """Recordings whose every second frame repeats the one before have half the frame rate that they are marked with."""
    still = np.abs(np.diff(points, axis=0)).max(axis=(1, 2)) == 0
    for first in (0, 1):
        if len(still) > 8 and still[first::2].all():
            return points[first::2], fps / 2
    return points, fps
