# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) SmoothNet contributors
"""What is done to good input: values, types, sizes, structure, names, links, arguments and signals.

A mutation changes files in the current folder or the arguments, and returns what it did and the words of which the
sentence has to hold one, should the command refuse.
"""

from __future__ import annotations

import io
import json
import os
import random
import re
import signal
import zipfile
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import torch

NUMBERS = [
    "nan",
    "inf",
    "-inf",
    "1e400",
    "-1",
    "0",
    "1e30",
    "-9999",
    "9" * 400,
    "1e-320",
    "",
    "null",
    "true",
    "[]",
    '"x"',
    "{}",
    "0x_",
    "2020-01-01",
    "1_000",
    "1,5",
    "0x1F",
    "-0.0",
    "1e300",
    str(2**63),
    "\N{ARABIC-INDIC DIGIT THREE}",
]
NAMES = [
    "with space{}",
    "dollar $x$ {}",
    "quote'\"{}",
    "new\nline{}",
    "-dash{}",
    "ümläut 姿{}",
    "bad\udcff\udc80{}",
    "x" * 200 + "{}",
    "percent%s%d{}",
    "brace{{0}}{}",
    "star*?[a]{}",
    "back\\slash{}",
    ".hidden{}",
    "tab\t{}",
    "a.b.c{}",
    "#x{}",
    "~{}",
]
TYPES = ["<f2", "<f4", ">f8", "<i8", "<i2", "u1", "?", "<c16", "<U9", "S5", "O", "<M8[s]", "<f8,<f8", "<g"]
SIGNALS = [signal.SIGINT, signal.SIGTERM, signal.SIGHUP]


@dataclass
class Case:
    """One command with its arguments, and what has been done to its input."""

    seed: int
    scene: str
    command: str
    argv: list[str]
    inputs: list[str]
    outputs: list[str]
    only_on_success: bool
    kept: list[str] = field(default_factory=list)  # of what lies below an output
    stdin: str | None = None
    signal: tuple[int, float] | None = None  # which, and seconds after the start
    closed: bool = False  # whether nobody reads the output
    done: list[str] = field(default_factory=list)
    words: list[str] = field(default_factory=list)  # the sentence has to hold one of them

    def note(self, what: str, *words: str) -> None:
        self.done.append(what)
        self.words += [word for word in words if word]


# -------------------------------------------------------------------------------------------------------------- bytes


def change_bytes(path: Path, rng: random.Random) -> str:
    """Overwrite, drop, double or cut at up to four places."""
    data = bytearray(path.read_bytes())
    steps = []
    for _ in range(rng.randint(1, 4)):
        at, length = rng.randrange(len(data) + 1), rng.choice((1, 2, 4, 40))
        step = rng.choice(("put", "flip", "drop", "double", "cut", "zero"))
        steps.append(f"{step} at {at}")
        if step == "put":
            data[at : at + length] = rng.randbytes(length)
        elif step == "flip" and at < len(data):
            data[at] ^= 1 << rng.randrange(8)
        elif step == "drop":
            del data[at : at + length]
        elif step == "double":
            data[at:at] = data[at : at + length]
        elif step == "zero":
            data[at : at + length] = bytes(len(data[at : at + length]))
        elif step == "cut":
            del data[at:]
    path.write_bytes(data)
    return ", ".join(steps)


def replace_whole(path: Path, rng: random.Random) -> str:
    what = rng.choice(("nothing", "noise", "zeros", "text", "PK", "pickle", "deep JSON", "a zip", "UTF-16"))
    content = {
        "nothing": b"",
        "noise": rng.randbytes(rng.randint(1, 3000)),
        "zeros": bytes(1000),
        "text": b"hello\n" * 20,
        "PK": b"PK\x03\x04" + rng.randbytes(60),
        "pickle": b"\x80\x04]\x94.",
        "deep JSON": b"[" * 50_000,
        "a zip": b"PK\x05\x06" + bytes(18),
        "UTF-16": path.read_bytes().decode("latin1").encode("utf-16"),
    }[what]
    path.write_bytes(content)
    return f"replaced by {what}"


# --------------------------------------------------------------------------------------------------------------- text


