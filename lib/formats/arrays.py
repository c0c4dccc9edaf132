# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) SmoothNet contributors
"""NumPy files: .npy and .npz with points or rotations.

An .npz is a zip of .npy members; members that hold no poses are copied as the bytes they are, so nothing in them
is ever unpickled, and they are not even read until the file is written.
"""

from __future__ import annotations

import copy
import io
import math
import re
import shutil
import zipfile
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import IO, Any

import numpy as np

from ..utils.blocks import blocks
from ..utils.errors import SmoothNetError
from ..utils.files import atomic_write
from ..utils.last_read import LastRead
from ..utils.unpickle import refuse_bombs
from .content import Content
from .layout import ROTATION_WORDS, Layout, Piece, parse_layout
from .meaning import (
    OF_GRAPH,
    MayBeAngles,
    Meaning,
    are_boxes,
    doubt_one_pose,
    of_array,
    refuse_angles,
    refuse_rows_of_joints,
)
from .recording import Recording, Track
from .rotations import FORMS, from_6d, looks_like, to_6d

# What the names of arrays say. Words that make it no position, whatever else the name says:
_NO_POSITION = (
    *("bbox", "box", "veloc", "accel", "angle", "euler", "torque", "force", "gyro", "resolution", "size"),
    *("intrinsic", "extrinsic", "框", "速度", "角", "力矩", "内参", "外参"),
    *("world2cam", "cam2world", "world_to_cam", "cam_to_world", "camera_to_world", "w2c", "c2w", "viewmat"),
    *("projection", "head_pose", "headpose", "joint_vec", "normals", "pred_phi", "world_scale"),
    # What does not move: a pose at rest.
    *("rest_joint", "rest_pos", "joints_rest", "template", "bind_pose"),
)
# The same of whole words: body_lin_vel_w, jointVel.
_NO_POSITION_WORDS = {"vel", "vels", "linvel", "angvel", "qvel", "acc", "accs", "omega"}
# Words that hold one of those by chance.
_BY_CHANCE = re.compile(r"(?:tri|rect|quadr)angl|resiz|boxer|boxing|(?:re|en)?inforc")
_CAMERA_NAMES = {"r", "k", "p", "rt", "r_wc", "r_cw"}  # of a camera, beside arrays that say that they are points
_SCORE_WORDS = ("score", "conf", "likelihood", "visib", "分数", "得分", "置信", "可见")
# Words that leave no doubt, and others that name rotations as well as positions.
_POINT_WORDS = (
    *("keypoint", "kpt", "joint", "point", "pts", "landmark", "marker", "position", "coord", "关键点", "关节", "坐标"),
)
_POSITION_WORDS = (*_POINT_WORDS, "pose", "world", "px", "姿态")
# Words that make it no position where no word above says that it is one.
_OTHER_WORDS = (
    *("cam", "mask", "valid", "index", "indices", "idx", "ids", "time", "frame", "beta", "shape", "vert", "faces"),
    *("center", "centre", "scale", "expression", "dmpl", "color", "colour", "image", "img", "edge", "parent", "weight"),
)
_ANGLE_AXIS_NAMES = ("rotvec", "axis_angle", "axisangle", "pose_aa", "poses_aa")
_ROTATION_NAMES = ("quat", "rotmat", "rot_mat", "rotation", "orient", "rot6d", *_ANGLE_AXIS_NAMES)
# Joints of SMPL, SMPL-H and SMPL-X, with and without the root.
BODY_JOINTS = (24, 23, 22, 21, 52, 51, 55, 54)
FRAME_OF_REFERENCE = r"(?:_(?:world|w|global|cam|c|incam|camera))?"
TRANSLATION = re.compile(
    rf"(?:smplx?_|smplh_)?(?:trans|transl|translation|root_trans|root_translation|th){FRAME_OF_REFERENCE}"
)
_JOINT_NAMES = ("joint_names", "keypoint_names", "joints_names", "names", "node_names", "marker_names")
_ID_NAMES = {"track_ids", "track_id", "person_ids", "person_id", "ids", "tracker_ids", "identities"}
# Bytes from which on an array becomes the track itself, in its own type, rather than a copy in float64.
LARGE = 2**24

_FPS_NAMES = ("fps", "mocap_framerate", "mocap_frame_rate", "frame_rate", "framerate")


@dataclass(frozen=True)
class Header:
    shape: tuple[int, ...]
    dtype: np.dtype
    by_columns: bool
    begin: int  # where the numbers start in a .npy


