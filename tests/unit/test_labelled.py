# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) SmoothNet contributors
"""Data with named axes: xarray objects as movement makes them, DeepLabCut's and plain pandas tables."""

from __future__ import annotations

import itertools
import json
import subprocess
import sys

import numpy as np
import pandas as pd
import pytest
from helpers import ROOT

from lib.filters import classical_smoother
from lib.inference import Smoother, smooth_labelled
from lib.models.network import Network
from lib.utils.errors import SmoothNetError

xarray = pytest.importorskip("xarray", reason="xarray is not installed")

W, T, K = 8, 30, 4


def mean_of_3(windows):
    padded = np.pad(windows, ((0, 0), (0, 0), (1, 1)), mode="edge")
    return (padded[..., :-2] + padded[..., 1:-1] + padded[..., 2:]) / 3


@pytest.fixture
def smoother():
    return Smoother(Network(mean_of_3, W, "body"))


def walk(joints=K, dims=2, seed=0, frames=T):
    return np.random.default_rng(seed).normal(size=(frames, joints, dims)).cumsum(axis=0)


def poses(individual="individuals", keypoint="keypoints", dims=2):
    """A Dataset in movement's structure, and its individuals as arrays (frames, joints, dims)."""
    people = {"Ann": walk(dims=dims), "Bob": 100 + walk(dims=dims, seed=1)}
    confidence = np.full((T, K, 2), 0.9)
    confidence[10:12, 1, 0] = 0.1
    position = np.stack(list(people.values()), axis=-1).transpose(0, 2, 1, 3)
    dataset = xarray.Dataset(
        {
            "position": (("time", "space", keypoint, individual), position),
            "confidence": (("time", keypoint, individual), confidence),
            "speed": (("time",), np.arange(T) / 7),
        },
        coords={
            "time": np.arange(T) / 50,
            "space": list("xyz")[:dims],
            keypoint: [f"joint{k}" for k in range(K)],
            individual: list(people),
            "phase": ("time", ["run"] * T),
        },
        attrs={"fps": 50.0, "time_unit": "seconds", "ds_type": "poses", "source_file": "walk.csv"},
    )
    dataset.position.attrs["unit"] = "px"
    return dataset, people


def person(data, name, individual="individuals", keypoint="keypoints"):
    return data.sel({individual: name}).transpose("time", keypoint, "space").to_numpy()


@pytest.mark.parametrize(
    ("individual", "keypoint"), [("individuals", "keypoints"), ("individual", "keypoint"), ("individuals", "keypoint")]
)
def test_each_individual_of_a_dataset_is_smoothed_as_its_array_would_be(smoother, individual, keypoint):
    dataset, people = poses(individual, keypoint)
    before = dataset.copy(deep=True)
    new = smoother(dataset)
    for name, points in people.items():
        np.testing.assert_array_equal(person(new.position, name, individual, keypoint), smoother(points))
    assert type(new) is xarray.Dataset and new.position.dims == dataset.position.dims
    assert not np.allclose(new.position, dataset.position)
    xarray.testing.assert_identical(new.drop_vars("position").drop_attrs(), before.drop_vars("position").drop_attrs())
    xarray.testing.assert_identical(dataset, before)
    assert {name: value for name, value in new.attrs.items() if name != "log"} == before.attrs
    assert new.position.attrs == {"unit": "px"}


@pytest.mark.parametrize("order", list(itertools.permutations(("time", "space", "keypoints", "individuals")))[::5])
def test_the_order_of_dimensions_does_not_matter(smoother, order):
    position = poses()[0].position
    new = smoother(position.transpose(*order))
    assert type(new) is xarray.DataArray and new.dims == order and new.name == "position"
    xarray.testing.assert_allclose(
        new.transpose(*position.dims).drop_attrs(), smoother(position).drop_attrs(), atol=1e-12
    )


def test_one_joint_one_person_and_further_dimensions(smoother):
    position = poses()[0].position
    box = position.isel(keypoints=0, drop=True)
    np.testing.assert_array_equal(
        smoother(box).sel(individuals="Ann").transpose("time", "space"), smoother(walk()[:, :1])[:, 0]
    )
    alone = position.sel(individuals="Bob")
    np.testing.assert_array_equal(
        person(smoother(position), "Bob"), smoother(alone).transpose("time", "keypoints", "space")
    )
    views = xarray.concat([position, 3 * position], dim="view")
    np.testing.assert_array_equal(person(smoother(views).isel(view=1), "Bob"), smoother(3 * (100 + walk(seed=1))))