def change_text(path: Path, rng: random.Random) -> str:
    """Replace tokens, move lines, change line ends and encodings."""
    text = path.read_text(encoding="utf-8", errors="surrogateescape")
    steps = []
    for _ in range(rng.randint(1, 3)):
        step = rng.choice(
            ("number",) * 5 + ("word", "drop line", "double line", "swap lines", "ends", "comma", "bom", "byte")
        )
        steps.append(step)
        lines = text.splitlines(keepends=True) or [""]
        i, j = rng.randrange(len(lines)), rng.randrange(len(lines))
        if step in ("number", "word"):
            found = list(re.finditer(r"-?\d[\d.eE+-]*" if step == "number" else r"[A-Za-z_]+", text))
            if found:
                match, new = rng.choice(found), rng.choice(NUMBERS)
                steps[-1] = f"{match[0][:20]} -> {new[:20]}"
                text = text[: match.start()] + new + text[match.end() :]
        elif step == "drop line":
            text = "".join(lines[:i] + lines[i + 1 :])
        elif step == "double line":
            text = "".join([*lines[:i], lines[i], *lines[i:]])
        elif step == "swap lines":
            lines[i], lines[j] = lines[j], lines[i]
            text = "".join(lines)
        elif step == "ends":
            text = text.replace("\r\n", "\n").replace("\n", rng.choice(("\r\n", "\r", "\n\n", " \n")))
        elif step == "comma":
            text = text.replace(",", rng.choice((";", "\t", ",,", " ,")))
        elif step == "bom":
            text = "\ufeff" + text
        elif step == "byte":
            at = rng.randrange(len(text) + 1)
            text = text[:at] + rng.choice("\udcff\0\x1a\x85\u2028") + text[at:]
    path.write_text(text, encoding="utf-8", errors="surrogateescape", newline="")
    return ", ".join(steps)


def change_json(path: Path, rng: random.Random) -> str:
    """Change one node of the tree: another type, another length, no key."""
    value = json.loads(path.read_text())
    nodes: list[tuple] = []

    def walk(parent, key, depth=0):
        nodes.append((parent, key))
        item = parent[key]
        for k in item if isinstance(item, dict) else range(len(item)) if isinstance(item, list) else ():
            walk(item, k, depth + 1)

    box = [value]
    walk(box, 0)
    parent, key = rng.choice(nodes)
    new = [None, [], {}, "x", -1, 1e30, True, 10**400, [[]], float("nan"), [parent[key]], {"a": parent[key]}, 0, ""]
    step = rng.choice(("drop", "double", "replace", "replace", "replace"))
    if step == "drop" and parent is not box:
        del parent[key]
    elif step == "double" and isinstance(parent, list):
        parent.insert(key, parent[key])
    else:
        parent[key] = rng.choice(new)
        step = f"{key!r} -> {str(parent[key])[:20]}"
    path.write_text(json.dumps(box[0]))
    return step


def change_yaml(path: Path, rng: random.Random) -> str:
    lines = [
        "a: &a {}\nb: &b [*a, *a, *a]\nc: &c [*b, *b, *b]\n",
        "x: &x [*x]\n",
        "TRAIN: &t {LR: *t}\n",
        "LOGDIR: 2020-01-01\n",
        "SEED_VALUE: -1\n",
        f"SEED_VALUE: {2**70}\n",
        "SEED_VALUE: 0x_\n",
        "EXP_NAME: !!python/name:os.system\n",
        "TRAIN: 3\n",
        "1: 2\n",
        "? [a, b]\n: c\n",
        "DEVICE: [cpu]\n",
        "MODEL: {SLIDE_WINDOW_SIZE: 8, SLIDE_WINDOW_SIZE: 9}\n",
        "a: " + "[" * 3000 + "]" * 3000 + "\n",
        "TRAIN: {EPOCH: " + "9" * 400 + "}\n",
        "<<: {DEVICE: cpu}\n",
        "--- \n---\n",
        "EXP_NAME: ../../x\n",
        "EXP_NAME: 'a/b'\n",
        'LOGDIR: "a\\0b"\n',
        "TRAIN: {LR: .nan}\n",
        "TRAIN: {LR: -.inf}\n",
        "%TAG\n",
        "OUTPUT_DIR: /proc\n",
        "VIS: {END: 1.5}\n",
        "TRAIN: {RESUME: 7}\n",
        "DATASET: {BASE_DIR: }\n",
    ]
    line = rng.choice(lines)
    text = path.read_text()
    path.write_text(line + text if rng.random() < 0.5 else text + line)
    return line.strip()[:40]


# ------------------------------------------------------------------------------------------------------------- arrays


