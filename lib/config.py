# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) SmoothNet contributors
"""Every setting of training, evaluation and visualisation: one row each, from which all else follows.

Names are those of the published YAML files, which load unchanged; keys added here say so. A row holds the default,
which decides the type, the values that are allowed, what the setting means, and the command-line arguments that set it
(commands.arguments makes them).
"""

from __future__ import annotations

import difflib
import math
import os
import re
import stat
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from .utils.errors import SmoothNetError

if TYPE_CHECKING:
    import yaml
    from yacs.config import CfgNode

LARGEST_FILE = 2**18  # bytes of a YAML file, a hundred times what all settings with comments take
MOST_VALUES, DEEPEST = 5000, 8  # in a YAML file, aliases followed
MANY = 2**31 - 1


class Check(NamedTuple):
    """Which values are allowed, and the words for them."""

    holds: Callable[[Any], bool]
    words: str


def between(low: float, high: float) -> Check:
    """From `low` to `high`, both included."""
    return Check(lambda x: low <= x <= high, f"from {low} to {high}")


def one_of(*choices: str) -> Check:
    """One of these words."""
    return Check(lambda x: x in choices, f"one of {', '.join(choices)}")


def list_of(*choices: str) -> Check:
    """Some of these words, with commas between them, or nothing."""
    return Check(
        lambda x: not x or all(word.strip() in choices for word in x.split(",")),
        f"of {', '.join(choices)}, with commas between them",
    )


ANY = Check(lambda x: True, "")
POSITIVE = Check(lambda x: x > 0, "greater than 0")
NOT_NEGATIVE = Check(lambda x: x >= 0, "0 or more")
COUNT, COUNT_OR_0 = between(1, MANY), between(0, MANY)
SIZE = between(1, 65536)  # of a layer
CHANCE = between(0, 1)
FACTOR = between(1, 100)


@dataclass(frozen=True)
class Setting:
    """One setting.

    Attributes:
        key: where it stands in a YAML file, e.g. "TRAIN.LR".
        default: the value without any other; decides the type.
        help: what it means, for the command line and for readers.
        check: the values that are allowed.
        flags: its command-line arguments, if any, the first spelling first: "--batch_size --bs".
        commands: the commands that take them: "train eval smooth corpus visualize export".
        added: not a key of the published files.
        ignored: why it does nothing, if so: it is accepted since published files have it.
        path: "in" or "out" for paths, which the launcher makes absolute.
        words: words that stand for a value.
    """

    key: str
    default: Any
    help: str
    check: Check = ANY
    flags: str = ""
    commands: str = ""
    added: bool = False
    ignored: str = ""
    path: str = ""
    words: tuple[tuple[str, Any], ...] = ()

    def parse(self, value: Any) -> Any:
        """`value`, or what its text spells, as the type of the default.

        Raises:
            ValueError: it must be something else; the text says what.
        """
        read, kind = TYPES[type(self.default)]
        try:
            parsed = read(dict(self.words).get(str(value).lower(), value))
            if self.check.holds(parsed):
                return parsed
        except (TypeError, ValueError, OverflowError):
            pass
        shown = repr(value)
        shown = shown if len(shown) <= 80 else f"{shown[:60]}... ({len(shown)} characters)"
        words = self.check.words if isinstance(self.default, str) else f"{kind} {self.check.words}"
        raise ValueError(f"must be {words.strip() or kind}, not {shown}")


def _boolean(value: Any) -> bool:
    words = {"true": True, "1": True, "yes": True, "on": True, "false": False, "0": False, "no": False, "off": False}
    return words[value.lower()] if isinstance(value, str) and value.lower() in words else _is(bool, value)


def _whole(value: Any) -> int:
    if isinstance(value, str):
        value = int(value) if re.fullmatch(r"[+-]?\d{1,30}", value) else float(value)
    if isinstance(value, bool) or value != int(value) or abs(value) >= 2**63:
        raise ValueError
    return int(value)


def _number(value: Any) -> float:
    if isinstance(value, bool) or not math.isfinite(float(value)):
        raise ValueError
    return float(value)


def _text(value: Any) -> str:
    value = "" if value is None else _is(str, value)
    if "\0" in value:  # in no path
        raise ValueError
    return "" if value in ("None", "null", "~") else value


