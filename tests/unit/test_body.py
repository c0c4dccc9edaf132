# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) SmoothNet contributors
import os
import pickle
import sys
import types

import numpy as np
import pytest
import scipy.sparse

from lib.models import body as body_module
from lib.models.body import load_body, read_model
from lib.utils.errors import SmoothNetError
from lib.utils.rotations import axis_angle_to_matrix

pytest.importorskip("smplx")


@pytest.fixture(scope="module")
def body(smpl_dir):
    return load_body(smpl_dir)


@pytest.fixture
def chumpy(monkeypatch):
    """A module that makes pickles with the names of chumpy's classes in them."""
    ch, reordering = types.ModuleType("chumpy.ch"), types.ModuleType("chumpy.reordering")
    for module, name in ((ch, "Ch"), (reordering, "Select")):
        setattr(module, name, type(name, (), {"__module__": module.__name__}))
    monkeypatch.setitem(sys.modules, "chumpy", types.ModuleType("chumpy"))
    monkeypatch.setitem(sys.modules, "chumpy.ch", ch)
    monkeypatch.setitem(sys.modules, "chumpy.reordering", reordering)

    def array(x, kind="Ch", **state):
        result = ch.Ch() if kind == "Ch" else reordering.Select()
        result.__dict__ = {"x": x, "_dirty_vars": {"x"}, "_itr": None} if kind == "Ch" else {"a": x, **state}
        return result

    return array


def tiny_model(vertices=5):
    rng = np.random.default_rng(0)
    shapes = {key: [vertices if n == "V" else n or 10 for n in shape] for key, shape in body_module.SHAPES.items()}
    return {key: rng.random(shape) for key, shape in shapes.items()}


def write(path, content, protocol=2):
    path.write_bytes(pickle.dumps(content, protocol=protocol))
    return path


def poses(length, seed=0):
    rng = np.random.default_rng(seed)
    return 0.3 * rng.normal(size=(length, 72)), rng.normal(size=(length, 10))


def test_a_turn_of_the_root_turns_joints_and_mesh_about_the_pelvis(body):
    pose, betas = np.zeros((2, 72)), np.zeros((2, 10))
    pose[1, :3] = 0, 0, np.pi / 2
    joints, vertices = body(pose, betas)
    assert joints.shape == (2, 14, 3) and vertices.shape == (2, 6890, 3)
    turn = np.array([[0, -1, 0], [1, 0, 0], [0, 0, 1]])
    differences = joints[0, 1:] - joints[0, 0], vertices[0] - joints[0, 0]
    np.testing.assert_allclose(joints[1, 1:] - joints[1, 0], differences[0] @ turn.T, atol=1e-5)
    np.testing.assert_allclose(vertices[1] - joints[1, 0], differences[1] @ turn.T, atol=1e-5)


def test_joints_are_in_lsp_order_with_the_head_top_from_the_extra_regressor(body, smpl_dir):
    model = read_model(smpl_dir / "SMPL_NEUTRAL.pkl")
    joints, vertices = body(np.zeros((1, 72)), np.zeros((1, 10)))
    regressed = model["J_regressor"] @ model["v_template"]
    left_ankle, right_wrist, neck = 7, 21, 12
    np.testing.assert_allclose(joints[0, [5, 6, 12]], regressed[[left_ankle, right_wrist, neck]], atol=1e-5)
    extra = np.load(smpl_dir / "J_regressor_extra.npy")
    np.testing.assert_allclose(joints[0, 13], extra[3] @ vertices[0], atol=1e-5)


def test_rotation_matrices_give_the_same_as_axis_angle(body):
    pose, betas = poses(3)
    joints, vertices = body(pose, betas)
    from_matrices = body(axis_angle_to_matrix(pose.reshape(3, 24, 3)), betas)
    np.testing.assert_allclose(from_matrices[0], joints, atol=1e-5)
    np.testing.assert_allclose(from_matrices[1], vertices, atol=1e-5)


