"""NumPy files: .npy and .npz with points, AMASS-like .npz with SMPL parameters, arrays of quaternions.

An .npz is a zip of .npy members; members that hold no coordinates are copied as the bytes they are, so
nothing in them is ever unpickled.
"""

from __future__ import annotations

import functools
import io
import zipfile
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from ..utils.errors import SmoothNetError
from ..utils.files import atomic_write
from ..utils.rotations import axis_angle_to_6d, quaternion_to_6d, sixd_to_axis_angle, sixd_to_quaternion
from ..utils.unpickle import refuse_bomb
from .recording import Recording, Track
from .tables import guess_dims

_SCORE_WORDS = ("score", "conf", "likelihood", "visib")
_NAME_WORDS = (
    "keypoint",
    "kpt",
    "joint",
    "point",
    "landmark",
    "marker",
    "pose",
    "position",
    "coord",
    "world",
    "px",
)


@dataclass
class Arrays:
    """The members of a file that can be read without unpickling; "" is the array of a .npy."""

    path: Path
    arrays: dict[str, np.ndarray]
    layout: dict[str, Layout] = field(default_factory=dict)
    # Slices of another array under a name of their own (SMPL-X: pose_body is columns 3 to 66 of poses).
    copies: dict[str, tuple[str, int]] = field(default_factory=dict)


@dataclass
class Layout:
    """How an array is taken apart: (T, P, K, stride), of whose last axis `dims` are coordinates."""

    shape: tuple[int, int, int, int]
    dims: int
    rotations: str | None = None  # "axis-angle" | "wxyz" | "xyzw" (quaternions) | None: positions


def read_arrays(path: Path) -> Arrays:
    return Arrays(path, load_arrays(path))


@functools.lru_cache(maxsize=1)  # telling the format and reading it look at the same file
def load_arrays(path: Path) -> dict[str, np.ndarray]:
    try:
        if path.suffix.lower() == ".npy":
            return {"": np.load(path, allow_pickle=False)}
        arrays = {}
        with zipfile.ZipFile(path) as file:
            for member in file.infolist():
                refuse_bomb(member, f"{member.filename} in {path}")
        with np.load(path, allow_pickle=False) as file:
            for name in file.files:
                try:
                    arrays[name] = file[name]
                except ValueError:  # an array of objects: copied as it is, never unpickled
                    continue
        return arrays
    except SmoothNetError:
        raise
    except Exception as error:  # a damaged file fails in any way at all
        raise SmoothNetError(f"{path} is not a readable NumPy file: {error}") from error


def _is_numpy(path: Path) -> bool:
    return path.is_file() and path.suffix.lower() in (".npy", ".npz")


def write_arrays(recording: Recording, smoothed: list[np.ndarray], out: Path) -> None:
    source: Arrays = recording.source
    results = {name: source.arrays[name] for name in source.layout}
    for name in results:
        # Whole numbers would bring the jitter back when the smoothed ones were rounded to them.
        dtype = results[name].dtype
        results[name] = np.array(results[name], dtype if dtype.kind == "f" else np.float32, order="C")
    for track, new in zip(recording.tracks, smoothed, strict=True):
        name, person = track.where
        layout = source.layout[name]
        target = results[name].reshape(layout.shape)[:, person]
        changed = np.isfinite(new).all(axis=2) & (new != track.points).any(axis=2)
        old = target[..., : layout.dims]
        values = new[changed]
        if not len(values):
            continue
        if layout.rotations:
            values = _from_6d(values, layout.rotations, old[changed].astype(np.float64))
        frames, joints = np.nonzero(changed)
        target[frames, joints, : layout.dims] = values
    for name in results:  # .npy says whether an array lies by rows or by columns
        if source.arrays[name].flags.f_contiguous and not source.arrays[name].flags.c_contiguous:
            results[name] = np.asfortranarray(results[name])
    for name, (whole, start) in source.copies.items():
        part = source.arrays[name]
        results[name] = results[whole].reshape(len(part), -1)[:, start : start + part.shape[1]].astype(part.dtype)

    if recording.path.suffix.lower() == ".npy":
        with atomic_write(out) as file:
            np.lib.format.write_array(file, results[""], allow_pickle=False)
        return
    with (
        zipfile.ZipFile(recording.path) as old,
        atomic_write(out) as file,
        zipfile.ZipFile(file, "w", allowZip64=True) as new_file,
    ):
        for member in old.infolist():
            name = member.filename.removesuffix(".npy")
            content = old.read(member)
            if name in results:
                buffer = io.BytesIO()
                np.lib.format.write_array(buffer, results[name], allow_pickle=False)
                content = buffer.getvalue()
            new_file.writestr(member, content, compress_type=member.compress_type)


