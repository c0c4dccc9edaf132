# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) SmoothNet contributors
"""Weights as safetensors: what is written is read, the format is the public one, and other files are refused."""

import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lib.models.load import load_network
from lib.models.safetensors_file import read_safetensors, write_safetensors
from lib.utils.errors import SmoothNetError
from lib.weights import find_weights

CONTENT = {
    "state_dict": {"b": np.arange(6, dtype=np.float32).reshape(2, 3), "a": np.array([0.5], np.float32)},
    "model": {"name": "general", "window_size": 16, "taper": "hann"},
    "normalize": "body",
    "epoch": 7,
    "config": {"TRAIN": {"LR": 0.1}},
    "decoder_sigma": 1.5,
}


def with_header(path, header, data=b"\0" * 16, length=None):
    text = header if isinstance(header, bytes) else json.dumps(header).encode()
    path.write_bytes((len(text) if length is None else length).to_bytes(8, "little") + text + data)
    return path


def entry(**change):
    return {"dtype": "F32", "shape": [2, 2], "data_offsets": [0, 16], **change}


def test_what_is_written_is_read(tmp_path):
    write_safetensors(tmp_path / "w.safetensors", CONTENT)
    found = read_safetensors(tmp_path / "w.safetensors")
    assert {key: found[key] for key in ("model", "normalize", "epoch")} == {
        key: CONTENT[key] for key in ("model", "normalize", "epoch")
    }
    assert found["state_dict"].keys() == CONTENT["state_dict"].keys()
    for name, value in CONTENT["state_dict"].items():
        np.testing.assert_array_equal(found["state_dict"][name], value)
    raw = (tmp_path / "w.safetensors").read_bytes()
    header = json.loads(raw[8 : 8 + int.from_bytes(raw[:8], "little")])
    assert json.loads(header["__metadata__"]["config"]) == CONTENT["config"]
    assert header["__metadata__"]["decoder_sigma"] == "1.5"


def test_the_public_package_reads_it_too(tmp_path):
    public = pytest.importorskip("safetensors.numpy")
    write_safetensors(tmp_path / "w.safetensors", CONTENT)
    for name, value in public.load_file(tmp_path / "w.safetensors").items():
        np.testing.assert_array_equal(value, CONTENT["state_dict"][name])


def test_half_and_double_numbers_are_read(tmp_path):
    half, double = np.array([1.5, -2], "<f2"), np.array([0.25], "<f8")
    header = {
        "h": {"dtype": "F16", "shape": [2], "data_offsets": [0, 4]},
        "d": {"dtype": "F64", "shape": [1], "data_offsets": [4, 12]},
    }
    state = read_safetensors(with_header(tmp_path / "w.safetensors", header, half.tobytes() + double.tobytes()))
    np.testing.assert_array_equal(state["state_dict"]["h"], half)
    assert state["state_dict"]["d"] == 0.25 and state["state_dict"]["d"].dtype == np.float32


@pytest.mark.parametrize(
    ("header", "words"),
    [
        ({"a": entry(shape=[3, 2])}, "another size than its shape"),
        ({"a": entry(data_offsets=[0, 2**40], shape=[2**38])}, "another size"),
        ({"a": entry(shape=[-2, -2])}, "is no array"),
        ({"a": entry(shape=[2.0, 2])}, "is no array"),
        ({"a": entry(dtype="I64")}, "has the type I64; F64, F32, F16 are read"),
        ({"a": {}}, "is no array"),
        ({"a": 3}, "is no array"),
        ({"a": entry(shape=[1] * 9 + [4])}, "is no array"),
        ({"a": entry(shape=[2], data_offsets=[0, 8])}, "do not fill it"),
        ({"a": entry(), "b": entry()}, "do not fill it"),  # one over the other
        ({"a": entry(), "__metadata__": {"step": 3}}, "not text"),
        ({"a": entry(), "__metadata__": {"step": "many"}}, "step is no whole number"),
        ([1], "no table of arrays"),
        (b"[" * 9000, "not a readable safetensors file"),
        (b"\xff\xfe", "not a readable safetensors file"),
    ],
)
def test_damaged_files_are_refused_in_one_sentence(tmp_path, header, words):
    with pytest.raises(SmoothNetError, match=words) as error:
        read_safetensors(with_header(tmp_path / "w.safetensors", header))
    assert "w.safetensors" in str(error.value) and "\n" not in str(error.value)


def test_numbers_that_are_none_are_refused(tmp_path):
    data = np.array([1, np.nan, 2, 3], np.float32).tobytes()
    with pytest.raises(SmoothNetError, match="NaN or infinite weights in a"):
        read_safetensors(with_header(tmp_path / "w.safetensors", {"a": entry()}, data))


@pytest.mark.parametrize("length", [2**63, 17, 2**21])
def test_a_header_that_is_longer_than_the_file_is_refused(tmp_path, length):
    with pytest.raises(SmoothNetError, match="has no header"):
        read_safetensors(with_header(tmp_path / "w.safetensors", b"{}", b"", length))


@settings(max_examples=150, deadline=None)
@given(st.integers(0, 4000), st.integers(0, 255), st.integers(0, 20_000))
def test_a_changed_byte_or_a_cut_is_an_error_or_another_network(tmp_path_factory, place, value, cut):
    folder = tmp_path_factory.mktemp("w")
    raw = bytearray(find_weights("uiprmd_kinect_3D", 8).read_bytes())
    raw[place] = value
    (folder / "w.safetensors").write_bytes(raw if cut % 2 else raw[: -cut - 1])
    try:
        load_network(folder / "w.safetensors")
    except SmoothNetError as error:
        assert "w.safetensors" in str(error)