def test_a_sequence_in_chunks_is_the_sequence(body, monkeypatch):
    pose, betas = poses(7)
    whole = body(pose, betas)[0]
    monkeypatch.setattr(body_module, "CHUNK", 3)
    assert [rows.stop - rows.start for rows in body.chunks(7)] == [3, 3, 1]
    np.testing.assert_allclose(body.joints(pose, betas), whole, atol=1e-5)
    assert body.joints(pose[:0], betas[:0]).shape == (0, 14, 3)


def test_faces_are_triangles_of_the_mesh(body):
    assert body.faces.shape == (13776, 3)
    assert body.faces.min() >= 0 and body.faces.max() < 6890


def test_the_original_kind_of_pickle_gives_the_same_body(smpl_dir, tmp_path, chumpy, body, monkeypatch):
    with open(smpl_dir / "SMPL_NEUTRAL.pkl", "rb") as file:
        model = pickle.load(file)  # ours
    shapedirs = model["shapedirs"]
    more = np.concatenate([shapedirs, shapedirs[..., :2]], axis=-1)
    chosen = np.arange(more.size).reshape(more.shape)[..., :10]
    model |= {
        "J_regressor": scipy.sparse.csc_matrix(model["J_regressor"]),
        "shapedirs": chumpy(chumpy(more), "Select", idxs=chosen.ravel(), preferred_shape=chosen.shape),
        "v_template": chumpy(model["v_template"]),
        "bs_style": "lbs",
    }
    write(tmp_path / "SMPL_NEUTRAL.pkl", model)
    os.link(smpl_dir / "J_regressor_extra.npy", tmp_path / "J_regressor_extra.npy")
    for name in ("chumpy", "chumpy.ch", "chumpy.reordering"):
        monkeypatch.setitem(sys.modules, name, None)  # any import of it would fail now
    pose, betas = poses(2)
    for ours, theirs in zip(load_body(tmp_path)(pose, betas), body(pose, betas), strict=True):
        np.testing.assert_allclose(ours, theirs, atol=1e-6)


@pytest.mark.parametrize("protocol", [0, 1, 2, 4])
def test_any_pickle_protocol(tmp_path, chumpy, protocol):
    plain = tiny_model()
    model = plain | {
        "shapedirs": chumpy(plain["shapedirs"]),
        "weights": scipy.sparse.csr_matrix(plain["weights"]),
    }
    path = write(tmp_path / "model.pkl", model, protocol)
    for key, array in read_model(path).items():
        np.testing.assert_array_equal(array, plain[key])


def test_sparse_matrices_of_old_scipy_versions(tmp_path):
    plain = tiny_model()
    content = pickle.dumps(plain | {"J_regressor": scipy.sparse.csc_matrix(plain["J_regressor"])}, protocol=2)
    path = tmp_path / "model.pkl"
    content = content.replace(b"cscipy.sparse._csc\n", b"cscipy.sparse.csc\n")
    assert b"cscipy.sparse.csc\n" in content
    path.write_bytes(content)
    np.testing.assert_array_equal(read_model(path)["J_regressor"], plain["J_regressor"])


class Attack:
    def __init__(self, marker):
        self.marker = marker

    def __reduce__(self):
        return os.system, (f"touch {self.marker}",)


@pytest.mark.parametrize("hidden", [False, True])
def test_a_pickle_that_asks_for_code_is_refused_by_name_and_nothing_runs(tmp_path, chumpy, hidden):
    marker = tmp_path / "ran"
    attack = Attack(marker)
    path = write(tmp_path / "SMPL_NEUTRAL.pkl", tiny_model() | {"bs_type": chumpy(attack) if hidden else attack})
    with pytest.raises(SmoothNetError, match=r"SMPL_NEUTRAL\.pkl.*system"):
        read_model(path)
    assert not marker.exists()


