# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) SmoothNet contributors
import json

import numpy as np
import pytest
from helpers import ROOT, object_array, write_npz

from lib.dataset.poses import load_poses
from lib.evaluation.evaluate import SequenceResult, evaluate_sequences, input_method, summarise
from lib.evaluation.pck import PARTS, THRESHOLDS, pck, pck_parts
from lib.utils.unpickle import Npz

GOLDEN = ROOT / "tests" / "golden" / "jhmdb_simplepose_2D"


def test_a_distance_of_just_the_threshold_is_correct():
    truth = np.zeros((2, 1, 2))
    predicted = np.array([[[5.0, 0.0]], [[0.0, 5.01]]])
    bbox = np.array([[0, 0, 40, 100], [0, 0, 100, 40]])  # the longer side counts, be it height or width
    np.testing.assert_array_equal(pck(predicted, truth, bbox, 0.05), [0.5])


def test_the_box_is_cut_to_whole_pixels():
    predicted, truth = np.full((1, 1, 2), [10.05, 0.0]), np.zeros((1, 1, 2))
    assert pck(predicted, truth, np.array([[0.2, 0.0, 100.9, 10.0]]), 0.1) == 0  # size 100, not 101 or 100.7
    assert pck(predicted, truth, np.array([[0.0, 0.0, 101.0, 10.0]]), 0.1) == 1


def test_the_published_thresholds():
    assert THRESHOLDS == {"pck_005": 0.05, "pck_01": 0.1, "pck_02": 0.2}


def test_every_joint_has_its_own_fraction():
    truth = np.zeros((4, 3, 2))
    predicted = truth.copy()
    predicted[:3, 1] = 50.0
    predicted[:, 2] = 50.0
    bbox = np.tile([0, 0, 100, 100], (4, 1))
    np.testing.assert_array_equal(pck(predicted, truth, bbox, 0.1), [1, 0.25, 0])


def test_missing_frames_do_not_count():
    truth = np.zeros((4, 2, 2))
    predicted = truth.copy()
    predicted[0, 0] = np.nan
    predicted[1, 0] = 50.0
    predicted[:, 1] = np.nan
    result = pck(predicted, truth, np.tile([0, 0, 100, 100], (4, 1)), 0.1)
    assert result[0] == pytest.approx(2 / 3)
    assert np.isnan(result[1])


def test_parts_go_by_joint_name():
    fractions = np.array([[0.1, 0.2, 0.3, 0.4, 0.6, 0.7, 0.9, 0, 1, 0.5, 0.5, 0.2, 0.4, 1, 1]])
    table = pck_parts(fractions)
    assert list(table) == list(PARTS)
    assert table == pytest.approx(
        {"head": 0.3, "shoulder": 0.5, "elbow": 0.5, "wrist": 0.3, "hip": 0.8, "knee": 0.5, "ankle": 1.0}
    )
    assert pck_parts(np.array([0.25, 1.0]), ("left_knee", "neck")) == {"knee": 0.25}


@pytest.mark.parametrize(("threshold", "metric"), [(0.05, "pck_005"), (0.1, "pck_01"), (0.2, "pck_02")])
def test_golden_numbers_of_the_official_code(threshold, metric):
    expected = json.loads((GOLDEN / "case.json").read_text())["expected"]
    poses = GOLDEN / "data" / "poses" / "jhmdb_simplepose_2D"
    with (
        Npz(poses / "groundtruth" / "jhmdb_gt_2D_test.npz") as truth,
        Npz(poses / "detected" / "jhmdb_simplepose_2D_test.npz") as detected,
    ):
        sequences = list(zip(detected["joints_2d"], truth["joints_2d"], truth["bbox"], strict=True))
    fractions = [
        pck(x.reshape(-1, 15, 2).astype(np.float32), y.reshape(-1, 15, 2).astype(np.float32), bbox, threshold)
        for x, y, bbox in sequences
    ]
    assert np.mean(fractions) == pytest.approx(expected[f"input_{metric}"], abs=1e-7)


def test_frames_with_nan_count_in_no_fraction(tmp_path):
    """The middle frame is bridged by a point 20 pixels off, which would be a wrong one if it counted."""
    names = object_array([["a", "b", "c"]])
    truth = np.full((3, 30), 50.0)
    detected = truth.copy()
    detected[1], detected[2] = np.nan, 90.0
    box = object_array([np.tile([0.0, 0.0, 50.0, 50.0], (3, 1))])
    folder = tmp_path / "jhmdb_simplepose_2D"
    write_npz(folder / "groundtruth/jhmdb_gt_2D_test.npz", imgname=names, joints_2d=object_array([truth]),
              imgshape=object_array([[240, 320, 3]]), bbox=box)  # fmt: skip
    write_npz(folder / "detected/jhmdb_simplepose_2D_test.npz", imgname=names, joints_2d=object_array([detected]))
    data = load_poses(tmp_path, "jhmdb", "simplepose", "2D", "test")
    summary = summarise(evaluate_sequences(data, {"input": input_method(data)}))
    assert summary["input_pck_005"] == pytest.approx(1 / 2)


def test_a_sequence_without_any_frame_that_counts_spoils_no_part_of_the_table(recwarn):
    """The mean over all joints leaves it out, and so do the parts."""
    values = [np.full(15, 0.5), np.full(15, np.nan)]
    results = [
        SequenceResult(i, "", np.full(4, i == 0), {}, {"input": {"pck_005": value}}) for i, value in enumerate(values)
    ]
    summary = summarise(results)
    assert summary["input_pck_005"] == summary["input_pck_005_head"] == summary["input_pck_005_ankle"] == 0.5
    assert np.isnan(summarise(results[1:])["input_pck_005"])
    assert not recwarn.list