def _joints(value: Any) -> list[int]:
    if isinstance(value, str):
        value = value.strip("[]() ").split(",")
    joints = [_whole(joint) for joint in (value if isinstance(value, (list, tuple)) else [value])]
    if not joints or not all(0 <= joint <= MANY for joint in joints):
        raise ValueError
    return joints


def _is(kind: type, value: Any) -> Any:
    if not isinstance(value, kind):
        raise ValueError
    return value


TYPES: dict[type, tuple[Callable[[Any], Any], str]] = {  # type of the default -> how a value is read, what it must be
    bool: (_boolean, "True or False"),
    int: (_whole, "a whole number"),
    float: (_number, "a number"),
    str: (_text, "text"),
    list: (_joints, "a list of joint numbers"),
}

SETTINGS = (
    Setting("DEVICE", "auto", "sdaa | sdaa:1 | cuda | cuda:0 | cpu | auto, the first of sdaa, cuda, cpu that is there",
            flags="--device", commands="train eval smooth corpus visualize"),
    Setting("SEED_VALUE", 4321, "seed of everything random", between(0, 2**63 - 1), "--seed", "train eval"),
    Setting("LOGDIR", "", "run folder; without it OUTPUT_DIR/<time>_<EXP_NAME>", flags="--logdir",
            commands="train eval", path="out"),
    Setting("EXP_NAME", "smoothnet", "name of the run", flags="--exp_name", commands="train eval"),
    Setting("DEBUG", False, "debug lines in the log"),
    Setting("OUTPUT_DIR", "results", "where run folders go"),
    Setting("DATASET_NAME", "", "dataset, or a comma list", flags="--dataset_name", commands="train eval visualize"),
    Setting("ESTIMATOR", "", "pose estimator, or a comma list", flags="--estimator", commands="train eval visualize"),
    Setting("BODY_REPRESENTATION", "", "3D | 2D | smpl, or a comma list", list_of("3D", "2D", "smpl"),
            flags="--body_representation", commands="train eval visualize"),
    Setting("SMPL_MODEL_DIR", "data/smpl", "folder of the SMPL files"),
    Setting("CUDNN.BENCHMARK", True, "let cudnn look for its fastest kernels"),
    Setting("CUDNN.DETERMINISTIC", False, "only cudnn's deterministic kernels"),
    Setting("CUDNN.ENABLED", True, "use cudnn"),
    Setting("DATASET.BASE_DIR", "data/poses", "folder of the pose files"),
    Setting("MODEL.NAME", "smoothnet", "the kind of network, a row of lib/training/recipes.py", added=True),
    Setting("MODEL.SLIDE_WINDOW_SIZE", 32, "frames per window", SIZE, "--slide_window_size --window",
            "train eval smooth corpus visualize export page"),
    Setting("MODEL.HIDDEN_SIZE", 512, "width of the encoder", SIZE),
    Setting("MODEL.RES_HIDDEN_SIZE", 256, "width within a residual block", SIZE),
    Setting("MODEL.NUM_BLOCK", 3, "residual blocks", between(0, 1000)),
    Setting("MODEL.DROPOUT", 0.5, "chance that a value is dropped in training",
            Check(lambda x: 0 <= x < 1, "at least 0 and below 1")),
    Setting("MODEL.KNOTS", 16, "general: frames of a window in which its mixture is decided", between(2, 65536),
            added=True),
    Setting("MODEL.NORMALIZE", "none", "none (as published) | body (free of unit and origin)", one_of("none", "body"),
            added=True),
    Setting("TRAIN.BATCH_SIZE", 1024, "windows per batch and device", COUNT, "--batch_size --bs", "train"),
    Setting("TRAIN.WORKERS_NUM", 0, "accepted; there are no workers", COUNT_OR_0, "--num_workers", "train eval",
            ignored="batches are gathered without workers"),
    Setting("TRAIN.EPOCH", 70, "epochs to train", COUNT, "--epoch", "train"),
    Setting("TRAIN.LR", 1e-3, "learning rate of the first epoch", POSITIVE, "--lr", "train"),
    Setting("TRAIN.LRDECAY", 0.95, "factor after each epoch", Check(lambda x: 0 < x <= 1, "greater than 0, at most 1")),
    Setting("TRAIN.RESUME", "", "checkpoint to go on from, or auto: the last one in --logdir if any", flags="--resume",
            commands="train", path="in"),
    Setting("TRAIN.VALIDATE", True, "evaluate after each epoch"),
    Setting("TRAIN.USE_6D_SMPL", True, "6D rotations for smpl, as the network takes them"),
    Setting("TRAIN.SAMPLING", "uniform", "uniform (each window once an epoch) | legacy (the official index)",
            one_of("uniform", "legacy"), added=True),
    Setting("TRAIN.DATA_DEVICE", "auto", "where the frames lie: auto (on the device if they fit) | cpu | device",
            one_of("auto", "cpu", "device"), added=True),
    Setting("TRAIN.MICRO_BATCH", 0, "windows per piece of a batch; 0: chosen for the device", COUNT_OR_0, added=True),
    Setting("TRAIN.STEP", -1, "stop after this many iterations; -1: train for EPOCH epochs", between(-1, 2**63 - 1),
            "--step", "train", added=True),
    Setting("TRAIN.AUTOCAST", False, "mixed precision", flags="--autocast", commands="train eval", added=True),
    Setting("TRAIN.AUTOCAST_DTYPE", "auto", "type under autocast: auto | float16 | bfloat16",
            one_of("auto", "float16", "bfloat16"), added=True),
    Setting("TRAIN.GRAD_SCALE", 65536.0, "first loss scale of float16 training; True: 65536, False: no scaling",
            NOT_NEGATIVE, "--grad_scale", "train", added=True, words=(("true", 65536.0), ("false", 0.0))),
    Setting("TRAIN.CLIP", 0.0, "largest norm of a step's gradient; 0: any", NOT_NEGATIVE, added=True),
    Setting("TRAIN.AVERAGE", 0.0, "keep a running mean of the weights, this share of it at each step; 0: none",
            Check(lambda x: 0 <= x < 1, "at least 0 and below 1"), added=True),
    Setting("TRAIN.EARLY_STOP", 0, "stop after so many epochs without a better result; 0: never", COUNT_OR_0,
            "--early_stop", "train", added=True),
    Setting("TRAIN.COMPILE", False, "compile the network with the device's compiler", flags="--compile",
            commands="train", added=True),
    Setting("TRAIN.PROFILER", False, "record a profile of a few steps", flags="--profiler", commands="train",
            added=True),
    Setting("TRAIN.PROFILER_PATH", "profiler_log", "folder for it", flags="--profiler_path", commands="train",
            added=True, path="out"),
    Setting("TRAIN.TIMEOUT", 600.0, "seconds after which a process that does not answer the others counts as hanging",
            POSITIVE, added=True),
    Setting("TRAIN.LOG_EVERY", 50, "iterations between readings of the loss on an accelerator", COUNT, added=True),
    # changed copies of the training windows, see dataset/augment.py; all off
    Setting("AUGMENT.FLIP", 0.0, "chance of a sign flip", CHANCE, added=True),
    Setting("AUGMENT.REVERSE", 0.0, "chance of time running backwards", CHANCE, added=True),
    Setting("AUGMENT.SCALE", 1.0, "signals are multiplied by 1 / SCALE to SCALE", FACTOR, added=True),
    Setting("AUGMENT.MOTION", 0.0, "chance that the truth, not its error, is multiplied by 1 to MOTION_MAX", CHANCE,
            added=True),
    Setting("AUGMENT.MOTION_MAX", 4.0, "see MOTION", FACTOR, added=True),
    Setting("AUGMENT.SPEED", 0.0, "chance that the truth, not its error, is 1 to SPEED_MAX times as fast", CHANCE,
            added=True),
    Setting("AUGMENT.SPEED_MAX", 3.0, "see SPEED", FACTOR, added=True),
    # what the general smoother is trained on, see training/pools.py; generated motion always comes with it
    Setting("GENERAL.FILES", "", "comma list of files and folders of motion and of pairs", added=True),
    Setting("GENERAL.HELD_OUT", "", "people to leave out: uiprmd 9, cmu 02_03", added=True),
    Setting("GENERAL.MOTION_SHARES", "", "of the windows with made errors: cmu 0.5, generated 0.2; empty: by length",
            added=True),
    Setting("GENERAL.PAIR_SHARES", "", "of the windows that are real pairs, as MOTION_SHARES", added=True),
    Setting("GENERAL.PAIRS", 0.22, "share of windows that are real pairs", CHANCE, added=True),
    Setting("GENERAL.WINDOWS", 48000, "windows of a pool", COUNT, added=True),
    Setting("GENERAL.EPOCHS_PER_POOL", 2, "epochs after which there is a new pool", COUNT, added=True),
    Setting("GENERAL.CHANNELS", 1100, "channels of a batch, about, on each device", COUNT, added=True),
    Setting("EVALUATE.PRETRAINED", "", "the weights: .safetensors or .pth.tar, a folder of them, or a name of those "
            "that come along; to smooth, .onnx too",
            flags="--checkpoint", commands="eval smooth corpus visualize export page", path="in"),
    Setting("EVALUATE.ROOT_RELATIVE", True, "3D joints relative to the root"),
    Setting("EVALUATE.SLIDE_WINDOW_STEP_SIZE", 1, "frames between windows", COUNT, "--slide_window_step_size",
            "train eval smooth corpus visualize"),
    Setting("EVALUATE.TRADITION", "", "filters to compare with, a comma list: savgol, oneeuro, gaus1d, gaussian, rts, "
            "butterworth, median, or all",
            flags="--tradition", commands="eval visualize"),
    Setting("EVALUATE.FPS", 0.0, "frame rate of the data, where it does not say; unknown without", between(0, 10**6),
            "--fps", "eval smooth corpus visualize inspect convert", added=True),
    Setting("EVALUATE.PHASE", "test", "files to evaluate: test | train", one_of("train", "test"), added=True),
    Setting("EVALUATE.REPORT", "", "also write the table to this .md, .csv or .json file", flags="--report",
            commands="eval", added=True, path="out"),
    Setting("EVALUATE.PER_SEQUENCE", False, "write per_sequence.csv, one line a sequence", flags="--per_sequence",
            commands="eval", added=True),
    Setting("LOSS.W_ACCEL", 1.0, "weight of the acceleration error", NOT_NEGATIVE),
    Setting("LOSS.W_POS", 1.0, "weight of the position error", NOT_NEGATIVE),
    Setting("LOG.NAME", "", "name of the log", ignored="the log's name is fixed"),
    Setting("LOG.ECHO", "auto", "iteration lines on stdout: auto (where it is no terminal) | yes | no",
            one_of("auto", "yes", "no"), added=True),
    Setting("VIS.START", 0, "first frame to draw", COUNT_OR_0),
    Setting("VIS.END", 1000, "frame behind the last one to draw", COUNT_OR_0),
)  # fmt: skip
FILTER_SETTINGS = (  # of the published filters, in frames
    Setting("EVALUATE.TRADITION_SAVGOL.WINDOW_SIZE", 31, "frames", COUNT),
    Setting("EVALUATE.TRADITION_SAVGOL.POLYORDER", 2, "of the polynomial", between(0, 100)),
    Setting("EVALUATE.TRADITION_GAUS1D.WINDOW_SIZE", 31, "frames of a chunk", COUNT),
    Setting("EVALUATE.TRADITION_GAUS1D.SIGMA", 3.0, "frames", Check(lambda x: 0 < x <= 1e4, "above 0, at most 10000")),
    Setting("EVALUATE.TRADITION_ONEEURO.MIN_CUTOFF", 0.04, "cut-off at rest, cycles a frame", POSITIVE),
    Setting("EVALUATE.TRADITION_ONEEURO.BETA", 0.7, "growth of the cut-off with the speed", NOT_NEGATIVE),
)
ROOT = Setting("DATASET.ROOT_<DATASET>_<ESTIMATOR>_3D", [0], "root joints, whose mean is subtracted; else the table's")
ROOT_KEY = re.compile(r"DATASET\.ROOT_\w+_3D")


