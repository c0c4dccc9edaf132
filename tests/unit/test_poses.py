# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) SmoothNet contributors
"""The door for pose files: what is read, and what is refused with which words."""

from __future__ import annotations

import os
import pickle
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
from helpers import ROOT, motion, names, object_array, write_npz, write_poses

from lib.config import load_config
from lib.dataset import poses
from lib.dataset.facts import DATASETS, PW3D_TO_LSP, find_facts
from lib.dataset.named import load_all
from lib.dataset.poses import load_poses
from lib.evaluation.evaluate import evaluate
from lib.models.smoothnet import SmoothNet
from lib.utils.errors import SmoothNetError


def load(base: Path, dataset: str = "toy", representation: str = "3D", phase: str = "test", **options):
    return load_poses(base, dataset, "est", representation, phase, **options)


def files(base: Path, phase: str = "test") -> tuple[Path, Path]:
    folder = base / "toy_est_3D"
    return folder / f"groundtruth/toy_gt_3D_{phase}.npz", folder / f"detected/toy_est_3D_{phase}.npz"


def test_an_unknown_dataset_loads_and_says_what_it_took(tmp_path, caplog):
    write_poses(tmp_path, lengths=(40, 30))
    with caplog.at_level("INFO"):
        data = load(tmp_path)
    assert "toy is not in the table" in caplog.text and "root joints [0]" in caplog.text
    assert data.detected.shape == data.groundtruth.shape == (70, 9)
    assert data.detected.dtype == torch.float32
    assert data.offsets.tolist() == [0, 40, 70]
    assert data.facts.joints == 3
    assert data.names == ["sequence0/00000.jpg", "sequence1/00000.jpg"]


@pytest.mark.parametrize("shape", ["flat", "joints", "dense", "float32", "arrays of names"])
def test_all_layouts_give_the_same_block(tmp_path, shape):
    write_poses(tmp_path, lengths=(20, 20))
    expected = load(tmp_path)
    for path in files(tmp_path):
        with np.load(path, allow_pickle=True) as content:
            sequences, imgname = list(content["joints_3d"]), content["imgname"]
        changed = object_array(sequences)
        if shape == "joints":
            changed = object_array([s.reshape(20, 3, 3) for s in sequences])
        elif shape == "dense":
            changed = np.stack(sequences)
        elif shape == "float32":
            changed = object_array([s.astype(np.float32) for s in sequences])
        elif shape == "arrays of names":
            imgname = object_array([np.array(n) for n in imgname])
        write_npz(path, imgname=imgname, joints_3d=changed)
    data = load(tmp_path)
    torch.testing.assert_close(data.detected, expected.detected)
    torch.testing.assert_close(data.groundtruth, expected.groundtruth)


def test_pw3d_is_reordered_from_17_to_14_joints(tmp_path):
    write_poses(tmp_path, "pw3d", "spin", channels=51)
    data = load_poses(tmp_path, "pw3d", "spin", "3D", "test")
    raw = np.load(tmp_path / "pw3d_spin_3D/detected/pw3d_spin_3D_test.npz", allow_pickle=True)["joints_3d"][1]
    expected = raw.reshape(len(raw), 17, 3)[:, PW3D_TO_LSP]
    np.testing.assert_allclose(data.detected[data.slice(1)], expected.reshape(len(raw), 42), rtol=1e-6)


def test_h36m_pixels_are_centred_on_500(tmp_path):
    def pixels(truth, detected):
        truth[:] = [np.full((12, 34), 750.0)]
        detected[:] = [np.full((12, 34), 250.0)]

    write_poses(tmp_path, "h36m", "cpn", "2D", channels=34, edit=pixels)
    data = load_poses(tmp_path, "h36m", "cpn", "2D", "test")
    assert data.groundtruth.unique().tolist() == [0.5]
    assert data.detected.unique().tolist() == [-0.5]
    assert data.scale.unique().tolist() == [500] and data.shift.unique().tolist() == [500]


