# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) SmoothNet contributors
"""Data whose axes have names: xarray objects in the structure of movement, and pandas tables. The same type comes back.

Neither package is imported here: whoever hands in such an object has done so.

**xarray.** A DataArray has the dimensions time and space, as a rule keypoints (or keypoint) and individuals (or
individual), in any order; without keypoints it is one joint (the centre of a box). What lies along any other dimension
(individuals, views) is smoothed each alone. Of a Dataset the variable `position` is smoothed, all others stay. Names,
coordinates and attributes are kept, and an entry is appended to the attribute `log`, in the form in which movement logs
its own operations (JSON text of a list).

**pandas.** A DataFrame has one row a frame. Columns are DeepLabCut's (levels scorer, (individuals,) bodyparts, coords),
each individual smoothed alone, or those of one person, named by joint and axis (nose_x, nose_y, nose_score; x, y, z) as
in .csv files. All other columns, the index and the types of columns are kept.

**Frames.** Where times, frame numbers or a numeric index leave some out, these frames count as missing. Points that are
missing, or have a score (`confidence`, likelihood) below `min_score`, come back as they were.
"""

from __future__ import annotations

import json
import sys
from collections import defaultdict
from collections.abc import Callable, Mapping
from datetime import datetime
from math import isfinite
from typing import Any

import numpy as np

from .. import __version__
from ..filters.smoother import ClassicalSmoother
from ..formats.deeplabcut import label_columns
from ..formats.plain_csv import FRAMES, JOINTS, PEOPLE, RECORDINGS, TIMES, column_role, is_named, is_point
from ..formats.tables import by_axes, come_again, rate
from ..utils.errors import SmoothNetError
from ..utils.gaps import shown_points

Smooth = Callable[[np.ndarray], np.ndarray]  # (frames, joints, dims) floats, NaN where missing -> the same, smoothed

KEYPOINTS = ("keypoints", "keypoint")  # movement's names of the dimension: until now, and to come
_TELL_APART = {*PEOPLE, *RECORDINGS, *JOINTS, "id", "idx"}  # columns that do, where their words come again
_SPARSE = 10  # as many times more frames than rows can be no recording with some left out


def is_labelled(data: Any) -> bool:
    """Whether it is an xarray.DataArray, an xarray.Dataset or a pandas.DataFrame."""
    return _is(data, "xarray", "DataArray", "Dataset") or _is(data, "pandas", "DataFrame")


def smooth_labelled(
    data: Any, smoother: Smooth, min_score: float | None = None, settings: Mapping[str, Any] | None = None
) -> Any:
    """Smooth data with labelled axes; see the head of the module for what is understood and what is kept.

    >>> smooth_labelled(dataset, classical_smoother("rts", cutoff=6))

    Args:
        data: xarray.DataArray, xarray.Dataset or pandas.DataFrame; stays as it is.
        smoother: a Smoother, a ClassicalSmoother (at the frame rate of the data, from their attribute `fps` or their
            times in seconds, unless it was made for one), or any function (frames, joints, dims) -> the same.
        min_score: points with a score below this are missing for the smoother; None: none are. A score of NaN condemns
            no point.
        settings: what the log says of the smoother; None: what is known.

    Returns:
        The same type, in the same unit. Whole numbers become float64.

    Raises:
        SmoothNetError: no such object or axes; no numbers; no scores where min_score is given; time goes back.
    """
    if _is(data, "pandas", "DataFrame"):
        return _smooth_table(data, smoother, min_score)
    if not _is(data, "xarray", "DataArray", "Dataset"):
        raise SmoothNetError(
            f"labelled data are of xarray or pandas, not {type(data).__name__}; give arrays as they are"
        )
    array, scores = data, None
    if _is(data, "xarray", "Dataset"):
        if "position" not in data:
            raise SmoothNetError(f"the Dataset has no variable position, but {', '.join(map(str, data)) or 'none'}")
        array, scores = data["position"], data.get("confidence")
    times, fps = _times(data, array)
    smoother = _at(smoother, fps)
    new = _smooth_array(array, scores, times, smoother, min_score)
    result = new if array is data else data.assign(position=new)
    result.attrs = {
        **data.attrs,
        "log": _log(data.attrs.get("log"), {**_told(smoother, settings), "min_score": min_score}),
    }
    return result


def _is(data: Any, package: str, *names: str) -> bool:
    module = sys.modules.get(package)
    return module is not None and any(isinstance(data, getattr(module, name, ())) for name in names)


def _at(smoother: Smooth, fps: float | None) -> Smooth:
    return smoother.at(fps) if hasattr(smoother, "at") else smoother


def _told(smoother: Smooth, settings: Mapping[str, Any] | None) -> Mapping[str, Any]:
    """What is known of a smoother, for the log."""
    if settings is not None:
        return settings
    if isinstance(smoother, ClassicalSmoother):
        return {"method": smoother.name, **smoother.asked, "max_gap": smoother.max_gap}
    return {"smoother": type(smoother).__name__}