@dataclass
class Arrays:
    """The arrays of a file that can be read without unpickling, each read when asked for; "" is that of a .npy."""

    path: Path
    headers: dict[str, Header]
    meanings: dict[str, Meaning] = field(default_factory=dict)  # of those that are smoothed
    # Slices of another array under a name of their own (SMPL-X: pose_body is columns 3 to 66 of poses).
    copies: dict[str, tuple[str, int]] = field(default_factory=dict)
    scores: set[str] = field(default_factory=set)  # those that are scores of others
    # Those that would no longer fit what is smoothed: they are not written where anything was.
    stale: set[str] = field(default_factory=set)
    objects: list[str] = field(default_factory=list)  # the names of arrays of Python objects, which stay unread
    coarse: set[str] = field(default_factory=set)  # those whose type has no room for what smoothing changes
    _read: dict[str, np.ndarray] = field(default_factory=dict, repr=False)
    _given: tuple[float, int] | None = None  # of a .npy whose array is no longer kept: when it was written, its size

    def __getitem__(self, name: str) -> np.ndarray:
        if name not in self._read:
            try:
                if self.path.suffix.lower() == ".npy":
                    array = np.load(self.path, allow_pickle=False)
                else:
                    with zipfile.ZipFile(self.path) as file, file.open(f"{name}.npy") as member:
                        array = np.lib.format.read_array(member, allow_pickle=False)
            except Exception as error:  # a damaged file fails in any way at all
                raise _unreadable(self.path, error) from error
            self._read[name] = array
        return self._read[name]

    def give(self) -> np.ndarray:
        """The array of a .npy, for somebody who will change it: it is not kept, and read again when it is written."""
        array = self[""]
        self._given = self._state()
        del self._read[""]
        return array

    def _state(self) -> tuple[float, int]:
        state = self.path.stat()
        return state.st_mtime, state.st_size

    @property
    def given(self) -> bool:
        return self._given is not None

    def frames(self, frames: slice) -> np.ndarray:
        """A run along the first axis of the array of a .npy, as the file has it."""
        if self._given is None:
            return self[""][frames]
        header = self.headers[""]
        row = math.prod(header.shape[1:])
        try:
            with self.path.open("rb") as file:
                file.seek(header.begin + frames.start * row * header.dtype.itemsize)
                part = np.fromfile(file, header.dtype, (frames.stop - frames.start) * row)
            changed = self._state() != self._given or len(part) < (frames.stop - frames.start) * row
        except OSError as error:
            raise SmoothNetError(f"{self.path} cannot be read a second time: {error.strerror or error}") from error
        if changed:
            raise SmoothNetError(f"{self.path} was changed while it was smoothed; smooth it again")
        return part.reshape(-1, *header.shape[1:])


def _unreadable(path: Path, error: object) -> SmoothNetError:
    return SmoothNetError(f"{path} is not a readable NumPy file: {error}".replace("\n", " "))


def is_numpy(path: Path) -> bool:
    return path.is_file() and path.suffix.lower() in (".npy", ".npz")


@LastRead
def open_arrays(path: Path) -> Arrays:
    """The headers of all arrays in the file.

    Raises:
        SmoothNetError: no NumPy file, a damaged one, or one that unpacks to far more than poses can.
    """
    try:
        if path.suffix.lower() == ".npy":
            with path.open("rb") as file:
                header = _read_header(file, path.stat().st_size)
            if header is None:
                raise ValueError("it does not start as one")
            if header.dtype.hasobject:
                raise ValueError(f"it holds Python objects, which are never unpickled; {_trusted('it')}")
            return Arrays(path, {"": header})
        headers, objects = {}, []
        with zipfile.ZipFile(path) as archive:
            refuse_bombs(archive.infolist(), str(path))
            for member in archive.infolist():
                if member.filename.endswith(".npy"):
                    with archive.open(member) as file:
                        header = _read_header(file, member.file_size)
                    if header is not None and not header.dtype.hasobject:
                        headers[member.filename.removesuffix(".npy")] = header
                    elif header is not None:
                        objects.append(member.filename.removesuffix(".npy"))
        return Arrays(path, headers, objects=objects)
    except SmoothNetError:
        raise
    except Exception as error:  # a damaged file fails in any way at all
        raise _unreadable(path, error) from error


def _trusted(what: str) -> str:
    """What to do about Python objects."""
    return (
        f"where you trust it (unpickling can run anything), load {what} in Python, with numpy.load and its "
        "allow_pickle, and save the array of points with numpy.save"
    )


def _read_header(file: IO[bytes], size: int) -> Header | None:
    """The header of a .npy, which must promise as many bytes as there are; None where this is none."""
    if file.read(6) != np.lib.format.MAGIC_PREFIX:
        return None
    version = tuple(file.read(2))
    if version == (1, 0):
        shape, by_columns, dtype = np.lib.format.read_array_header_1_0(file)
    elif version == (2, 0):
        shape, by_columns, dtype = np.lib.format.read_array_header_2_0(file)
    else:  # numpy writes another version only for field names outside latin1, which no pose file has
        return None
    promised = dtype.itemsize
    for length in shape:
        promised *= length
    if not dtype.hasobject and (promised != size - file.tell() or min(shape, default=0) < 0):
        raise ValueError(f"an array of shape {shape} needs {promised} bytes, there are {size - file.tell()}")
    return Header(shape, dtype, by_columns, file.tell())


