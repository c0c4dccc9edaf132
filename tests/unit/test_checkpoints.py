# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) SmoothNet contributors
"""Checkpoints: which kinds load, and what is refused."""

from __future__ import annotations

import os
import pickle
import re
from collections import OrderedDict
from zipfile import ZipFile

import numpy as np
import pytest
import torch
from helpers import write_checkpoint

from data.publish_checkpoint import main as publish
from lib.commands.arguments import run_main
from lib.models.checkpoints import load_model, publishable, read_checkpoint, save_checkpoint
from lib.models.smoothnet import SmoothNet, architecture, count_parameters, multiply_adds
from lib.utils.errors import SmoothNetError
from lib.weights import find_weights


@pytest.mark.parametrize(
    ("sizes", "parameters"),
    [
        ((512, 128, 5), (667272, 675472, 691872, 724672)),
        ((512, 16, 1), (25624, 33824, 50224, 83024)),
        ((512, 256, 3), (797448, 805648, 822048, 854848)),
        ((512, 512, 5), (2635272, 2643472, 2659872, 2692672)),
    ],
)
def test_parameter_counts_are_the_published_ones(sizes, parameters):
    for window, expected in zip((8, 16, 32, 64), parameters, strict=True):
        model = SmoothNet(window, None, *sizes)
        assert count_parameters(model) == expected
        assert architecture(model.state_dict()) == {
            "window_size": window, "output_size": window, "hidden_size": sizes[0],
            "res_hidden_size": sizes[1], "num_blocks": sizes[2],
        }  # fmt: skip


def test_multiply_adds_of_the_published_network():
    assert multiply_adds(SmoothNet(32, None, 512, 128, 5)) == 688_128


def test_the_sizes_without_any_named_are_the_published_defaults():
    model = SmoothNet(32)
    sizes = (model.output_size, model.hidden_size, model.res_hidden_size, model.num_blocks, model.dropout)
    assert sizes == (32, 512, 256, 3, 0.5)


def test_state_dict_has_the_published_keys():
    keys = {
        key
        for i in range(2)
        for n in (1, 2)
        for key in (f"res_blocks.{i}.linear{n}.weight", f"res_blocks.{i}.linear{n}.bias")
    }
    assert set(SmoothNet(8, num_blocks=2).state_dict()) == keys | {
        "encoder.0.weight", "encoder.0.bias", "decoder.weight", "decoder.bias"
    }  # fmt: skip


def test_the_network_by_hand():
    """One hidden unit, one block, weights 1: every step of section 4 of the paper in plain numbers."""
    model = SmoothNet(2, None, 1, 1, 1, dropout=0.0)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.fill_(1.0)
        model.res_blocks[0].linear1.weight.fill_(-1.0)
    h = 2.0 + 3.0 + 1  # encoder, positive
    inner = 0.2 * (-h + 1)  # linear1 is negative: slope 0.2
    inner2 = inner + 1
    inner2 = inner2 if inner2 > 0 else 0.2 * inner2
    expected = h + inner2 + 1
    torch.testing.assert_close(model(torch.tensor([[[2.0, 3.0]]])), torch.full((1, 1, 2), expected))
    h = 0.1 * (-4.0)  # encoder, negative: slope 0.1
    inner2 = (-h + 1) + 1
    torch.testing.assert_close(model(torch.tensor([[[-2.0, -3.0]]])), torch.full((1, 1, 2), h + inner2 + 1))


