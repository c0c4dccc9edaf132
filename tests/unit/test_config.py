"""Settings: precedence, official files, and what is refused."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml
from helpers import ROOT

from lib.config import as_plain, as_yaml, load_config
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
