# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) SmoothNet contributors
"""Settings: precedence, official files, and what is refused."""

from __future__ import annotations

import os
import re
import time
from pathlib import Path

import pytest
import yaml
from helpers import ROOT

from lib.config import as_plain, as_yaml, differences, ignored, load_config, settings
from lib.utils.errors import SmoothNetError

CONFIGS = ROOT / "configs"

# Every key of the published YAML files, with the spellings that make YAML readers stumble.
OFFICIAL = """
DEVICE: cuda
SEED_VALUE: 4321
LOGDIR: ''
EXP_NAME: 'h36m_fcn_3D'
DEBUG: True
OUTPUT_DIR: 'results/'
DATASET_NAME: "h36m"
ESTIMATOR: "fcn"
BODY_REPRESENTATION: "3D"
SMPL_MODEL_DIR: "data/smpl/"
CUDNN:
  BENCHMARK: True
  DETERMINISTIC: False
  ENABLED: True
DATASET:
  BASE_DIR: "data/poses"
  ROOT_AIST_SPIN_3D: [2,3]
  ROOT_H36M_FCN_3D: [0]
  ROOT_MPIINF3DHP_SPIN_3D: [14]
MODEL:
  SLIDE_WINDOW_SIZE: 32
  HIDDEN_SIZE: 512
  RES_HIDDEN_SIZE: 128
  NUM_BLOCK: 5
  DROPOUT: 0.25
TRAIN:
  BATCH_SIZE: 1024
  WORKERS_NUM: 0
  EPOCH: 70
  LR: 1e-3
  LRDECAY: 0.95
  RESUME : None
  VALIDATE: True
  USE_6D_SMPL: True
EVALUATE:
  PRETRAINED: ''
  ROOT_RELATIVE: True
  SLIDE_WINDOW_STEP_SIZE: 1
  TRADITION: ''
  TRADITION_SAVGOL:
    WINDOW_SIZE: 31
    POLYORDER: 2
  TRADITION_GAUS1D:
    WINDOW_SIZE: 31
    SIGMA: 3
  TRADITION_ONEEURO:
    MIN_CUTOFF: 0.04
    BETA: 0.7
LOSS:
  W_ACCEL: 0.1
  W_POS: 1
LOG:
  NAME: ''
VIS:
  START: 0
  END: 1000
"""


def write(tmp_path: Path, text: str) -> Path:
    path = tmp_path / "config.yaml"
    path.write_text(text)
    return path


def test_an_official_file_loads_unchanged(tmp_path):
    cfg = load_config(write(tmp_path, OFFICIAL))
    assert cfg.TRAIN.RESUME == ""
    assert cfg.TRAIN.LR == 0.001
    assert cfg.LOSS.W_POS == 1.0 and isinstance(cfg.LOSS.W_POS, float)
    assert cfg.DATASET.ROOT_AIST_SPIN_3D == [2, 3]
    assert cfg.MODEL.NUM_BLOCK == 5


def test_every_setting_of_the_official_file_has_a_default():
    def missing(tree, node, prefix=""):
        for key, value in tree.items():
            if isinstance(value, dict):
                yield from missing(value, node[key], f"{prefix}{key}.")
            elif not key.startswith("ROOT_") and key not in node:
                yield prefix + key

    assert list(missing(yaml.safe_load(OFFICIAL), load_config())) == []


def test_later_sources_win(tmp_path):
    path = write(tmp_path, "TRAIN: {EPOCH: 5, LR: 0.01, BATCH_SIZE: 7}")
    cfg = load_config(path, {"TRAIN.LR": 0.02, "TRAIN.BATCH_SIZE": 8, "EXP_NAME": None}, ["TRAIN.BATCH_SIZE", "9"])
    assert (cfg.TRAIN.EPOCH, cfg.TRAIN.LR, cfg.TRAIN.BATCH_SIZE) == (5, 0.02, 9)
    assert cfg.EXP_NAME == "smoothnet"
    assert load_config().TRAIN.EPOCH == 70


def test_the_stored_config_reads_back(tmp_path):
    cfg = load_config(CONFIGS / "pw3d_spin_3D.yaml", opts=["DATASET.ROOT_PW3D_SPIN_3D", "[1]"])
    again = load_config(write(tmp_path, as_yaml(cfg)))
    assert as_plain(again) == as_plain(cfg)


