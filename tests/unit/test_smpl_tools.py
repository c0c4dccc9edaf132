# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) SmoothNet contributors
"""Files of video-to-SMPL systems: smoothed through the command, and read back as the tools' users read them."""

from __future__ import annotations

import io
import os
import pickle
import struct
import subprocess
import sys
import time
import zipfile
import zlib

import numpy as np
import pytest
import torch
from helpers import ROOT, command
from smpl_samples import FRAMES, SAMPLES, angles, matrices, path_of

from lib.formats import FORMATS, read_recording, write_recording
from lib.utils import pickled
from lib.utils.errors import SmoothNetError
from lib.utils.rotations import axis_angle_to_matrix

joblib = pytest.importorskip("joblib")

# Sample -> its format, the keys that are smoothed, the keys that are dropped.
EXPECTED = {
    "wham": ("wham", {"pose", "trans", "pose_world", "trans_world"}, {"verts"}),
    "vibe": ("vibe", {"pose"}, {"verts", "joints3d", "smpl_joints2d"}),
    "gvhmr": ("gvhmr", {"body_pose", "global_orient", "transl"}, {"pred_smpl_params_global", "pred_smpl_params_incam"}),
    "tram": ("tram", {"pred_rotmat", "pred_trans"}, {"pred_pose"}),
    "phalp": ("phalp", {"global_orient", "body_pose", "camera"}, {"3d_joints", "2d_joints", "pose"}),
    "prompthmr": ("prompthmr", {"pose", "rotmat", "trans"}, set()),
    "aist": ("smpl-pickle", {"smpl_poses", "smpl_trans"}, set()),
    "smplx": (
        "smpl-pickle",
        {"transl", "global_orient", *(f"{n}_pose" for n in ["body", "left_hand", "right_hand", "jaw", "leye", "reye"])},
        set(),
    ),
}  # fmt: skip


def load(path):
    """As the users of the tool do."""
    if path.suffix == ".pt":
        return torch.load(path, weights_only=True)
    if path.suffix == ".npy":
        return np.load(path, allow_pickle=True).item()
    return joblib.load(path)


def leaves(value, path=()):
    """Path -> leaf; of containers their type."""
    yield path, type(value)
    if isinstance(value, dict):
        for key, item in value.items():
            yield from leaves(item, (*path, key))
    elif isinstance(value, list | tuple):
        for index, item in enumerate(value):
            yield from leaves(item, (*path, index))
    else:
        yield path, value


def array_of(leaf):
    return leaf.numpy() if isinstance(leaf, torch.Tensor) else leaf


def same(one, other):
    if isinstance(one, torch.Tensor | np.ndarray):
        same_kind = (type(one), one.dtype, one.shape) == (type(other), other.dtype, other.shape)
        return same_kind and np.array_equal(array_of(one), array_of(other))
    return type(one) is type(other) and one == other