def change_array(array: np.ndarray, rng: random.Random) -> tuple[np.ndarray, str]:
    """Values, type or shape."""
    step = rng.choice(("value", "value", "type", "shape"))
    if step == "type":
        kind = rng.choice(TYPES)
        if kind == "<f8,<f8":
            return np.zeros(array.shape, kind), kind
        return array.astype(kind), kind
    if step == "shape":
        shapes: dict[str, Callable[[], np.ndarray]] = {
            "transposed": lambda: array.T,
            "one more axis": lambda: array[None],
            "flat": lambda: array.reshape(-1),
            "no frames": lambda: array[:0],
            "one frame": lambda: array[:1],
            "last axis cut": lambda: array[..., :-1],
            "an axis of none": lambda: array[..., :0],
            "a number": lambda: array.reshape(-1)[0],
            "twice": lambda: np.concatenate([array, array], -1),
            "Fortran": lambda: np.asfortranarray(array),
            "many axes": lambda: array.reshape((1,) * 20 + array.shape),
            "frames swapped with joints": lambda: np.swapaxes(array, 0, -1),
            "every other": lambda: array[::2],
        }
        name = rng.choice(list(shapes))
        return np.asarray(shapes[name]()), name
    array = array.astype(np.float64)
    flat = array.reshape(-1)
    new = rng.choice((np.nan, np.inf, -np.inf, 1e30, 1e300, -9999, 0, -1, 1e9, 3.4e38, 5e-324))
    how = rng.choice(("one", "frame", "joint", "all", "some", "scaled", "moved"))
    if how == "one":
        flat[rng.randrange(flat.size)] = new
    elif how == "frame":
        array[rng.randrange(len(array))] = new
    elif how == "joint":
        array[..., rng.randrange(array.shape[-1])] = new
    elif how == "all":
        array[...] = new
    elif how == "some":
        flat[:: rng.randint(2, 5)] = new
    elif how == "scaled":
        array *= new
    else:
        array += new
    return array, f"{how} {new}"


def objects_of(array: np.ndarray, rng: random.Random) -> tuple[np.ndarray, str]:
    """An array of objects, as the pose files hold one for each sequence, with one of them changed."""
    array = array.copy()
    i = rng.randrange(len(array))
    if isinstance(array[i], np.ndarray) and rng.random() < 0.7:
        array[i], what = change_array(array[i], rng)
    else:
        choices = [None, "x", [], {}, {1, 2}, 3, [array[i]], np.zeros((0, 9)), np.zeros(3), "bytes", [[1, 2], [3]]]
        new = rng.choice(choices)
        what = f"{str(new)[:20]}"
        array[i] = b"\xff" if new == "bytes" else new
    return array, f"sequence {i}: {what}"


def change_npz(path: Path, rng: random.Random) -> str:
    """Members: changed, renamed, left out, added, twice, no arrays, or larger than the file promises."""
    with np.load(path, allow_pickle=True) as file:
        arrays = {name: file[name] for name in file.files}
    name = rng.choice(list(arrays))
    step = rng.choice(("array",) * 6 + ("rename", "drop", "add", "strange", "twice", "bomb"))
    if step == "array":
        array = arrays[name]
        arrays[name], what = (objects_of if array.dtype == object and array.ndim else change_array)(array, rng)
        step = f"{name}: {what}"
    elif step == "rename":
        new = rng.choice(("x", "poses", "keypoints", "joints_2d", "bbox", "", "../x", "scores", "fps", "trans", "ü"))
        arrays[new] = arrays.pop(name)
        step = f"{name} -> {new}"
    elif step == "drop":
        del arrays[name]
    elif step == "add":
        new = rng.choice(("bboxes", "scores", "joints3d", "pose", "trans", "names", "fps", "confidence", "rotations"))
        shape = {"fps": (), "names": (3,)}.get(new, (20, 3, 2))
        arrays[new] = np.full(shape, "a") if new == "names" else np.random.default_rng(rng.randrange(99)).random(shape)
        step = f"and {new}"
    np.savez(path, **{key or "empty": value for key, value in arrays.items()})
    if step in ("strange", "twice", "bomb"):
        with zipfile.ZipFile(path, "a", zipfile.ZIP_DEFLATED) as file:
            if step == "strange":
                file.writestr(rng.choice(("readme.txt", "x.npy", "folder/", "../up.npy")), b"no array")
            elif step == "twice":
                file.writestr(f"{name}.npy", file.read(f"{name}.npy"))
            else:
                header = io.BytesIO()
                np.lib.format.write_array_header_1_0(
                    header, {"descr": "<f8", "fortran_order": False, "shape": (2**23,)}
                )
                with file.open("bomb.npy", "w") as member:
                    member.write(header.getvalue())
                    for _ in range(64):
                        member.write(bytes(2**20))
    return step