def settings() -> dict[str, Setting]:
    """Every setting by its key."""
    return {setting.key: setting for setting in (*SETTINGS, *FILTER_SETTINGS)}


def defaults() -> CfgNode:
    """The default of every setting, as a tree."""
    from yacs.config import CfgNode

    cfg = CfgNode()
    for key, setting in settings().items():
        *groups, leaf = key.split(".")
        node = cfg
        for group in groups:
            node = node.setdefault(group, CfgNode())
        node[leaf] = setting.default
    return cfg


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
    cfg, known = defaults(), settings()
    opts = list(opts)
    if len(opts) % 2:
        raise SmoothNetError(f"--opts takes pairs of KEY VALUE, but {opts[-1]} has no value")
    sources: dict[str, Iterable[tuple[str, Any]]] = {
        str(yaml_path): read_yaml(yaml_path) if yaml_path else (),
        "the command line": ((key, value) for key, value in (named or {}).items() if value is not None),
        "--opts": zip(opts[::2], opts[1::2], strict=True),
    }
    for source, pairs in sources.items():
        for key, value in pairs:
            try:
                _set(cfg, known, key, value)
            except ValueError as error:
                raise SmoothNetError(f"{source}: {error}") from None
    cfg.freeze()
    return cfg


def _set(cfg: CfgNode, known: Mapping[str, Setting], key: str, value: Any) -> None:
    setting = ROOT if ROOT_KEY.fullmatch(key) else known.get(key)
    if setting is None:
        if not any(other.startswith(f"{key}.") for other in known):
            raise ValueError(f"there is no setting {_short(key)}{_nearest(key, known)}")
        if value in (None, ""):  # a group whose lines are comments, all of them
            return
        raise ValueError(f"{key} is a group of settings, not a value")
    try:
        parsed = setting.parse(value)
    except ValueError as error:
        raise ValueError(f"{key} {error}") from None
    *groups, leaf = key.split(".")
    get(cfg, ".".join(groups))[leaf] = parsed