# How much of the jitter may be left: what the network leaves of so short a track depends on its weights.
@pytest.mark.parametrize(("options", "left"), [((), 0.8), (("--method", "rts", "--fps", "30"), 0.3)])
@pytest.mark.parametrize("sample", SAMPLES)
def test_smoothed_and_read_back(sample, options, left, tmp_path):
    format, smoothed, dropped = EXPECTED[sample]
    path = SAMPLES[sample](tmp_path)
    (tmp_path / "out").mkdir()
    done = command("smooth_smoothnet.py", path, "-o", tmp_path / "out", *options)
    assert (done.returncode, done.stderr) == (0, "") and f"({format})" in done.stdout
    assert all(f"{name}" in done.stdout.partition(" dropped: ")[0] for name in dropped)
    before, after = load(path), load(tmp_path / "out" / path.name)
    was, became = list(leaves(before)), list(leaves(after))
    kept = [(at, leaf) for at, leaf in was if not dropped & set(at)]
    assert [at for at, _ in became] == [at for at, _ in kept]
    changed = set()
    for (at, old), (_, new) in zip(kept, became, strict=True):
        if isinstance(old, type):
            assert old is new
        elif smoothed & set(at):
            key = next(name for name in at if name in smoothed)
            assert (type(old), old.dtype, old.shape) == (type(new), new.dtype, new.shape)
            if isinstance(old, np.ndarray):
                assert old.flags.f_contiguous == new.flags.f_contiguous and new.flags.writeable
            old, new = array_of(old).astype(float), array_of(new).astype(float)
            if not np.array_equal(old, new):
                changed.add(key)
            assert np.abs(new - old).max() < (2.5 if sample == "aist" and key == "smpl_trans" else 0.25)
            if new.shape[-2:] == (3, 3):
                flat = new.reshape(-1, 3, 3)
                np.testing.assert_allclose(
                    flat @ flat.transpose(0, 2, 1), np.tile(np.eye(3), (len(flat), 1, 1)), atol=1e-5
                )
                np.testing.assert_allclose(np.linalg.det(flat), 1, atol=1e-5)
            if len(new) == FRAMES:
                assert np.abs(np.diff(new, 2, axis=0)).mean() < left * np.abs(np.diff(old, 2, axis=0)).mean()
        else:
            assert same(old, new), at
    assert changed == smoothed
    assert b"numpy._core" not in (tmp_path / "out" / path.name).read_bytes()  # which NumPy 1 does not know


@pytest.mark.parametrize("sample", SAMPLES)
def test_what_does_not_change_stays_byte_for_byte(sample, tmp_path):
    path = SAMPLES[sample](tmp_path)
    recording = read_recording(path)
    write_recording(recording, [track.points.copy() for track in recording.tracks], tmp_path / f"out{path.suffix}")
    assert (tmp_path / f"out{path.suffix}").read_bytes() == path.read_bytes()


@pytest.mark.parametrize("sample", SAMPLES)
def test_writing_twice_gives_the_same(sample, tmp_path):
    path = SAMPLES[sample](tmp_path)
    recording = read_recording(path)
    shifted = [track.points + 0.01 for track in recording.tracks]
    for name in ("one", "two"):
        write_recording(recording, shifted, tmp_path / f"{name}{path.suffix}")
    assert (tmp_path / f"one{path.suffix}").read_bytes() == (tmp_path / f"two{path.suffix}").read_bytes()
    again = read_recording(tmp_path / f"one{path.suffix}")
    for old, new in zip(recording.tracks, again.tracks, strict=True):
        assert (old.id, old.part, old.start, old.form) == (new.id, new.part, new.start, new.form)
        if old.kind == "points":
            np.testing.assert_allclose(new.points, old.points + 0.01, atol=1e-5)


def test_it_needs_neither_torch_nor_joblib(tmp_path):
    paths = [SAMPLES[name](tmp_path) for name in ("gvhmr", "tram", "wham", "phalp")]
    script = (
        "import sys\nfrom pathlib import Path\n"
        "sys.modules.update(dict.fromkeys(('torch', 'joblib')))\n"
        "from lib.formats import read_recording, write_recording\n"
        "for path in map(Path, sys.argv[1:]):\n"
        "    r = read_recording(path)\n"
        "    write_recording(r, [t.points + 0.01 for t in r.tracks], path.with_name('out' + path.name))\n"
    )
    subprocess.run([sys.executable, "-c", script, *paths], check=True, cwd=ROOT)
    parameters = torch.load(tmp_path / "outhmr4d_results.pt", weights_only=True)["smpl_params_global"]
    np.testing.assert_allclose(parameters["transl"], path_of() + 0.01, atol=1e-6)
    assert isinstance(load(tmp_path / "outhps_track_0.npy")["pred_trans"], torch.Tensor)


