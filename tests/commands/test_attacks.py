# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) SmoothNet contributors
"""Files made by somebody with bad intentions: nothing in them runs, and one sentence names the file."""

from __future__ import annotations

import io
import os
import pickle
import re
import shutil
import struct
import subprocess
import sys
import types
import zipfile
from pathlib import Path

import numpy as np
import pytest
import torch
from helpers import ROOT, SMALL, write_checkpoint, write_npz, write_poses

from lib.commands.arguments import run_main
from lib.dataset.poses import load_poses
from lib.formats import read_recording
from lib.models.body import read_model
from lib.models.checkpoints import load_model, read_checkpoint
from lib.models.smoothnet import SmoothNet
from lib.utils.errors import SmoothNetError
from lib.utils.unpickle import restricted_load


class Calls:
    """Pickles as a call of a function by its name, which need not exist here."""

    def __init__(self, module: str, name: str, *arguments, state=None):
        self.function = types.FunctionType((lambda: 0).__code__, {}, name)
        self.function.__module__, self.function.__qualname__ = module, name
        self.arguments, self.state = arguments, state


class _Pickler(pickle._Pickler):  # the one in Python writes names without looking them up
    def save_call(self, call: Calls) -> None:
        self.write(f"c{call.function.__module__}\n{call.function.__qualname__}\n".encode())
        self.save(call.arguments)
        self.write(b"R")
        if call.state is not None:
            self.save(call.state)
            self.write(b"b")

    dispatch = {**pickle._Pickler.dispatch, Calls: save_call}  # noqa: RUF012  (as in the base)


def dump(value, protocol: int = 2) -> bytes:
    file = io.BytesIO()
    _Pickler(file, protocol).dump(value)
    return file.getvalue()


class Reduces:
    def __init__(self, command: str):
        self.command = command

    def __reduce__(self):
        return os.system, (self.command,)


def name(module: str, attribute: str) -> bytes:
    return f"c{module}\n{attribute}\n".encode()


def stack_name(module: str, attribute: str) -> bytes:
    return b"\x80\x04" + b"".join(b"\x8c" + bytes([len(t)]) + t.encode() for t in (module, attribute)) + b"\x93"


MAKE_ARRAY = b"cnumpy.core.multiarray\n_reconstruct\n(cnumpy\nndarray\n(I0\ntS'b'\ntR"