def test_nan_frames_are_bridged_marked_and_counted(tmp_path, caplog):
    def holes(truth, detected):
        detected[0][5, 3] = np.nan
        detected[0][6, 3] = np.nan
        truth[1][0, 0] = np.nan

    write_poses(tmp_path, edit=holes)
    data = load(tmp_path)
    assert "3 of 70 frames have NaN" in caplog.text
    assert (~data.valid).nonzero().ravel().tolist() == [5, 6, 40]
    x = data.detected[:, 3]
    torch.testing.assert_close(x[5], x[4] + (x[7] - x[4]) / 3)
    assert torch.isfinite(data.detected).all() and torch.isfinite(data.groundtruth).all()


@pytest.mark.parametrize(("factor", "said"), [(1, False), (100, True), (1000, True)])
def test_joints_too_far_apart_for_metres_are_a_warning(tmp_path, caplog, factor, said):
    truth, detected = ([sequence * factor for sequence in sequences] for sequences in motion([20, 30], 9))
    images = [[f"s/{i}.jpg" for i in range(len(x))] for x in truth]
    poses.write_poses(tmp_path, "toy", "est", "3D", "test", images, truth, detected)
    load(tmp_path)
    assert ("toy_gt_3D_test.npz: its joints lie" in caplog.text and "in metres" in caplog.text) == said


def test_the_root_comes_from_the_config_where_it_is_named(tmp_path):
    write_poses(tmp_path)
    named = {"DATASET_NAME": "toy", "ESTIMATOR": "est", "BODY_REPRESENTATION": "3D", "DATASET.BASE_DIR": str(tmp_path)}
    cfg = load_config(None, named, ["DATASET.ROOT_TOY_EST_3D", "[1,2]"])
    assert load_all(cfg, "test")[0].facts.root == (1, 2)
    cfg = load_config(None, named, ["DATASET.ROOT_TOY_EST_3D", "3"])
    with pytest.raises(SmoothNetError, match=r"root joints \[3\] .* outside the 3 joints"):
        load_all(cfg, "test")


def test_another_number_of_joints_of_a_known_dataset_is_a_warning_while_the_root_fits(tmp_path, caplog):
    """As the official code, which evaluates whatever the files hold."""
    write_poses(tmp_path, "h36m", "fcn", channels=60, phases=("test",))
    data = load_poses(tmp_path, "h36m", "fcn", "3D", "test")
    assert data.facts.joints == 20 and data.facts.root == (0,) and not data.facts.skeleton
    assert "20 joints" in caplog.text and "have 17" in caplog.text
    rows, _ = evaluate(load_config(), SmoothNet(8, None, 16, 8, 1).eval(), "none", [data], torch.device("cpu"))
    assert rows[0]["metrics"]["input_mpjpe"] > 0
    caplog.clear()
    write_poses(tmp_path, "mupots", "tposenet", channels=42, phases=("test",))
    with pytest.raises(SmoothNetError, match=r"root joints \[14\] of mupots lie outside the 14 joints"):
        load_poses(tmp_path, "mupots", "tposenet", "3D", "test")
    write_poses(tmp_path, "pw3d", "spin", "smpl", channels=69, phases=("test",))
    with pytest.raises(SmoothNetError, match="24 joints x 3 are expected"):
        load_poses(tmp_path, "pw3d", "spin", "smpl", "test")


def test_what_is_written_is_read_again(tmp_path):
    truth = [np.arange(36, dtype=np.float32).reshape(4, 9), np.ones((4, 9), np.float32)]
    detected = [x + 1 for x in truth]
    images = [[f"s{i}/{frame}" for frame in range(4)] for i in range(2)]
    for path in poses.write_poses(tmp_path / "new", "toy", "est", "3D", "test", images, truth, detected):
        assert path.is_file()
    data = load_poses(tmp_path / "new", "toy", "est", "3D", "test")
    assert data.names == ["s0/0", "s1/0"] and data.offsets.tolist() == [0, 4, 8]
    np.testing.assert_array_equal(data.groundtruth, np.concatenate(truth))
    np.testing.assert_array_equal(data.detected, np.concatenate(detected))


def rewrite(path: Path, **changes) -> None:
    with np.load(path, allow_pickle=True) as content:
        arrays = {key: content[key] for key in content.files}
    arrays.update(changes)
    write_npz(path, **{key: value for key, value in arrays.items() if value is not None})