def test_the_type_of_numbers_is_kept_and_whole_ones_become_smooth(smoother):
    position = poses()[0].position
    assert smoother(position.astype(np.float32)).dtype == np.float32
    whole = (100 * position).astype(int)
    assert smoother(whole).dtype == np.float64
    np.testing.assert_array_equal(smoother(whole), smoother(whole.astype(float)))
    nobody = position.isel(individuals=[])
    assert smoother(nobody).sizes == nobody.sizes
    assert smoother(position.isel(time=[])).sizes["time"] == 0


def test_the_log_gets_an_entry_as_movement_writes_them(smoother):
    dataset = poses()[0]
    first = smoother(dataset, min_score=0.5)
    (entry,) = json.loads(first.attrs["log"])
    assert entry["operation"] == "smoothnet" and entry["min_score"] == "0.5" and entry["max_gap"] == "10"
    assert list(entry)[:2] == ["operation", "datetime"] and entry["datetime"][:2] == "20"
    second = smooth_labelled(first, classical_smoother("rts", cutoff=6))
    assert [e.get("method", "") for e in json.loads(second.attrs["log"])] == ["", "'rts'"]
    assert json.loads(second.attrs["log"])[0] == entry and json.loads(first.attrs["log"]) == [entry]
    dataset.attrs["log"] = "scaled by hand"
    assert json.loads(smoother(dataset).attrs["log"])[0] == "scaled by hand"


def test_low_scores_are_missing_for_the_smoother_and_stay_as_they_were(smoother):
    dataset, people = poses()
    wild = people["Ann"][10:12, 1] + 1000
    dataset.position.loc[{"individuals": "Ann", "keypoints": "joint1"}][10:12] = wild
    points = people["Ann"].copy()
    points[10:12, 1] = np.nan
    expected = smoother(points)
    expected[10:12, 1] = wild
    np.testing.assert_array_equal(person(smoother(dataset, min_score=0.5).position, "Ann"), expected)
    turned = dataset.assign(confidence=dataset.confidence.transpose("individuals", "time", "keypoints"))
    np.testing.assert_array_equal(person(smoother(turned, min_score=0.5).position, "Ann"), expected)
    with pytest.raises(SmoothNetError, match="these data have none"):
        smoother(dataset.position, min_score=0.5)
    with pytest.raises(SmoothNetError, match="no scores for min_score"):
        smoother(points, min_score=0.5)


def test_missing_points_stay_missing_and_the_others_are_smoothed(smoother):
    dataset, people = poses()
    dataset.position.loc[{"individuals": "Bob"}][5:9] = np.nan
    points = people["Bob"].copy()
    points[5:9] = np.nan
    np.testing.assert_array_equal(person(smoother(dataset).position, "Bob"), smoother(points))


def test_frames_that_are_left_out_count_as_missing(smoother):
    dataset, people = poses()
    kept = np.r_[0:12, 15:T]
    points = people["Ann"].copy()
    points[12:15] = np.nan
    np.testing.assert_array_equal(person(smoother(dataset.isel(time=kept)).position, "Ann"), smoother(points)[kept])
    every_second = dataset.isel(time=slice(None, None, 2))
    np.testing.assert_array_equal(person(smoother(every_second).position, "Ann"), smoother(people["Ann"][::2]))
    table = plain_table(walk())
    np.testing.assert_allclose(joints_of(smoother(table.iloc[kept])), smoother(points)[kept], atol=1e-5)


@pytest.mark.parametrize(
    ("change", "fps"),
    [
        (lambda d: d, 50),
        (lambda d: d.assign_attrs(fps=120), 120),
        (lambda d: d.drop_attrs(), 50),
        (lambda d: d.drop_attrs().assign_coords(time=pd.to_timedelta(np.arange(T) * 8, unit="ms")), 125),
        (lambda d: d.drop_attrs().assign_coords(time=np.arange(T)), 30),
        (lambda d: d.drop_attrs().drop_vars(["time", "phase"]), 30),
        (lambda d: d.assign_attrs(fps=None, time_unit="frames"), 30),
    ],
)
def test_classical_smoothers_take_the_frame_rate_of_the_data(change, fps):
    dataset, people = poses(dims=3)
    new = smooth_labelled(change(dataset), classical_smoother("butterworth", cutoff=4))
    expected = classical_smoother("butterworth", cutoff=4, fps=fps)(people["Bob"])
    np.testing.assert_allclose(person(new.position, "Bob"), expected, atol=1e-9)