# Each takes the shell command that an attack would run, and gives the pickle.
ATTACKS = {
    **{f"os.system, protocol {p}": lambda c, p=p: pickle.dumps(Reduces(c), protocol=p) for p in range(6)},
    "nested": lambda c: pickle.dumps({"a": [{"b": (1, {2: Reduces(c)})}]}),
    "eval": lambda c: dump(Calls("builtins", "eval", f"__import__('os').system({c!r})")),
    "eval of Python 2": lambda c: dump(Calls("__builtin__", "eval", f"__import__('os').system({c!r})")),
    "subprocess": lambda c: dump(Calls("subprocess", "check_call", ["sh", "-c", c])),
    "numpy.load": lambda c: dump(Calls("numpy", "load", "other.npy", None, True)),
    "a string that numpy runs": lambda c: dump(
        Calls("numpy.testing._private.utils", "runstring", f"import os; os.system({c!r})", {})
    ),
    "torch.load": lambda c: dump(Calls("torch", "load", "other.pth", None, None)),
    "getattr": lambda c: dump(Calls("builtins", "getattr", Calls("builtins", "__import__", "os"), "system")),
    "operator": lambda c: dump(Calls("operator", "methodcaller", "system", c)),
    "a name behind an allowed one": lambda c: stack_name("numpy", "dtype.__class__") + b".",
    "a module behind an allowed one": lambda c: stack_name("collections", "_sys.modules") + b".",
    "INST": lambda c: b"(S" + repr(c).encode() + b"\nios\nsystem\n.",
    "OBJ": lambda c: b"(" + name("os", "system") + b"S" + repr(c).encode() + b"\no.",
    "NEWOBJ": lambda c: b"\x80\x02" + name("subprocess", "Popen") + b"S" + repr(c).encode() + b"\n\x85\x81.",
    "EXT1": lambda c: b"\x80\x02\x82\x01.",
    "persistent id": lambda c: b"Pmodule\n.",
    "BINPERSID": lambda c: b"S'module'\nQ.",
    "new code for an allowed function": lambda c: (
        name("_codecs", "encode") + b"(N(dS'__defaults__'\n(S'utf8'\ntstb."
    ),
    "attributes for an allowed function": lambda c: name("_codecs", "encode") + b"(dS'a'\nI1\nsb.",
    "attributes for an allowed class": lambda c: name("collections", "OrderedDict") + b"(N(dS'pop'\nI1\nstb.",
    "an array of a shape it likes": lambda c: dump(Calls("numpy", "ndarray", (2**50,), "b")),
    "one number as an endless array": lambda c: dump(
        Calls("numpy", "ndarray", (2**50,), "b", b"x", 0, (0,))
    ),
    "numbers that are followed as addresses": lambda c: (
        MAKE_ARRAY + b"(I1\n(I1\nt" + dump(Calls("numpy", "dtype", "V8", False, True), 0)[:-1]
        + b"(I3\nS'|'\nN(S'a'\nt(dS'a'\n(" + dump(Calls("numpy", "dtype", "O8", False, True), 0)[:-1]
        + b"I0\ntsI8\nI1\nI0\ntbI00\nS'AAAAAAAA'\ntb."
    ),
    "records": lambda c: dump(Calls("numpy", "dtype", [("a", "O"), ("b", "f8")])),
    "an object as a number": lambda c: dump(
        Calls("numpy.core.multiarray", "scalar", Calls("numpy", "dtype", "O8", False, True), b"AAAAAAAA")
    ),
    "a dtype that changes its kind": lambda c: dump(
        Calls("numpy", "dtype", "f8", False, False, state=(3, "<", None, ("a",), {"a": 1}, 8, 1, 63))
    ),
    "text in an encoding that unpacks": lambda c: dump(Calls("_codecs", "encode", "x" * 9, "zlib")),
    "bytes that are not there": lambda c: b"\x80\x04\x8e" + struct.pack("<Q", 2**60) + b"x.",
    "text that is not there": lambda c: b"\x80\x04\x8d" + struct.pack("<Q", 2**60) + b"x.",
    "a number that is not there": lambda c: b"\x80\x02\x8b" + struct.pack("<i", 2**31 - 1) + b"x.",
    "a frame that is not there": lambda c: b"\x80\x04\x95" + struct.pack("<Q", 2**62) + b".",
    "a memo of any size": lambda c: b"\x80\x02I1\nr" + struct.pack("<I", 2**31 - 1) + b"I1\nI1\nI1\n",
    "lists in lists": lambda c: b"]" * 100_000 + b"a" * 99_999 + b".",
    "nothing": lambda c: b".",
    "no end": lambda c: b"]",
}  # fmt: skip


def npz_door(folder: Path, payload: bytes):
    """The member that holds the poses: a header that says "objects", then the pickle."""
    write_poses(folder, phases=("test",))
    path = folder / "toy_est_3D/detected/toy_est_3D_test.npz"
    with zipfile.ZipFile(path) as old:
        members = {n: old.read(n) for n in old.namelist()}
    header = members["joints_3d.npy"]
    start = 10 + struct.unpack("<H", header[8:10])[0]
    with zipfile.ZipFile(path, "w") as new:
        new.writestr("imgname.npy", members["imgname.npy"])
        new.writestr("joints_3d.npy", header[:start] + payload)
    return path, lambda: load_poses(folder, "toy", "est", "3D", "test")


def smpl_door(folder: Path, payload: bytes):
    path = folder / "SMPL_NEUTRAL.pkl"
    path.write_bytes(payload)
    return path, lambda: read_model(path)


def checkpoint_door(folder: Path, payload: bytes):
    path = write_checkpoint(folder / "weights.pth.tar")
    with zipfile.ZipFile(path) as old:
        members = {n: old.read(n) for n in old.namelist()}
    with zipfile.ZipFile(path, "w") as new:
        for member, content in members.items():
            new.writestr(member, payload if member.endswith("data.pkl") else content)
    return path, lambda: load_model(path)


def old_checkpoint_door(folder: Path, payload: bytes):
    """The form of PyTorch before 1.6: pickles one after another."""
    path = folder / "old.pth.tar"
    torch.save({"state_dict": {}}, path, _use_new_zipfile_serialization=False)
    front = b"".join(pickle.dumps(x, 2) for x in (0x1950A86A20F9469CFC6C, 1001, {"little_endian": True}))
    path.write_bytes(front + payload)
    return path, lambda: load_model(path)


def h5_door(folder: Path, payload: bytes):
    h5py = pytest.importorskip("h5py")
    path = folder / "video.h5"
    with h5py.File(path, "w") as file:
        group = file.create_group("df_with_missing")
        group.attrs["pandas_type"] = np.bytes_(b"frame_table")
        rows = np.zeros(5, dtype=[("index", "<i8"), ("values_block_0", "<f8", (6,))])
        table = group.create_dataset("table", data=rows)
        if len(payload) > 60_000:
            pytest.skip("an attribute holds 64 KiB at most")
        table.attrs["values_block_0_kind"] = np.void(payload)
    return path, lambda: read_recording(path)