def change_npy(path: Path, rng: random.Random) -> str:
    array, what = change_array(np.load(path), rng)
    np.save(path, array, allow_pickle=True)
    return what


def change_h5(path: Path, rng: random.Random) -> str:
    import h5py

    with h5py.File(path, "r+") as file:
        group = file["df_with_missing"]
        table = group["table"]
        step = rng.choice(("type", "rows", "external", "virtual", "link", "kind", "chunks", "no table", "values"))
        if step == "type":
            group.attrs["pandas_type"] = np.bytes_(rng.choice((b"frame", b"series", b"", b"\xff")))
        elif step == "kind":
            table.attrs["values_block_0_kind"] = np.bytes_(rng.randbytes(30))
        elif step == "values":
            rows = table[:]
            rows["values_block_0"], step = change_array(rows["values_block_0"], rng)
            table[:] = rows
        else:
            rows, attributes = table[:], dict(table.attrs)
            del group["table"]
            if step == "rows":
                new = group.create_dataset("table", data=rows[:0])
            elif step == "external":
                new = group.create_dataset(
                    "table", rows.shape, rows.dtype, external=[("../outside/precious", 0, rows.nbytes)]
                )
            elif step == "virtual":
                layout = h5py.VirtualLayout(rows.shape, rows.dtype)
                layout[:] = h5py.VirtualSource("../outside/precious.h5", "x", rows.shape, rows.dtype)
                new = group.create_virtual_dataset("table", layout)
            elif step == "link":
                group["table"] = h5py.ExternalLink("../outside/precious.h5", "x")
                return step
            elif step == "chunks":
                new = group.create_dataset("table", (10**7,), rows.dtype, chunks=(10**6,), compression="gzip")
            else:
                return step
            for key, value in attributes.items():
                new.attrs[key] = value
    return step


# ------------------------------------------------------------------------------------------------------------ weights


def change_checkpoint(path: Path, rng: random.Random) -> str:
    """Weights that are not finite, misshapen, of another type, missing; other content beside them."""
    old = path.read_bytes()[:2] != b"PK"
    content = torch.load(path, weights_only=True)
    state = content["state_dict"]
    step = rng.choice(("weights",) * 4 + ("drop", "add", "entry", "entry", "shape", "type", "prefix"))
    name = rng.choice(list(state))
    if step == "weights":
        value = rng.choice((float("nan"), float("inf"), 1e30, 1e38, 0.0))
        state[name] = torch.full_like(state[name], value)
        step = f"{name} = {value}"
    elif step == "drop":
        del state[name]
    elif step == "add":
        state["more.weight"] = torch.zeros(3)
    elif step == "shape":
        state[name] = rng.choice((state[name][None], state[name].flatten(), state[name][:0], torch.zeros(())))
    elif step == "type":
        state[name] = state[name].to(
            rng.choice((torch.float16, torch.int64, torch.bool, torch.complex64, torch.bfloat16))
        )
    elif step == "prefix":
        content["state_dict"] = {rng.choice(("module.", "net.", "")) + key: value for key, value in state.items()}
    else:
        key = rng.choice(list(content))
        content[key] = rng.choice(
            (None, "x", [], {}, -1, 1e30, 10**30, torch.zeros(3), {"a": 1}, [1, [2]], float("nan"))
        )
        step = f"{key} = {str(content[key])[:20]}"
    torch.save(content, path, _use_new_zipfile_serialization=not old)
    return step


