# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) SmoothNet contributors
"""Motion to learn from: recordings of true motion, with or without what an estimator made of it, cut into windows.

Recordings come from npz files of several layouts (LAYOUTS), from folders of them, or from `generate_motion`, which
needs no data at all. Windows are read from them at many speeds, from many sides, in 3D or through a camera.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, fields
from pathlib import Path

import numpy as np
from scipy.ndimage import spline_filter1d
from scipy.spatial.transform import Rotation

from ..utils.errors import SmoothNetError
from ..utils.unpickle import Npz
from .facts import DATASETS
from .noise import log_uniform

REFERENCE_FPS = 30.0  # speed 1 is a recording seen at this rate
FASTEST = 28.0  # sizes of the body a second, 14 m/s for an adult: no joint moves faster
SLOWEST_SOURCE = 25.0  # frames per second; recordings below are never read between their frames


@dataclass(frozen=True)
class Recording:
    """One person in motion.

    Attributes:
        name: what to call it in messages.
        group: where it comes from (`uiprmd`, `cmu`, ...): shares are given to groups.
        person: whose motion it is, to split by; empty if unknown.
        truth: (T, K, D) float32, any unit.
        detected: (T, K, D) float32, what an estimator made of it; None for motion alone.
        fps: frames per second.
    """

    name: str
    group: str
    person: str
    truth: np.ndarray
    detected: np.ndarray | None = None
    fps: float = REFERENCE_FPS

    def __post_init__(self) -> None:
        shape = self.truth.shape
        if len(shape) != 3 or shape[2] not in (2, 3) or 0 in shape:
            raise SmoothNetError(f"{self.name}: motion must be frames x joints x 2 or 3 coordinates, not {shape}")
        if self.detected is not None and self.detected.shape != shape:
            raise SmoothNetError(
                f"{self.name}: detected has the shape {self.detected.shape}, groundtruth {shape}; they must agree"
            )
        for what, values in (("groundtruth", self.truth), ("detected", self.detected)):
            if values is not None and not np.isfinite(values).all():
                frame = int(np.argwhere(~np.isfinite(values))[0, 0])
                raise SmoothNetError(f"{self.name}: {what} is not finite in frame {frame}; cut or fill such frames")
        if not 0 < self.fps < 10_000:
            raise SmoothNetError(f"{self.name}: a frame rate must be a positive number, not {self.fps}")


def load_recordings(path: str | Path) -> list[Recording]:
    """The recordings of a file, or of all npz files in a folder and its subfolders.

    Layouts, told apart by their arrays:
    - clips packed as integers: `positions` or `pos` (F, K, 3), `scale_mm`, `offset_mm` (clips, 3), and `start`
      (clips + 1) or `length` (clips); `fps`, `clip` or `name` if there.
    - pairs: object arrays `detected` and `groundtruth`, one (T, K, D) a sequence; `groundtruth_offset` is taken in
      place of `groundtruth`; `subject`, `fps`, `timestamps`, `imgname` if there.
    - the official layout: a folder with detected/ and groundtruth/, as data/poses/uiprmd_kinect_3D, 3D or 2D; or one
      file of detected/, with its partner. The frame rate is the dataset's where it is known.

    Raises:
        SmoothNetError: nothing readable there; a file that is none of these; NaN; shapes that do not fit.
    """
    path = Path(path)
    if path.is_file():
        return _fitting(_load_official if path.parent.name == "detected" else _load_file, path)
    if not path.is_dir():
        raise SmoothNetError(f"there is no motion at {path}: it is neither a file nor a folder")
    found: list[Recording] = []
    for file in sorted(path.rglob("*.npz")):
        if file.parent.name == "groundtruth" and (file.parent.parent / "detected").is_dir():
            continue  # read with its partner
        found += _fitting(_load_official if file.parent.name == "detected" else _load_file, file)
    if not found:
        raise SmoothNetError(f"no npz files with motion in {path}")
    return found


def _fitting(load: Callable[[Path], list[Recording]], path: Path) -> list[Recording]:
    """What is loaded from a file, whose arrays may have any type and shape."""
    try:
        return load(path)
    except (TypeError, ValueError, IndexError) as error:
        raise SmoothNetError(f"{path} holds arrays that do not fit together ({error}); write it again") from error


def _load_file(path: Path) -> list[Recording]:
    with Npz(path) as file:
        for needed, load in LAYOUTS:
            if needed <= set(file.keys):
                return load(file)
        raise SmoothNetError(
            f"{path} holds {', '.join(sorted(file.keys)) or 'nothing'}, which is no known layout of motion; "
            "see load_recordings in lib/dataset/motion.py"
        )


def _load_packed(file: Npz) -> list[Recording]:
    path, packed = file.path, file["positions" if "positions" in file else "pos"]
    if "start" in file:
        start = file["start"]
    elif "length" in file:
        start = np.concatenate([[0], np.cumsum(file["length"])])
    else:
        raise SmoothNetError(f"{path} has neither `start` nor `length`, so its clips cannot be told apart")
    clips = len(start) - 1
    if packed.ndim != 3 or clips < 1 or start[0] != 0 or start[-1] != len(packed) or (np.diff(start) < 1).any():
        raise SmoothNetError(f"{path}: the clips {start[:4]}... do not fit the {len(packed)} frames in it")
    scale = float(file["scale_mm"]) if "scale_mm" in file else 1.0
    offset = file["offset_mm"] if "offset_mm" in file else np.zeros((clips, packed.shape[2]))
    key = next((key for key in ("clip", "name") if key in file), None)
    titles = [str(name) for name in (file[key] if key else range(clips))]
    if len(titles) != clips:
        raise SmoothNetError(f"{path} has {clips} clips, but {len(titles)} in {key}")
    rates = np.broadcast_to(file["fps"], clips) if "fps" in file else [REFERENCE_FPS] * clips
    recordings = []
    for i, title in enumerate(titles):
        truth = (packed[start[i] : start[i + 1]] * scale + offset[i]).astype(np.float32)
        truth, rate = _without_repeats(truth, float(rates[i]))
        recordings.append(
            Recording(f"{path.name}, clip {title}", path.stem.split("_")[0], person=title, truth=truth, fps=rate)
        )
    return recordings


def _without_repeats(truth: np.ndarray, fps: float) -> tuple[np.ndarray, float]:
    """Motion in which every frame is stored twice, at half its frame rate; other motion as it is.

    Some clips are, and the motion they pretend to is full of jumps.
    """
    pairs = truth[: len(truth) // 2 * 2].reshape(-1, 2, truth[0].size) if truth.ndim == 3 else truth[:0, None]
    same = (pairs[:, 0] == pairs[:, -1]).all(axis=-1)
    moving = (truth[1:] != truth[:-1]).any()
    if len(same) > 4 and moving and same.mean() > 0.9:
        return truth[::2], fps / 2
    return truth, fps


def _objects(file: Npz, key: str) -> list[np.ndarray]:
    return [np.asarray(sequence) for sequence in file[key]]


def _load_pairs(file: Npz) -> list[Recording]:
    path, detected = file.path, _objects(file, "detected")
    truth = _objects(file, "groundtruth_offset" if "groundtruth_offset" in file else "groundtruth")
    titles = [str(name) for name in (file["imgname"] if "imgname" in file else range(len(truth)))]
    people = [str(person) for person in file["subject"]] if "subject" in file else [""] * len(truth)
    if "fps" in file:
        rates = [float(rate) for rate in np.broadcast_to(file["fps"], len(truth))]
    elif "timestamps" in file:
        rates = [1 / float(np.median(np.diff(times))) for times in _objects(file, "timestamps")]
    else:
        rates = [REFERENCE_FPS] * len(truth)
    if len(detected) != len(truth):
        raise SmoothNetError(f"{path} has {len(detected)} detected sequences and {len(truth)} of groundtruth")
    group = path.stem.split("_")[0]
    return [
        Recording(
            f"{path.name}, {titles[i]}", group, people[i], gt.astype(np.float32), seen.astype(np.float32), rates[i]
        )
        for i, (seen, gt) in enumerate(zip(detected, truth, strict=True))
    ]


def _load_official(path: Path) -> list[Recording]:
    """A pair of files in the official layout; the person is what the image names say (`_s08_`), if they do."""
    match = re.fullmatch(r"(.+)_(3D|2D)_(\w+)\.npz", path.name)
    if not match:
        return []  # rotations of SMPL are no positions
    names, space, phase = match.groups()
    words = names.split("_")  # h36m_mix_fcn: either name may be of several words
    datasets = ["_".join(words[:count]) for count in range(len(words) - 1, 0, -1)] or [names]
    partners = {name: path.parent.parent / "groundtruth" / f"{name}_gt_{space}_{phase}.npz" for name in datasets}
    dataset = next((name for name, partner in partners.items() if partner.is_file()), None)
    if dataset is None:
        raise SmoothNetError(f"{path} has no groundtruth: {partners[datasets[-1]]} is missing")
    partner = partners[dataset]
    fps = next((facts.fps for facts in DATASETS if facts.dataset == dataset and facts.fps), REFERENCE_FPS)
    key, dims = f"joints_{space.lower()}", int(space[0])
    with Npz(path) as file:
        images = _objects(file, "imgname")
        detected = _objects(file, key)
    with Npz(partner) as file:
        truth = _objects(file, key)
    if len(detected) != len(truth):
        raise SmoothNetError(f"{path} has {len(detected)} sequences, its groundtruth {len(truth)}")
    recordings = []
    for i, (seen, gt) in enumerate(zip(detected, truth, strict=True)):
        title = str(images[i][0])
        person = re.search(r"(?:^|[_/])s0*(\d+)(?:[_/]|$)", title, re.IGNORECASE)
        recordings.append(
            Recording(
                name=f"{path.name}, sequence {i} ({title})",
                group=dataset,
                person=person.group(1) if person else "",
                truth=gt.reshape(len(gt), -1, dims).astype(np.float32),
                detected=seen.reshape(len(seen), -1, dims).astype(np.float32),
                fps=fps,
            )
        )
    return recordings


LAYOUTS: tuple[tuple[set[str], Callable[[Npz], list[Recording]]], ...] = (
    ({"detected", "groundtruth"}, _load_pairs),
    ({"positions"}, _load_packed),
    ({"pos"}, _load_packed),
)


def plausible(recordings: Sequence[Recording], fastest: float = FASTEST) -> list[Recording]:
    """The recordings in which no joint of the truth moves faster than `fastest`, in sizes of the body a second.

    Faster ones hold lost or exchanged markers, and a smoother would learn to keep such jumps.
    """

    def speed(recording: Recording) -> float:
        size = _body_size(recording.truth) or 1.0
        step = np.linalg.norm(np.diff(recording.truth, axis=0), axis=-1).max(initial=0.0)
        return float(step) / size * recording.fps

    return [recording for recording in recordings if recording.truth.shape[1] == 1 or speed(recording) <= fastest]


def generate_motion(rng: np.random.Generator, frames: int, joints: int = 15, fps: float = REFERENCE_FPS) -> np.ndarray:
    """A made-up creature in made-up, partly very fast motion: (T, K, 3) float32, metres.

    A tree of bones whose angles are driven by oscillations of .1 to 3 Hz that come and go, and by quick moves to
    a new pose and rests in between (minimum jerk, .12 to 1 s); the root walks, turns and jumps. Nobody moves just
    like that; but it has the mix of speeds, the pauses and the common motion of joints that a smoother must keep.
    """
    time = np.arange(frames) / fps
    parents = np.array([-1] + [int(rng.integers(max(0, i - 4), i)) for i in range(1, joints)])
    bones = rng.uniform(0.08, 0.45, joints)[:, None] * _unit(rng.standard_normal((joints, 3)))
    rotations: list[Rotation] = []
    positions = np.zeros((frames, joints, 3))
    vigour = np.exp(rng.uniform(np.log(0.1), np.log(1.5)))
    for joint in range(joints):
        angle = np.stack([_drive(rng, time) for _ in range(3)], axis=1) * vigour * rng.uniform(0.1, 1.0)
        local = Rotation.from_rotvec(angle)
        if joint == 0:
            rotations.append(local)
            positions[:, 0] = _root_path(rng, time) * vigour
        else:
            parent = int(parents[joint])
            rotations.append(rotations[parent] * local)
            positions[:, joint] = positions[:, parent] + rotations[parent].apply(bones[joint])
    return positions.astype(np.float32)


def _unit(vectors: np.ndarray) -> np.ndarray:
    return vectors / np.linalg.norm(vectors, axis=-1, keepdims=True)


def _drive(rng: np.random.Generator, time: np.ndarray) -> np.ndarray:
    """An angle over time, radians: oscillations in an envelope, or moves from pose to pose."""
    if rng.random() < 0.5:
        frequency = np.exp(rng.uniform(np.log(0.1), np.log(3.0)))
        envelope = 0.5 + 0.5 * np.sin(2 * np.pi * (rng.uniform(0.05, 0.4) * time + rng.random()))
        swing = np.sin(2 * np.pi * (frequency * time + rng.random())) + 0.3 * np.sin(
            2 * np.pi * (2 * frequency * time + rng.random())
        )
        return envelope * swing
    return _moves(rng, time)


def _moves(rng: np.random.Generator, time: np.ndarray) -> np.ndarray:
    """From one random value to the next, each move a minimum-jerk step (Flash and Hogan 1985), with rests."""
    value, now = np.full(len(time), rng.standard_normal()), -rng.uniform(0, 1)
    while now < time[-1]:
        duration = np.exp(rng.uniform(np.log(0.12), np.log(1.0)))
        s = np.clip((time - now) / duration, 0, 1)
        value += rng.standard_normal() * (10 * s**3 - 15 * s**4 + 6 * s**5)
        now += duration + rng.exponential(0.4)
    return value


def _root_path(rng: np.random.Generator, time: np.ndarray) -> np.ndarray:
    path = np.stack([0.4 * _drive(rng, time) + rng.uniform(-1.5, 1.5) * time for _ in range(3)], axis=1)
    air = np.clip(np.sin(2 * np.pi * (rng.uniform(0.3, 1.2) * time + rng.random())), 0, None)
    path[:, 1] += rng.uniform(0, 0.5) * (rng.random() < 0.5) * air  # the parabola of a jump, nearly
    return path


@dataclass(frozen=True)
class View:
    """How recordings are read into windows; shares are of the windows, 0 to 1."""

    speed: tuple[float, float] = (0.2, 5.5)  # times the real one at 30 frames per second, log-uniform
    backwards: float = 0.3
    relative: float = 0.45  # to the first joint, which then rests at the origin
    any_rotation: float = 0.5  # the rest turns about the vertical (second) axis only
    mirrored: float = 0.5
    scaled_motion: float = 0.5  # the motion about its mean times `motion_scale`
    motion_scale: tuple[float, float] = (0.25, 1.5)
    plain: float = 0.06  # nothing moves by itself: one pose that rests, or is carried along a line or a parabola
    rhythm: float = 0.16  # the whole body goes up and down or to and fro .8 to 4.5 times a second, as in jumping rope
    moving_camera: float = 0.1  # 2D windows whose camera pans and zooms

    def __post_init__(self) -> None:
        for field in fields(self):
            value = getattr(self, field.name)
            good = 0 < value[0] <= value[1] if isinstance(value, tuple) else 0 <= value <= 1
            if not good:
                raise SmoothNetError(f"{field.name} of the view is out of range: {value}")


class MotionSource:
    """Recordings ready to be read at any speed.

    Args:
        recordings: what there is.
        shares: of the windows, by group; a group without a share gets none. None: all groups by their length.

    Raises:
        SmoothNetError: no recordings, none of a group in `shares`, or shares that are none.
    """

    def __init__(self, recordings: Sequence[Recording], shares: Mapping[str, float] | None = None):
        if not recordings:
            raise SmoothNetError("there is no motion to cut windows from")
        self.recordings = list(recordings)
        seconds = np.array([len(r.truth) / r.fps for r in recordings])
        groups = np.array([r.group for r in recordings])
        if shares is not None:
            unknown = sorted(set(shares) - set(groups))
            if unknown:
                raise SmoothNetError(
                    f"there is no motion of {', '.join(unknown)}, only of {', '.join(sorted(set(groups)))}"
                )
            if not (all(0 <= share < np.inf for share in shares.values()) and any(shares.values())):
                raise SmoothNetError(f"shares of motion must be 0 or more, and not all 0, not {dict(shares)}")
            total = {group: seconds[groups == group].sum() for group in set(groups)}
            seconds = np.array([s * shares.get(g, 0.0) / total[g] for s, g in zip(seconds, groups, strict=True)])
        self.weight = seconds / seconds.sum()
        self.joints = np.array([r.truth.shape[1] for r in recordings])
        self.dims = np.array([r.truth.shape[2] for r in recordings])
        self._splines: dict[int, np.ndarray] = {}

    def choose(self, count: int, joints: int, dims: int, window: int, rng: np.random.Generator) -> np.ndarray:
        """Indices of `count` recordings with at least so many joints; 2D ones serve 2D windows only.

        Raises:
            SmoothNetError: there is none.
        """
        fits = (self.joints >= joints) & (self.dims >= dims)
        fits &= np.array([len(r.truth) >= 4 if r.detected is None else len(r.truth) >= window for r in self.recordings])
        weight = self.weight * fits
        if not weight.sum():
            raise SmoothNetError(f"no recording has {joints} joints in {dims}D for windows of {window} frames")
        return rng.choice(len(self.weight), size=count, p=weight / weight.sum())

    def read(self, index: int, time: np.ndarray) -> np.ndarray:
        """(len(time), K, D) float32: the truth at `time` in frames, on a cubic spline through the frames."""
        truth = self.recordings[index].truth
        if index not in self._splines:
            self._splines[index] = spline_filter1d(truth, 3, axis=0, mode="mirror", output=np.float32)
        last = len(truth) - 1
        first = np.floor(time).astype(int)
        u = (time - first).astype(np.float32)[:, None]
        weights = np.concatenate(
            [(1 - u) ** 3, 3 * u**3 - 6 * u**2 + 4, -3 * u**3 + 3 * u**2 + 3 * u + 1, u**3], axis=1
        )
        near = first[:, None] + np.arange(-1, 3)
        near = last - np.abs(last - np.abs(near))  # mirrored at both ends
        return np.einsum("tb,tbkd->tkd", weights / 6, self._splines[index][near])


def clean_windows(
    source: MotionSource,
    count: int,
    joints: int,
    dims: int,
    window: int,
    rng: np.random.Generator,
    view: View | None = None,
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Windows of true motion.

    Returns:
        (N, K, D, W) float32; (N,) the size of the whole body in each, in the same unit (the bodies' sizes are
        brought to 1 within rounding); (N,) bool, whether the window is relative to its first joint; (N,) frames
        per second at which the motion would be as fast as it was.
    """
    view = View() if view is None else view
    out = np.empty((count, joints, dims, window), np.float32)
    size = np.empty(count, np.float32)
    rate = np.empty(count)
    relative = (rng.random(count) < view.relative) & (joints > 1)  # one joint alone would rest at 0
    for i, index in enumerate(source.choose(count, joints, dims, window, rng)):
        recording = source.recordings[index]
        time, step = _times(recording, window, rng, view)
        rate[i] = recording.fps / step
        pose = source.read(int(index), time)
        if rng.random() < view.plain:
            pose = pose[:1] + _carried(pose, rng)
        if rng.random() < view.rhythm:
            pose = pose + _rhythm(pose, float(rate[i]), rng)
        pose, size[i] = _seen(pose[None], dims, rng, view)
        chosen = rng.permutation(pose.shape[2])[:joints]
        if relative[i]:
            chosen = np.concatenate([[0], chosen[chosen != 0]])[:joints]
            pose = pose - pose[:, :, :1]
        out[i] = pose[0][:, chosen].transpose(1, 2, 0)
    return out / size[:, None, None, None], np.ones_like(size), relative, rate