def poses_door(name: str, front: bytes = b"", behind: bytes = b""):
    """A file of poses that is a pickle, with what comes before and behind it."""

    def door(folder: Path, payload: bytes):
        path = folder / name
        path.write_bytes(front + payload + behind)
        return path, lambda: read_recording(path)

    return door


def torch_poses_door(folder: Path, payload: bytes):
    path = folder / "hmr4d_results.pt"
    with zipfile.ZipFile(path, "w") as file:
        file.writestr("hmr4d_results/data.pkl", payload)
    return path, lambda: read_recording(path)


ONE_OBJECT = io.BytesIO()
np.lib.format.write_array_header_1_0(ONE_OBJECT, {"descr": "|O", "fortran_order": False, "shape": ()})

DOORS = {"npz": npz_door, "smpl": smpl_door, "checkpoint": checkpoint_door, "old checkpoint": old_checkpoint_door,
         "h5": h5_door, "poses": poses_door("poses.pkl"), "npy": poses_door("a.npy", ONE_OBJECT.getvalue()),
         "joblib": poses_door("a.joblib", behind=b"joblib.numpy_pickle"), "torch": torch_poses_door}  # fmt: skip


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("door", DOORS)
@pytest.mark.parametrize("attack", ATTACKS)
def test_nothing_runs_and_the_file_is_named(tmp_path, door, attack):
    mark = tmp_path / "ran"
    path, read = DOORS[door](tmp_path, ATTACKS[attack](f"touch {mark}"))
    with pytest.raises(SmoothNetError) as error:
        read()
    assert path.name in str(error.value) and "\n" not in str(error.value)
    assert not mark.exists()
    assert np.zeros(2).dtype == np.dtype("<f8") and not np.dtype("f8").names  # what numpy shares stays as it is


def test_the_attacks_would_work_elsewhere(tmp_path):
    """So that the test above does not pass because its files are harmless."""
    for attack in (
        "os.system, protocol 0",
        "os.system, protocol 4",
        "nested",
        "eval",
        "subprocess",
        "INST",
        "OBJ",
    ):
        mark = tmp_path / re.sub(r"\W", "_", attack)
        (tmp_path / "p").write_bytes(ATTACKS[attack](f"touch {mark}"))
        code = "import pickle, sys; pickle.load(open(sys.argv[1], 'rb'))"
        subprocess.run([sys.executable, "-c", code, tmp_path / "p"], check=False, capture_output=True)
        assert mark.exists(), attack


@pytest.mark.parametrize("attack", ["os.system, protocol 2", "nested", "eval", "NEWOBJ", "persistent id"])
def test_a_resume_state_runs_nothing(tmp_path, capsys, attack):
    from lib.commands import train as train_smoothnet

    mark = tmp_path / "ran"
    write_poses(tmp_path / "poses")
    path, _ = checkpoint_door(tmp_path, ATTACKS[attack](f"touch {mark}"))
    arguments = ["--dataset_name", "toy", "--estimator", "est", "--body_representation", "3D", "--device", "cpu",
                 "--logdir", tmp_path / "run", "--resume", path,
                 "--opts", "DATASET.BASE_DIR", tmp_path / "poses"]  # fmt: skip
    assert run_main(train_smoothnet.main, [*map(str, arguments), *SMALL]) == 2
    assert "weights.pth.tar" in capsys.readouterr().err
    assert not mark.exists()


def test_the_arrays_of_honest_pickles_are_what_they_were(tmp_path):
    """Every protocol, kind of number, byte order and memory order, as numpy writes them into object arrays."""
    rng = np.random.default_rng(0)
    block = rng.normal(size=(40, 9))
    for protocol in range(6):
        for array in (
            block,
            block.astype(">f4"),
            np.asfortranarray(block),
            block.astype(np.float16),
            (block * 9).astype("<i2"),
        ):
            objects = np.empty(1, object)
            objects[0] = array
            payload = pickle.dumps(objects, protocol=protocol)
            folder = tmp_path / "poses"
            write_poses(folder, lengths=(40,), phases=("test",))
            path = folder / "toy_est_3D/detected/toy_est_3D_test.npz"
            with zipfile.ZipFile(path) as old:
                members = {n: old.read(n) for n in old.namelist()}
            start = 10 + struct.unpack("<H", members["joints_3d.npy"][8:10])[0]
            with zipfile.ZipFile(path, "w") as new:
                new.writestr("imgname.npy", members["imgname.npy"])
                new.writestr("joints_3d.npy", members["joints_3d.npy"][:start] + payload)
            detected = load_poses(folder, "toy", "est", "3D", "test").detected.numpy()
            np.testing.assert_array_equal(detected, array.astype(np.float32))
            shutil.rmtree(folder)