@pytest.mark.parametrize("kind", ["ours", "bare", "ordered", "module", "mmpose", "legacy file", "numpy performance"])
def test_foreign_kinds_load(tmp_path, kind):
    torch.manual_seed(0)
    model = SmoothNet(8, None, 16, 8, 2)
    state = model.state_dict()
    content = {
        "ours": {"epoch": 3, "state_dict": state, "performance": torch.tensor(1.0), "optimizer": {}},
        "bare": dict(state),
        "ordered": OrderedDict(state),
        "module": {"state_dict": {f"module.{key}": value for key, value in state.items()}},
        "mmpose": {"state_dict": state, "meta": {"epoch": 1, "time": "today"}},
        "legacy file": {"state_dict": state},
        "numpy performance": {"state_dict": state, "performance": np.float64(3.0), "epoch": 2},
    }[kind]
    torch.save(content, tmp_path / "c.pth.tar", _use_new_zipfile_serialization=kind != "legacy file")
    loaded, known = load_model(tmp_path / "c.pth.tar")
    for key, value in loaded.state_dict().items():
        torch.testing.assert_close(value, state[key])
    assert known["normalize"] == "none" and not loaded.training


@pytest.mark.parametrize("module", ["numpy.core.multiarray", "numpy._core.multiarray"])
def test_numbers_of_any_numpy_are_read(tmp_path, module):
    """Published checkpoints are of NumPy 1, which had another name for what makes a number of its bytes."""
    state = SmoothNet(8, None, 16, 8, 2).state_dict()
    torch.save({"state_dict": state, "performance": np.float64(3.0)}, tmp_path / "here.pth.tar")
    with ZipFile(tmp_path / "here.pth.tar") as here, ZipFile(tmp_path / "there.pth.tar", "w") as there:
        for name in here.namelist():
            there.writestr(name, re.sub(rb"numpy\._?core\.multiarray", module.encode(), here.read(name)))
    assert module.encode() in (tmp_path / "there.pth.tar").read_bytes()
    assert read_checkpoint(tmp_path / "there.pth.tar")["performance"] == 3
    assert load_model(tmp_path / "there.pth.tar")[0].window_size == 8


def test_numbers_of_numpy_are_read_where_torch_knows_no_names_for_a_while(tmp_path, monkeypatch):
    """PyTorch 2.4 has add_safe_globals alone."""
    monkeypatch.delattr(torch.serialization, "safe_globals")
    state = SmoothNet(8, None, 16, 8, 2).state_dict()
    torch.save({"state_dict": state, "performance": np.float64(3.0)}, tmp_path / "c.pth.tar")
    try:
        assert read_checkpoint(tmp_path / "c.pth.tar")["performance"] == 3
    finally:
        torch.serialization.clear_safe_globals()


def test_another_window_is_an_error_that_says_both(tmp_path):
    path = write_checkpoint(tmp_path / "c.pth.tar", window=8)
    with pytest.raises(SmoothNetError, match=r"c\.pth\.tar.* 8 frames.* 32 was asked for"):
        load_model(path, 32)


class Attack:
    def __reduce__(self):
        return os.system, (f"touch {os.environ['ATTACK_MARK']}",)


REFUSED = {
    "another network": ({"state_dict": {"fc.weight": torch.zeros(2, 2)}}, "not the weights of a SmoothNet"),
    "a bare list": ([1, 2], "no state_dict"),
    "nothing": ({}, "no state_dict"),
    "missing layer": ("drop", "decoder"),
    "a layer of another size": ("resize", "res_blocks.1.linear2"),
    "NaN weights": ("nan", "NaN"),
    "huge weights": ("huge", "values up to .* damaged"),
    "weights that overflow": ("overflow", "values up to (inf|nan) .* damaged"),
    "shorter output": ({"state_dict": SmoothNet(8, 4, 16, 8, 1).state_dict()}, "4 of 8 frames"),
}


@pytest.mark.parametrize("what", REFUSED)
def test_what_is_refused(tmp_path, what):
    content, words = REFUSED[what]
    if isinstance(content, str):
        state = SmoothNet(8, None, 16, 8, 2).state_dict()
        if content == "drop":
            del state["decoder.weight"]
        elif content == "resize":
            state["res_blocks.1.linear2.weight"] = torch.zeros(3, 3)
        else:
            state["decoder.bias"][0] = {"nan": torch.nan, "huge": 1e9, "overflow": 1.0}[content]
            if content == "overflow":
                state["decoder.weight"][:] = state["encoder.0.weight"][:] = 1e30
        content = {"state_dict": state}
    torch.save(content, tmp_path / "c.pth.tar")
    with pytest.raises(SmoothNetError, match=words) as error:
        load_model(tmp_path / "c.pth.tar")
    assert "c.pth.tar" in str(error.value)