def attack(tmp_path: Path):
    class Attack:
        def __reduce__(self):
            return os.system, (f"touch {tmp_path}/ran",)

    return object_array([np.zeros((40, 9)), [{"deep": Attack()}]])


def infinite() -> np.ndarray:
    x = np.zeros((40, 9))
    x[7, 2] = np.inf
    return object_array([x, np.zeros((30, 9))])


TWO = [np.zeros((40, 9)), np.zeros((30, 9))]
REFUSED = {
    "missing key": ({"joints_3d": None}, ["joints_3d", "its keys are imgname"]),
    "no imgname": ({"imgname": None}, ["imgname"]),
    "fewer sequences": ({"joints_3d": object_array(TWO[:1])}, ["1 sequences but imgname has 2"]),
    "another length": ({"joints_3d": object_array([TWO[0][:39], TWO[1]])}, ["sequence 0", "39 frames", "40"]),
    "lengths of the two files differ": ({"imgname": names([40, 29]), "joints_3d": object_array([TWO[0], TWO[1][1:]])},
                                        ["sequence 1", "30 frames", "29"]),
    "sequences of the two files differ": ({"imgname": names([40]), "joints_3d": object_array(TWO[:1])},
                                          ["2 sequences", "1"]),
    "other joints": ({"joints_3d": object_array([x[:, :6] for x in TWO])}, ["9 numbers a frame", "6"]),
    "joints change": ({"joints_3d": object_array([TWO[0], TWO[1][:, :6]])},
                      ["sequence 1", "6 numbers", "sequence 0 has 9"]),
    "not a multiple of 3": ({"joints_3d": object_array([x[:, :7] for x in TWO])}, ["sequence 0", "multiple of 3"]),
    "infinity": ({"joints_3d": infinite()}, ["sequence 0, frame 7", "infinite"]),
    "text": ({"joints_3d": object_array([np.full((40, 9), "x"), TWO[1]])}, ["sequence 0", "not numbers"]),
    "wrong depth": ({"joints_3d": object_array([object_array([[1, 2], [3]]), TWO[1]])}, ["sequence 0"]),
    "ragged frames": ({"joints_3d": object_array([[[1.0, 2, 3], [1.0]], TWO[1]])}, ["sequence 0", "unequal size"]),
    "zero sequences": ({"imgname": np.empty(0, object), "joints_3d": np.empty(0, object)}, ["no sequences"]),
    "a sequence without frames": ({"imgname": names([40, 0]), "joints_3d": object_array([TWO[0], TWO[1][:0]])},
                                  ["sequence 1", "no frames"]),
    "a number as a list": (
        {"imgname": np.array([np.array(3), ["a"]], dtype=object)},
        ["imgname of sequence 0", "list of image names"],
    ),
    "one flat list of names": ({"imgname": np.array(["a", "b"])}, ["imgname", "list of image names"]),
    "a number": ({"joints_3d": np.float64(3)}, ["0 sequences"]),
}  # fmt: skip


@pytest.mark.parametrize("what", REFUSED)
def test_what_the_door_refuses(tmp_path, what):
    changes, words = REFUSED[what]
    write_poses(tmp_path)
    rewrite(files(tmp_path)[1], **changes)
    with pytest.raises(SmoothNetError) as error:
        load(tmp_path)
    for word in ["toy_est_3D_test.npz", *words]:
        assert word in str(error.value)


def test_a_pickle_that_wants_to_run_something_is_refused_by_name(tmp_path):
    write_poses(tmp_path)
    rewrite(files(tmp_path)[1], joints_3d=attack(tmp_path))
    with pytest.raises(SmoothNetError, match=r"posix\.system"):
        load(tmp_path)
    assert not (tmp_path / "ran").exists()


@pytest.mark.parametrize("cut", [0, 1, 30, 0.5, 0.99])
def test_damaged_files_are_named(tmp_path, cut):
    write_poses(tmp_path)
    path = files(tmp_path)[0]
    data = path.read_bytes()
    path.write_bytes(data[: int(cut * len(data)) if isinstance(cut, float) else cut])
    with pytest.raises(SmoothNetError, match=r"toy_gt_3D_test\.npz"):
        load(tmp_path)