# -------------------------------------------------------------------------------------- small files, much memory


def bomb(path: Path, member: str) -> Path:
    """A zip whose member claims to unpack to 64 GiB."""
    with zipfile.ZipFile(path, "a", zipfile.ZIP_DEFLATED) as file:
        file.writestr(member, b"\x93NUMPY" + b"\0" * 10_000)
        file.filelist[-1].file_size = 2**36
    return path


def test_a_zip_that_unpacks_to_many_times_its_size(tmp_path):
    path, read = npz_door(tmp_path, b".")
    with zipfile.ZipFile(path) as old:
        names = old.read("imgname.npy")
    with zipfile.ZipFile(path, "w") as new:
        new.writestr("imgname.npy", names)
    bomb(path, "joints_3d.npy")
    with pytest.raises(SmoothNetError, match=r"toy_est_3D_test\.npz was refused: it would unpack"):
        read()
    with pytest.raises(SmoothNetError, match=r"a\.npz was refused: it would unpack"):
        read_recording(bomb(tmp_path / "a.npz", "keypoints.npy"))
    path = write_checkpoint(tmp_path / "c.pth.tar")
    with pytest.raises(SmoothNetError, match=r"c\.pth\.tar was refused: it would unpack"):
        load_model(bomb(path, "c/data/99"))


@pytest.mark.parametrize("shape", ["(1000000000000000, 3)", "(-1, 3)", "(99999999999999999999999, 3)", "(2, 3"])
@pytest.mark.parametrize("kind", ["npy", "npz"])
def test_a_header_that_promises_more_than_there_is(tmp_path, shape, kind):
    if shape == "(-1, 3)" and np.lib.NumpyVersion(np.__version__) < "2.3.0":
        pytest.skip("this numpy takes -1 for as many as there are")
    header = f"{{'descr': '<f8', 'fortran_order': False, 'shape': {shape}, }}\n".encode()
    content = b"\x93NUMPY\x01\x00" + struct.pack("<H", len(header)) + header + bytes(48)
    path = tmp_path / f"a.{kind}"
    if kind == "npy":
        path.write_bytes(content)
    else:
        with zipfile.ZipFile(path, "w") as file:
            file.writestr("keypoints.npy", content)
    with pytest.raises(SmoothNetError, match=rf"a\.{kind}"):
        read_recording(path)


def test_weights_larger_than_their_file(tmp_path):
    """One number with strides of 0 stands for a matrix of any size, and a sparse one needs none at all."""
    state = SmoothNet(8, None, 16, 8, 1).state_dict()
    one = torch.zeros(1)
    for number, weight in enumerate((
        one.as_strided((200_000, 200_000), (0, 0)),
        torch.sparse_coo_tensor(torch.zeros(2, 1, dtype=torch.long), one, (200_000, 200_000)),
        torch.empty(200_000, 8, device="meta"),
    )):  # fmt: skip
        torch.save({"state_dict": {**state, "encoder.0.weight": weight}}, tmp_path / f"{number}.pth.tar")
        with pytest.raises(SmoothNetError, match=rf"{number}\.pth\.tar"):
            load_model(tmp_path / f"{number}.pth.tar")


def laughs() -> list:
    """A billion numbers, written down as three lists."""
    once: list = [0.5] * 1000
    return [[once] * 1000] * 1000


def itself() -> list:
    cycle: list = []
    cycle.append([cycle, cycle])
    return cycle


@pytest.mark.parametrize("door", ["npz", "smpl"])
@pytest.mark.parametrize(
    ("make", "message"), [(laughs, "it repeats lists, 100[0-9]{7} values"), (itself, "a list that holds itself")]
)
def test_lists_that_repeat_one_list(tmp_path, door, make, message):
    if door == "smpl":
        content = {"v_template": make()}
    else:
        content = np.empty(2, object)
        content[:] = [np.zeros((9, 6)), make()]
    path, read = DOORS[door](tmp_path, pickle.dumps(content, 2))
    with pytest.raises(SmoothNetError, match=message) as error:
        read()
    assert str(path) in str(error.value)