@pytest.mark.parametrize(
    ("name", "batch", "lr", "sizes"),
    [
        ("h36m_fcn_3D", 1024, 1e-3, (512, 128, 5, 0.25)),
        ("aist_vibe_3D", 128, 1e-3, (512, 128, 5, 0.25)),
        ("pw3d_spin_3D", 128, 1e-4, (512, 16, 1, 0.5)),
    ],
)
def test_published_configs(name, batch, lr, sizes):
    cfg = load_config(CONFIGS / f"{name}.yaml")
    model = cfg.MODEL
    assert sizes == (model.HIDDEN_SIZE, model.RES_HIDDEN_SIZE, model.NUM_BLOCK, model.DROPOUT)
    assert (batch, lr, 0.95) == (cfg.TRAIN.BATCH_SIZE, cfg.TRAIN.LR, cfg.TRAIN.LRDECAY)
    assert (cfg.LOSS.W_POS, cfg.LOSS.W_ACCEL, cfg.TRAIN.EPOCH, cfg.SEED_VALUE) == (1.0, 0.1, 70, 4321)


@pytest.mark.parametrize(
    ("text", "named", "opts", "words"),
    [
        ("TRAIN: {EPOCHS: 3}", {}, [], ["config.yaml", "TRAIN.EPOCHS"]),
        ("TRAIN: {EPOCH: many}", {}, [], ["config.yaml", "TRAIN.EPOCH", "whole number", "many"]),
        ("TRAIN: {EPOCH: 1.5}", {}, [], ["TRAIN.EPOCH", "whole number"]),
        ("TRAIN: {LR: [1]}", {}, [], ["TRAIN.LR", "a number"]),
        ("TRAIN: 3", {}, [], ["TRAIN", "group"]),
        ("DEBUG: 2", {}, [], ["DEBUG", "True or False"]),
        ("EXP_NAME: [a]", {}, [], ["EXP_NAME", "text"]),
        ("DATASET: {ROOT_A_B_3D: hip}", {}, [], ["ROOT_A_B_3D", "joint numbers"]),
        ("- a\n- b", {}, [], ["config.yaml", "KEY: value"]),
        ("TRAIN:\n\tEPOCH: 3", {}, [], ["config.yaml", "line 2", "tabs"]),
        ("", {}, ["TRAIN.LR"], ["--opts", "TRAIN.LR"]),
        ("", {}, ["NO.SUCH", "1"], ["--opts", "NO.SUCH"]),
        ("", {}, ["TRAIN.LR.X", "1"], ["TRAIN.LR.X"]),
        ("", {"TRAIN.EPOCH": 0}, [], ["TRAIN.EPOCH", "from 1 to"]),
        ("", {"MODEL.DROPOUT": 1.0}, [], ["MODEL.DROPOUT"]),
        ("", {"TRAIN.SAMPLING": "random"}, [], ["TRAIN.SAMPLING", "uniform, legacy"]),
        ("", {"LOSS.W_ACCEL": -1.0}, [], ["LOSS.W_ACCEL", "0 or more"]),
    ],
)
def test_refusals_name_the_setting(tmp_path, text, named, opts, words):
    with pytest.raises(SmoothNetError) as error:
        load_config(write(tmp_path, text), named, opts)
    for word in words:
        assert word in str(error.value)


LEVELS = list(zip("abcdefghijklmnop", "bcdefghijklmnopq", strict=True))  # 9^16 values, if each is followed
HOSTILE = {  # name: (YAML, words of the sentence)
    "aliases of empty maps": (
        "a: &a {}\n" + "".join(f"{y}: &{y} {{{', '.join(f'k{i}: *{x}' for i in range(9))}}}\n" for x, y in LEVELS),
        "more values",
    ),
    "aliases of lists": (
        "EXP_NAME: &a [1]\nDATASET:\n"
        + "".join(f"  ROOT_{y}_A_3D: &{y} [{', '.join([f'*{x}'] * 9)}]\n" for x, y in LEVELS),
        "EXP_NAME must be text",
    ),
    "merged maps": ("TRAIN: &t\n  <<: *t\n", "more values"),
    "a map within itself": ("DATASET: &d\n  ROOT_A_B_3D: [1]\n  DATASET: *d\n", "no setting DATASET.DATASET"),
    "a list within itself": ("DATASET: {ROOT_A_B_3D: &a [1, *a]}\n", "more values"),
    "3,000 levels": ("".join(" " * i + "a:\n" for i in range(600)), "nested too deep"),
    "20 levels": ("".join(" " * i + "a:\n" for i in range(20)), "more values, or deeper ones"),
    "3,000 levels in one line": ("a: " + "[" * 3000 + "]" * 3000, "nested too deep"),
    "200,000 brackets": ("[" * 200_000, "nested too deep"),
    "a number that is none": ("SEED_VALUE: 0x_\n", "SEED_VALUE must be a whole number"),
    "a date that is none": ("SEED_VALUE: 2020-99-99\n", "SEED_VALUE must be a whole number"),
    "a million bytes": ("#" * 1_000_000, "larger than"),
    "a key twice": ("TRAIN: {EPOCH: 1, LR: 1, EPOCH: 2}\n", "line 1: TRAIN.EPOCH stands there twice"),
    "Python": ("EXP_NAME: !!python/object/apply:os.system ['touch ran']\n", "tag"),
    "a list as a key": ("? [a]\n: 1\n", "a key that is not a word"),
    "a byte that no path can have": ('LOGDIR: "a\\0b"\n', "LOGDIR must be text"),
}