def test_people_and_frames_that_jump(tmp_path):
    recording = read_recording(SAMPLES["wham"](tmp_path))
    assert recording.frame_count == 65
    tracks = {(track.id, track.part): track for track in recording.tracks}
    assert set(tracks) == {(id, part) for id in (0, 3) for part in ("pose", "trans", "pose_world", "trans_world")}
    gap = np.isnan(tracks[3, "pose"].points).all(axis=(1, 2))
    assert gap.tolist() == [False] * 20 + [True] * 25 + [False] * 20
    assert (tracks[3, "pose"].in_file == ~gap[:, None]).all()
    assert tracks[0, "pose"].points.shape == (FRAMES, 24, 6) and tracks[0, "pose"].in_file.all()
    assert "verts dropped" in recording.understood and recording.left_alone == ["betas"]


def test_people_who_were_not_seen_are_gaps(tmp_path):
    recording = read_recording(SAMPLES["phalp"](tmp_path))
    tracks = {(track.id, track.part): track for track in recording.tracks}
    second = tracks[2, "body_pose"]
    assert (second.start, second.points.shape) == (10, (30, 23, 6))
    assert np.flatnonzero(np.isnan(second.points).all(axis=(1, 2))).tolist() == [10, 11]
    assert "2 entries of people who were not seen" in recording.understood


def test_tensors_that_share_their_numbers(tmp_path):
    """A view of columns: the other columns, and a tensor over all of them, stay as they are."""
    numbers = torch.from_numpy(np.concatenate([angles(21), path_of()], axis=1))
    parameters = {"body_pose": numbers[:, :63], "transl": numbers[:, 63:], "everything": numbers}
    torch.save({"smpl_params_global": parameters}, tmp_path / "a.pt")
    recording = read_recording(tmp_path / "a.pt")
    write_recording(recording, [np.roll(track.points, 1, axis=0) for track in recording.tracks], tmp_path / "b.pt")
    after = torch.load(tmp_path / "b.pt", weights_only=True)["smpl_params_global"]
    assert torch.equal(after["everything"], numbers)
    np.testing.assert_allclose(after["transl"], np.roll(path_of(), 1, axis=0), atol=1e-6)
    expected, found = (
        axis_angle_to_matrix(np.asarray(a).reshape(-1, 3)) for a in (np.roll(angles(21), 1, 0), after["body_pose"])
    )
    np.testing.assert_allclose(found, expected, atol=1e-5)


@pytest.mark.parametrize("compress", [0, 3, ("zlib", 9), ("gzip", 3)])
@pytest.mark.parametrize("protocol", [2, 4, 5])
def test_joblib_of_any_kind(compress, protocol, tmp_path):
    content = {
        "smpl_poses": np.asfortranarray(angles(24)), "smpl_trans": path_of(), "nothing": b"", "empty": np.zeros((0, 3)),
        "names": np.array(["a", {"b": 1}], object), "big": np.arange(3, dtype=">i4"), "number": np.float32(1.5),
    }  # fmt: skip
    joblib.dump(content, tmp_path / "a.pkl", compress=compress, protocol=protocol)
    recording = read_recording(tmp_path / "a.pkl")
    write_recording(recording, [track.points + 0.01 for track in recording.tracks], tmp_path / "b.pkl")
    before, after = joblib.load(tmp_path / "a.pkl"), joblib.load(tmp_path / "b.pkl")
    assert list(after) == list(content) and after["smpl_poses"].flags.f_contiguous
    np.testing.assert_allclose(after["smpl_trans"], path_of() + 0.01, atol=1e-6)
    for name in ("empty", "big", "number"):
        assert after[name].dtype == before[name].dtype and np.array_equal(after[name], content[name])
    assert after["names"].tolist() == ["a", {"b": 1}]
    start = {0: b"\x80", 3: b"\x78", ("zlib", 9): b"\x78", ("gzip", 3): b"\x1f\x8b"}[compress]
    assert (tmp_path / "b.pkl").read_bytes().startswith(start)


# ------------------------------------------------------------------------------------------------ mistakes in files


