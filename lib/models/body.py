# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) SmoothNet contributors
"""The SMPL body (Loper et al., SIGGRAPH Asia 2015): from rotations to the 14 evaluated joints and the mesh.

The model is licensed and comes from its authors, see data/README.md; the optional package smplx computes it.
"""

from __future__ import annotations

import io
import zipfile
from collections.abc import Iterable, Iterator
from contextlib import redirect_stdout
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import scipy.sparse
import torch

from ..utils.errors import SmoothNetError
from ..utils.unpickle import Function, restricted_load

MODEL_FILE = "SMPL_NEUTRAL.pkl"
REGRESSOR_FILE = "J_regressor_extra.npy"
SOURCES = {  # what the error says of a missing file
    MODEL_FILE: (
        "it is licensed: register at https://smpl.is.tue.mpg.de, download the neutral SMPL model "
        "(basicModel_neutral_lbs_10_207_0_v1.0.0.pkl or basicmodel_neutral_lbs_10_207_0_v1.1.0.pkl)"
    ),
    REGRESSOR_FILE: (
        "it is in the data archive of SPIN (see fetch_data.sh of https://github.com/nkolot/SPIN): "
        "take data/J_regressor_extra.npy"
    ),
}
# SMPL joints in the order of LSP: right leg upwards, left leg downwards, right arm, left arm, neck.
SMPL_TO_LSP = (8, 5, 2, 1, 4, 7, 21, 19, 17, 16, 18, 20, 12)
HEAD_TOP = 3  # row of J_regressor_extra
CHUNK = 32  # frames at once: some 60 MB, and faster on a CPU than larger chunks


def load_body(model_dir: str | Path, device: torch.device | str = "cpu") -> Body:
    """Read SMPL_NEUTRAL.pkl and J_regressor_extra.npy from `model_dir`, running no code of theirs.

    Raises:
        SmoothNetError: a file is missing, damaged, of another kind or asks for foreign code; no smplx.
    """
    try:
        import smplx
    except ImportError as error:
        raise SmoothNetError("the SMPL body needs the package smplx: pip install smplx") from error
    model = read_model(_existing(model_dir, MODEL_FILE))
    vertices = len(model["v_template"])
    path = _existing(model_dir, REGRESSOR_FILE)
    try:
        regressor = np.load(path, allow_pickle=False)
    except (OSError, ValueError, EOFError, MemoryError, zipfile.BadZipFile) as error:
        raise SmoothNetError(f"{path} is not a readable .npy file ({error}); {SOURCES[REGRESSOR_FILE]}") from error
    if not isinstance(regressor, np.ndarray):
        raise SmoothNetError(f"{path} is an .npz file under another name; {SOURCES[REGRESSOR_FILE]}")
    if regressor.ndim != 2 or len(regressor) <= HEAD_TOP or regressor.shape[1] != vertices:
        raise SmoothNetError(f"{path} has shape {regressor.shape}, not (9, {vertices})")
    if regressor.dtype.kind not in "fiu" or not (np.abs(regressor.astype(np.float64)) < LARGEST).all():
        raise SmoothNetError(f"{path} is damaged: it holds NaN, no numbers, or {LARGEST:g} and more; copy it again")
    with redirect_stdout(io.StringIO()):  # it remarks that there are only 10 shape numbers, as there should be
        network = smplx.SMPL(model_path="", data_struct=SimpleNamespace(**model), create_transl=False)
    return Body(network.eval().to(device), torch.from_numpy(regressor[HEAD_TOP].astype(np.float32)).to(device))


def body_for(datasets: Iterable[Any], model_dir: str | Path) -> Body | None:
    """The SMPL body if any of the pose data is of rotations, else None; errors as load_body."""
    return load_body(model_dir) if any(data.facts.representation == "smpl" for data in datasets) else None


