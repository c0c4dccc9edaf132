"""Every setting of training, evaluation and visualisation, with its default: the only place they are named.

Names are those of the published YAML files, which load unchanged; keys added here say so.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import yaml
from yacs.config import CfgNode

from .utils.errors import SmoothNetError

DEFAULTS = CfgNode()
DEFAULTS.DEVICE = "auto"  # auto (sdaa, cuda, cpu in this order) | sdaa | sdaa:1 | cuda | cuda:0 | cpu
DEFAULTS.SEED_VALUE = 4321
DEFAULTS.LOGDIR = ""  # the run folder; empty: OUTPUT_DIR/<time>_<EXP_NAME>
DEFAULTS.EXP_NAME = "smoothnet"
DEFAULTS.DEBUG = False  # debug lines in the log
DEFAULTS.OUTPUT_DIR = "results"
DEFAULTS.DATASET_NAME = ""  # comma lists of equal length name several datasets
DEFAULTS.ESTIMATOR = ""
DEFAULTS.BODY_REPRESENTATION = ""  # 3D | 2D | smpl
DEFAULTS.SMPL_MODEL_DIR = "data/smpl"

DEFAULTS.CUDNN = CfgNode()
DEFAULTS.CUDNN.BENCHMARK = True
DEFAULTS.CUDNN.DETERMINISTIC = False
DEFAULTS.CUDNN.ENABLED = True

DEFAULTS.DATASET = CfgNode()
DEFAULTS.DATASET.BASE_DIR = "data/poses"
# DATASET.ROOT_<DATASET>_<ESTIMATOR>_3D: root joints to subtract, a list whose mean is taken; otherwise the table's.

DEFAULTS.MODEL = CfgNode()
DEFAULTS.MODEL.SLIDE_WINDOW_SIZE = 32  # W, frames
DEFAULTS.MODEL.HIDDEN_SIZE = 512  # H
DEFAULTS.MODEL.RES_HIDDEN_SIZE = 256  # R
DEFAULTS.MODEL.NUM_BLOCK = 3  # B
DEFAULTS.MODEL.DROPOUT = 0.5
DEFAULTS.MODEL.NORMALIZE = "none"  # added: none (as published) | body (free of unit and origin)

DEFAULTS.TRAIN = CfgNode()
DEFAULTS.TRAIN.BATCH_SIZE = 1024  # windows per device
DEFAULTS.TRAIN.WORKERS_NUM = 0  # kept for official files; batches are gathered without workers
DEFAULTS.TRAIN.EPOCH = 70
DEFAULTS.TRAIN.LR = 1.0e-3
DEFAULTS.TRAIN.LRDECAY = 0.95  # factor after each epoch
DEFAULTS.TRAIN.RESUME = ""  # checkpoint to go on from, or auto: the run folder's last one if there is one
DEFAULTS.TRAIN.VALIDATE = True  # evaluate after each epoch
DEFAULTS.TRAIN.USE_6D_SMPL = True
DEFAULTS.TRAIN.SAMPLING = "uniform"  # added: uniform (each window once an epoch) | legacy (the official index)
DEFAULTS.TRAIN.DATA_DEVICE = "auto"  # added: auto (the device if the frames fit) | cpu | device
DEFAULTS.TRAIN.MICRO_BATCH = 0  # added: windows per piece of a batch; 0: chosen for the device
DEFAULTS.TRAIN.STEP = -1  # added: stop after this many iterations; -1: train for EPOCH epochs
DEFAULTS.TRAIN.AUTOCAST = False  # added: mixed precision
DEFAULTS.TRAIN.AUTOCAST_DTYPE = "auto"  # added: auto | float16 | bfloat16
DEFAULTS.TRAIN.GRAD_SCALE = 65536.0  # added: first loss scale of float16 training; 0: no scaling
DEFAULTS.TRAIN.EARLY_STOP = 0  # added: stop after so many epochs without a better result; 0: never
DEFAULTS.TRAIN.COMPILE = False  # added: torch.compile
DEFAULTS.TRAIN.PROFILER = False  # added: record a profile of the first steps
DEFAULTS.TRAIN.PROFILER_PATH = "profiler_log"  # added
DEFAULTS.TRAIN.TIMEOUT = 600.0  # added: seconds after which a process that does not answer the others hangs
DEFAULTS.TRAIN.LOG_EVERY = 50  # added: iterations between readings of the loss on an accelerator

DEFAULTS.AUGMENT = CfgNode()  # added: changed copies of the training windows, see lib/dataset/augment.py; all off
DEFAULTS.AUGMENT.FLIP = 0.0  # chance of a sign flip
DEFAULTS.AUGMENT.REVERSE = 0.0  # chance of time running backwards
DEFAULTS.AUGMENT.SCALE = 1.0  # signals are multiplied by 1 / SCALE to SCALE
DEFAULTS.AUGMENT.MOTION = 0.0  # chance that the truth, not its error, is multiplied by 1 to MOTION_MAX
DEFAULTS.AUGMENT.MOTION_MAX = 4.0
DEFAULTS.AUGMENT.SPEED = 0.0  # chance that the truth, not its error, is 1 to SPEED_MAX times as fast
DEFAULTS.AUGMENT.SPEED_MAX = 3.0

DEFAULTS.EVALUATE = CfgNode()
DEFAULTS.EVALUATE.PRETRAINED = ""  # checkpoint
DEFAULTS.EVALUATE.ROOT_RELATIVE = True
DEFAULTS.EVALUATE.SLIDE_WINDOW_STEP_SIZE = 1
DEFAULTS.EVALUATE.TRADITION = ""  # filters to compare with: savgol,oneeuro,gaus1d,gaussian or all
DEFAULTS.EVALUATE.TRADITION_SAVGOL = CfgNode({"WINDOW_SIZE": 31, "POLYORDER": 2})
DEFAULTS.EVALUATE.TRADITION_GAUS1D = CfgNode({"WINDOW_SIZE": 31, "SIGMA": 3.0})
DEFAULTS.EVALUATE.TRADITION_ONEEURO = CfgNode({"MIN_CUTOFF": 0.04, "BETA": 0.7})
DEFAULTS.EVALUATE.FPS = 0.0  # added: frames per second of the data, for filters that know it; 0: one unit a frame
DEFAULTS.EVALUATE.PHASE = "test"  # added: test | train
DEFAULTS.EVALUATE.REPORT = ""  # added: also write the table to this .md, .csv or .json file
DEFAULTS.EVALUATE.PER_SEQUENCE = False  # added: write per_sequence.csv

DEFAULTS.LOSS = CfgNode()
DEFAULTS.LOSS.W_ACCEL = 1.0
DEFAULTS.LOSS.W_POS = 1.0

DEFAULTS.LOG = CfgNode()
DEFAULTS.LOG.NAME = ""
DEFAULTS.LOG.ECHO = "auto"  # added: iteration lines on stdout: auto (where it is no terminal) | yes | no

DEFAULTS.VIS = CfgNode()
DEFAULTS.VIS.START = 0
DEFAULTS.VIS.END = 1000

CHOICES = {
    "MODEL.NORMALIZE": ("none", "body"),
    "TRAIN.SAMPLING": ("uniform", "legacy"),
    "TRAIN.DATA_DEVICE": ("auto", "cpu", "device"),
    "TRAIN.AUTOCAST_DTYPE": ("auto", "float16", "bfloat16"),
    "EVALUATE.PHASE": ("train", "test"),
    "LOG.ECHO": ("auto", "yes", "no"),
}
POSITIVE = (
    "MODEL.SLIDE_WINDOW_SIZE",
    "MODEL.HIDDEN_SIZE",
    "MODEL.RES_HIDDEN_SIZE",
    "TRAIN.BATCH_SIZE",
    "TRAIN.EPOCH",
    "TRAIN.LR",
    "TRAIN.LRDECAY",
    "TRAIN.LOG_EVERY",
    "TRAIN.TIMEOUT",
    "EVALUATE.SLIDE_WINDOW_STEP_SIZE",
    "EVALUATE.TRADITION_SAVGOL.WINDOW_SIZE",
    "EVALUATE.TRADITION_GAUS1D.WINDOW_SIZE",
    "EVALUATE.TRADITION_GAUS1D.SIGMA",
    "EVALUATE.TRADITION_ONEEURO.MIN_CUTOFF",
)
NOT_NEGATIVE = (
    "MODEL.NUM_BLOCK",
    "TRAIN.MICRO_BATCH",
    "TRAIN.GRAD_SCALE",
    "TRAIN.EARLY_STOP",
    "TRAIN.WORKERS_NUM",
    "EVALUATE.FPS",
    "LOSS.W_ACCEL",
    "LOSS.W_POS",
    "EVALUATE.TRADITION_SAVGOL.POLYORDER",
    "EVALUATE.TRADITION_ONEEURO.BETA",
    "VIS.START",
    "VIS.END",
)
ROOT_KEY = re.compile(r"DATASET\.ROOT_\w+_3D")


def load_config(
    yaml_path: str | Path | None = None,
    named: Mapping[str, Any] | None = None,
    opts: Iterable[str] = (),
) -> CfgNode:
    """The resolved settings: defaults, then the YAML file, then `named`, then `opts`.

    Args:
        yaml_path: a YAML file of ours or an official one.
        named: values by full key, e.g. {"TRAIN.EPOCH": 40}; None values are skipped.
        opts: KEY VALUE KEY VALUE ... as given on a command line.

    Raises:
        SmoothNetError: an unreadable file, an unknown key, a value of the wrong type or out of range.
    """
    cfg = DEFAULTS.clone()
    if yaml_path:
        for key, value in _flatten(read_yaml(yaml_path)):
            _set(cfg, key, value, str(yaml_path))
    for key, value in (named or {}).items():
        if value is not None:
            _set(cfg, key, value, "the command line")
    opts = list(opts)
    if len(opts) % 2:
        raise SmoothNetError(f"--opts takes pairs of KEY VALUE, but {opts[-1]} has no value")
    for key, text in zip(opts[::2], opts[1::2], strict=True):
        _set(cfg, key, text, "--opts")
    _check(cfg)
    cfg.freeze()
    return cfg


def read_yaml(path: str | Path) -> dict[str, Any]:
    """A YAML file as nested dicts, or a SmoothNetError that names the file and line."""
    try:
        with open(path, encoding="utf-8") as file:
            content = yaml.safe_load(file)
    except (OSError, UnicodeDecodeError) as error:
        raise SmoothNetError(f"cannot read the config {path}: {getattr(error, 'strerror', None) or error}") from error
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        where = f", line {mark.line + 1}" if mark else ""
        problem = " ".join(str(getattr(error, "problem", None) or error).split())
        raise SmoothNetError(f"{path}{where} is not valid YAML: {problem} (indent with spaces, not tabs)") from error
    if content is None:
        return {}
    if not isinstance(content, dict):
        raise SmoothNetError(f"{path} is not a config: it must hold KEY: value pairs")
    return content


def as_plain(cfg: CfgNode) -> dict[str, Any]:
    """The settings as nested plain dicts, ready for YAML or a checkpoint."""
    return {key: as_plain(value) if isinstance(value, CfgNode) else value for key, value in cfg.items()}


def as_yaml(cfg: CfgNode) -> str:
    """The settings as YAML text that load_config reads back."""
    return yaml.safe_dump(as_plain(cfg), sort_keys=False, default_flow_style=None)


def _flatten(tree: Mapping[str, Any], prefix: str = "") -> Iterable[tuple[str, Any]]:
    for key, value in tree.items():
        if isinstance(value, Mapping):
            yield from _flatten(value, f"{prefix}{key}.")
        else:
            yield f"{prefix}{key}", value


def _set(cfg: CfgNode, key: str, value: Any, source: str) -> None:
    *parents, leaf = key.split(".")
    node: Any = cfg
    for parent in parents:
        node = node.get(parent) if isinstance(node, CfgNode) else None
    if ROOT_KEY.fullmatch(key):
        node[leaf] = _root_joints(key, value, source)
        return
    if not isinstance(node, CfgNode) or leaf not in node:
        raise SmoothNetError(f"{source}: there is no setting {key}")
    if isinstance(node[leaf], CfgNode):
        raise SmoothNetError(f"{source}: {key} is a group of settings, not a value")
    node[leaf] = _coerce(key, value, node[leaf], source)


def _parse(value: Any) -> Any:
    """Text as the Python literal it spells (numbers like 1e-3, which YAML reads as text, among them)."""
    if not isinstance(value, str):
        return value
    try:
        return ast.literal_eval(value)
    except (ValueError, SyntaxError, MemoryError, RecursionError):
        return {"true": True, "false": False}.get(value.lower(), value)


def _coerce(key: str, value: Any, default: Any, source: str) -> Any:
    """`value` as the type of `default`: int for float, text for numbers and booleans; anything else is an error."""
    if isinstance(default, str):
        if value is None or value == "None":
            return ""
        if isinstance(value, str):
            return value
    else:
        parsed = _parse(value)
        if isinstance(default, bool):
            if isinstance(parsed, bool):
                return parsed
        elif isinstance(parsed, (int, float)) and not isinstance(parsed, bool):
            if isinstance(default, float):
                return float(parsed)
            if float(parsed).is_integer():
                return int(parsed)
    kind = {str: "text", bool: "True or False", int: "a whole number", float: "a number"}[type(default)]
    raise SmoothNetError(f"{source}: {key} must be {kind}, not {value!r}")


def _root_joints(key: str, value: Any, source: str) -> list[int]:
    joints = _parse(value)
    joints = list(joints) if isinstance(joints, (list, tuple)) else [joints]
    if not joints or not all(isinstance(joint, int) and joint >= 0 for joint in joints):
        raise SmoothNetError(f"{source}: {key} must be a list of joint numbers, not {value!r}")
    return joints


def get(cfg: CfgNode, key: str) -> Any:
    """The value at a full key such as "TRAIN.LR"."""
    for part in key.split("."):
        cfg = cfg[part]
    return cfg


def _check(cfg: CfgNode) -> None:
    for key, choices in CHOICES.items():
        if get(cfg, key) not in choices:
            raise SmoothNetError(f"{key} must be one of {', '.join(choices)}, not {get(cfg, key)!r}")
    for keys, holds, words in (
        (POSITIVE, lambda x: x > 0, "greater than 0"),
        (NOT_NEGATIVE, lambda x: x >= 0, "0 or more"),
    ):
        for key in keys:
            if not holds(get(cfg, key)):
                raise SmoothNetError(f"{key} must be {words}, not {get(cfg, key)}")
    for key in ("FLIP", "REVERSE", "MOTION", "SPEED"):
        if not 0 <= cfg.AUGMENT[key] <= 1:
            raise SmoothNetError(f"AUGMENT.{key} is a chance, from 0 to 1, not {cfg.AUGMENT[key]}")
    for key in ("SCALE", "MOTION_MAX", "SPEED_MAX"):
        if not cfg.AUGMENT[key] >= 1:
            raise SmoothNetError(f"AUGMENT.{key} must be at least 1, not {cfg.AUGMENT[key]}")
    if not 0 <= cfg.MODEL.DROPOUT < 1:
        raise SmoothNetError(f"MODEL.DROPOUT must be at least 0 and below 1, not {cfg.MODEL.DROPOUT}")
