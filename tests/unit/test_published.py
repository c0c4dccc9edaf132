# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) SmoothNet contributors
import pytest

from lib.evaluation.published import OFFICIAL, TECORIGIN, published, published_rows


def test_a_row_carries_its_numbers_its_checkpoint_and_its_source():
    assert published("pw3d", "tcmr", "3D") == {
        "input_mpjpe": 86.46,
        "smoothnet_mpjpe": 86.48,
        "input_accel": 6.76,
        "smoothnet_accel": 5.95,
        "checkpoint": "h36m_fcn_3D",
        "source": OFFICIAL,
    }


@pytest.mark.parametrize(
    ("dataset", "estimator", "representation", "mpjpe", "accel", "checkpoint"),
    [
        ("mupots", "tposenetrefinenet", "3D", 91.78, 7.21, "aist_vibe_3D"),
        ("mpiinf3dhp", "spin", "3D", 92.89, 6.54, "pw3d_spin_3D"),
        ("h36m", "hourglass", "2D", 9.25, 0.15, "h36m_fcn_3D"),
        ("aist", "tcmr", "smpl", 106.39, 4.68, "h36m_fcn_3D"),
        ("pw3d", "pare", "smpl", 78.68, 6.31, "pw3d_spin_3D"),
    ],
)
def test_one_row_of_each_table(dataset, estimator, representation, mpjpe, accel, checkpoint):
    row = published(dataset, estimator, representation)
    assert (row["smoothnet_mpjpe"], row["smoothnet_accel"], row["checkpoint"]) == (mpjpe, accel, checkpoint)


def test_the_same_estimator_has_other_numbers_in_another_representation():
    assert published("h36m", "rle", "3D")["smoothnet_mpjpe"] == 48.27
    assert published("h36m", "rle", "2D")["smoothnet_mpjpe"] == 5.11


def test_nothing_published_is_none():
    assert published("h36m", "fcn", "3D", window=16) is None
    assert published("uiprmd", "kinect", "3D") is None
    assert published("jhmdb", "simplepose", "2D") is None
    assert published("aist", "vibe", "3D", source=TECORIGIN) is None


def test_the_port_to_sdaa_is_a_row_of_its_own():
    official, port = published_rows("h36m", "fcn", "3D", 32)
    assert official["source"] == OFFICIAL and official["smoothnet_mpjpe"] == 52.72
    assert port["source"] == TECORIGIN
    assert (port["smoothnet_mpjpe"], port["smoothnet_accel"], port["checkpoint"]) == (52.70, 1.10, None)