# --------------------------------------------------------------------------------------------------------- reading


def sniff_npy(path: Path) -> bool:
    return is_numpy(path) and path.suffix.lower() == ".npy"


def read_points(path: Path, dims: int | None = None, layout: Layout | None = None) -> Recording:
    """All arrays of the file that hold positions or can be told to hold rotations."""
    if not is_numpy(path):
        raise SmoothNetError(f"{path} is not a .npy or .npz file")
    source = open_arrays(path)
    tracks = read_points_of(source, other_points(source, layout), dims, layout)
    tracks += _named_rotations(source)
    if not tracks:
        raise _no_points(source)
    return record(source, path.suffix[1:].lower(), tracks)


def _no_points(source: Arrays) -> SmoothNetError:
    shapes = ", ".join(f"{name or 'array'} {h.shape} {h.dtype}" for name, h in source.headers.items())
    advice = ""
    if any(header.dtype.kind in "fiu" and len(header.shape) > 1 for header in source.headers.values()):
        advice = "; say what its axes are, as in --layout tdk"
        if "" not in source.headers:
            advice += ', or call the array of points "keypoints"'
    elif any(header.dtype.names for header in source.headers.values()):
        name = next(name for name, header in source.headers.items() if header.dtype.names)
        place = f'["{name}"]' if name else ""
        advice = (
            f'; put its fields side by side: import numpy; a = numpy.load("{source.path.name}"){place}; '
            'numpy.save("poses.npy", numpy.stack([a[field] for field in a.dtype.names], -1))'
        )
    elif pair := _pair(source):
        advice = (
            f'; put coordinates side by side: import numpy; a = numpy.load("{source.path.name}"); '
            f'numpy.save("poses.npy", numpy.stack([a["{pair[0]}"], a["{pair[1]}"]], -1))'
        )
    elif source.objects:
        advice = f"; {_trusted(next(filter(says_points, source.objects), source.objects[0]))}"
    if not shapes and source.objects:
        shapes = f"Python objects in {', '.join(source.objects)}, which are never unpickled"
    return SmoothNetError(
        f"{source.path} holds no array of points: needed are numbers of shape (T, K, D), (T, K*D) or "
        f"(T, P, K, D), found {shapes or 'no array'}{advice}"
    )


def _pair(source: Arrays) -> tuple[str, str] | None:
    """The names of two arrays with a number a frame that are x and y of something: poseX0 and poseY0."""
    lists = {name for name, header in source.headers.items() if len(header.shape) == 1 and header.shape[0] > 1}
    pairs = ((name, name.replace("X", "Y").replace("x", "y")) for name in sorted(lists))
    return next(((x, y) for x, y in pairs if x != y and y in lists), None)


def read_points_of(
    source: Arrays, names: list[str], dims: int | None = None, layout: Layout | None = None
) -> list[Track]:
    """The tracks of the arrays that can be positions, but for those that turn out to be none beside others.

    An array whose name says nothing is left alone where its values are boxes, or cannot be told, and a named one has
    the points. What a user says of rotations is not meant for translations, nor for what is called joints.
    """
    boxes = {name for name in names if not _is_named(name) and are_boxes(source[name])}
    names = names if boxes == set(names) else [name for name in names if name not in boxes]
    doubtful = {name for name in names if not says_points(name) and not TRANSLATION.fullmatch(name.lower())}
    any_named = any(map(_is_named, names))
    any_rotations = bool(doubtful or source.meanings)
    tracks: list[Track] = []
    for name in names:
        own = layout if name in doubtful or not any_rotations else _without_rotations(layout)
        try:
            tracks += read_piece(source, name, dims, own)
        except SmoothNetError:
            if _is_named(name) or not any_named:
                raise
    return tracks


def _is_named(name: str) -> bool:
    """Whether the name of an array says that it holds poses."""
    return any(word in name.lower() for word in _POSITION_WORDS)


def says_points(name: str) -> bool:
    """Whether the name says that they are positions, no rotations."""
    return any(word in name.lower() for word in _POINT_WORDS) and not any(w in name.lower() for w in _ROTATION_NAMES)


def _says_no_position(name: str) -> bool:
    """Whether the name says that they are no positions, whatever else it says."""
    meant = _BY_CHANCE.sub("", name.lower())
    words = re.sub(r"(?<=[a-z])(?=[A-Z])", "_", name).lower().split("_")
    return any(word in meant for word in _NO_POSITION) or not _NO_POSITION_WORDS.isdisjoint(words)