def test_something_else_under_the_name_of_an_npz(tmp_path):
    write_poses(tmp_path)
    files(tmp_path)[0].write_bytes(pickle.dumps({"joints_3d": 1}))
    with pytest.raises(SmoothNetError, match=r"not a readable \.npz"):
        load(tmp_path)


def test_a_missing_file_says_where_it_is_missing(tmp_path):
    write_poses(tmp_path, phases=("test",))
    with pytest.raises(SmoothNetError, match=r"toy_gt_3D_train\.npz does not exist; data/README"):
        load(tmp_path, phase="train")
    with pytest.raises(SmoothNetError, match="published for testing only"):
        load_poses(tmp_path, "mupots", "tposenet", "3D", "train")
    with pytest.raises(SmoothNetError, match="there are some of fcn"):
        load_poses(tmp_path, "h36m", "rle", "3D", "train")


def test_combinations_that_do_not_exist_list_those_that_do():
    with pytest.raises(SmoothNetError, match="3D with eft, pare, spin; 3D with tcmr, vibe; smpl with"):
        find_facts("pw3d", "fcn", "3D")
    with pytest.raises(SmoothNetError, match="mupots has no 2D poses of tposenet; it has 3D with tposenet"):
        find_facts("mupots", "tposenet", "2D")
    with pytest.raises(SmoothNetError, match="3D, 2D, smpl"):
        find_facts("pw3d", "spin", "4D")


def test_every_row_of_the_table_is_found():
    for facts in DATASETS:
        for estimator in facts.estimators or ("any",):
            assert find_facts(facts.dataset, estimator, facts.representation) == (facts, True)


def test_unequal_lists_are_an_error(tmp_path):
    named = {
        "DATASET_NAME": "toy,toy",
        "ESTIMATOR": "est",
        "BODY_REPRESENTATION": "3D",
        "DATASET.BASE_DIR": str(tmp_path),
    }
    with pytest.raises(SmoothNetError, match="DATASET_NAME 2, ESTIMATOR 1, BODY_REPRESENTATION 1"):
        load_all(load_config(None, named), "test")
    with pytest.raises(SmoothNetError, match="ESTIMATOR is empty"):
        load_all(load_config(None, {**named, "ESTIMATOR": ""}), "test")


@pytest.mark.parametrize("value", [np.nan, -np.inf, 1e30])
def test_boxes_and_shapes_that_are_no_numbers_are_named(tmp_path, value):
    """They would come out as NaN in the table, with status 0."""
    base = tmp_path / "poses"
    shutil.copytree(ROOT / "tests/golden/pw3d_spin_smpl/data/poses", base)
    path = base / "pw3d_spin_smpl/detected/pw3d_spin_smpl_test.npz"
    with np.load(path, allow_pickle=True) as file:
        arrays = dict(file)
    arrays["shape"][1][2, 3] = value
    np.savez(path, **arrays)
    with pytest.raises(SmoothNetError, match=r"shape of sequence 1 in .*pw3d_spin_smpl_test.npz .* in frame 2"):
        load_poses(base, "pw3d", "spin", "smpl", "test")


def test_files_in_which_no_frame_counts_are_refused(tmp_path):
    write_poses(tmp_path / "poses", phases=("test",))
    path = next((tmp_path / "poses").rglob("detected/*_test.npz"))
    with np.load(path, allow_pickle=True) as file:
        arrays = dict(file)
    for sequence in arrays["joints_3d"]:
        sequence[:] = np.nan
    np.savez(path, **arrays)
    with pytest.raises(SmoothNetError, match=rf"every frame of .*{path.name}.* has NaN"):
        load_poses(tmp_path / "poses", "toy", "est", "3D", "test")


@pytest.mark.parametrize(("value", "words"), [(1e30, "is 1e+30, further than any pose"), (-np.inf, "is infinite")])
@pytest.mark.parametrize("which", [0, 1])
def test_coordinates_that_no_pose_has_are_named(tmp_path, value, words, which):
    def edit(*pair):
        pair[which][1][3, 4] = value

    write_poses(tmp_path, edit=edit)
    with pytest.raises(SmoothNetError) as error:
        load(tmp_path)
    assert words in str(error.value) and "sequence 1, frame 3" in str(error.value)
    assert ("gt", "est")[which] in str(error.value)