def test_a_frame_rate_that_was_named_is_kept():
    dataset, people = poses()
    chosen = classical_smoother("rts", cutoff=4, fps=25)
    np.testing.assert_array_equal(person(smooth_labelled(dataset, chosen).position, "Ann"), chosen(people["Ann"]))


def test_any_function_of_arrays_and_a_delay(smoother):
    dataset, people = poses()
    shifted = smooth_labelled(dataset, lambda points: points + 1)
    np.testing.assert_allclose(shifted.position, dataset.position + 1)
    np.testing.assert_array_equal(person(smoother(dataset, delay=2).position, "Ann"), smoother(people["Ann"], delay=2))


# ---------------------------------------------------------------------------------------------------------- tables
def deeplabcut_table(people, scorer="DLC"):
    columns, labels = [], []
    for name, points in people.items():
        for k in range(points.shape[1]):
            for axis, column in zip(
                ("x", "y", "likelihood"), [*points[:, k].T, np.full(len(points), 0.9)], strict=True
            ):
                labels.append((scorer, *([name] if name else []), f"joint{k}", axis))
                columns.append(column)
    levels = ["scorer", *(["individuals"] if all(people) else []), "bodyparts", "coords"]
    return pd.DataFrame(np.stack(columns, axis=1), columns=pd.MultiIndex.from_tuples(labels, names=levels))


def plain_table(points):
    """Columns in a mixed order, beside others that are no coordinates."""
    table = pd.DataFrame({"time": np.arange(len(points)) / 60, "phase": "run"})
    for k in reversed(range(points.shape[1])):
        for axis, numbers in zip("xyz", points[:, k].T, strict=False):
            table[f"joint{k}_{axis}"] = numbers
        table[f"joint{k}_score"] = 0.9
    table["speed"] = 1.5
    return table


def joints_of(table, joints=K, axes="xy"):
    return np.stack([table[[f"joint{k}_{axis}" for axis in axes]].to_numpy() for k in range(joints)], axis=1)


@pytest.mark.parametrize("names", [[""], ["Ann", "Bob"]])
def test_a_table_of_deeplabcut(smoother, names):
    people = {name: walk(seed=i) for i, name in enumerate(names)}
    table = deeplabcut_table(people)
    before = table.copy(deep=True)
    new = smoother(table)
    for name, points in people.items():
        part = new["DLC"][name] if name else new["DLC"]
        for k in range(K):
            np.testing.assert_array_equal(part[f"joint{k}"][["x", "y"]].to_numpy(), smoother(points)[:, k])
    pd.testing.assert_frame_equal(table, before)
    likelihood = (slice(None),) * (table.columns.nlevels - 1) + ("likelihood",)
    pd.testing.assert_frame_equal(new.loc[:, likelihood], table.loc[:, likelihood])
    assert type(new) is pd.DataFrame and new.columns.equals(table.columns) and new.columns.names == table.columns.names


def test_likelihoods_below_the_threshold_are_missing_and_stay_as_they_were(smoother):
    points = walk()
    table = deeplabcut_table({"": points})
    place = ("DLC", "joint2")
    table.loc[7:8, [(*place, "x"), (*place, "y")]] = 1e4
    table.loc[7:8, (*place, "likelihood")] = 0.01
    points[7:9, 2] = np.nan
    new = smoother(table, min_score=0.6)["DLC"]
    assert (new["joint2"][["x", "y"]].loc[7:8] == 1e4).all(axis=None)
    np.testing.assert_array_equal(
        new["joint2"][["x", "y"]].drop([7, 8]), np.delete(smoother(points)[:, 2], [7, 8], axis=0)
    )


@pytest.mark.parametrize("dims", [2, 3])
def test_a_plain_table(smoother, dims):
    points = walk(dims=dims)
    table = plain_table(points)
    table.index = pd.Index(np.arange(T) + 5, name="row")
    new = smoother(table)
    np.testing.assert_allclose(joints_of(new, axes="xyz"[:dims]), smoother(points), atol=1e-5)
    others = [name for name in table if name[-2:] not in ("_x", "_y", "_z")]
    pd.testing.assert_frame_equal(new[others], table[others])
    assert new.columns.equals(table.columns) and new.index.equals(table.index)
    np.testing.assert_array_equal(
        smooth_labelled(table, classical_smoother("rts"))["joint1_x"],
        classical_smoother("rts", fps=60)(points)[:, 1, 0],
    )