def _nearest(key: str, known: Iterable[str]) -> str:
    """The key that was probably meant, as a question."""
    key = key[:100].upper()
    near = [ROOT.key] if key.startswith("DATASET.ROOT") else difflib.get_close_matches(key, known, 1, 0.7)
    if not near:  # the right word under the wrong group
        leaf = {name.rpartition(".")[2]: name for name in known}
        near = [leaf[word] for word in difflib.get_close_matches(key.rpartition(".")[2], leaf, 1, 0.8)]
    return f"; did you mean {near[0]}?" if near else ""


def _short(text: str) -> str:
    return text if len(text) <= 80 else f"{text[:60]}..."


def read_yaml(path: str | Path) -> Iterator[tuple[str, Any]]:
    """The values of a YAML file with their full keys; text as it stands there, since its setting says what it is.

    So nothing that YAML makes of text (dates, octal numbers, `no`) comes between.

    Raises:
        SmoothNetError: it is no file, too large, not YAML, or not KEY: value pairs; names file and line.
    """
    import yaml

    try:
        if not stat.S_ISREG(os.stat(path).st_mode):
            raise SmoothNetError(f"the config {path} is not a file")
        with open(path, "rb") as file:
            content = file.read(LARGEST_FILE + 1)
        if len(content) > LARGEST_FILE:
            raise SmoothNetError(f"{path} is not a config: it is larger than {LARGEST_FILE // 1024} KiB")
        root = yaml.compose(content.decode("utf-8-sig"), yaml.SafeLoader)
    except (OSError, UnicodeDecodeError) as error:
        raise SmoothNetError(f"cannot read the config {path}: {getattr(error, 'strerror', None) or error}") from error
    except (yaml.YAMLError, RecursionError) as error:
        mark = getattr(error, "problem_mark", None)
        where = f", line {mark.line + 1}" if mark else ""
        problem = " ".join(str(getattr(error, "problem", None) or error).split())
        if isinstance(error, RecursionError):
            problem = "nested too deep"
        raise SmoothNetError(
            f"{path}{where} is not valid YAML: {_short(problem)} (indent with spaces, not tabs)"
        ) from error
    if root is None:
        return iter(())
    if not isinstance(root, yaml.MappingNode):
        raise SmoothNetError(f"{path} is not a config: it must hold KEY: value pairs")
    return _pairs(root, path)