def _log(log: Any, settings: Mapping[str, Any]) -> str:
    """The log with an entry of this operation; what is no list of entries is kept as the first one."""
    entries = log if isinstance(log, list) else []
    if isinstance(log, str):
        try:
            entries = json.loads(log)
        except ValueError:
            entries = [log]
        entries = entries if isinstance(entries, list) else [entries]
    entry = {"operation": "smoothnet", "datetime": str(datetime.now()), "version": repr(__version__)}
    return json.dumps(
        [*entries, entry | {name: repr(value) for name, value in settings.items()}], indent=2, default=repr
    )


# ------------------------------------------------------------------------------------------------------ both of them


def _smoothed(
    points: np.ndarray, scores: np.ndarray | None, frames: np.ndarray, smoother: Smooth, min_score: float | None
) -> np.ndarray:
    """(rows, joints, dims) of one individual, scores (rows, joints), the frame of each row -> the same, smoothed."""
    if not points.size:
        return points
    shown = shown_points(points)
    if min_score is not None and scores is not None:
        shown = shown & ~(scores < min_score)
    found = np.full((frames[-1] + 1, *points.shape[1:]), np.nan, points.dtype)
    found[frames] = np.where(shown[..., None], points, np.nan)
    new = smoother(found)[frames]
    return np.where(np.isfinite(new), new, points)


def _frames(times: np.ndarray | None, rows: int, what: str) -> np.ndarray:
    """(rows,) the frame of each row, from 0: one more each, and as many more as the time between two says."""
    order = np.arange(rows)
    if times is None or rows < 2:
        return order
    steps = np.diff(times)
    if not np.isfinite(steps).all():
        return order
    back = np.flatnonzero(steps <= 0)
    if len(back):
        row = int(back[0]) + 1
        raise SmoothNetError(
            f"{what} does not grow at row {row}, from {times[row - 1]:g} to {times[row]:g}: one row a frame is needed, "
            "and one recording at a time"
        )
    frames = np.concatenate([[0.0], np.maximum(np.round(steps / np.median(steps)), 1)]).cumsum()
    return order if frames[-1] >= _SPARSE * rows + _SPARSE else frames.astype(int)


def _seconds(values: np.ndarray) -> tuple[np.ndarray | None, bool]:
    """Numbers of an axis of time, None if they are none, and whether they certainly are seconds."""
    if values.dtype.kind in "mM":
        kind = "timedelta64[ns]" if values.dtype.kind == "m" else "datetime64[ns]"
        whole = values.astype(kind)
        numbers = (whole - whole[:1]).astype(np.float64) / 1e9 if len(whole) else np.zeros(0)
        return np.where(np.isnat(whole), np.nan, numbers), True
    return (values.astype(np.float64), False) if values.dtype.kind in "iuf" else (None, False)


def _floats(values: np.ndarray, what: str) -> np.ndarray:
    if values.dtype.kind == "f":
        return values
    try:
        return values.astype(np.float64)
    except (TypeError, ValueError) as error:
        raise SmoothNetError(f"{what} must hold numbers ({error})") from error


def _check_scores(there: bool, min_score: float | None) -> None:
    if min_score is not None and not there:
        raise SmoothNetError("min_score needs scores, and these data have none; leave it out")


def _known_rate(attrs: Mapping[Any, Any]) -> float | None:
    fps = attrs.get("fps")
    return float(fps) if isinstance(fps, int | float | np.number) and isfinite(fps) and fps > 0 else None


# ------------------------------------------------------------------------------------------------------------ xarray


def _times(data: Any, array: Any) -> tuple[np.ndarray | None, float | None]:
    """The coordinate of time as numbers, None without; frames a second, None if unknown."""
    fps = _known_rate(data.attrs) or _known_rate(array.attrs)
    if "time" not in array.dims or "time" not in array.coords:
        return None, fps
    values = array.coords["time"].to_numpy()
    times, certain = _seconds(values)
    unit = data.attrs.get("time_unit", array.attrs.get("time_unit"))
    if (
        times is not None
        and fps is None
        and (certain or unit == "seconds" or (unit is None and values.dtype.kind == "f"))
    ):
        fps = rate(times)
    return times, fps


def _smooth_array(array: Any, scores: Any, times: np.ndarray | None, smoother: Smooth, min_score: float | None) -> Any:
    """A DataArray -> a new one of the same dimensions in the same order."""
    for name in ("time", "space"):
        if name not in array.dims:
            raise SmoothNetError(
                f"a dimension {name} is needed, as movement names it; these are {', '.join(map(str, array.dims))}"
            )
    if "space" in array.coords and {"rho", "phi"} & {str(axis) for axis in array.coords["space"].to_numpy()}:
        raise SmoothNetError("space must be x, y (, z), not polar coordinates; convert them first")
    joints = [name for name in array.dims if name in KEYPOINTS]
    others = [name for name in array.dims if name not in ("time", "space", *joints)]
    order = [*others, "time", *joints]
    ordered = array.transpose(*order, "space")
    values = _floats(ordered.to_numpy(), "position")
    sizes = [array.sizes[name] for name in others]
    people = values.reshape(int(np.prod(sizes)), array.sizes["time"], -1 if values.size else 0, array.sizes["space"])
    _check_scores(scores is not None, min_score)
    below: list[np.ndarray | None] = [None] * len(people)
    if min_score is not None and scores is not None:
        like = scores.broadcast_like(array.isel(space=0, drop=True)).transpose(*order)
        below = list(_floats(like.to_numpy(), "confidence").reshape(people.shape[:3]))
    frames = _frames(times, array.sizes["time"], "time")
    new = [_smoothed(points, score, frames, smoother, min_score) for points, score in zip(people, below, strict=True)]
    stacked = np.stack(new).reshape(values.shape) if new else values
    return ordered.copy(data=stacked).transpose(*array.dims)