class Body:
    """The neutral SMPL body without translation. Call it chunk by chunk: a sequence's mesh is large.

    Attributes:
        faces: (F, 3) int64, corners of the triangles of the mesh.
    """

    def __init__(self, network: torch.nn.Module, head_top: torch.Tensor):
        self._network = network
        self._head_top = head_top
        faces: Any = network.faces_tensor
        self.faces: np.ndarray = faces.cpu().numpy()

    def chunks(self, length: int) -> Iterator[slice]:
        """Frames of a sequence in portions whose meshes fit in memory."""
        for start in range(0, length, CHUNK):
            yield slice(start, min(start + CHUNK, length))

    def __call__(self, pose: np.ndarray, betas: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Joints and mesh of one chunk of n frames.

        Args:
            pose: (n, 72) axis-angle, or (n, 24, 3, 3) rotation matrices.
            betas: (n, 10) shape.

        Returns:
            joints (n, 14, 3) in LSP order and vertices (n, 6890, 3), float32, metres, not root-relative.
        """
        device = self._head_top.device
        turned, shape = (torch.from_numpy(np.ascontiguousarray(x, np.float32)).to(device) for x in (pose, betas))
        first = 3 if pose.ndim == 2 else 1  # the root's rotation comes first
        with torch.inference_mode():
            output = self._network(
                betas=shape,
                global_orient=turned[:, :first],
                body_pose=turned[:, first:],
                pose2rot=pose.ndim == 2,
            )
            head_top = torch.einsum("v,nvd->nd", self._head_top, output.vertices)
            joints = torch.cat([output.joints[:, list(SMPL_TO_LSP)], head_top[:, None]], dim=1)
        return joints.cpu().numpy(), output.vertices.cpu().numpy()

    def joints(self, pose: np.ndarray, betas: np.ndarray) -> np.ndarray:
        """The joints of a whole sequence: (L, 72) or (L, 24, 3, 3), (L, 10) -> (L, 14, 3)."""
        joints = np.empty((len(pose), 14, 3), np.float32)
        for rows in self.chunks(len(pose)):
            joints[rows] = self(pose[rows], betas[rows])[0]
        return joints


def read_model(path: str | Path) -> dict[str, np.ndarray]:
    """The arrays of an SMPL model file, from a restricted reading of the pickle.

    Admitted are numpy arrays, scipy.sparse matrices and chumpy arrays, which the original files hold; chumpy
    itself is not needed (it does not import on Python >= 3.11).

    Raises:
        SmoothNetError: the file asks for anything else, or lacks or misshapes an array.
    """
    with open(path, "rb") as file:
        content = restricted_load(file, str(path), NAMES)
    if not isinstance(content, dict):
        raise SmoothNetError(f"{path} holds no SMPL model; {SOURCES[MODEL_FILE]}")
    try:
        model = {key: _array(content[key]) for key in SHAPES if key in content}
    except (KeyError, TypeError, ValueError, IndexError) as error:
        raise SmoothNetError(f"{path} holds an array that cannot be read ({error})") from error
    vertices = len(model["v_template"]) if "v_template" in model else 0
    for key, shape in SHAPES.items():
        expected = tuple(vertices if size == "V" else size for size in shape)
        found = model[key].shape if key in model else None
        if (
            found is None
            or len(found) != len(expected)
            or not all(size is None or size == given for size, given in zip(expected, found, strict=True))
        ):
            raise SmoothNetError(
                f"{path} is not a neutral SMPL model: {key} "
                f"{'is missing' if found is None else f'has shape {found}'}; {SOURCES[MODEL_FILE]}"
            )
        if key != "kintree_table" and not (np.abs(model[key]) < LARGEST).all():
            raise SmoothNetError(f"{path} is damaged: {key} holds NaN or {LARGEST:g} and more; copy it again")
    model["shapedirs"] = model["shapedirs"][..., :10]
    return model


LARGEST = 1e6  # of a model's numbers: metres, weights, numbers of vertices
# "V" is the number of vertices, None any number; files with more than 10 shape directions are cut to 10.
SHAPES: dict[str, tuple] = {
    "v_template": ("V", 3),
    "shapedirs": ("V", 3, None),
    "posedirs": ("V", 3, 207),
    "J_regressor": (24, "V"),
    "weights": ("V", 24),
    "f": (None, 3),
    "kintree_table": (2, 24),
}


class _Standin:
    """Holds the attributes of a pickled object whose class is not needed."""

    def __setstate__(self, state: Any) -> None:
        if not isinstance(state, dict):
            raise ValueError("unexpected state of an array object")
        self.state = state


class _Ch(_Standin):
    """chumpy.ch.Ch: an array in `x`."""


class _Select(_Standin):
    """chumpy.reordering.Select: elements `idxs` of the array `a`, in the shape `preferred_shape`."""


class _Sparse(_Standin):
    """scipy.sparse csc or csr of any version of scipy."""

    kind: str


def _reconstructor(kind: type, base: type, state: Any) -> Any:
    """How Python 2 makes the objects above: without calling anything."""
    if not (isinstance(kind, type) and issubclass(kind, _Standin)):
        raise ValueError("unexpected object")
    return kind()


NAMES: dict[tuple[str, str], Any] = {
    ("chumpy.ch", "Ch"): _Ch,
    ("chumpy.reordering", "Select"): _Select,
    **{
        (f"scipy.sparse.{module}{kind}", f"{kind}_{suffix}"): type(f"_{kind}", (_Sparse,), {"kind": kind})
        for module in ("", "_")
        for kind in ("csc", "csr")
        for suffix in ("matrix", "array")
    },
    **{(module, "_reconstructor"): Function(_reconstructor) for module in ("copy_reg", "copyreg")},
    **{(module, kind.__name__): kind for module in ("__builtin__", "builtins") for kind in (object, set)},
}


def _array(value: Any) -> np.ndarray:
    """The plain array behind any of the admitted objects."""
    if isinstance(value, _Ch):
        return _array(value.state["x"])
    if isinstance(value, _Select):
        chosen = _array(value.state["a"]).ravel()[_array(value.state["idxs"])]
        return chosen.reshape(value.state.get("preferred_shape", -1))
    if isinstance(value, _Sparse):
        state = value.state
        parts = tuple(_array(state[key]) for key in ("data", "indices", "indptr"))
        shape = state["_shape"] if "_shape" in state else state["shape"]
        build = {"csc": scipy.sparse.csc_matrix, "csr": scipy.sparse.csr_matrix}[value.kind]
        matrix = build(parts, shape=shape)
        matrix.check_format(full_check=True)  # indices outside the matrix would write outside the memory
        return matrix.toarray()
    array = np.asarray(value)
    if array.dtype.kind not in "fiu":
        raise ValueError(f"numbers expected, not {array.dtype}")
    return array


def _existing(model_dir: str | Path, name: str) -> Path:
    path = Path(model_dir) / name
    if not path.is_file():
        raise SmoothNetError(f"{path} is missing: {SOURCES[name]} and put it there under that name")
    return path