def _pairs(root: yaml.MappingNode, path: str | Path) -> Iterator[tuple[str, Any]]:
    """The pairs of a mapping and of those in it; at most MOST_VALUES, at most DEEPEST, whatever aliases say."""
    import yaml

    count = 0

    def where(node: yaml.Node) -> str:
        return f"{path}, line {node.start_mark.line + 1}"

    def check(node: yaml.Node, depth: int) -> None:
        nonlocal count
        count += 1
        if count > MOST_VALUES or depth > DEEPEST:
            raise SmoothNetError(f"{where(node)}: these are more values, or deeper ones, than a config can have")
        if not node.tag.startswith("tag:yaml.org,2002:") or "python" in node.tag:
            raise SmoothNetError(f"{where(node)}: the tag {_short(node.tag)} is not read; write plain values")

    def pairs(node: yaml.MappingNode, prefix: str, depth: int) -> Iterator[tuple[str, Any]]:
        check(node, depth)
        seen: set[str] = set()
        if not all(isinstance(key, yaml.ScalarNode) for key, _ in node.value):
            raise SmoothNetError(f"{where(node)}: a key that is not a word")
        for key, value in sorted(node.value, key=lambda pair: pair[0].value != "<<"):  # what is merged can be replaced
            name = prefix + key.value
            if name in seen:
                raise SmoothNetError(f"{where(key)}: {_short(name)} stands there twice")
            seen.add(name)
            if isinstance(value, yaml.MappingNode):
                yield from pairs(value, prefix if key.value == "<<" else f"{name}.", depth + 1)
            else:
                yield name, plain(value, depth + 1)

    def plain(node: yaml.Node, depth: int) -> Any:
        check(node, depth)
        if isinstance(node, yaml.MappingNode):
            raise SmoothNetError(f"{where(node)}: KEY: value pairs within a list")
        return [plain(part, depth + 1) for part in node.value] if isinstance(node, yaml.SequenceNode) else node.value

    return pairs(root, "", 0)