@pytest.mark.parametrize("nested", [False, True])
def test_an_attack_runs_nothing(tmp_path, monkeypatch, nested):
    monkeypatch.setenv("ATTACK_MARK", str(tmp_path / "ran"))
    state = SmoothNet(8, None, 16, 8, 2).state_dict()
    content = {"state_dict": state, "performance": [{"a": Attack()}]} if nested else Attack()
    torch.save(content, tmp_path / "c.pth.tar")
    with pytest.raises(SmoothNetError, match=r"refused.*system"):
        read_checkpoint(tmp_path / "c.pth.tar")
    assert not (tmp_path / "ran").exists()


@pytest.mark.parametrize("cut", [0, 10, 0.5])
def test_a_damaged_file_is_named(tmp_path, cut):
    path = write_checkpoint(tmp_path / "c.pth.tar")
    data = path.read_bytes()
    path.write_bytes(data[: int(cut * len(data)) if isinstance(cut, float) else cut])
    with pytest.raises(SmoothNetError, match=r"c\.pth\.tar"):
        load_model(path)


@pytest.mark.parametrize("content", [b"a: 1\n", pickle.dumps({"a": 1}), b"\x08\x07 an ONNX model", bytes(range(256))])
def test_nobody_is_told_to_read_a_foreign_file_without_its_guard(tmp_path, content):
    """As PyTorch's own text does."""
    path = tmp_path / "c.pth.tar"
    path.write_bytes(content)
    with pytest.raises(SmoothNetError, match=r"c\.pth\.tar is no") as error:
        read_checkpoint(path)
    assert "weights_only" not in str(error.value)


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(SmoothNetError, match=r"nowhere\.pth does not exist"):
        load_model(tmp_path / "nowhere.pth")


def test_a_failed_write_leaves_the_old_checkpoint(tmp_path):
    """torch.save fails half way: the old file stays, and nothing else is left in the folder."""
    path = write_checkpoint(tmp_path / "c.pth.tar")
    before = path.read_bytes()
    with pytest.raises((AttributeError, pickle.PicklingError), match=r"<lambda>|local object"):
        save_checkpoint(path, {"state_dict": {}, "bad": lambda: 0})
    assert path.read_bytes() == before
    assert os.listdir(tmp_path) == ["c.pth.tar"]


def test_an_unwritable_folder_is_a_clear_error(tmp_path):
    with pytest.raises(SmoothNetError, match=r"cannot write .*No such file"):
        save_checkpoint(tmp_path / "missing" / "c.pth.tar", {})


def test_a_checkpoint_saved_on_cuda_loads_on_the_cpu(tmp_path, monkeypatch):
    """The published ones were; here every storage is only tagged as if it were."""
    state = SmoothNet(8, None, 16, 8, 2).state_dict()
    monkeypatch.setattr(torch.serialization, "location_tag", lambda storage: "cuda:0")
    torch.save({"state_dict": state, "performance": torch.tensor(1.0)}, tmp_path / "c.pth.tar")
    with pytest.raises(RuntimeError, match="CUDA"):
        torch.load(tmp_path / "c.pth.tar", weights_only=True)
    assert next(load_model(tmp_path / "c.pth.tar")[0].parameters()).device.type == "cpu"