def _without_rotations(layout: Layout | None) -> Layout | None:
    if layout is None or layout.pieces is None or any(piece.form == "points" for piece in layout.pieces):
        return layout
    return replace(layout, columns=None)


def read_rotations(path: Path, form: str, format: str, layout: Layout | None = None) -> Recording:
    """Rotations on the user's word: (T, J, 4) or (T, J*4) quaternions and the like."""
    if not is_numpy(path):
        raise SmoothNetError(f"{path} is not a .npy or .npz file")
    source = open_arrays(path)
    numbers = FORMS[form].numbers
    names = []
    for name, header in source.headers.items():
        shape = header.shape
        whole, flat = len(shape) == 3 and shape[2] == numbers, len(shape) == 2 and shape[1] and shape[1] % numbers == 0
        if header.dtype.kind == "f" and (whole or flat) and name not in ("betas", "shape", "dmpls"):
            names.append(name)
    if len(names) > 1:
        names = [n for n in names if any(w in n.lower() for w in ("quat", "rot", "pose", "orient"))] or names
    if not names:
        raise SmoothNetError(f"{path} has no array of quaternions, shape (T, J, 4) or (T, J*4)")
    tracks = []
    for name in names:
        if source[name].any() and not looks_like(form, source[name].reshape(-1, numbers)):
            raise SmoothNetError(f"{path}, {name or 'array'}: these are not unit quaternions")
        tracks += read_piece(source, name, layout=Layout(columns=ROTATION_WORDS[form]))
    frames = tracks[0].points.shape[0]
    for name, header in source.headers.items():
        if name in ("trans", "transl") and header.dtype.kind == "f" and header.shape == (frames, 3):
            tracks += read_piece(source, name, dims=3)
    return record(source, format, tracks)


def read_quaternions(path: Path, dims: int | None = None, layout: Layout | None = None) -> Recording:
    return read_rotations(path, "wxyz", "quaternion", layout)


def read_quaternions_xyzw(path: Path, dims: int | None = None, layout: Layout | None = None) -> Recording:
    """The same with the real part last, as SciPy and ROS have it."""
    return read_rotations(path, "xyzw", "quaternion-xyzw", layout)


def read_piece(source: Arrays, name: str, dims: int | None = None, layout: Layout | None = None) -> list[Track]:
    """The tracks of one array: for each camera and person one of each of its points and rotations."""
    array = source[name]
    where = f"{source.path}, {name or 'array'}"
    if name not in source.meanings:
        layout = _own_layout(source, name) if dims is None and layout in (None, Layout()) else layout
        source.meanings[name] = _meaning(array, name, where, dims, layout)
    meaning = source.meanings[name]
    _refuse_moving_ids(source, name, meaning)
    coarse = any(piece.form == "points" for piece in meaning.pieces) and _too_coarse(array)
    if coarse:
        source.coarse.add(name)
    if not coarse and array.nbytes >= LARGE and _is_track(source, name, array):
        del array
        return _given_tracks(source, meaning)
    view = meaning.view(array)
    tracks = []
    for piece in meaning.pieces:
        part = name or "points"
        if len(meaning.pieces) > 1:
            part += " positions" if piece.form == "points" else " rotations"
        scores = _scores_for(source, name, meaning) if piece.score is None else None
        for camera, person in np.ndindex(view.shape[1:3]):
            values = view[:, camera, person].astype(np.float64)
            score = scores[:, camera, person] if scores is not None else None
            score = values[..., piece.score] if piece.score is not None else score
            points = _read_numbers(values[..., list(piece.numbers)], piece, score)
            tracks.append(
                Track(
                    camera * view.shape[2] + person,
                    points,
                    scores=score,
                    kind="points" if piece.form == "points" else "rotations",
                    part=part,
                    where=(name, camera, person, piece),
                    form=piece.form,
                    owner=_owner(meaning, view),
                )
            )
    return tracks


def _meaning(array: np.ndarray, name: str, where: str, dims: int | None, layout: Layout | None) -> Meaning:
    """That of an array of this name, which can say what its values do not."""
    if TRANSLATION.fullmatch(name.lower()) and array.ndim == 3 and array.shape[2] == 3:
        # One of each person: people are no joints of one body.
        axes = layout.axes if layout is not None and len(layout.axes or "") == 4 else None
        return of_array(array[:, :, None], where, None, Layout(axes, ("x", "y", "z")))
    try:
        meaning = of_array(array, where, dims, layout)
        said = dims is not None or (layout is not None and layout.columns is not None)
        if "pose" in name.lower() and not said and meaning.pieces == (Piece((0, 1, 2)),):
            refuse_angles(meaning.view(array), where, BODY_JOINTS)
        alone = array.ndim == 2 and meaning.shape[1:-1] == (1,) and not said and (not name or says_points(name))
        if alone and meaning.pieces[0].form == "points":
            refuse_rows_of_joints(meaning.view(array)[:, 0, 0, 0, list(meaning.pieces[0].numbers)], where)
        doubt = doubt_one_pose(array) if alone else ""
        return replace(meaning, note=meaning.note or doubt)
    except MayBeAngles:
        if not says_points(name):
            raise
        return of_array(array, where, dims, replace(layout or Layout(), columns=("x", "y", "z")))