def change_onnx(path: Path, rng: random.Random) -> str:
    """Another shape, type, name, opset, constant; metadata; data in another file; an endless loop."""
    import onnx
    from onnx import TensorProto, helper, numpy_helper

    model = onnx.load(path)
    graph = model.graph
    step = rng.choice(
        (
            "weights",
            "weights",
            "opset",
            "input type",
            "input name",
            "axis",
            "metadata",
            "no metadata",
            "external",
            "drop node",
            "swap output",
            "constant output",
            "initializer shape",
            "loop",
        )
    )
    weights = [x for x in graph.initializer if x.data_type == TensorProto.FLOAT]
    if step == "weights":
        tensor = rng.choice(weights)
        value = rng.choice((np.nan, np.inf, 1e30, 0))
        tensor.CopyFrom(numpy_helper.from_array(np.full_like(numpy_helper.to_array(tensor), value), tensor.name))
        step = f"weights = {value}"
    elif step == "opset":
        model.opset_import[0].version = rng.choice((1, 7, 99, -1))
    elif step == "input type":
        graph.input[0].type.tensor_type.elem_type = rng.choice(
            (TensorProto.DOUBLE, TensorProto.INT64, TensorProto.STRING)
        )
    elif step == "input name":
        graph.input[0].name = "x"
    elif step == "axis":
        dims = graph.input[0].type.tensor_type.shape.dim
        rng.choice(dims).dim_value = rng.choice((1, 7, 0, 2**40))
    elif step == "metadata" and model.metadata_props:
        rng.choice(model.metadata_props).value = rng.choice(("", "-1", "9" * 400, "nan", "[]", "x"))
    elif step == "no metadata":
        del model.metadata_props[:]
    elif step == "external":
        tensor = rng.choice(weights)
        tensor.ClearField("raw_data")
        tensor.data_location = TensorProto.EXTERNAL
        tensor.external_data.add(key="location", value="../outside/precious")
    elif step == "drop node":
        del graph.node[rng.randrange(len(graph.node))]
    elif step == "swap output":
        graph.output[0].name = graph.input[0].name
    elif step == "constant output":
        graph.node[-1].output[0] = "unused"
        constant = numpy_helper.from_array(np.full((1, 1), rng.choice((np.nan, 0)), np.float32))
        graph.node.append(helper.make_node("Constant", [], [graph.output[0].name], value=constant))
    elif step == "initializer shape":
        tensor = rng.choice(weights)
        tensor.dims[0] = rng.choice((1, 2**30, 2**40))
    elif step == "loop":
        body = helper.make_graph(
            [helper.make_node("Identity", ["more"], ["more_out"])],
            "body",
            [
                helper.make_tensor_value_info("i", TensorProto.INT64, []),
                helper.make_tensor_value_info("more", TensorProto.BOOL, []),
            ],
            [helper.make_tensor_value_info("more_out", TensorProto.BOOL, [])],
        )
        graph.initializer.append(helper.make_tensor("forever", TensorProto.INT64, [], [2**62]))
        graph.initializer.append(helper.make_tensor("yes", TensorProto.BOOL, [], [True]))
        graph.node.insert(0, helper.make_node("Loop", ["forever", "yes"], [], body=body))
    path.write_bytes(model.SerializeToString())
    return step


# --------------------------------------------------------------------------------------------------- places and links


def change_place(path: Path, rng: random.Random) -> str:
    """Another thing under the name of an input."""
    step = rng.choice(
        ("gone", "folder", "link", "dangling link", "link to itself", "FIFO", "/dev/zero", "socket", "hard link")
    )
    kept = path.with_name(f"kept_{path.name}")
    path.rename(kept)
    if step == "folder":
        path.mkdir()
    elif step == "link":
        path.symlink_to(kept.name)
    elif step == "dangling link":
        path.symlink_to("nowhere")
    elif step == "link to itself":
        path.symlink_to(path.name)
    elif step == "FIFO":
        os.mkfifo(path)
    elif step == "/dev/zero":
        path.symlink_to("/dev/zero")
    elif step == "socket" and len(str(path)) < 100:  # the most that a socket's path may have
        import socket

        with socket.socket(socket.AF_UNIX) as server:
            server.bind(str(path))
    elif step == "hard link":
        os.link(kept, path)
    return step