# ------------------------------------------------------------------------------------------------------------ pandas


def _smooth_table(table: Any, smoother: Smooth, min_score: float | None) -> Any:
    """A DataFrame -> a new one, coordinates replaced."""
    people = _people(table)
    if not any(by_axes(joints) for joints in people.values()):
        raise SmoothNetError(
            "the table has no columns of coordinates by name (nose_x, nose_y, or DeepLabCut's bodyparts and coords); "
            "give columns without such names as table.to_numpy()"
        )
    _check_scores(any("likelihood" in parts for joints in people.values() for parts in joints.values()), min_score)
    times, what, fps = _clock(table)
    frames, smoother = _frames(times, len(table), what), _at(smoother, fps)
    result = table.copy()
    for joints in people.values():
        for axes, order in by_axes(joints):
            columns = np.array([[joints[name][axis] for axis in axes] for name in order])
            numbers = [_column(table, int(column)) for column in columns.ravel()]
            points = np.stack(numbers, axis=1).reshape(len(table), *columns.shape)
            new = _smoothed(points, _scores(table, joints, order), frames, smoother, min_score)
            for (joint, axis), column in np.ndenumerate(columns):
                series = table.iloc[:, column].astype("float64")
                series.iloc[:] = new[:, joint, axis]
                kind = table.dtypes.iloc[column]
                result.isetitem(column, series.astype(kind) if kind.kind == "f" else series)
    return result


def _people(table: Any) -> dict[Any, dict[str, dict[str, int]]]:
    """individual -> joint -> x, y, (z,) (likelihood) -> column; as in .csv files, velocities, boxes and the like are no
    joints."""
    if table.columns.nlevels > 1:
        return label_columns([(label[:-2], str(label[-2]), str(label[-1])) for label in table.columns])
    joints: dict[str, dict[str, int]] = defaultdict(dict)
    for column, label in enumerate(table.columns):
        if isinstance(label, str) and is_named(label, _TELL_APART) and come_again(table.iloc[:, column].tolist()):
            raise SmoothNetError(
                f"the column {label} tells several people, joints or recordings apart, of which one would be made; "
                f"smooth each by itself, as in pandas.concat([smooth(part) for _, part in table.groupby({label!r})])"
            )
        role = column_role(label) if isinstance(label, str) and not is_named(label, TIMES | FRAMES) else None
        if role is None or not is_point(role[0]):
            continue
        joint, axis = role[0], "likelihood" if role[1] == "score" else role[1]
        if axis in joints[joint] and axis != "likelihood":
            raise SmoothNetError(f"two columns of the table stand for {axis} of {joint or 'the point'}")
        joints[joint].setdefault(axis, column)
    return {"": joints}


def _column(table: Any, column: int) -> np.ndarray:
    label = table.columns[column]
    try:
        return table.iloc[:, column].astype("float64").to_numpy()
    except (TypeError, ValueError) as error:
        raise SmoothNetError(f"the column {label} must hold numbers ({error})") from error


def _scores(table: Any, joints: dict[str, dict[str, int]], order: list[str]) -> np.ndarray | None:
    """(rows, joints), NaN for joints without; None where no joint has any."""
    columns = [joints[name].get("likelihood") for name in order]
    if all(column is None for column in columns):
        return None
    nothing = np.full(len(table), np.nan)
    return np.stack([nothing if column is None else _column(table, column) for column in columns], axis=1)


def _clock(table: Any) -> tuple[np.ndarray | None, str, float | None]:
    """Numbers that tell the rows' frames, None without; what they are; frames a second, None if unknown."""
    fps = _known_rate(table.attrs)
    plain = {str(label).lower(): i for i, label in enumerate(table.columns)} if table.columns.nlevels == 1 else {}
    told: list[tuple[np.ndarray, str]] = []
    for names in (TIMES, FRAMES):
        for name, column in plain.items():
            if name in names and (kind := table.dtypes.iloc[column]).kind in "iufmM":
                numbers = table.iloc[:, column].to_numpy() if kind.kind in "mM" else _column(table, column)
                if (times := _seconds(numbers)[0]) is not None:
                    told.append((times, f"the column {name}"))
                    fps = fps or (rate(times) if names is TIMES else None)
                    break
    if told:
        return *told[-1], fps
    if table.index.nlevels > 1:
        return None, "", fps
    times, certain = _seconds(table.index.to_numpy())
    if times is not None and (certain or str(table.index.name).lower() in TIMES):
        fps = fps or rate(times)
    return times, "the index", fps