def _refuse_moving_ids(source: Arrays, name: str, meaning: Meaning) -> None:
    """Refuse people who change places from frame to frame, by an array of ids (frames, people) beside the points."""
    if not meaning.axes.startswith("tp"):
        return
    for ids, header in source.headers.items():
        if ids.lower() not in _ID_NAMES or header.dtype.kind not in "iu" or header.shape != meaning.shape[:2]:
            continue
        places = [set(column[column >= 0].tolist()) - {0} for column in source[ids].T]  # 0 and -1: nobody
        if sum(map(len, places)) > len(set().union(*places)):
            raise SmoothNetError(
                f"{source.path}: people change places in {name}, by {ids}; give each a place: import numpy; "
                f'a = dict(numpy.load("{source.path.name}")); order = numpy.argsort(a["{ids}"], 1, "stable"); '
                f'a["{name}"] = numpy.take_along_axis(a["{name}"], order[..., None, None], 1), and so on with the '
                "others, where all are there in each frame"
            )


def _is_track(source: Arrays, name: str, array: np.ndarray) -> bool:
    """Whether tracks can be views of an array as it is, and each block of its frames be written without the others."""
    meaning = source.meanings[name]
    piece = meaning.pieces[0]
    return (
        source.path.suffix.lower() == ".npy"
        and array.dtype in (np.float32, np.float64)
        and array.dtype.isnative
        and array.flags.c_contiguous
        and _is_by_frames(source)
        and len(meaning.pieces) == 1
        and piece.form == "points"
        and piece.numbers == tuple(range(piece.numbers[0], piece.numbers[-1] + 1))
    )


def _given_tracks(source: Arrays, meaning: Meaning) -> list[Track]:
    """The tracks of a .npy that are views of its array, which is no longer the source's; see read_piece."""
    (piece,) = meaning.pieces
    view = meaning.view(source.give())
    tracks = []
    for camera, person in np.ndindex(view.shape[1:3]):
        values = view[:, camera, person]
        points = values[..., piece.numbers[0] : piece.numbers[-1] + 1]
        score = None if piece.score is None else values[..., piece.score]
        for frames in blocks(len(points)):
            part = points[frames]
            gone = ~np.isfinite(part).all(axis=2)
            if score is not None:
                gone |= ~part.any(axis=2) & (score[frames] == 0)
            part[gone] = np.nan
        track = Track(camera * view.shape[2] + person, points, scores=score, owner=_owner(meaning, view))
        track.where = ("", camera, person, piece)
        tracks.append(track)
    return tracks


def _own_layout(source: Arrays, name: str) -> Layout | None:
    """What the file itself says of an array, in the words of --layout: the text NAME_layout, as make_npz writes it."""
    header = source.headers.get(f"{name}_layout")
    if header is None or header.dtype.kind != "U" or header.shape:
        return None
    try:
        return parse_layout(str(source[f"{name}_layout"]))
    except SmoothNetError:  # another program's
        return None


def _owner(meaning: Meaning, view: np.ndarray) -> str:
    if meaning.note and "p" in meaning.axes and meaning.axes != OF_GRAPH:
        return "person or camera"
    return "camera" if "c" in meaning.axes and view.shape[2] == 1 else "person"


def _read_numbers(values: np.ndarray, piece: Piece, score: np.ndarray | None) -> np.ndarray:
    """(frames, joints, dims), or six numbers a rotation; NaN where something is not there."""
    if piece.form != "points":
        return to_6d(values, piece.form)
    points = np.where(np.isfinite(values), values, np.nan)
    if score is not None:
        # Estimators that find nothing write zeros throughout.
        points[~points.any(axis=2) & (score == 0)] = np.nan
    points[np.isnan(points).any(axis=2)] = np.nan
    return points


def _too_coarse(array: np.ndarray) -> bool:
    """Whether the steps between neighbouring numbers of a float type show beside the size of what is in the array."""
    if array.dtype.kind != "f" or array.dtype.itemsize > 4 or not array.size:
        return False
    eps = float(np.finfo(array.dtype).eps)
    if _spread(array) >= 1.001 * 1e3 * eps:
        return False
    known = array[np.isfinite(array)].astype(np.float64)
    if not known.size:
        return False
    largest = np.quantile(np.abs(known), 0.9)
    step = largest * eps
    return bool(0 < known.std() < 1e3 * step)