def test_an_array_that_several_names_share_is_read(tmp_path):
    shared = np.full((4, 6), 2.5)
    content = np.empty(3, object)
    content[:] = [shared, [shared, shared], {"same": shared}]
    found = restricted_load(io.BytesIO(pickle.dumps(content)), "a file")
    np.testing.assert_array_equal(found[1][1], shared)


def test_an_onnx_model_that_reads_another_file(tmp_path):
    """ONNX may keep weights beside the model: a path that leads out of the folder is not followed."""
    onnx = pytest.importorskip("onnx")
    pytest.importorskip("onnxruntime")
    from lib.inference import Smoother

    (tmp_path / "secret").write_bytes(bytes(256))
    weight = onnx.TensorProto(name="w", dims=[8, 8], data_type=1, data_location=onnx.TensorProto.EXTERNAL)
    for key, value in (("location", "../secret"), ("offset", "0"), ("length", "256")):
        weight.external_data.add(key=key, value=value)
    sides = [onnx.helper.make_tensor_value_info(n, 1, ["n", "c", 8]) for n in ("x", "y")]
    graph = onnx.helper.make_graph(
        [onnx.helper.make_node("MatMul", ["x", "w"], ["y"])], "g", *([s] for s in sides), [weight]
    )
    model = onnx.helper.make_model(graph, opset_imports=[onnx.helper.make_opsetid("", 17)])
    model.ir_version = 8
    for key, value in (("window_size", "8"), ("normalize", "none")):
        model.metadata_props.add(key=key, value=value)
    (tmp_path / "sub").mkdir()
    path = tmp_path / "sub" / "m.onnx"
    path.write_bytes(model.SerializeToString())
    with pytest.raises(SmoothNetError, match=r"m\.onnx was refused: it keeps weights in another file"):
        Smoother.from_checkpoint(path)


# ---------------------------------------------------------------------------------------------------------- the sources

FORBIDDEN = {
    "allow_pickle=True": r"allow_pickle\s*=\s*True",
    "weights_only=False": r"weights_only\s*=\s*False",
    "eval(": r"(?<![\w.])eval\s*\(",
    "exec(": r"(?<![\w.])exec\s*\(",
    "shell=True": r"shell\s*=\s*True",
    "os.system": r"\bos\.(system|popen)\b",
    "pickle.load": r"\bpickle\.loads?\b|(?<!Restricted)Unpickler\(",
    "yaml.load": r"\byaml\.(unsafe_|full_)?load\s*\(",
    "torch.load without weights_only": r"torch\.load\((?![^\n]*weights_only=True)",
    "np.load without allow_pickle=False": r"np\.load\((?![^\n]*allow_pickle=False)",
}


def sources() -> list[Path]:
    folders = ("lib", "run_scripts", "data", "benchmarks")
    return [*ROOT.glob("*.py"), *(path for folder in folders for path in (ROOT / folder).rglob("*.py"))]


@pytest.mark.parametrize("what", FORBIDDEN)
def test_no_source_opens_a_door(what):
    found = [
        f"{path.relative_to(ROOT)}:{number}: {line.strip()}"
        for path in sources()
        for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1)
        if re.search(FORBIDDEN[what], line) and "class _RestrictedUnpickler(pickle.Unpickler)" not in line
    ]
    assert not found


def test_the_search_for_doors_finds_them():
    lines = """np.load(p, allow_pickle=True); torch.load(p, weights_only=False); eval(text); exec(code)
        run(c, shell=True); os.system(c); pickle.load(file); yaml.load(file); torch.load(p); np.load(p)"""
    lines = [line.strip() for line in re.split("[;\n]", lines)]
    for line, pattern in zip(lines, FORBIDDEN.values(), strict=True):
        assert re.search(pattern, line), line
    assert not re.search(FORBIDDEN["eval("], "model.eval()")


def test_links_are_followed_only_to_what_they_lead_to(tmp_path):
    """A link to a file is that file; a link to itself or to nothing is missing, in one sentence."""
    (tmp_path / "loop.npz").symlink_to(tmp_path / "loop.npz")
    (tmp_path / "gone.pth").symlink_to(tmp_path / "nothing")
    with pytest.raises(SmoothNetError, match=r"loop\.npz"):
        read_recording(tmp_path / "loop.npz")
    with pytest.raises(SmoothNetError, match=r"gone\.pth"):
        read_checkpoint(tmp_path / "gone.pth")
    write_npz(tmp_path / "real.npz", keypoints=np.zeros((5, 2, 2)))
    (tmp_path / "link.npz").symlink_to(tmp_path / "real.npz")
    assert read_recording(tmp_path / "link.npz").frame_count == 5