def _to_6d(values: np.ndarray, rotations: str) -> np.ndarray:
    """(N, 3) axis-angle or (N, 4) quaternions -> (N, 6)."""
    return axis_angle_to_6d(values) if rotations == "axis-angle" else quaternion_to_6d(values, rotations)


def _from_6d(sixd: np.ndarray, rotations: str, old: np.ndarray) -> np.ndarray:
    """(N, 6) -> (N, 3) or (N, 4), of the numbers that mean the same rotation those nearest to `old`.

    Six numbers that say no rotation give back `old`.
    """
    known = np.where(np.isfinite(old), old, 0)
    if rotations == "axis-angle":
        values = _nearest_axis_angle(sixd_to_axis_angle(sixd), known)
    else:
        values = sixd_to_quaternion(sixd, rotations)
        # q and -q are one rotation
        values = np.where((values * known).sum(axis=1, keepdims=True) < 0, -values, values)
    return np.where(np.isfinite(values).all(axis=1, keepdims=True), values, old)


def _nearest_axis_angle(values: np.ndarray, old: np.ndarray) -> np.ndarray:
    """Of all vectors that mean the same rotation, the one nearest to the file's: (N, 3), (N, 3) -> (N, 3).

    A rotation by a about n is also one by a + 2 pi k about n; files hold angles beyond pi, and a jump of 2 pi
    would look like jitter to whoever reads the numbers.
    """
    angle = np.linalg.norm(values, axis=1, keepdims=True)
    length = np.linalg.norm(old, axis=1, keepdims=True)
    # A rotation near 0 has no axis of its own: keep the file's.
    axis = np.where(angle > 1e-8, values / np.maximum(angle, 1e-12), old / np.maximum(length, 1e-12))
    along = (old * axis).sum(axis=1, keepdims=True)
    return axis * (angle + 2 * np.pi * np.round((along - angle) / (2 * np.pi)))


# ---------------------------------------------------------------------------------------------------- points


def detect_npy(path: Path) -> bool:
    return _is_numpy(path) and path.suffix.lower() == ".npy"


def detect_npz(path: Path) -> bool:
    return _is_numpy(path)