@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_files_are_refused_in_a_sentence_and_in_time(tmp_path, name):
    text, words = HOSTILE[name]
    start = time.process_time()
    with pytest.raises(SmoothNetError) as error:
        load_config(write(tmp_path, text))
    message = str(error.value)
    assert words in message and "config.yaml" in message and "\n" not in message and len(message) < 400
    assert time.process_time() - start < 20  # seconds; it takes two at most


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no named pipes here")
def test_what_is_not_a_file_is_refused_without_waiting(tmp_path):
    os.mkfifo(tmp_path / "pipe.yaml")
    for path in (tmp_path / "pipe.yaml", tmp_path, "/dev/zero"):
        with pytest.raises(SmoothNetError, match=re.escape(f"the config {path} is not a file")):
            load_config(path)


@pytest.mark.parametrize("key", [key for key, row in settings().items() if type(row.default) in (int, float, bool)])
def test_no_number_of_any_setting_passes_that_is_none(key):
    for value in ("9" * 400, "-" + "9" * 400, "nan", "-inf", "0x_", "", "9" * 100_000, [], ["1"]):
        with pytest.raises(SmoothNetError, match=re.escape(f"{key} must be")) as error:
            load_config(None, {key: value})
        assert len(str(error.value)) < 300


@pytest.mark.parametrize("seed", [-1, 2**70, "-1", str(2**70), 1.5])
def test_a_seed_that_no_generator_takes(seed):
    with pytest.raises(SmoothNetError, match="SEED_VALUE must be a whole number from 0"):
        load_config(None, {"SEED_VALUE": seed})


def test_words_mean_what_their_setting_says(tmp_path):
    """YAML would make a date, False, 8, 61 and None of these."""
    text = "EXP_NAME: 2024-05-01\nLOGDIR: no\nSEED_VALUE: 010\nLOG: {NAME: '1:01'}\nDATASET_NAME:\nDEBUG: yes\nTRAIN:\n"
    cfg = load_config(write(tmp_path, text))
    assert (cfg.EXP_NAME, cfg.LOGDIR, cfg.SEED_VALUE, cfg.LOG.NAME) == ("2024-05-01", "no", 10, "1:01")
    assert (cfg.DATASET_NAME, cfg.DEBUG, cfg.TRAIN.EPOCH) == ("", True, 70)
    assert as_plain(load_config(write(tmp_path, as_yaml(cfg)))) == as_plain(cfg)


def test_merged_values_can_be_replaced(tmp_path):
    text = "AUGMENT: &a {FLIP: 0.25, SPEED: 0.5}\n"
    cfg = load_config(write(tmp_path, text.replace("SPEED", "<<: {FLIP: 0.75, REVERSE: 1}, SPEED")))
    assert (cfg.AUGMENT.FLIP, cfg.AUGMENT.REVERSE, cfg.AUGMENT.SPEED) == (0.25, 1.0, 0.5)


@pytest.mark.parametrize(
    ("given", "meant"),
    [
        ("TRAIN.EPOCHS", "TRAIN.EPOCH"),
        ("train.batch_size", "TRAIN.BATCH_SIZE"),
        ("BATCH_SIZE", "TRAIN.BATCH_SIZE"),
        ("MODEL.LR", "TRAIN.LR"),
        ("DATASET.ROOT_PW3D_SPIN", "DATASET.ROOT_<DATASET>_<ESTIMATOR>_3D"),
        ("QUITE.DIFFERENT", None),
    ],
)
def test_an_unknown_key_is_told_what_may_be_meant(given, meant):
    with pytest.raises(SmoothNetError) as error:
        load_config(None, {}, [given, "3"])
    assert str(error.value).endswith(f"did you mean {meant}?" if meant else given)