def _spread(array: np.ndarray) -> float:
    """The standard deviation of the finite numbers of an array as a share of the largest; 0 where nothing is known."""
    count, total, squares, largest = 0, 0.0, 0.0, 0.0
    for deviations in (False, True):
        for part in blocks(len(array)):
            known = array[part][np.isfinite(array[part])].astype(np.float64)
            if deviations:
                squares += float(((known - total / count) ** 2).sum())
            elif known.size:
                count, total = count + known.size, total + float(known.sum())
                largest = max(largest, float(np.abs(known).max()))
        if not count or not largest:
            return 0.0
    return math.sqrt(squares / count) / largest


def record(source: Arrays, format: str, tracks: list[Track], notes: list[str] | None = None) -> Recording:
    """The recording of these tracks, with the arrays that none of them has."""
    notes = list(notes or [])
    notes += [f"{name or 'array'}: {m.note}" for name, m in source.meanings.items() if m.note]
    notes += [f"{name or 'array'} is written as float64, {source.headers[name].dtype} is too coarse for it"
              for name in source.coarse]  # fmt: skip
    used = {*source.meanings, *source.copies, *source.scores, *source.stale, *_FPS_NAMES}
    left = [
        name
        for name, header in source.headers.items()
        if name not in used and header.dtype.kind in "fiuc" and int(np.prod(header.shape)) > 1
    ]
    frames = max(len(track.points) for track in tracks)
    return Recording(
        source.path,
        format,
        tracks,
        frames,
        _fps(source),
        _names(source, tracks),
        source,
        left_alone=left,
        notes=notes,
        by_blocks=source.given,
    )


def other_points(source: Arrays, layout: Layout | None = None) -> list[str]:
    """The arrays that hold positions, of those that no meaning is known of yet."""
    cameras = _CAMERA_NAMES if any(map(says_points, source.headers)) else set()
    numbers = {
        name: header.shape
        for name, header in source.headers.items()
        if name not in source.meanings and name not in source.copies and name.lower() not in cameras
        if header.dtype.kind in "fiu" and not any(word in name.lower() for word in _SCORE_WORDS)
        if _has_layout(layout) or not any(word in name.lower() for word in _ANGLE_AXIS_NAMES)
    }
    arrays = {name: shape for name, shape in numbers.items() if not _says_no_position(name)}
    if _has_layout(layout) and not arrays and not source.meanings:  # the user says that there is something
        arrays = {name: shape for name, shape in numbers.items() if len(shape) > 1}
    if "" in arrays:
        shape = arrays[""]
        usable = len(shape) == 2 or (len(shape) > 2 and (shape[-1] in (1, 2, 3, 4, 6, 7, 9) or _has_layout(layout)))
        return [""] if usable else []

    def apart(name: str) -> bool:
        lowered = name.lower()
        return not _is_named(name) and any(word in lowered for word in (*_OTHER_WORDS, *_ROTATION_NAMES))

    arrays = {n: shape for n, shape in arrays.items() if not apart(n)}
    if layout is not None and layout.axes is not None:
        near = {len(layout.axes), len(layout.axes) - 1} if "kd" in layout.axes or "dk" in layout.axes else set()
        return [n for n, s in arrays.items() if len(s) in (near or {len(layout.axes)}) and (len(s) > 2 or _is_named(n))]
    spatial = [
        n
        for n, s in arrays.items()
        if len(s) in (3, 4, 5) and (1 <= s[-1] <= 4 or (_is_named(n) and s[-1] in (6, 7, 9)))
    ]
    flat = [n for n, s in arrays.items() if len(s) == 2]
    if not spatial and not any(map(_is_named, flat)):  # a table of positions and quaternions under any name
        spatial = [n for n, s in arrays.items() if len(s) in (3, 4, 5) and s[-1] in (6, 7, 9)]
    if spatial:
        # A pose at rest, say, has an axis of joints where the others have frames.
        frames = {length for n in spatial for length in arrays[n][: len(arrays[n]) - 2]}
        return [n for n in arrays if n in spatial or (n in flat and _is_named(n) and arrays[n][0] in frames)]
    if any(_is_named(n) for n in flat):
        return [n for n in flat if _is_named(n)]
    return flat if len(flat) == 1 and not source.meanings else []


def _has_layout(layout: Layout | None) -> bool:
    return layout is not None and (layout.axes is not None or layout.columns is not None)