def dumped(path, **fields):
    joblib.dump({0: fields}, path)
    return path


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"frame_ids": np.arange(7)}, "person 0: pose has 40 frames, frame_ids 7"),
        ({"frame_ids": np.zeros(FRAMES, int)}, "person 0: a frame comes twice in pose"),
        ({"pose": matrices(24) * 2.0}, "person 0: pose holds numbers that are no rotations"),
    ],
)
def test_files_that_do_not_fit(fields, words, tmp_path):
    whole = {"pose": angles(24), "trans": path_of(), "frame_ids": np.arange(FRAMES)} | fields
    with pytest.raises(SmoothNetError, match=words):
        read_recording(dumped(tmp_path / "a.pkl", **whole))


def test_a_pickle_of_something_else(tmp_path):
    (tmp_path / "a.pkl").write_bytes(pickle.dumps({"weights": [1, 2]}))
    with pytest.raises(SmoothNetError, match=r"a\.pkl"):
        read_recording(tmp_path / "a.pkl")
    with pytest.raises(SmoothNetError, match=r"a\.pkl is not WHAM wham_output\.pkl: its keys are others"):
        read_recording(tmp_path / "a.pkl", format="wham")


def test_forms_that_are_not_read(tmp_path):
    content = {"smpl_params_global": {"body_pose": torch.zeros(40, 63)}}
    torch.save(content, tmp_path / "a.pt", _use_new_zipfile_serialization=False)
    with pytest.raises(SmoothNetError, match=r"a\.pt was written by PyTorch before 1\.6: load it and save it again"):
        read_recording(tmp_path / "a.pt")
    joblib.dump({"smpl_poses": angles(24), "smpl_trans": path_of()}, tmp_path / "a.pkl", compress="bz2")
    with pytest.raises(SmoothNetError, match=r"a\.pkl is packed; of packed files those by zlib and gzip are read"):
        read_recording(tmp_path / "a.pkl")


def test_every_tool_has_a_row():
    assert {row[0] for row in EXPECTED.values()} <= set(FORMATS)


# ------------------------------------------------------------------------------------------------- malicious files


class Reduces:
    def __init__(self, place):
        self.place = place

    def __reduce__(self):
        return os.system, (f"touch {self.place}",)


def poses(place):
    return {0: {"pose": angles(24), "trans": path_of(), "frame_ids": np.arange(FRAMES), "more": Reduces(place)}}


def as_torch(value, path):
    torch.save(value, path)


def as_npy(value, path):
    np.save(path, value)


def in_a_tensor(value, path):
    """Code within the file that a pickled tensor is."""
    file = io.BytesIO()
    for part in (0x1950A86A20F9469CFC6C, 1001, {}, value, ["0"]):
        file.write(pickle.dumps(part, protocol=2))
    name = b"ctorch.storage\n_load_from_bytes\n"
    content = file.getvalue()
    path.write_bytes(b"\x80\x03" + name + b"B" + struct.pack("<I", len(content)) + content + b"\x85R.")


@pytest.mark.parametrize(
    ("write", "name"),
    [(joblib.dump, "a.pkl"), (lambda v, p: joblib.dump(v, p, compress=3), "z.pkl"), (as_torch, "a.pt"),
     (as_npy, "a.npy"), (lambda v, p: p.write_bytes(pickle.dumps(v)), "plain.pkl"), (in_a_tensor, "tensor.pkl"),
     (lambda v, p: joblib.dump(np.array([v], object), p), "objects.pkl")],
)  # fmt: skip
def test_no_code_of_a_file_runs(write, name, tmp_path):
    write(poses(tmp_path / "ran"), tmp_path / name)
    done = command("smooth_smoothnet.py", tmp_path / name, "-o", tmp_path / f"out{(tmp_path / name).suffix}")
    assert done.returncode == 2 and not (tmp_path / "ran").exists()
    assert f"{name} was refused: it asks for posix.system; only plain arrays are read from it" in done.stderr
    assert done.stderr.count("\n") == 1 and "Traceback" not in done.stderr