def pair_windows(
    source: MotionSource,
    count: int,
    joints: int,
    dims: int,
    window: int,
    rng: np.random.Generator,
    view: View | None = None,
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Windows of what an estimator made of a motion, and of that motion: errors stay with what they were made on.

    Frames are taken as they are or every 2nd or 3rd, never in between, which would smooth the errors. Both are
    turned, mirrored and projected alike. The mean of the middle half of a channel's errors is taken out of the truth:
    no smoother can know a constant offset, and none should share the errors of a few frames out over all.

    Returns:
        detected and truth, (N, K, D, W) float32 each, the body's size 1; (N,) frames per second.
    """
    view = View() if view is None else view
    seen = np.empty((count, joints, dims, window), np.float32)
    true = np.empty_like(seen)
    rate = np.empty(count)
    middle = slice(window // 4, window - window // 4)
    for i, index in enumerate(source.choose(count, joints, dims, window, rng)):
        recording = source.recordings[index]
        assert recording.detected is not None
        frames = len(recording.truth)
        stride = int(rng.choice([s for s in (1, 1, 1, 2, 3) if (window - 1) * s < frames]))
        rate[i] = recording.fps / stride
        start = int(rng.integers(frames - (window - 1) * stride))
        taken = start + stride * np.arange(window)[:: -1 if rng.random() < view.backwards else 1]
        both, size = _seen(np.stack([recording.detected[taken], recording.truth[taken]]), dims, rng, view)
        chosen = rng.permutation(both.shape[2])[:joints]
        both = both[:, :, chosen].transpose(0, 2, 3, 1) / size
        both[1] += np.sort(both[0] - both[1], axis=-1)[..., middle].mean(axis=-1, keepdims=True)
        seen[i], true[i] = both
    return seen, true, rate


def _body_size(poses: np.ndarray) -> float:
    """RMS distance of the joints (T, K, D) from their centroid."""
    body = poses - poses.mean(axis=1, keepdims=True)
    return float(np.sqrt((body**2).sum(-1).mean()))


def _carried(poses: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """(W, 1, D) shift of a body that is carried along a line, in a third of cases a parabola, or in a third not at all.

    One joint alone whose path is that plain, in noise, must not look like a recording without errors.
    """
    time = np.linspace(-1, 1, len(poses))[:, None, None]
    line, bend = rng.standard_normal((2, poses.shape[2])) * _body_size(poses) * log_uniform(rng, (0.01, 3.0), 1)[0]
    kind = rng.integers(3)
    return ((kind > 0) * line * time + (kind > 1) * bend * time**2).astype(np.float32)


def _rhythm(poses: np.ndarray, fps: float, rng: np.random.Generator) -> np.ndarray:
    """(W, 1, D) shift of a whole body that sways or bounces: a sine, or the parabolas of hops, nearly."""
    hertz = min(float(log_uniform(rng, (0.8, 4.5), 1)[0]), fps / 4)
    cycle = np.pi * (hertz * np.arange(len(poses)) / fps + rng.random())
    course = np.abs(np.sin(cycle)) if rng.random() < 0.5 else 0.5 * np.sin(2 * cycle)
    way = 0.2 * rng.standard_normal((poses.shape[2],))
    way[min(1, len(way) - 1)] += 1
    size = _body_size(poses) * log_uniform(rng, (0.04, 0.5), 1)[0]
    return (size * course[:, None, None] * way).astype(np.float32)


def _times(recording: Recording, window: int, rng: np.random.Generator, view: View) -> tuple[np.ndarray, float]:
    """Times in frames at which a recording is read, and the step between them; short ones are read forth and back."""
    step = float(log_uniform(rng, view.speed, 1)[0]) * recording.fps / REFERENCE_FPS
    if recording.fps < SLOWEST_SOURCE:
        step = max(1.0, round(step))
    last = len(recording.truth) - 1
    if step > 0.5 * last:
        step = 0.5 * last
    time = rng.uniform(0, max(last - step * (window - 1), 0)) + step * np.arange(window)
    if recording.fps < SLOWEST_SOURCE:
        time = np.round(time)
    if rng.random() < view.backwards:
        time = time[::-1]
    return last - np.abs(last - time % (2 * last)), step


def _seen(poses: np.ndarray, dims: int, rng: np.random.Generator, view: View) -> tuple[np.ndarray, float]:
    """Several versions of one window (V, W, K, 2 or 3) turned and projected alike, and the last one's body size."""
    middle = poses[-1].mean(axis=(0, 1))
    poses = poses - middle
    if rng.random() < view.scaled_motion:
        mean = poses[-1].mean(axis=0)
        poses = mean + (poses - mean) * log_uniform(rng, view.motion_scale, 1)[0]
    poses = poses @ _orientation(poses.shape[-1], rng, view).astype(np.float32)
    if dims < poses.shape[-1]:
        poses = _project(poses, rng, view)
    size = _body_size(poses[-1])
    if size == 0:
        size = float(np.sqrt((poses[-1] ** 2).sum(-1).mean())) or 1.0
    return poses, size


def _orientation(dims: int, rng: np.random.Generator, view: View) -> np.ndarray:
    angle = rng.uniform(0, 2 * np.pi)
    turn = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    mirror = -1.0 if rng.random() < view.mirrored else 1.0
    if dims == 2:
        turn = turn if rng.random() < view.any_rotation else np.eye(2)
        return turn * [mirror, 1.0]
    if rng.random() < view.any_rotation:
        return Rotation.random(random_state=int(rng.integers(2**31))).as_matrix() * [mirror, 1.0, 1.0]
    matrix = np.eye(3)
    matrix[np.ix_([0, 2], [0, 2])] = turn
    return matrix * [mirror, 1.0, 1.0]


def _project(poses: np.ndarray, rng: np.random.Generator, view: View) -> np.ndarray:
    """Pinhole image from 2 to 12 body heights away; the camera may pan and zoom."""
    reach = float(np.abs(poses[-1]).max())
    distance = reach * np.exp(rng.uniform(np.log(1.6), np.log(10)))
    image = poses[..., :2] / np.maximum(poses[..., 2:] + distance, 0.2 * distance) * distance
    if rng.random() < view.moving_camera:
        time = np.linspace(-1, 1, poses.shape[1])[:, None, None]
        pan, sway = rng.standard_normal((2, 2)) * 0.3 * reach
        image = image * (1 + 0.3 * rng.uniform(-1, 1) * time) + pan * time + sway * np.sin(3 * time)
    return image.astype(np.float32)