def test_velocities_and_boxes_of_a_table_are_no_joints_of_the_body(smoother):
    """They were smoothed with it, and scaled its windows."""
    points = walk()
    table = plain_table(points)
    others = {f"{name}_{axis}": 1e3 * walk(1, seed=k)[:, 0, 0] for k, (name, axis) in enumerate(
        (name, axis) for name in ("vel", "bbox", "gaze") for axis in "xy")}  # fmt: skip
    new = smoother(table.assign(**others))
    for name, values in others.items():
        np.testing.assert_array_equal(new[name], values)
    np.testing.assert_array_equal(joints_of(new), joints_of(smoother(table)))


@pytest.mark.parametrize("column", ["track_id", "Person ID", "video", "joint_name"])
def test_rows_of_several_are_not_made_one(smoother, column):
    """Without a column of frames, one person went on where the other ended."""
    parts = [plain_table(walk(seed=k)).drop(columns="time").assign(**{column: k}) for k in (1, 2)]
    both = pd.concat(parts, ignore_index=True)
    with pytest.raises(SmoothNetError, match=rf"column {column} tells several.*groupby\('{column}'\)"):
        smoother(both)
    each = pd.concat([smoother(part) for _, part in both.groupby(column)])
    np.testing.assert_array_equal(joints_of(each), np.concatenate([joints_of(smoother(part)) for part in parts]))
    assert column in smoother(parts[0])


def test_a_point_without_a_name_and_types_of_columns(smoother):
    points = walk(1, 3)
    table = pd.DataFrame(points[:, 0], columns=list("xyz")).astype({"x": "float32", "y": "Float64"})
    new = smoother(table)
    assert list(map(str, new.dtypes)) == ["float32", "Float64", "float64"]
    np.testing.assert_allclose(new.to_numpy(float), smoother(points)[:, 0], atol=1e-5)
    table["y"] = table["y"].where(table.index != 4)  # pd.NA
    gap = smoother(table)
    assert pd.isna(gap["y"][4]) and gap["x"][4] == table["x"][4] and gap["x"][5] != table["x"][5]
    whole = pd.DataFrame({"x": np.arange(T), "y": 0})
    assert (smoother(whole).dtypes == "float64").all()


@pytest.mark.parametrize(
    ("data", "options", "message"),
    [
        (lambda: poses()[0].rename(position="points"), {}, "no variable position, but points, confidence, speed"),
        (lambda: poses()[0].position.rename(time="frame"), {}, "a dimension time is needed.* frame, space, keypoints"),
        (lambda: poses()[0].assign_coords(space=["rho", "phi"]), {}, "polar"),
        (lambda: poses()[0].isel(time=slice(None, None, -1)), {}, "time does not grow at row 1"),
        (lambda: poses()[0].position.astype(str).str.cat("px"), {}, "position must hold numbers"),
        (lambda: poses()[0], {"dims": 3}, "dims=3"),
        (lambda: pd.DataFrame(walk()[:, 0]), {}, r"no columns of coordinates by name"),
        (lambda: plain_table(walk()).drop(columns="time").iloc[[*range(9), 3]], {}, "the index does not grow at row 9"),
        (lambda: plain_table(walk()).assign(frame=3), {}, "the column frame does not grow at row 1"),
        (lambda: plain_table(walk()).assign(joint1_x="left"), {}, "column joint1_x must hold numbers"),
        (lambda: pd.DataFrame({"x": np.zeros(9), "y": 0.0}), {"min_score": 0.1}, "these data have none"),
        (lambda: pd.DataFrame(np.zeros((9, 3)), columns=["hip_x", "hipX", "hip_y"]), {}, "two columns .* x of hip"),
    ],
)  # fmt: skip
def test_mistakes_are_named(smoother, data, options, message):
    with pytest.raises(SmoothNetError, match=message):
        smoother(data(), **options)


def test_classical_smoothers_say_where_such_data_go():
    for data in (poses()[0].position, plain_table(walk()), walk()[:, 0]):
        with pytest.raises(SmoothNetError, match="smooth_labelled"):
            classical_smoother("rts")(data)
    with pytest.raises(SmoothNetError, match="not list"):
        smooth_labelled([[1.0]], classical_smoother("rts"))


def test_neither_package_is_imported_for_arrays():
    code = (
        "import sys, numpy; from lib.inference import Smoother; from lib.models.network import Network\n"
        "Smoother(Network(lambda windows: windows, 8, 'body'))(numpy.zeros((20, 3, 2)))\n"
        "print([name for name in ('xarray', 'pandas') if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