def place_output(case: Case, rng: random.Random) -> None:
    """Something else where the output goes."""
    out = Path(rng.choice(case.outputs))
    if len(out.name) > 255:  # an argument of 400 digits: nothing can be there
        return
    step = rng.choice(
        ("folder", "full folder", "file", "link out", "dangling link", "below a file", "/proc", "an input")
    )
    new = str(out)
    if os.path.lexists(out):  # another mutation was here first
        step = "taken"
    elif step == "folder":
        out.mkdir()
    elif step == "full folder":
        out.mkdir()
        (out / "precious.json").write_text("{}")
        case.kept.append(f"{out}/precious.json")
    elif step == "file":
        out.write_text("precious")
    elif step == "link out":
        out.symlink_to("../outside/precious")
    elif step == "dangling link":
        out.symlink_to("../outside/new")
    elif step == "below a file":
        Path("afile").write_text("precious")
        new = f"afile/{out}"
    elif step == "/proc":
        new = f"/proc/{out}"
    elif step == "an input" and case.inputs:
        new = rng.choice(case.inputs)
    if new != str(out) and str(out) in case.argv:
        case.argv = [new if word == str(out) else word for word in case.argv]
        case.outputs = [name for name in case.outputs if name != str(out)]
    case.note(
        f"output {out}: {step}", Path(new).name, out.name, "afile", "/proc", *(Path(name).name for name in case.inputs)
    )


def rename_input(case: Case, rng: random.Random) -> None:
    """Another name for a file that the command line names."""
    named = [name for name in case.inputs if name in case.argv]
    if not named:
        return
    old = Path(rng.choice(named))
    if not os.path.lexists(old):  # another mutation was here first
        return
    suffix = "".join(old.suffixes[-2:])
    new = rng.choice(NAMES).format(suffix)
    old.rename(new)
    case.argv = [new if word == str(old) else word for word in case.argv]
    case.inputs = [new if name == str(old) else name for name in case.inputs]
    words = re.findall(r"\w{3,}", new) or [suffix or new]
    case.note(f"{old} is called {new!a}", *words)


# ---------------------------------------------------------------------------------------------------------- arguments

VALUES = [
    "",
    "-1",
    "0",
    "nan",
    "inf",
    "1e300",
    "9" * 400,
    "None",
    "[]",
    "x",
    "0x_",
    "2020-01-01",
    "bad\udcff",
    "a\nb",
    "$HOME",
    "1,2",
    "True",
    "-0.0",
    "1e-300",
    str(2**70),
    "1.5",
    "{}",
    "a" * 5000,
    "ü",
    "../x",
    "3,3,3",
]
OTHER_FLAGS = {  # of what is no command of lib
    "loss": ["--plot", "--sdaa-log"],
    "prepare": ["--train_people", "--test_people"],
    "demo": ["--train", "--test", "--frames", "--fps", "--seed", "--body_representation"],
}
# Large values of these ask for a long run or a large network, which is then what the user gets.
SIZES = re.compile(r"EPOCH|SIZE|NUM_BLOCK|STEP$|frames|epoch|step|--train$|--test$|size|people")


def change_argument(case: Case, rng: random.Random) -> None:
    """A strange value for an argument or a setting."""
    from lib.commands.arguments import arguments
    from lib.config import settings

    value = rng.choice(VALUES)
    if case.command in ("eval", "train", "visualize") and rng.random() < 0.6:
        key, setting = rng.choice(list(settings().items()))
        if SIZES.search(key) and value in (str(2**70), "1e300"):
            value = "-1"
        case.argv += [key, value] if "--opts" in case.argv else ["--opts", key, value]
        case.note(f"{key} = {value[:30]!a}", key, *setting.flags.split(), value[:100])
        if setting.path == "out" or key in ("LOGDIR", "OUTPUT_DIR"):
            case.outputs += [value, "results"]
        return
    rows = arguments("smooth" if case.command == "stream" else case.command)
    flags = [
        flag
        for row in rows
        if "action" not in row.options
        for flag in row.flags
        if flag.startswith("-") and flag != "--opts"
    ]
    flag = rng.choice(OTHER_FLAGS.get(case.command) or flags)
    if SIZES.search(flag) and value in (str(2**70), "1e300"):
        value = "-1"
    at = case.argv.index("--opts") if "--opts" in case.argv else len(case.argv)
    case.argv[at:at] = [f"{flag}={value}" if flag.startswith("--") else f"{flag}{value}"]
    row = next((row.flags for row in rows if flag in row.flags), ())  # the sentence has the first spelling
    case.note(f"{flag} {value[:30]!a}", flag, *row, flag[2:], flag[2:].replace("_", " "), flag[2:].upper(), value[:100])
    if flag in ("--plot", "--report", "--logdir", "-o", "--output", "--output_video_path", "--profiler_path"):
        # of two outputs the last one counts; what is written beside it has its name
        case.outputs = [value, *case.outputs[1:]] if flag in ("-o", "--output") else [*case.outputs, value]
        case.outputs += ["results"] * (flag == "--logdir")  # where runs go that are told None
        case.outputs += [f"{os.path.normpath(value)}.corpus"] * (case.command == "corpus")
    if flag in ("-o", "--output"):
        stems = (value, str(Path(value).with_suffix("")) if Path(value).name else value)
        case.outputs += [f"{stem}.{end}" for stem in stems for end in ("png", "derivatives.npz", "uncertainty.npz")]
    if flag in ("--layout", "--dims", "--input_format", "--format"):  # of what a file then is, the sentence may name it
        case.words += [Path(name).name for name in case.inputs]
    if flag == "--profiler":
        case.outputs.append("profiler_log")
    if flag == "--manifest":  # the report goes beside it
        beside = ("report.html", "report.json", "players")
        case.outputs += [
            *(os.path.join(os.path.dirname(value), name) for name in beside),
            *(f"{value}{more}" for more in ("", ".lock", "-wal", "-shm", "-journal")),
        ]