def _named_rotations(source: Arrays) -> list[Track]:
    """Arrays that are called rotations, and are: by their values, or by a name that leaves no choice."""
    tracks: list[Track] = []
    for name, header in source.headers.items():
        lowered, shape = name.lower(), header.shape
        if name in source.meanings or header.dtype.kind != "f" or len(shape) < 2 or "cam" in lowered:
            continue
        if not any(word in lowered for word in _ROTATION_NAMES):
            continue
        for form in ("matrix", "wxyz", "6d", "6d-vectors", "axis-angle"):
            numbers = FORMS[form].numbers
            if int(np.prod(shape[1:])) % numbers or not shape[0] or not np.prod(shape[1:]):
                continue
            if form == "axis-angle" and not any(word in lowered for word in _ANGLE_AXIS_NAMES):
                continue
            if form != "axis-angle" and not looks_like(form, source[name].reshape(-1, numbers)):
                continue
            if form == "wxyz" and any(word in lowered for word in ("xyzw", "scipy")):
                form = "xyzw"
            shape3 = (shape[0], int(np.prod(shape[1:])) // numbers, numbers)
            source.meanings[name] = Meaning(shape3, "tkd", (Piece(tuple(range(numbers)), form),))
            tracks += read_piece(source, name)
            break
    return tracks


def _scores_for(source: Arrays, of: str, meaning: Meaning) -> np.ndarray | None:
    """(frames, cameras, people, joints) float64 from an array of scores beside this one."""
    without = tuple(n for n, letter in zip(meaning.shape, meaning.axes, strict=True) if letter != "d")
    letters = meaning.axes.replace("d", "")
    fitting = [
        name
        for name, header in source.headers.items()
        if any(word in name.lower() for word in _SCORE_WORDS) and header.dtype.kind in "fiu" and header.shape == without
    ]
    if not fitting:
        return None
    # Of several the one whose name has most in common with the array's: left_scores beside left_keypoints.
    best = max(fitting, key=lambda name: len(set(name.lower().split("_")) & set(of.lower().split("_"))))
    source.scores.add(best)
    return Meaning(without, letters, ()).view(source[best])[..., 0].astype(np.float64)


def _names(source: Arrays, tracks: list[Track]) -> tuple[str, ...] | None:
    """Names of the joints from an array of text, if it has one for each joint of every track."""
    counts = {track.points.shape[1] for track in tracks}
    for name, header in source.headers.items():
        if name in _JOINT_NAMES and header.dtype.kind == "U" and len(header.shape) == 1 and {*header.shape} == counts:
            return tuple(map(str, source[name]))
    return None


def _fps(source: Arrays) -> float | None:
    for name in _FPS_NAMES:
        header = source.headers.get(name)
        if header is not None and np.prod(header.shape) == 1 and header.dtype.kind in "fiu":
            fps = float(source[name].reshape(()))
            if fps > 0:
                return fps
    return None


# --------------------------------------------------------------------------------------------------------- writing


def write_arrays(recording: Recording, smoothed: list[np.ndarray], out: Path) -> None:
    source: Arrays = recording.source
    if recording.path.suffix.lower() == ".npy" and _is_by_frames(source):
        _write_by_frames(recording, smoothed, out)
        return
    results = _results(recording.tracks, smoothed, source)
    if recording.path.suffix.lower() == ".npy":
        with atomic_write(out) as file:
            np.lib.format.write_array(file, results[""], allow_pickle=False)
        return
    moved = any(_changed(track.points, new).any() for track, new in zip(recording.tracks, smoothed, strict=True))
    dropped = {f"{name}.npy" for name in source.stale} if moved else set()
    try:
        with (
            zipfile.ZipFile(recording.path) as old,
            atomic_write(out) as file,
            zipfile.ZipFile(file, "w", allowZip64=True) as new_file,
        ):
            for member in (member for member in old.infolist() if member.filename not in dropped):
                _copy_member(old, member, new_file, results.get(member.filename.removesuffix(".npy")))
    except (SmoothNetError, OSError):
        raise
    except Exception as error:  # a member that was not needed so far can be damaged in any way
        raise _unreadable(recording.path, error) from error


def _is_by_frames(source: Arrays) -> bool:
    """Whether the frames of a .npy lie in it one after the other, and each can be written without the others."""
    header, meaning = source.headers[""], source.meanings[""]
    first = meaning.axes[0] == "t" and meaning.shape[0] == header.shape[0]
    return first and not header.by_columns and "" not in source.coarse


def _write_by_frames(recording: Recording, smoothed: list[np.ndarray], out: Path) -> None:
    """A .npy, a block of frames at a time."""
    source: Arrays = recording.source
    header, meaning = source.headers[""], source.meanings[""]
    kind = _written_type(header.dtype, False)
    with atomic_write(out) as file:
        said = {"descr": np.lib.format.dtype_to_descr(kind), "fortran_order": False, "shape": header.shape}
        np.lib.format.write_array_header_1_0(file, said)
        for frames in blocks(header.shape[0]):
            result = np.array(source.frames(frames), kind, order="C")
            view = Meaning((len(result), *meaning.shape[1:]), meaning.axes, ()).view(result)
            for track, new in zip(recording.tracks, smoothed, strict=True):
                _, camera, person, piece = track.where
                _put(view[:, camera, person], track.points[frames], new[frames], piece)
            file.write(result.tobytes())


def _copy_member(
    old: zipfile.ZipFile, member: zipfile.ZipInfo, new: zipfile.ZipFile, result: np.ndarray | None
) -> None:
    """One member of the zip, with the array it gets or as it is, a piece at a time."""
    info = copy.copy(member)
    if result is not None and member.filename.endswith(".npy"):
        buffer = io.BytesIO()
        np.lib.format.write_array(buffer, result, allow_pickle=False)
        new.writestr(info, buffer.getvalue(), compress_type=member.compress_type)
        return
    with old.open(member) as content, new.open(info, "w", force_zip64=member.file_size > 2**30) as target:
        shutil.copyfileobj(content, target, 2**20)


def _results(tracks: list[Track], smoothed: list[np.ndarray], source: Arrays) -> dict[str, np.ndarray]:
    """The arrays with the smoothed values in them."""
    results = {}
    for name in source.meanings:
        old = source[name]
        results[name] = np.array(old, _written_type(old.dtype, name in source.coarse), order="C")
    for track, new in zip(tracks, smoothed, strict=True):
        name, camera, person, piece = track.where
        _put(source.meanings[name].view(results[name])[:, camera, person], track.points, new, piece)
    for name in results:
        if source[name].dtype.kind == "f" and np.array_equal(results[name], source[name], equal_nan=True):
            results[name] = np.array(source[name], order="C")
        if source.headers[name].by_columns and source[name].ndim > 1:  # .npy says which way an array lies
            results[name] = np.asfortranarray(results[name])
    for name, (whole, start) in source.copies.items():
        part = source[name]
        table = results[whole].reshape(*part.shape[:-1], -1)
        results[name] = table[..., start : start + part.shape[-1]].astype(part.dtype)
    return results


def _put(target: np.ndarray, points: np.ndarray, new: np.ndarray, piece: Piece) -> None:
    """Write what smoothing changed of points to where it stands, (frames, joints, numbers of a joint), in place."""
    changed = _changed(points, new)
    if not changed.any():
        return
    frames, joints = np.nonzero(changed)
    place = (frames[:, None], joints[:, None], np.array(piece.numbers))
    values = new[changed]
    if piece.form != "points":
        values = from_6d(values, piece.form, target[place].astype(np.float64))
    target[place] = values


def _changed(points: np.ndarray, new: np.ndarray) -> np.ndarray:
    """(frames, joints) bool: which points get other numbers."""
    changed: np.ndarray = np.isfinite(new).all(axis=2) & (new != points).any(axis=2)
    return changed


def _written_type(kind: np.dtype, coarse: bool) -> np.dtype:
    """Whole numbers would bring the jitter back when the smoothed ones were rounded to them."""
    if kind.kind == "f":
        return np.dtype(np.float64) if coarse else kind
    return np.dtype(np.float64 if kind.itemsize > 2 else np.float32)


def make_npy(content: Content, out: Path) -> None:
    """(frames, joints, dims) float64, with people in between where there are several; NaN is missing."""
    content.notes.append(f'where a command asks what its axes are: --layout "{_layout(content)}"')
    with atomic_write(out) as file:
        np.lib.format.write_array(file, _whole(content)[0], allow_pickle=False)


def make_npz(content: Content, out: Path) -> None:
    """The same as keypoints, with keypoint_scores, joint_names, track_ids of several people, and fps."""
    points, scores = _whole(content)
    arrays: dict[str, Any] = {"keypoints": points, "keypoints_layout": np.array(_layout(content))}
    if scores is not None:
        arrays["keypoint_scores"] = scores
    if content.names is not None:
        arrays["joint_names"] = np.array(content.names)
    if len(content.people) > 1:
        arrays["track_ids"] = np.array([str(person.id) for person in content.people])
    if content.fps:
        arrays["fps"] = np.array(content.fps)
    with atomic_write(out) as file:
        np.savez(file, **arrays)


def _layout(content: Content) -> str:
    return f"{'tkd' if len(content.people) == 1 else 'tpkd'} {','.join('xyz'[: content.dims])}"


def _whole(content: Content) -> tuple[np.ndarray, np.ndarray | None]:
    points, scores = content.dense()
    if len(content.people) == 1:
        return points[:, 0], None if scores is None else scores[:, 0]
    return points, scores