def test_a_published_checkpoint_is_slim_and_its_low_pass_is_a_gaussian_after_the_network(tmp_path):
    state = torch.load(write_checkpoint(tmp_path / "c.pth.tar", window=9), weights_only=True)["state_dict"]
    full = {"epoch": 2, "state_dict": state, "optimizer": {"x": torch.zeros(100_000)}, "normalize": "body"}
    slim = publishable(full)
    assert set(slim) == {"epoch", "state_dict", "normalize", "decoder_sigma"}
    config = {"LOGDIR": "/home/me/runs/a", "GENERAL": {"FILES": "/data/cmu.npz,/data/leap.npz"}, "DEVICE": "cpu"}
    shared = publishable(full | {"config": config})["config"]  # without what my machine looks like
    assert shared == {"LOGDIR": "a", "GENERAL": {"FILES": "cmu.npz,leap.npz"}, "DEVICE": "cpu"}
    save_checkpoint(tmp_path / "s.pth.tar", publishable(full, sigma=1.5))
    model, known = load_model(tmp_path / "s.pth.tar")
    assert known["normalize"] == "body"
    x = torch.randn(2, 3, 9)
    plain = load_model(tmp_path / "c.pth.tar")[0](x).detach().numpy()
    weights = np.exp(-0.5 * (np.subtract.outer(np.arange(9), np.arange(9)) / 1.5) ** 2)
    expected = plain @ (weights / weights.sum(1, keepdims=True)).T
    np.testing.assert_allclose(model(x).detach().numpy(), expected, atol=1e-5)


def test_dropout_in_training_comes_twice_in_every_block():
    """Blocks that give 1 at both layers, whatever comes in: what is left of it tells which dropout was there."""
    torch.manual_seed(0)
    block = SmoothNet(8, None, 256, 256, 1, dropout=0.5).res_blocks[0]
    with torch.no_grad():
        for parameter in block.parameters():
            parameter.zero_()
        block.linear1.bias.fill_(1.0)
        block.linear2.bias.fill_(1.0)
        x = torch.zeros(40, 256)
        second = block.train()(x)
        assert set(second.unique().tolist()) == {0.0, 2.0}  # survivors are doubled
        assert second.mean().item() == pytest.approx(1.0, abs=0.06)
        block.linear2.bias.zero_()
        block.linear2.weight.copy_(torch.eye(256))
        both = block(x)
        assert set(both.unique().tolist()) == {0.0, 4.0}
        assert (both > 0).float().mean().item() == pytest.approx(0.25, abs=0.03)
        assert block.eval()(x).unique().tolist() == [1.0]


def test_the_slopes_of_the_activations():
    model = SmoothNet(1, None, 1, 1, 1, dropout=0.0)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.fill_(1.0)
        model.encoder[0].bias.zero_()
        assert model.encoder(torch.tensor([-1.0])).item() == pytest.approx(-0.1)
        block = model.res_blocks[0](torch.tensor([-11.0]))  # -11 + 0.2 (0.2 (-11 + 1) + 1)
        assert block.item() == pytest.approx(-11.2)


def test_publishing_replaces_no_checkpoint_and_says_what_cannot_be(tmp_path, capsys):
    path = write_checkpoint(tmp_path / "c.pth.tar", window=8)
    before = path.read_bytes()
    general = find_weights(None)
    for words, said in (
        ([path, "-o", path], "c.pth.tar is the checkpoint itself"),
        ([path, "-o", tmp_path / "d.pth.tar", "--sigma", "-1"], "--sigma must be a number 0 or more"),
        ([general, "-o", tmp_path / "d.pth.tar", "--sigma", "2"], "the decoder of a SmoothNet"),
    ):
        assert run_main(publish, [str(word) for word in words]) == 2
        assert said in (error := capsys.readouterr().err) and error.count("\n") == 1
    assert [*tmp_path.iterdir()] == [path] and path.read_bytes() == before
    assert run_main(publish, [str(path), "-o", str(tmp_path / "d.safetensors"), "--taper", "late-hann"]) == 0
    assert load_model(tmp_path / "d.safetensors")[0].window_size == 8