def _point_layout(array: np.ndarray, dims: int | None, where: str) -> Layout:
    """(T, K, D), (T, P, K, D) or (T, K*D). A last axis with one number more than `dims` ends in a score."""
    if array.ndim == 2:
        dims = dims or guess_dims(array.shape[1])
        if array.shape[1] % dims or not array.shape[1]:
            raise SmoothNetError(f"{where}: {array.shape[1]} columns are not whole joints of {dims}; give --dims")
        return Layout((len(array), 1, array.shape[1] // dims, dims), dims)
    stride = array.shape[-1]
    if dims is None:
        dims = {4: 3}.get(stride, stride)
        if stride == 3 and _looks_like_score(array):
            dims = 2
    if stride < dims:
        raise SmoothNetError(f"{where}: the last axis has {stride} numbers, --dims asks for {dims}")
    shape = array.shape if array.ndim == 4 else (array.shape[0], 1, *array.shape[1:])
    return Layout(shape, dims)


def _looks_like_score(array: np.ndarray) -> bool:
    """Whether the third number of a joint is a score: in [0, 1] while the first two spread over pixels."""
    third = array[..., 2]
    third = third[np.isfinite(third)]
    if not third.size or third.min() < 0 or third.max() > 1:
        return False
    spread = [np.nanstd(array[..., axis]) for axis in (0, 1)]
    return min(spread) > 10


def _point_tracks(name: str, array: np.ndarray, layout: Layout, scores: np.ndarray | None) -> list[Track]:
    values = array.reshape(layout.shape).astype(np.float64)
    values[~np.isfinite(values)] = np.nan
    tracks = []
    for person in range(layout.shape[1]):
        points = values[:, person, :, : layout.dims].copy()
        score = values[:, person, :, layout.dims] if layout.shape[3] > layout.dims else None
        if scores is not None and score is None:
            score = scores.reshape(layout.shape[:3])[:, person].astype(np.float64)
        if score is not None:
            # Estimators that find nothing write zeros throughout.
            points[~points.any(axis=2) & (score == 0)] = np.nan
        # A whole pose of zeros is padding; a single zero joint may be the root the others refer to.
        points[~points.any(axis=(1, 2))] = np.nan
        points[np.isnan(points).any(axis=2)] = np.nan
        tracks.append(Track(person, points, scores=score, part=name or "points", where=(name, person)))
    return tracks


def read_points(path: Path, dims: int | None = None, **_) -> Recording:
    if not _is_numpy(path):
        raise SmoothNetError(f"{path} is not a .npy or .npz file")
    source = read_arrays(path)
    chosen = _coordinate_arrays(source, dims)
    if not chosen:
        shapes = ", ".join(f"{name or 'array'} {a.shape} {a.dtype}" for name, a in source.arrays.items())
        raise SmoothNetError(
            f"{path} holds no array of points: needed are numbers of shape (T, K, D), (T, K*D) or "
            f"(T, P, K, D), found {shapes or 'nothing that can be read without unpickling'}"
        )
    tracks = []
    for name in chosen:
        layout = _point_layout(source.arrays[name], dims, f"{path}, {name or 'array'}")
        source.layout[name] = layout
        tracks += _point_tracks(name, source.arrays[name], layout, _scores_for(source, layout))
    frame_count = max(layout.shape[0] for layout in source.layout.values())
    return Recording(path, path.suffix[1:].lower(), tracks, frame_count, _fps(source), source=source)


def _coordinate_arrays(source: Arrays, dims: int | None) -> list[str]:
    def numeric(array: np.ndarray) -> bool:
        return array.dtype.kind in "fiu"

    arrays = {
        name: array
        for name, array in source.arrays.items()
        if numeric(array) and not any(word in name.lower() for word in _SCORE_WORDS)
    }
    spatial = [n for n, a in arrays.items() if a.ndim in (3, 4) and 1 <= a.shape[-1] <= 4]
    flat = [n for n, a in arrays.items() if a.ndim == 2]
    if "" in arrays:
        return spatial or flat
    named = [n for n in flat if any(word in n.lower() for word in _NAME_WORDS)]
    if spatial or named:
        return [n for n in arrays if n in spatial or n in named]
    return flat if len(flat) == 1 else []


def _scores_for(source: Arrays, layout: Layout) -> np.ndarray | None:
    frames, people, joints, _ = layout.shape
    for name, array in source.arrays.items():
        scores = any(word in name.lower() for word in _SCORE_WORDS) and array.dtype.kind in "fiu"
        fitting = array.shape in ((frames, people, joints), (frames, joints))
        if scores and fitting and array.size == frames * people * joints:
            return array
    return None


def _fps(source: Arrays) -> float | None:
    for name in ("fps", "mocap_framerate", "mocap_frame_rate", "frame_rate", "framerate"):
        array = source.arrays.get(name)
        if array is not None and array.size == 1 and array.dtype.kind in "fiu" and float(array.reshape(())) > 0:
            return float(array.reshape(()))
    return None


# ------------------------------------------------------------------------------------------------- rotations

# Names of pose parameters: AMASS (SMPL-H, SMPL-X), SMPL as this project's data files have it, and common
# dumps.
_POSES = ("poses", "pose", "smpl_pose", "smpl_poses", "full_pose")
_PARTS = (
    "root_orient",
    "global_orient",
    "pose_body",
    "body_pose",
    "pose_hand",
    "pose_jaw",
    "pose_eye",
    "pose_eyes",
)
_POSITIONS = ("trans", "transl")
# Joints of SMPL, SMPL-H and SMPL-X, with and without the root.
_SMPL_JOINTS = (24, 23, 22, 21, 52, 51, 55, 54)


def _axis_angle_array(array: np.ndarray | None, joints: tuple[int, ...] | None = None) -> bool:
    if array is None or array.dtype.kind != "f" or array.ndim not in (2, 3):
        return False
    if array.ndim == 3 and array.shape[2] != 3:
        return False
    width = int(np.prod(array.shape[1:]))
    return width > 0 and width % 3 == 0 and (joints is None or width // 3 in joints)


def detect_smpl(path: Path) -> bool:
    """An .npz with axis-angle poses of SMPL's joint counts, and a shape or a translation beside them."""
    if not _is_numpy(path) or path.suffix.lower() != ".npz":
        return False
    arrays = read_arrays(path).arrays
    if not arrays.keys() & {
        "betas",
        "shape",
        "trans",
        "transl",
        "gender",
        "mocap_framerate",
        "mocap_frame_rate",
    }:
        return False
    whole = any(_axis_angle_array(arrays.get(name), _SMPL_JOINTS) for name in _POSES)
    return whole or any(_axis_angle_array(arrays.get(name)) for name in ("pose_body", "body_pose"))


def read_smpl(path: Path, **_) -> Recording:
    if not _is_numpy(path) or path.suffix.lower() != ".npz":
        raise SmoothNetError(f"{path} is not an .npz file with SMPL parameters")
    source = read_arrays(path)
    arrays = source.arrays
    tracks = []
    whole = next((name for name in _POSES if _axis_angle_array(arrays.get(name))), None)
    parts = [name for name in _PARTS if _axis_angle_array(arrays.get(name))]
    if whole is None and not parts:
        raise SmoothNetError(f'{path} has no array "poses" of axis-angle numbers (frames, 3 x joints)')
    frames = len(arrays[whole or parts[0]])
    for name in [whole] if whole else parts:
        tracks.append(_rotation_track(source, name, 3, "axis-angle"))
    if whole:
        table = arrays[whole].reshape(frames, -1)
        for name in parts:
            part = arrays[name].reshape(len(arrays[name]), -1)
            start = _find_columns(table, part)
            if start is not None and arrays[name].ndim == 2:
                source.copies[name] = (whole, start)
    tracks += _position_tracks(source, frames)
    return Recording(path, "smpl", tracks, frames, _fps(source), source=source)


def _position_tracks(source: Arrays, frames: int) -> list[Track]:
    """The translation of the body as a track of one point."""
    tracks = []
    for name in _POSITIONS:
        array = source.arrays.get(name)
        if array is not None and array.dtype.kind == "f" and array.shape == (frames, 3):
            source.layout[name] = Layout((frames, 1, 1, 3), 3)
            points = array.astype(np.float64).reshape(frames, 1, 3)
            points[~np.isfinite(points).all(axis=2)] = np.nan
            tracks.append(Track(0, points, part=name, where=(name, 0)))
    return tracks


def _find_columns(table: np.ndarray, part: np.ndarray) -> int | None:
    if len(part) != len(table):
        return None
    for start in range(0, table.shape[1] - part.shape[1] + 1, 3):
        if np.array_equal(table[:, start : start + part.shape[1]], part):
            return start
    return None


def _rotation_track(source: Arrays, name: str, numbers: int, rotations: str) -> Track:
    array = source.arrays[name]
    frames = len(array)
    layout = Layout((frames, 1, int(np.prod(array.shape[1:])) // numbers, numbers), numbers, rotations)
    source.layout[name] = layout
    values = array.astype(np.float64).reshape(frames, layout.shape[2], numbers)
    known = np.isfinite(values).all(axis=2)
    if rotations != "axis-angle":
        norm = np.linalg.norm(np.where(known[..., None], values, 0), axis=2)
        if known.any() and np.abs(norm[known & (norm > 0)] - 1).max(initial=0) > 0.1:
            raise SmoothNetError(f"{source.path}, {name or 'array'}: these are not unit quaternions")
        known &= norm > 0
    points = np.full((frames, layout.shape[2], 6), np.nan)
    if known.any():
        points[known] = _to_6d(values[known], rotations)
    return Track(0, points, kind="rotations", part=name or "rotations", where=(name, 0))


def read_quaternions(path: Path, order: str = "wxyz", **_) -> Recording:
    """Unit quaternions as (T, J, 4) or (T, J*4); only on request, as nothing marks them."""
    if not _is_numpy(path):
        raise SmoothNetError(f"{path} is not a .npy or .npz file")
    source = read_arrays(path)
    names = []
    for name, array in source.arrays.items():
        whole = array.ndim == 3 and array.shape[2] == 4
        flat = array.ndim == 2 and array.shape[1] % 4 == 0 and array.shape[1] > 0
        if array.dtype.kind == "f" and (whole or flat) and name not in ("betas", "shape", "dmpls"):
            names.append(name)
    if len(names) > 1:
        names = [n for n in names if any(w in n.lower() for w in ("quat", "rot", "pose", "orient"))] or names
    if not names:
        raise SmoothNetError(f"{path} has no array of quaternions, shape (T, J, 4) or (T, J*4)")
    tracks = [_rotation_track(source, name, 4, order) for name in names]
    frames = len(source.arrays[names[0]])
    tracks += _position_tracks(source, frames)
    name = "quaternion" if order == "wxyz" else "quaternion-xyzw"
    return Recording(path, name, tracks, frames, _fps(source), source=source)


def read_quaternions_xyzw(path: Path, **_) -> Recording:
    """The same with the real part last, as SciPy and ROS have it."""
    return read_quaternions(path, order="xyzw")