@pytest.mark.parametrize(
    ("key", "said"),
    [
        ("DATASET.ROOT_TOY_EST_3D", []),
        (
            "DATASET.ROOT_TOY_ETS_3D",
            ["DATASET.ROOT_TOY_ETS_3D does nothing: this run is about DATASET.ROOT_TOY_EST_3D"],
        ),
        (
            "DATASET.ROOT_toy_est_3D",
            ["DATASET.ROOT_toy_est_3D does nothing: this run is about DATASET.ROOT_TOY_EST_3D"],
        ),
    ],
)
def test_a_root_of_no_dataset_of_the_run_is_told(key, said):
    named = {"DATASET_NAME": "toy", "ESTIMATOR": "est", "BODY_REPRESENTATION": "3D"}
    assert ignored(load_config(None, named, [key, "[1]"])) == said
    assert not ignored(load_config(None, named, [key, "[1]", "DATASET.ROOT_TOY_EST_3D", "[2]"]))  # a file of many


def test_settings_that_do_nothing_say_so_when_given():
    assert ignored(load_config()) == []
    given = ignored(load_config(None, {"LOG.NAME": "x", "TRAIN.WORKERS_NUM": 4, "TRAIN.EPOCH": 3}))
    assert [sentence.split(" is accepted")[0] for sentence in given] == ["TRAIN.WORKERS_NUM 4", "LOG.NAME x"]


def test_every_other_setting_is_read_somewhere():
    """None is accepted and then forgotten: each name is in the library's code, or is a filter's."""
    code = "".join(path.read_text() for path in (ROOT / "lib").rglob("*.py") if path.name != "config.py")
    for key, row in settings().items():
        leaf = key.rpartition(".")[2]
        assert bool(row.ignored) or re.search(rf"\b{leaf}\b", code), key


def test_keys_that_were_added_are_no_keys_of_the_published_files():
    def keys(tree, prefix=""):
        for name, value in tree.items():
            yield from keys(value, f"{prefix}{name}.") if isinstance(value, dict) else [f"{prefix}{name}"]

    published = set(keys(yaml.safe_load(OFFICIAL)))
    for key, row in settings().items():
        assert row.added == (key not in published), key


def test_every_setting_has_a_type_that_can_be_read_and_a_default_that_is_allowed():
    for key, row in settings().items():
        assert row.help and row.parse(row.default) == row.default and row.parse(str(row.default)) == row.default, key
        assert type(row.parse(str(row.default))) is type(row.default), key


def test_differences_are_named():
    before = as_plain(load_config(None, {"DATASET_NAME": "a", "TRAIN.LR": 0.1, "TRAIN.RESUME": "x"}))
    before["GONE"] = {"KEY": 3}
    now = load_config(None, {"DATASET_NAME": "b", "TRAIN.LR": 0.1, "TRAIN.RESUME": "y", "SEED_VALUE": 3})
    assert differences(before, now) == ["SEED_VALUE is 3, was 4321", "DATASET_NAME is 'b', was 'a'"]
    assert differences(None, now) == []


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(SmoothNetError, match=r"nowhere\.yaml"):
        load_config(tmp_path / "nowhere.yaml")


def test_defaults_of_the_published_code():
    cfg = load_config(None, {})
    assert (cfg.TRAIN.LR, cfg.TRAIN.LRDECAY, cfg.TRAIN.EPOCH, cfg.SEED_VALUE) == (1e-3, 0.95, 70, 4321)
    assert (cfg.LOSS.W_POS, cfg.LOSS.W_ACCEL) == (1.0, 1.0)
    assert dict(cfg.EVALUATE.TRADITION_SAVGOL) == {"WINDOW_SIZE": 31, "POLYORDER": 2}
    assert dict(cfg.EVALUATE.TRADITION_GAUS1D) == {"WINDOW_SIZE": 31, "SIGMA": 3}
    assert dict(cfg.EVALUATE.TRADITION_ONEEURO) == {"MIN_CUTOFF": 0.04, "BETA": 0.7}