def as_plain(cfg: CfgNode) -> dict[str, Any]:
    """The settings as nested plain dicts, ready for YAML or a checkpoint."""
    return {key: as_plain(value) if isinstance(value, dict) else value for key, value in cfg.items()}


def as_yaml(cfg: CfgNode) -> str:
    """The settings as YAML text that load_config reads back."""
    import yaml

    return yaml.safe_dump(as_plain(cfg), sort_keys=False, default_flow_style=None)


def get(cfg: Mapping[str, Any], key: str) -> Any:
    """The value at a full key such as "TRAIN.LR"; the tree itself at ""."""
    for part in key.split(".") if key else ():
        cfg = cfg[part]
    return cfg


def changed(cfg: CfgNode, group: str = "") -> dict[str, Any]:
    """The settings of a group (all by default) that are not at their defaults, by full key."""
    values = ((key, get(cfg, key), setting) for key, setting in settings().items() if key.startswith(group))
    return {key: value for key, value, setting in values if value != setting.default}


def ignored(cfg: CfgNode) -> list[str]:
    """What there is to say of settings that were given and do nothing."""
    known = settings()
    names = zip(cfg.DATASET_NAME.split(","), cfg.ESTIMATOR.split(","), strict=False)
    wanted = {f"ROOT_{dataset.strip()}_{estimator.strip()}_3D".upper() for dataset, estimator in names}
    roots = [key for key in cfg.DATASET if ROOT_KEY.fullmatch(f"DATASET.{key}")]
    return [
        f"{key} {value} is accepted and does nothing: {known[key].ignored}"
        for key, value in changed(cfg).items()
        if known[key].ignored
    ] + [  # files may give those of many datasets; where none is of these, a name is misspelt
        f"DATASET.{key} does nothing: this run is about {', '.join(f'DATASET.{name}' for name in sorted(wanted))}"
        for key in (roots if wanted.isdisjoint(roots) else ())
    ]


def differences(before: Any, cfg: CfgNode) -> list[str]:
    """Settings that are not what they were, as a checkpoint stored them (`as_plain`); one sentence each."""

    def flat(tree: Any, prefix: str = "") -> dict[str, Any]:
        pairs: dict[str, Any] = {}
        for key, value in tree.items() if isinstance(tree, Mapping) else ():
            inner = isinstance(value, Mapping)
            pairs |= flat(value, f"{prefix}{key}.") if inner else {f"{prefix}{key}": value}
        return pairs

    old, new = flat(before), flat(cfg)
    return [
        f"{key} is {new[key]!r}, was {old[key]!r}"
        for key in new
        if key in old and key != "TRAIN.RESUME" and _short(repr(old[key])) != _short(repr(new[key]))
    ]