def test_a_bomb(tmp_path, monkeypatch):
    monkeypatch.setattr(pickled, "MOST_UNPACKED", 2**20)
    (tmp_path / "a.pkl").write_bytes(zlib.compress(pickle.dumps({"smpl_poses": bytes(2**22)})))
    with pytest.raises(SmoothNetError, match=r"a\.pkl was refused: its \d+ bytes would unpack to more than 1048576"):
        read_recording(tmp_path / "a.pkl")


def joblib_array(shape, code="f4", content=b""):
    """The pickle of joblib's wrapper of an array that claims this shape."""
    class_name = b"cjoblib.numpy_pickle\nNumpyArrayWrapper\n"
    dtype = pickle.dumps(np.dtype(code), protocol=2)[2:-1]
    sizes = b"(" + b"".join(b"L%dL\n" % n for n in shape) + b"t"
    keys = b"(X\x05\0\0\0shape" + sizes + b"X\x05\0\0\0orderX\x01\0\0\0CX\x05\0\0\0dtype" + dtype + b"u"
    return b"\x80\x02" + class_name + b")\x81}" + keys + b"b" + content + b"."


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (joblib_array((2**40,)), "it ends within an array of"),
        (joblib_array((-1, 3)), "an array of shape"),
        (joblib_array((2**62, 4)), "damaged"),
        (b"\x80\x05(X\x13\0\0\0joblib.numpy_pickle\x96" + struct.pack("<Q", 2**40) + b"l.", "it ends within an array"),
        (b"\x80\x02ctorch\nFloatStorage\n]X\x02\0\0\0osab.", "it changes a named"),
        (b"\x80\x02ctorch\nFloatStorage\n)R.", "it calls torch.FloatStorage"),
        (b"\x80\x02ctorch._utils\n_rebuild_tensor_v2\n(K\x01K\x00)))tR.", "a tensor of an unexpected kind"),
        (b"\x80\x02X\x01\0\0\0aQ.", "it refers to data outside"),
    ],
)
def test_claims_that_do_not_hold(content, words, tmp_path):
    (tmp_path / "a.pkl").write_bytes(content)
    start = time.perf_counter()
    with pytest.raises(SmoothNetError, match=rf"a\.pkl (was refused|is damaged|is too large).*{words}|{words}"):
        read_recording(tmp_path / "a.pkl")
    assert time.perf_counter() - start < 2


def test_a_tensor_that_is_larger_than_its_numbers(tmp_path):
    parameters = {"body_pose": torch.zeros(1, 1).expand(10**6, 63), "transl": torch.zeros(40, 3)}
    torch.save({"smpl_params_global": parameters}, tmp_path / "a.pt")
    with pytest.raises(SmoothNetError, match=r"body_pose was refused: a tensor of shape \(1000000, 63\) does not fit"):
        read_recording(tmp_path / "a.pt")


def test_storages_that_are_not_there(tmp_path):
    torch.save({"smpl_params_global": {"body_pose": torch.zeros(40, 63)}}, tmp_path / "a.pt")
    with zipfile.ZipFile(tmp_path / "a.pt") as old, zipfile.ZipFile(tmp_path / "b.pt", "w") as new:
        for member in old.infolist():
            content = old.read(member)
            new.writestr(member.filename, content[:40] if member.filename.endswith("data/0") else content)
    with pytest.raises(SmoothNetError, match=r"b\.pt was refused: it has not the 2520 numbers of a/data/0"):
        read_recording(tmp_path / "b.pt")


def test_only_what_a_tree_can_hold_is_written(tmp_path):
    """A name that a pickle brings along as a value would be written as one of this package."""
    content = pickle.dumps({"smpl_poses": angles(24), "smpl_trans": path_of(), "kind": np.dtype("f4")}, protocol=2)
    (tmp_path / "a.pkl").write_bytes(content)
    recording = read_recording(tmp_path / "a.pkl")
    with pytest.raises(SmoothNetError, match=r"a\.pkl cannot be written back"):
        write_recording(recording, [track.points + 0.01 for track in recording.tracks], tmp_path / "b.pkl")
    assert not (tmp_path / "b.pkl").exists()
    assert pickled.holds_tree(tmp_path / "a.pkl")