# ------------------------------------------------------------------------------------------------------------- choice

BY_ENDING: dict[str, list[Callable[[Path, random.Random], str]]] = {
    ".npz": [change_npz] * 4 + [change_bytes],
    ".npy": [change_npy] * 4 + [change_bytes],
    ".json": [change_json] * 3 + [change_text] * 2 + [change_bytes],
    ".csv": [change_text] * 4 + [change_bytes],
    ".trc": [change_text] * 4 + [change_bytes],
    ".txt": [change_text] * 2 + [change_bytes],
    ".log": [change_text, change_bytes],
    ".yaml": [change_yaml] * 3 + [change_text] * 2 + [change_bytes],
    ".h5": [change_h5] * 2 + [change_bytes],
    ".tar": [change_checkpoint] * 4 + [change_bytes],
    ".pth": [change_checkpoint] * 4 + [change_bytes],
    ".onnx": [change_onnx] * 4 + [change_bytes],
    "": [change_text, change_text, change_bytes],
    ".pkl": [change_bytes],
    ".jsonl": [change_text] * 3 + [change_bytes],
    ".sqlite": [change_bytes],
}


def change_input(case: Case, rng: random.Random) -> None:
    """One of the input files, in a way that fits its kind most of the time."""
    path = Path(rng.choice(case.inputs))
    words = [path.name]
    if path.is_dir():  # of OpenPose frames
        path = rng.choice([*sorted(path.iterdir()), path])
        words.append(path.name)
    if not path.is_file() or path.stat().st_nlink > 1:
        return
    kind = rng.random()
    if kind < 0.84:
        mutate = rng.choice(BY_ENDING.get(path.suffix, [change_bytes]))
        try:
            what = mutate(path, rng)
        except Exception as error:  # an earlier change left nothing that this one could read
            what = f"({mutate.__name__}: {type(error).__name__}) {change_bytes(path, rng)}"
    elif kind < 0.92 or case.stdin:
        what = replace_whole(path, rng)
    else:
        what = change_place(path, rng)
    if path.suffix == ".yaml":
        words.append("groundtruth")  # in the file that is not there, of a dataset of another name
    # Of a pair of pose files either can be the one to name, of logs and movements as well.
    case.note(
        f"{path.name}: {what}", *words, *(Path(name).name for name in case.inputs), path.stem, "line" * bool(case.stdin)
    )


def send_signal(case: Case, rng: random.Random) -> None:
    number, after = rng.choice(SIGNALS), rng.choice((0.0, 0.01, 0.05, 0.1, 0.2, 0.5))
    case.signal = (number, 0.002 + after * rng.random())  # at 0 it would meet the interpreter, not the command
    case.note(f"{signal.Signals(number).name} after {case.signal[1]:.3f} s")


def close_output(case: Case, rng: random.Random) -> None:
    case.closed = True
    case.note("nobody reads the output")


MUTATIONS = [
    (change_input, 14),
    (change_argument, 4),
    (rename_input, 2),
    (place_output, 2),
    (send_signal, 1),
    (close_output, 0.5),
]


def mutate(case: Case, rng: random.Random) -> None:
    """Mostly one change, sometimes two or three, rarely none at all."""
    for _ in range(rng.choices((0, 1, 2, 3), (3, 75, 17, 5))[0]):
        change = rng.choices([m for m, _ in MUTATIONS], [weight for _, weight in MUTATIONS])[0]
        if (change is change_input and not case.inputs) or (change is place_output and not case.outputs):
            continue
        change(case, rng)
