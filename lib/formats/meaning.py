# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) SmoothNet contributors
"""What the numbers of a file mean, where nothing but their shape and values says so. It is decided here alone.

`of_array` and `of_table` say which axis is time, which numbers of a joint are coordinates, which a score, which a
rotation; what marks a missing point is decided in missing.py, what the name of an array means in arrays.py and smpl.py.

A reading must be likely by itself, not only possible; where two are about as likely the file is refused with the
option that says it (`--layout`, see layout.py). The thresholds are factors, never units.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from ..utils.errors import SmoothNetError
from .layout import LETTERS, Layout, Piece, fitting
from .rotations import looks_like

_ORDER = "tcpkd"


class MayBeAngles(SmoothNetError):
    """Numbers that can be joints or the axis-angle pose of SMPL, unless a name says which."""


@dataclass(frozen=True)
class Meaning:
    """How an array is looked at: reshaped to `shape`, with a letter of layout.LETTERS for each axis."""

    shape: tuple[int, ...]
    axes: str
    pieces: tuple[Piece, ...]
    note: str = ""

    def view(self, array: np.ndarray) -> np.ndarray:
        """(frames, cameras, people, joints, numbers of a joint); changing it changes a contiguous `array`."""
        return _view(array.reshape(self.shape), self.axes)


def _view(array: np.ndarray, axes: str) -> np.ndarray:
    view = array.transpose([axes.index(letter) for letter in _ORDER if letter in axes])
    for place, letter in enumerate(_ORDER):
        if letter not in axes:
            view = np.expand_dims(view, place)
    return view


# -------------------------------------------------------------------------------------------------------- arrays


def of_array(array: np.ndarray, where: str, dims: int | None = None, layout: Layout | None = None) -> Meaning:
    """The meaning of an array: (T, K, D), (T, K*D), (T, P, K, D), (T, J, 3, 3), ...

    Args:
        array: numbers.
        where: how errors name it.
        dims: coordinates a joint, as the user says; None tells it from the values.
        layout: what the user says of the array.

    Raises:
        SmoothNetError: no such array has a meaning, it has two, or not the one the user says.
    """
    layout = layout or Layout()
    if layout.axes is not None:
        shape, axes = _said_axes(array, layout, dims, where)
        pieces = layout.pieces or _pieces(_view(array.reshape(shape), axes), where, dims)
        return Meaning(shape, axes, fitting(pieces, shape[axes.index("d")] if "d" in axes else 1, where))
    shape, square = _square(array, layout, where)
    if len(shape) == 2 and square is None:
        return _flat(array, where, dims, layout)
    if len(shape) == 2:  # one matrix a frame
        return Meaning((shape[0], 1, shape[1]), "tkd", square or ())
    if len(shape) not in (3, 4):
        clips = _GRAPH_JOINTS if len(shape) == 5 and shape[1] in (2, 3) else ()
        like = "; it is like (N, C, T, V, M) of ST-GCN, which --layout cdtkp says" if shape[3:4] in clips else ""
        if shape[1:3] == (1, 1) and len(shape) == 5:
            like = '; MoveNet has --layout "tcpkd y,x,score"'
        raise SmoothNetError(f"{where} has shape {array.shape}; say what its axes are with --layout{like}")
    axes, note = (OF_GRAPH, _GRAPH) if _of_graph(array, where) else _time_axis(array.reshape(shape), where)
    view = _view(array.reshape(shape), axes)
    pieces = square or layout.pieces or _pieces(view, where, dims)
    return Meaning(shape, axes, fitting(pieces, view.shape[-1], where), note)


def of_table(matrix: np.ndarray, where: str, dims: int | None = None, layout: Layout | None = None) -> Meaning:
    """The same for a table that has its rows in time: (T, N) -> (T, K, D)."""
    layout = layout or Layout()
    if layout.axes not in (None, "tkd", "tdk"):
        raise SmoothNetError(f"{where} has a row for each frame: of its axes --layout can say tkd or tdk only")
    if layout.axes is not None:
        return of_array(matrix, where, dims, layout)
    if layout.columns is None and _lies_on_its_side(matrix):
        raise SmoothNetError(
            f"{where}: its values change more smoothly along its rows than from row to row, as if frames stood side by "
            "side; turn it, as pandas.read_csv(FILE).T does, or say --layout tkd"
        )
    return _flat_rows(matrix, where, dims, layout)


def _said_axes(array: np.ndarray, layout: Layout, dims: int | None, where: str) -> tuple[tuple[int, ...], str]:
    """The shape that the letters of --layout are for: square matrices are 9 numbers, flat axes are parted."""
    axes, shape = layout.axes or "", array.shape
    if shape[-2:] == (3, 3) and len(shape) == len(axes) + 1 and axes.endswith("d"):
        return (*shape[:-2], 9), axes
    if len(shape) == len(axes):
        return shape, axes
    at = next((i for i in range(len(axes) - 1) if set(axes[i : i + 2]) == {"k", "d"}), None)
    if len(shape) != len(axes) - 1 or at is None:
        letters = ", ".join(f"{letter} {LETTERS[letter]}" for letter in axes)
        raise SmoothNetError(f"{where} has shape {shape}, --layout {axes} needs an axis for each of {letters}")
    numbers = len(layout.columns) if layout.columns else dims
    if numbers is None and layout.axes == "tkd":
        numbers = _flat_rows(array, where, None, Layout()).shape[-1]
    if numbers is None:
        raise SmoothNetError(f"{where}: say how many numbers a joint has, as in --layout '{axes} x,y'")
    if shape[at] % numbers or not shape[at]:
        raise SmoothNetError(
            f"{where}: {shape[at]} numbers are not whole joints of {numbers}; check --layout or --dims"
        )
    parted = (shape[at] // numbers, numbers) if axes[at] == "k" else (numbers, shape[at] // numbers)
    return (*shape[:at], *parted, *shape[at + 1 :]), axes


def _square(array: np.ndarray, layout: Layout, where: str) -> tuple[tuple[int, ...], tuple[Piece, ...] | None]:
    """Rotation matrices (..., 3, 3) and transforms (..., 4, 4) as 9 and 16 numbers; anything else as it is."""
    shape = array.shape
    if array.ndim < 3 or shape[-2:] not in ((3, 3), (4, 4)):
        return shape, None
    flat = _sample(array.reshape(-1, shape[-1] ** 2)).astype(np.float64)
    short = (*shape[:-2], flat.shape[1])
    if shape[-1] == 4:
        rotation, point = (0, 1, 2, 4, 5, 6, 8, 9, 10), (3, 7, 11)
        finite = np.all(np.isfinite(flat), axis=1)
        if not (finite.any() and (flat[finite, 12:] == (0, 0, 0, 1)).all() and looks_like("matrix", flat[:, rotation])):
            return shape, None
        return short, (Piece(point), Piece(rotation, "matrix"))
    said = layout.pieces
    if said is not None and len(layout.columns or ()) == 9:
        return short, said
    if said is not None:
        return shape, None
    if looks_like("matrix", flat):
        return short, (Piece(tuple(range(9)), "matrix"),)
    known = flat[np.isfinite(flat).all(axis=1) & flat.any(axis=1)]
    if len(known):
        with np.errstate(over="ignore", invalid="ignore"):
            products = known.reshape(-1, 3, 3) @ known.reshape(-1, 3, 3).transpose(0, 2, 1)
            off = np.abs(products - np.eye(3)).max(axis=(1, 2))
        if np.median(off) < 0.3:
            raise SmoothNetError(
                f"{where} looks like matrices, but some are no rotations (a determinant of -1, or axes that are "
                "not perpendicular); for three joints of x, y, z say --layout with axes and x,y,z"
            )
    return shape, None


# Numbers of joints in skeletons that graph networks (ST-GCN and what came after it) are given.
_GRAPH_JOINTS = ((17,), (18,), (20,), (25,))
OF_GRAPH = "dtkp"
_GRAPH = "axes C, T, V, M of ST-GCN: the numbers of a joint first, people last"


def _of_graph(array: np.ndarray, where: str) -> bool:
    """Whether (2 or 3, T, V, 1 or 2) is C, T, V, M of graph networks, rather than cameras with x and y.

    Raises:
        SmoothNetError: it may be either.
    """
    if array.ndim != 4 or array.shape[0] not in (2, 3) or array.shape[3] not in (1, 2):
        return False
    if array.shape[2:3] not in _GRAPH_JOINTS or array.shape[1] < _FEWEST:
        return False
    if array.shape[3] == 1 or not np.nan_to_num(array[..., 1]).any():  # nobody in the second place
        return True
    known = array[np.isfinite(array)].astype(np.float64)
    if array.shape[0] == 3 and known.size:
        third = array[2][np.isfinite(array[2])].astype(np.float64)
        if third.size and third.min() >= 0 and third.max() <= 1 and np.abs(known).max() > 2:
            return True  # scores beside pixels
    if known.size and min(np.abs(part[np.isfinite(part)]).max(initial=0.0) for part in array) > _PIXELS:
        return False
    raise SmoothNetError(
        f"{where}, shape {array.shape}, can be C, T, V, M of ST-GCN or {array.shape[0]} cameras or people with x and "
        "y; say --layout dtkp or --layout ctkd"
    )


# ------------------------------------------------------------------------------------------------- the axis of time

_FEWEST = 8  # frames that a second axis must have to be taken for time
_CLEARLY, _RATHER = 0.25, 0.5  # of the roughness along the first axis
_MOST_IN_A_POSE = 150  # joints of a body with its hands and face
_SCATTERED = 0.5  # roughness from joint to joint of a pose: 0.6 to 1.6
_PIXELS = 20.0  # that a coordinate goes beyond if it is one of pixels, or of millimetres
_SMOOTH = 0.3  # roughness of what can be a motion: second differences over the spread of all points


def _time_axis(array: np.ndarray, where: str) -> tuple[str, str]:
    """Letters of the axes of (T, K, D), (K, T, D), (T, P, K, D) or (C, T, K, D), and what there is to say of them.

    The convention is that time comes first. It is given up only where the values change much more smoothly along the
    second axis.
    """
    usual, other = ("tkd", "ktd") if array.ndim == 3 else ("tpkd", "ptkd")
    first, second = array.shape[:2]
    if second < _FEWEST or 0 in array.shape:
        return usual, ""
    along_first, along_second = _roughness(array, 0), _roughness(array, 1)
    ambiguous = SmoothNetError(
        f"{where}, shape {array.shape}: its values change as smoothly along the second axis as frames do, so it may be "
        f"{second} frames rather than {first}; say --layout {usual} or --layout {other}"
        + (" (or ctkd for cameras)" if array.ndim == 4 else "")
    )
    if first == 1:
        # One frame of many people or joints, which smoothing would leave as it is; or one of them over time.
        if along_second < _SMOOTH and array.ndim == 4:
            return other, "the second axis taken for time"
        if array.ndim == 4 or (along_second < _SMOOTH / 3 and second >= 60):
            raise ambiguous
        return usual, ""
    few = array.ndim == 4 and first < _FEWEST and second >= 4 * first  # people or cameras rather than frames
    if along_second >= _SMOOTH or not 0 < along_second < (1 if few else _RATHER) * max(along_first, along_second):
        if few and 0 < along_second < _SMOOTH:
            raise ambiguous
        return usual, ""
    if along_second < _CLEARLY * along_first and second > first:
        return other, "the second axis taken for time"
    raise ambiguous


def _roughness(array: np.ndarray, axis: int) -> float:
    """Median length of the second difference of points along an axis, over the spread of all; infinite if unknown."""
    part = array[:2048, :2048].astype(np.float64)
    part[~np.isfinite(part)] = np.nan
    if part.shape[-1] > 1:
        part[(part == part[..., :1]).all(axis=-1)] = np.nan  # padding, or a mark of missing points
    flat = part.reshape(-1, part.shape[-1])
    flat = flat[np.isfinite(flat).all(axis=1)]
    if not len(flat):
        return math.inf
    with np.errstate(over="ignore", invalid="ignore"):
        spread = math.sqrt(flat.var(axis=0).sum())
        order = 2 if part.shape[axis] > 2 else 1
        steps = np.linalg.norm(np.diff(part, n=order, axis=axis), axis=-1)
    steps = steps[np.isfinite(steps)]
    return float(np.median(steps)) / spread if len(steps) and 0 < spread < math.inf else math.inf


# ------------------------------------------------------------------------------------------- the numbers of a joint

_ENOUGH = 100_000  # points that tell what the numbers of all are


def _pieces(view: np.ndarray, where: str, dims: int | None) -> tuple[Piece, ...]:
    """What the last axis of (frames, ..., joints, numbers) holds."""
    numbers = view.shape[-1]
    if dims is not None:
        if numbers < dims:
            raise SmoothNetError(f"{where}: the last axis has {numbers} numbers, --dims asks for {dims}")
        return (Piece(tuple(range(dims)), score=dims if numbers > dims else None),)
    if numbers in (1, 2):
        return (Piece(tuple(range(numbers))),)
    flat = _sample(view.reshape(-1, numbers))
    rotation = _rotation_pieces(flat)
    if rotation:
        return rotation
    if numbers in (3, 4):
        _refuse_score_first(flat, where)
    if numbers == 3:
        refuse_angles(view, where)
        return (Piece((0, 1), score=2) if _third_is_score(flat, where) else Piece((0, 1, 2)),)
    if numbers == 4:
        known = _unmarked(flat)
        if _look_like_boxes(known):
            raise SmoothNetError(
                f"{where} looks like boxes (left, top, right, bottom); for points say --layout x,y,z,score"
            )
        if not _may_be_score(known[:, 3]):
            raise SmoothNetError(
                f"{where}: the fourth number of a joint is no score (from {known[:, 3].min():.4g} to "
                f"{known[:, 3].max():.4g}) and the four are no unit quaternion; say what they are, as in "
                "--layout x,y,z,_ (_ is left alone)"
            )
        return (Piece((0, 1, 2), score=3),)
    raise SmoothNetError(
        f"{where}: each joint has {numbers} numbers and nothing tells what they are; say it, as in --layout "
        "x,y,z,qw,qx,qy,qz"
    )


def _look_like_boxes(known: np.ndarray) -> bool:
    """Whether (N, 4) are left, top, right, bottom."""
    return len(known) > 2 and bool((known[:, 2:] > known[:, :2]).all())


def are_boxes(array: np.ndarray) -> bool:
    """Whether the last axis of an array (..., 4) holds left, top, right, bottom."""
    return array.ndim > 1 and array.shape[-1] == 4 and _look_like_boxes(_unmarked(_sample(array.reshape(-1, 4))))


def _sample(flat: np.ndarray) -> np.ndarray:
    """As many rows of (N, numbers) as are needed to tell what they are."""
    if len(flat) <= _ENOUGH:
        return flat
    return flat[np.random.default_rng(0).integers(0, len(flat), _ENOUGH)]


def _unmarked(flat: np.ndarray) -> np.ndarray:
    """Rows of (N, numbers) that are there and no mark of missing points, which is one number throughout; float64."""
    known = flat[np.isfinite(flat).all(axis=1)].astype(np.float64)
    return known[~(known == known[:, :1]).all(axis=1)]


def _rotation_pieces(flat: np.ndarray) -> tuple[Piece, ...] | None:
    """Rotations that (N, numbers) can be told to be by their values alone."""
    numbers = flat.shape[1]
    if flat.dtype.kind != "f":
        return None
    if numbers == 4 and looks_like("wxyz", flat):
        return (Piece((0, 1, 2, 3), _quaternion_order(flat)),)
    if numbers == 9 and looks_like("matrix", flat):
        return (Piece(tuple(range(9)), "matrix"),)
    if numbers == 6:
        for form in ("6d", "6d-vectors"):
            if looks_like(form, flat):
                return (Piece(tuple(range(6)), form),)
    if numbers == 7:
        for point, rotation in (((0, 1, 2), (3, 4, 5, 6)), ((4, 5, 6), (0, 1, 2, 3))):
            if looks_like("wxyz", flat[:, rotation]):
                return (Piece(point), Piece(rotation, _quaternion_order(flat[:, rotation])))
    return None


def _quaternion_order(flat: np.ndarray) -> str:
    """Joints turn less than half a turn from their rest mostly: w is the larger of the first and the last number.

    A wrong guess does little harm: lengths and the angles between frames are the same in either order.
    """
    first, last = np.nanmean(np.abs(flat[:, [0, 3]]), axis=0)
    return "xyzw" if last > first + 0.1 else "wxyz"


def _may_be_score(values: np.ndarray) -> bool:
    """Whether (N,) can be scores, visibilities or percent."""
    known = values[np.isfinite(values)]
    return not known.size or (known.min() >= 0 and known.max() <= 100)


def _score_is_first(known: np.ndarray) -> bool:
    """Whether the first number of (N, 3) or (N, 4), see _unmarked, is a score by its values, as the last is not."""
    if len(known) < _FEWEST or not _crowds_below_one(known[:, 0]) or _crowds_below_one(known[:, -1]):
        return False
    return known.shape[1] == 4 or bool(known[:, 1:].std(axis=0).min() > 10)  # in metres it may be a coordinate


def _refuse_score_first(flat: np.ndarray, where: str) -> None:
    known = _unmarked(flat)
    if not _score_is_first(known):
        return
    said = ",".join(("x", "y", "z")[: known.shape[1] - 1])
    raise SmoothNetError(
        f"{where}: the first number of a joint, from {known[:, 0].min():.4g} to {known[:, 0].max():.4g}, may be a "
        f"score; say --layout score,{said}, or name all of the numbers otherwise"
    )


def place_of_score(flat: np.ndarray) -> int | None:
    """Which of the numbers of (N, 3) is clearly a score beside x and y; None where all may be coordinates."""
    if _score_is_first(_unmarked(flat)):
        return 0
    try:
        return 2 if _third_is_score(flat, "") else None
    except SmoothNetError:  # it may be either
        return None


def _crowds_below_one(values: np.ndarray) -> bool:
    """Whether (N,) lie between 0 and 1, most of them at the upper end, as scores do."""
    low, top = values.min(), values.max()
    return bool(low >= 0 and 0.6 < top <= 1 and low < top and np.median(values) >= 0.8 * top)


def _third_is_score(flat: np.ndarray, where: str) -> bool:
    """Whether the third number of (N, 3) is a score beside x and y, rather than z."""
    known = _unmarked(flat)
    if not len(known) or not _may_be_score(known[:, 2]):
        return False
    third, top = known[:, 2], known[:, 2].max()
    pixels = min(known[:, 0].std(), known[:, 1].std()) > 10
    # Scores crowd at their upper end, coordinates do not.
    crowded = 0 < 0.8 * top <= np.median(third)
    if pixels and (top <= 2 or crowded or third.std() < 0.02 * min(known[:, 0].std(), known[:, 1].std())):
        return True
    # What never changes is not harmed by either reading, and a few points say nothing.
    if (top > 1 and not pixels) or third.std() == 0 or len(known) < _FEWEST:
        return False
    if top <= 1 and crowded and top > 0.9 and np.median(known[:, :2], axis=0).max() < 0.8:
        return True
    raise SmoothNetError(
        f"{where}: the third number of a joint, from {third.min():.4g} to {top:.4g}, may be a coordinate or a score; "
        "say --layout x,y,z or --layout x,y,score"
    )


# Joints of SMPL, SMPL-H and SMPL-X, whose axis-angle numbers have the shape of as many points.
_SMPL_POSES = (24, 52, 55)


def refuse_angles(view: np.ndarray, where: str, joints: tuple[int, ...] = _SMPL_POSES) -> None:
    """Refuse (T, ..., J, 3) of these joint counts that can be angles: bones keep their length, angles do not.

    Raises:
        MayBeAngles: with the words of --layout that say which they are.
    """
    if view.shape[-2] not in joints or view.shape[0] < 5:
        return
    poses = view.reshape(-1, view.shape[-2], 3)[:2000].astype(np.float64)
    poses = poses[np.isfinite(poses).all(axis=(1, 2))]
    if len(poses) < 5 or np.abs(poses).max() > 7:  # radians
        return
    # Measured: 0.07 to 0.15 for joints (triangulated, BlazePose), 0.28 to 0.35 for angles.
    if steadiness(poses) < 0.2:
        return
    raise MayBeAngles(
        f"{where}: {view.shape[-2]} x 3 numbers can be joints or the axis-angle pose of SMPL; say --layout x,y,z or "
        "--layout axis-angle"
    )


def steadiness(poses: np.ndarray) -> float:
    """(frames, joints, 3) -> how much the distance of a joint to its best other one changes, of all its motion to it:
    the median over the joints. Little, where bones tie them together; 0 where nothing moves."""
    steadiest = []
    for joint in range(poses.shape[1]):
        vectors = poses - poses[:, joint : joint + 1]
        motion = np.sqrt(((vectors - vectors.mean(axis=0)) ** 2).sum(axis=2).mean(axis=0))
        moves = motion > 1e-9
        lengths = np.linalg.norm(vectors[:, moves], axis=2)
        steadiest.append((lengths.std(axis=0) / motion[moves]).min(initial=np.inf))
    return 0.0 if np.isinf(steadiest).all() else float(np.median(steadiest))


# ------------------------------------------------------------------------------------------------------- flat rows

_MOST_LABELS = 20  # what is done, or who does it, by number
_EPOCH = 1e8  # seconds or less since 1970 that no coordinate reaches


def tells_time(matrix: np.ndarray) -> bool:
    """Whether the first column of (T, N) counts the frames or tells their time: it grows from row to row as no other
    does, and evenly, or without it the joints are whole, or it is a time of day."""
    rows, columns = matrix.shape
    if rows < 10 or columns < 3:
        return False
    first = matrix[:, 0].astype(np.float64)
    steps = np.diff(first)
    if not np.isfinite(first).all() or steps.min() <= 0:
        return False
    others = np.diff(matrix[:2000, 1:].astype(np.float64), axis=0)
    if ((others > 0).all(axis=0) | (others < 0).all(axis=0)).any():
        return False
    step = float(np.median(steps))
    room = max(0.02 * step, 1.1e-3 if 5e-3 < step < 0.5 else 0)  # of seconds with three decimals
    return bool(np.abs(steps - step).max() <= room) or first[0] > _EPOCH or is_one_over(columns)


def holds_labels(matrix: np.ndarray) -> bool:
    """Whether the last column of (T, N) has a few whole numbers for what is done: all others have fractions, or many
    values and are whole joints without it."""
    rows, columns = matrix.shape
    if columns < 5 or not ((columns - 1) % 2 == 0 or (columns - 1) % 3 == 0):
        return False
    last, others = matrix[:, -1].astype(np.float64), matrix[:2000, :-1].astype(np.float64)
    if not np.isfinite(last).all() or (last != np.round(last)).any():
        return False
    odd = is_one_over(columns)
    if not (1 if odd else 2) <= len(np.unique(last)) <= min(_MOST_LABELS, rows / 5):
        return False
    if not odd:
        return bool(((others != np.round(others)) & np.isfinite(others)).any(axis=0).all())
    return all(len(np.unique(column)) > _MOST_LABELS for column in others.T)


def is_one_over(columns: int) -> bool:
    """Whether so many columns are no whole joints of two or three numbers, but would be without one."""
    return columns > 3 and columns % 2 != 0 and columns % 3 != 0  # one less is even


def _refuse_beside(array: np.ndarray, where: str) -> None:
    """Refuse (T, N) with a column beside the joints, which would be smoothed as one of their coordinates."""
    for found, which, what, rest in (
        (tells_time, "first", "counts the frames or tells their time", "1:"),
        (holds_labels, "last", "holds whole numbers, as labels are", ":-1"),
    ):
        if found(array):
            raise SmoothNetError(
                f"{where}: its {which} column {what}; leave it out: numpy.save('poses.npy', a[:, {rest}]), or say "
                "--layout x,y or x,y,z if it is a coordinate"
            )


def _flat(array: np.ndarray, where: str, dims: int | None, layout: Layout) -> Meaning:
    """(T, K*D), or (K*D, T) where the values clearly say so."""
    first, second = array.shape
    if layout.columns is None and dims != 1:  # which smooths each by itself
        _refuse_beside(array, where)
    if layout.columns is None and _lies_on_its_side(array):
        if second <= 2 * first:
            raise SmoothNetError(
                f"{where}, shape {array.shape}: its values change more smoothly along its rows than from row to "
                "row, as if the second axis were time; say --layout tkd or --layout kdt, and x,y or x,y,z"
            )
        rows = _flat_rows(array.T, where, dims, layout)
        return Meaning((rows.shape[1], rows.shape[2], second), "kdt", rows.pieces, "the second axis taken for time")
    return _flat_rows(array, where, dims, layout)


def doubt_one_pose(array: np.ndarray) -> str:
    """What to say of (N, 2 to 4), one joint over time by the convention, where its rows lie like the joints of one
    pose."""
    rows = len(array)
    few = array.ndim == 2 and array.shape[1] in (2, 3, 4) and _FEWEST <= rows <= _MOST_IN_A_POSE
    if not few or not _SCATTERED < _roughness(array[:, None], 0) < math.inf:
        return ""
    return (
        f"taken for one joint in {rows} frames, but its rows lie as {rows} joints of one pose do: if it is one, there "
        "is nothing to smooth; give all frames, (frames, joints, numbers)"
    )


_CYCLE = 150  # joints of a frame that may follow one another in rows


def refuse_rows_of_joints(points: np.ndarray, where: str) -> None:
    """Refuse (rows, 2 to 4) of one joint that leaps from row to row, and goes on where it was some rows before: these
    are the joints of a frame one below the other.

    Raises:
        SmoothNetError: with how many joints that would be.
    """
    rows = points[:4000].astype(np.float64)
    if len(rows) < 3 * _FEWEST or not _SCATTERED < _roughness(rows[:, None], 0) < math.inf:
        return
    with np.errstate(invalid="ignore", over="ignore"):
        steps = [np.linalg.norm(rows[n:] - rows[:-n], axis=1) for n in range(1, min(len(rows) // 3, _CYCLE) + 1)]
    apart = np.array([np.median(step[np.isfinite(step)]) if np.isfinite(step).any() else np.inf for step in steps])
    joints = int(np.flatnonzero(apart <= 1.2 * apart.min())[0]) + 1
    if apart[joints - 1] < apart[0] / 10 and len(points) % joints == 0:  # a joint that goes round is less regular
        raise SmoothNetError(
            f"{where}: each row goes on where the row {joints} before it left off, as if {joints} joints of each frame "
            f"stood one below the other; give a row a frame, as rows.reshape(-1, {joints} * {points.shape[1]}) does in "
            f"numpy, or say --layout {','.join('xyz'[: points.shape[1]])} if it is one joint"
        )


def refuse_numbered(points: np.ndarray, where: str) -> None:
    """Refuse points (frames, joints, 3) whose first number counts the joints: [0, x, y], [1, x, y], ..., as scripts
    around hand trackers have them."""
    joints = points.shape[1]
    if points.shape[2] != 3 or joints < 3:
        return
    first = points[:_CYCLE, :, 0]
    first = first[np.isfinite(first).all(axis=1)]
    if len(first) > 1 and any((first == np.arange(start, start + joints)).all() for start in (0, 1)):
        raise SmoothNetError(
            f"{where}: the first number of each joint counts the joints; leave it out, or say --layout _,x,y (_ is "
            "left alone), or x,y,z if it is a position"
        )


def refuse_holistic(matrix: np.ndarray, where: str) -> None:
    """Refuse rows of MediaPipe Holistic: 33 landmarks of x, y, z, visibility, then others of x, y, z.

    Raises:
        SmoothNetError: with the line of Python that parts them.
    """
    if matrix.shape[1] not in _HOLISTIC or not len(matrix):
        return
    seen = matrix[:, 3:_POSE:4]
    seen = seen[np.isfinite(seen)]
    if seen.size and 0 <= seen.min() <= seen.max() <= 1:
        raise SmoothNetError(
            f"{where} looks like MediaPipe Holistic: 33 landmarks of x, y, z, visibility, then "
            f"{(matrix.shape[1] - _POSE) // 3} of x, y, z; part them: numpy.save('body.npy', a[:, :{_POSE}]); "
            f"numpy.save('others.npy', a[:, {_POSE}:]), or say --layout"
        )


_MOTION_X = 322


def _refuse_motion_x(columns: int, where: str) -> None:
    """Refuse rows of Motion-X, whose turns, expressions and shapes would be smoothed as pairs of coordinates."""
    if columns == _MOTION_X:
        raise SmoothNetError(
            f"{where} looks like Motion-X, whose 322 numbers are turns, expressions, shapes and a place; give them by "
            "name: numpy.savez('body.npz', root_orient=a[:, :3], pose_body=a[:, 3:66], pose_hand=a[:, 66:156], "
            "pose_jaw=a[:, 156:159], trans=a[:, 309:312]), or say --layout x,y if they are 161 points"
        )


_POSE = 33 * 4
_HOLISTIC = {_POSE + 3 * (face + hands) for face in (0, 468, 478) for hands in (0, 21, 42)} - {_POSE}


def _lies_on_its_side(matrix: np.ndarray) -> bool:
    """Whether the values of (T, N) change much more smoothly along its rows, as if these were in time."""
    if matrix.shape[1] < _FEWEST or matrix.shape[0] < 2:
        return False
    as_points = matrix[..., None]
    along_first, along_second = _roughness(as_points, 0), _roughness(as_points, 1)
    return 0 < along_second < min(_SMOOTH, _CLEARLY * along_first)


def _flat_rows(matrix: np.ndarray, where: str, dims: int | None, layout: Layout) -> Meaning:
    """Rows of K joints with D numbers each."""
    frames, columns = matrix.shape
    if layout.columns is None and layout.axes is None and dims is None:
        refuse_holistic(matrix, where)
        _refuse_motion_x(columns, where)
    if layout.columns is not None:
        numbers, pieces = len(layout.columns), layout.pieces
    else:
        numbers, pieces = _stride(matrix, where, dims)
    if columns % numbers or not columns:
        raise SmoothNetError(
            f"{where}: {columns} columns are not whole joints of {numbers}; give --dims, or --layout with all the "
            "numbers of a joint"
        )
    note = _doubt_features(columns) if numbers == 1 and dims is None and layout.columns is None else ""
    return Meaning((frames, columns // numbers, numbers), "tkd", pieces or (), note)


_FEATURES = {263: "HumanML3D", 251: "KIT-ML"}
_WIDE = 20  # numbers a frame that hardly are each something for itself


def _doubt_features(columns: int) -> str:
    """What to say of so many numbers a frame that make no whole joints of two or three."""
    if columns < _WIDE:
        return ""
    like = f" as those of {_FEATURES[columns]} are," if columns in _FEATURES else ""
    return (
        f"{columns} numbers a frame are no whole joints, so each is smoothed by itself: where they are features,{like} "
        "velocities and turns no longer fit what is smoothed; smooth the positions and make them anew"
    )


def _stride(matrix: np.ndarray, where: str, dims: int | None) -> tuple[int, tuple[Piece, ...]]:
    """How many numbers of (T, N) make a joint, and what they are."""
    columns = matrix.shape[1]
    if not matrix.size:  # says nothing
        dims = dims or next(d for d in (3, 2, 1) if columns % d == 0)
        return dims, (Piece(tuple(range(dims))),)
    if dims is None:
        for numbers in (9, 4, 7, 6):
            if columns % numbers == 0:
                rotation = _rotation_pieces(_sample(matrix.reshape(-1, numbers)))
                if rotation:
                    return numbers, rotation
    for numbers in (4, 3):
        fits = dims in (None, numbers - 1) and columns % numbers == 0
        if fits and _column_is_score(matrix, numbers, where, dims):
            return numbers, (Piece(tuple(range(numbers - 1)), score=numbers - 1),)
    if dims is None:
        _refuse_fours(matrix, where)
        _refuse_more(matrix, where)
    if dims is None and columns % 3 == 0:
        _refuse_score_first(_sample(matrix.reshape(-1, 3)), where)
    dims = dims or _two_or_three(matrix, where)
    if dims == 3 and columns % 3 == 0:
        refuse_angles(matrix.reshape(len(matrix), -1, 3), where)
    return dims, (Piece(tuple(range(dims))),)


def _refuse_fours(matrix: np.ndarray, where: str) -> None:
    """Refuse (T, N) that falls into fours, whose last may be a score or a coordinate as all lie between 0 and 1."""
    frames, columns = matrix.shape
    if columns % 4 or columns < 12 or frames < 16:
        return
    last = matrix[:, 3::4]
    last = last[np.isfinite(last)]
    if not last.size or last.min() < 0 or last.max() > 1:
        return
    if _coherence(matrix, 4) > 0.1 + max(_coherence(matrix, dims) for dims in (2, 3) if columns % dims == 0):
        raise SmoothNetError(
            f"{where}: its {columns} columns look like {columns // 4} joints of x, y, z and a score; say "
            "--layout x,y,z,score, or --layout x,y or x,y,z"
        )


def _refuse_more(matrix: np.ndarray, where: str) -> None:
    """Refuse (T, N) whose columns go together by fours or fives: x, y, z, visibility and presence of BlazePose, or a
    state behind x, y and z as depth cameras have it."""
    frames, columns = matrix.shape
    known = max((_coherence(matrix, dims) for dims in (2, 3) if columns % dims == 0), default=0.0)
    for numbers in (4, 5):
        if columns % numbers or columns < 5 * numbers or frames < 16:
            continue
        if _coherence(matrix, numbers) > 0.1 + known or _are_states(matrix, numbers):
            rest = ",".join("_" * (numbers - 3))
            raise SmoothNetError(
                f"{where}: its {columns} columns look like {columns // numbers} joints of {numbers} numbers; say "
                f"what they are, as in --layout x,y,z,{rest} (_ is left alone), or --dims 2 or 3"
            )


def _are_states(matrix: np.ndarray, numbers: int) -> bool:
    """Whether the last of so many numbers is one of a few in all of (T, N), which the others are not."""
    last = np.zeros(matrix.shape[1], dtype=bool)
    last[numbers - 1 :: numbers] = True
    states, others = (np.unique(part[np.isfinite(part)]) for part in (matrix[:500, last], matrix[:500, ~last]))
    return 0 < len(states) <= _STATES and len(others) > 20 * _STATES


_STATES = 3  # tracked, inferred, not tracked


def _column_is_score(matrix: np.ndarray, numbers: int, where: str, dims: int | None) -> bool:
    """Whether the last of every 3 or 4 numbers of (T, N) is a score: in [0, 1] beside coordinates that are not."""
    table = _sample(matrix.reshape(-1, numbers))
    if numbers == 3:
        try:
            return _third_is_score(table, where)
        except SmoothNetError:  # in a flat row it may also be that three numbers do not belong together
            columns = matrix.shape[1]
            if dims is None and (columns % 2 or _coherence(matrix, 3) >= _coherence(matrix, 2)):
                raise
            return False
    known = _unmarked(table)
    if not len(known):
        return False
    last, others = known[:, -1], known[:, :-1]
    return bool(last.min() >= 0 and last.max() <= 1 and (others.min() < 0 or others.max() > 1))


def _two_or_three(matrix: np.ndarray, where: str) -> int:
    """Numbers a joint where no score marks their end: all x lie and move together, as do all y, more than x and y."""
    frames, columns = matrix.shape
    possible = [dims for dims in (3, 2) if columns % dims == 0]
    if len(possible) < 2:
        return possible[0] if possible else 1
    if columns < 12 or frames < 16:
        return 3
    three, two = _coherence(matrix, 3), _coherence(matrix, 2)
    if abs(three - two) > 0.1:
        return 3 if three > two else 2
    if max(three, two) < 0.1:
        return 3
    raise SmoothNetError(
        f"{where}: its {columns} columns can be {columns // 2} joints of x, y or {columns // 3} of x, y, z; "
        "say --dims 2 or --dims 3"
    )


def _coherence(matrix: np.ndarray, dims: int) -> float:
    """How much every `dims`-th column of (T, N) belongs together: by where they lie, and by how they move."""
    values = matrix[:4000, : 40 * 6].astype(np.float64)
    if np.isnan(values).all():
        return 0.0
    # Marks of missing points stand in every column alike.
    low, high = (values == np.nanmin(values)).sum(), (values == np.nanmax(values)).sum()
    marks = [0.0, *([np.nanmin(values)] if low > 2 else []), *([np.nanmax(values)] if high > 2 else [])]
    values[np.isin(values, marks) | ~np.isfinite(values)] = np.nan
    phase = np.arange(values.shape[1]) % dims
    seen = np.isfinite(values).any(axis=0)
    means = np.where(seen, np.nansum(values, axis=0) / np.maximum(np.isfinite(values).sum(axis=0), 1), 0.0)
    means, phase = means[seen], phase[seen]
    columns = len(means)
    if columns < 2 * dims or any((phase == p).sum() == 0 for p in range(dims)):
        return 0.0
    between = sum((means[phase == p].mean() - means.mean()) ** 2 * (phase == p).sum() for p in range(dims))
    total = ((means - means.mean()) ** 2).sum()
    by_place = between / total - (dims - 1) / (columns - 1) if total > 0 else 0.0
    steps = np.nan_to_num(np.diff(values[:, seen], axis=0))
    if not len(steps):
        return max(by_place, 0.0)
    steps = steps - steps.mean(axis=0)
    deviation = steps.std(axis=0)
    steps = steps[:, deviation > 0] / deviation[deviation > 0]
    phase = phase[deviation > 0]
    if len(phase) < 2 * dims:
        return max(by_place, 0.0)
    correlation = steps.T @ steps / len(steps)
    same = (phase[:, None] == phase) & ~np.eye(len(phase), dtype=bool)
    by_motion = correlation[same].mean() - correlation[phase[:, None] != phase].mean()
    return max(by_place, 0.0) + max(by_motion, 0.0)