def test_a_sparse_matrix_with_indices_outside_is_refused(tmp_path):
    model = tiny_model()
    matrix = scipy.sparse.csc_matrix(model["J_regressor"])
    matrix.indices[0] = 10**6
    path = write(tmp_path / "model.pkl", model | {"J_regressor": matrix})
    with pytest.raises(SmoothNetError, match="cannot be read"):
        read_model(path)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"weights": np.zeros((5, 52))}, r"weights has shape \(5, 52\)"),
        ({"posedirs": np.zeros((4, 3, 207))}, "posedirs has shape"),
        ({"v_template": np.array(["a"])}, "cannot be read"),
    ],
)
def test_another_model_is_refused_with_what_is_wrong(tmp_path, change, message):
    path = write(tmp_path / "SMPL_NEUTRAL.pkl", tiny_model() | change)
    with pytest.raises(SmoothNetError, match=message):
        read_model(path)


def test_a_model_without_an_array_or_without_anything_is_refused(tmp_path):
    model = tiny_model()
    del model["f"]
    with pytest.raises(SmoothNetError, match=r"f is missing.*smpl\.is\.tue\.mpg\.de"):
        read_model(write(tmp_path / "a.pkl", model))
    with pytest.raises(SmoothNetError, match="no SMPL model"):
        read_model(write(tmp_path / "b.pkl", [1, 2]))
    (tmp_path / "c.pkl").write_bytes(b"<html>not found</html>")
    with pytest.raises(SmoothNetError, match=r"c\.pkl"):
        read_model(tmp_path / "c.pkl")


def test_a_missing_file_says_which_where_to_get_it_and_where_to_put_it(tmp_path, smpl_dir):
    with pytest.raises(SmoothNetError) as caught:
        load_body(tmp_path)
    assert str(tmp_path / "SMPL_NEUTRAL.pkl") in str(caught.value)
    assert "smpl.is.tue.mpg.de" in str(caught.value) and "put it there" in str(caught.value)
    os.link(smpl_dir / "SMPL_NEUTRAL.pkl", tmp_path / "SMPL_NEUTRAL.pkl")
    with pytest.raises(SmoothNetError, match=r"J_regressor_extra\.npy is missing.*SPIN"):
        load_body(tmp_path)


def test_a_regressor_of_the_wrong_shape_is_refused(tmp_path, smpl_dir):
    os.link(smpl_dir / "SMPL_NEUTRAL.pkl", tmp_path / "SMPL_NEUTRAL.pkl")
    np.save(tmp_path / "J_regressor_extra.npy", np.zeros((17, 100)))
    with pytest.raises(SmoothNetError, match=r"shape \(17, 100\), not \(9, 6890\)"):
        load_body(tmp_path)
    damaged = np.load(smpl_dir / "J_regressor_extra.npy")
    damaged[3, 5] = -np.inf
    np.save(tmp_path / "J_regressor_extra.npy", damaged)
    with pytest.raises(SmoothNetError, match=r"J_regressor_extra\.npy is damaged: it holds NaN"):
        load_body(tmp_path)
    with open(tmp_path / "J_regressor_extra.npy", "wb") as file:
        np.savez(file, damaged)
    with pytest.raises(SmoothNetError, match=r"J_regressor_extra\.npy is an \.npz file"):
        load_body(tmp_path)
    (tmp_path / "J_regressor_extra.npy").write_bytes(b"PK\x03\x04" + bytes(60))
    with pytest.raises(SmoothNetError, match=r"J_regressor_extra\.npy is not a readable"):
        load_body(tmp_path)
    np.save(tmp_path / "J_regressor_extra.npy", np.array([{}]), allow_pickle=True)
    with pytest.raises(SmoothNetError, match="not a readable"):
        load_body(tmp_path)


def test_without_smplx_the_error_says_how_to_install_it(smpl_dir, monkeypatch):
    monkeypatch.setitem(sys.modules, "smplx", None)
    with pytest.raises(SmoothNetError, match="pip install smplx"):
        load_body(smpl_dir)
