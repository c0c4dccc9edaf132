"""The command line arguments of all scripts: each is named once, here."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Callable, Mapping, Sequence
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, NamedTuple

from ..utils.errors import SmoothNetError

if TYPE_CHECKING:
    from ..inference.options import SmoothingOptions

PACKAGE = __name__.partition(".")[0]  # lib in a checkout, smoothnet once installed


def program(command: str) -> str:
    """What the user calls a command: train_smoothnet.py in a checkout, `smoothnet train` once installed."""
    return f"{command}_smoothnet.py" if PACKAGE == "lib" else f"{PACKAGE} {command}"


def boolean(text: str) -> bool:
    """True or False, as `--autocast True` spells it."""
    try:
        return {"true": True, "1": True, "yes": True, "false": False, "0": False, "no": False}[text.lower()]
    except KeyError:
        raise argparse.ArgumentTypeError(f"{text!r} is neither True nor False") from None


def loss_scale(text: str) -> float:
    """True: PyTorch's usual first scale; False: no scaling; or the first scale itself."""
    try:
        return {True: 65536.0, False: 0.0}[boolean(text)]
    except argparse.ArgumentTypeError:
        try:
            return float(text)
        except ValueError:
            raise argparse.ArgumentTypeError(f"{text!r} is neither True, False nor a number") from None


class Argument(NamedTuple):
    """One argument: its spellings, the setting it stands for (empty: none), which scripts take it, and its help."""

    flags: tuple[str, ...]
    key: str
    scripts: str  # letters of: t(rain), e(val), v(isualize), s(mooth and visualize), (e)x(port), l(auncher only)
    help: str
    options: Mapping[str, Any] = MappingProxyType({})


SWITCH = {"type": boolean, "nargs": "?", "const": True, "metavar": "True|False"}
ARGUMENTS = (
    Argument(("--model_name",), "", "l", "name of the model, always smoothnet", {"choices": ["smoothnet"]}),
    Argument(("--cfg",), "", "tev", "YAML file of settings; without it the defaults", {"metavar": "YAML"}),
    Argument(("--device",), "DEVICE", "tes", "sdaa | sdaa:1 | cuda | cuda:0 | cpu | auto"),
    Argument(("--dataset_name",), "DATASET_NAME", "tev", "dataset, or a comma list"),
    Argument(("--estimator",), "ESTIMATOR", "tev", "pose estimator, or a comma list"),
    Argument(("--body_representation",), "BODY_REPRESENTATION", "tev", "3D | 2D | smpl, or a comma list"),
    Argument(("--slide_window_size", "--window"), "MODEL.SLIDE_WINDOW_SIZE", "tesx", "frames per window",
             {"type": int}),
    Argument(("--exp_name",), "EXP_NAME", "te", "name of the run"),
    Argument(("--logdir",), "LOGDIR", "te", "run folder; without it results/<time>_<EXP_NAME>"),
    Argument(("--seed",), "SEED_VALUE", "te", "seed of everything random", {"type": int}),
    Argument(("--epoch",), "TRAIN.EPOCH", "t", "epochs to train", {"type": int}),
    Argument(("--step",), "TRAIN.STEP", "t", "stop after this many iterations", {"type": int}),
    Argument(("--batch_size", "--bs"), "TRAIN.BATCH_SIZE", "t", "windows per batch and device", {"type": int}),
    Argument(("--lr",), "TRAIN.LR", "t", "learning rate of the first epoch", {"type": float}),
    Argument(("--num_workers",), "TRAIN.WORKERS_NUM", "t", "accepted; there are no workers", {"type": int}),
    Argument(("--resume",), "TRAIN.RESUME", "t", "checkpoint to go on from, or auto: the last one in --logdir if any"),
    Argument(("--checkpoint",), "EVALUATE.PRETRAINED", "esx", "the weights: .pth.tar, .onnx, or a folder"),
    Argument(("--tradition",), "EVALUATE.TRADITION", "ev", "filters beside it: savgol,oneeuro,gaus1d,gaussian or all"),
    Argument(("--slide_window_step_size",), "EVALUATE.SLIDE_WINDOW_STEP_SIZE", "tes", "frames between windows",
             {"type": int}),
    Argument(("--fps",), "EVALUATE.FPS", "es", "frame rate of the data, where it does not say", {"type": float}),
    Argument(("--delay",), "", "s", "smooth as a live stream would that gives a frame so many frames later",
             {"type": int}),
    Argument(("--min_score",), "", "s", "points with a lower score count as missing", {"type": float}),
    Argument(("--max_gap",), "", "s", "longest gap that is bridged, in frames; longer ones split the track",
             {"type": int}),
    Argument(("--fill",), "", "s", "also write points in bridged gaps", {"action": "store_true"}),
    Argument(("--dims",), "", "s", "coordinates a joint, for files that do not say",
             {"type": int, "choices": (1, 2, 3)}),
    Argument(("--input_format",), "", "s", "format of the input, instead of telling it by content"),
    Argument(("--report",), "EVALUATE.REPORT", "e", "also write the table to this .md, .csv or .json file"),
    Argument(("--per_sequence",), "EVALUATE.PER_SEQUENCE", "e", "write per_sequence.csv, one line a sequence", SWITCH),
    Argument(("--autocast",), "TRAIN.AUTOCAST", "te", "mixed precision", SWITCH),
    Argument(("--grad_scale",), "TRAIN.GRAD_SCALE", "t", "scale the loss of float16 training, or its first scale",
             {"type": loss_scale, "nargs": "?", "const": 65536.0, "metavar": "True|False|NUMBER"}),
    Argument(("--compile",), "TRAIN.COMPILE", "t", "compile the network with the device's compiler", SWITCH),
    Argument(("--profiler",), "TRAIN.PROFILER", "t", "record a profile of a few steps", SWITCH),
    Argument(("--profiler_path",), "TRAIN.PROFILER_PATH", "t", "folder for it, ./profiler_log by default"),
    Argument(("--early_stop",), "TRAIN.EARLY_STOP", "t", "stop after so many epochs without gain", {"type": int}),
    Argument(("--nproc_per_node",), "", "l", "processes on this machine, one a device", {"type": int, "default": 1}),
    Argument(("--nnode",), "", "l", "machines", {"type": int, "default": 1}),
    Argument(("--node_rank",), "", "l", "number of this machine, from 0", {"type": int, "default": 0}),
    Argument(("--master_addr",), "", "l", "address of machine 0", {"default": "127.0.0.1"}),
    Argument(("--master_port",), "", "l", "free port there", {"type": int, "default": 29500}),
    Argument(("--opts",), "", "tev", "KEY VALUE ...: any setting, last word",
             {"nargs": argparse.REMAINDER, "default": []}),
    Argument(("--eval",), "", "l", "evaluate --checkpoint instead of training", SWITCH),
)  # fmt: skip


def add_arguments(parser: argparse.ArgumentParser, script: str) -> None:
    """Add the arguments of one script (its letter), or of the launcher ("l": all of t, e and its own)."""
    for argument in ARGUMENTS:
        if script in argument.scripts or (script == "l" and set(argument.scripts) & set("te")):
            parser.add_argument(*argument.flags, help=argument.help, **{"default": None, **argument.options})


# further spellings of arguments of one command only; elsewhere they mean something else
ALIASES = {
    "smooth": {"--slide_window_step_size": ("--step",), "--input_format": ("--format",)},
    "visualize": {"--slide_window_step_size": ("--step",)},
}


def add_smoothing_arguments(parser: argparse.ArgumentParser, command: str = "visualize") -> None:
    """Add what decides how a file is smoothed: the same in smooth and visualize; see smoothing_options."""
    group = parser.add_argument_group("how poses are smoothed")
    for argument in ARGUMENTS:
        if "s" in argument.scripts:
            flags = (*argument.flags, *ALIASES[command].get(argument.flags[0], ()))
            options = {"default": False if argument.options.get("action") else None, **argument.options}
            group.add_argument(*flags, help=argument.help, **options)


def smoothing_options(args: argparse.Namespace, cfg: Any = None) -> SmoothingOptions:
    """What the arguments of add_smoothing_arguments say; what they leave open is taken from the settings, if given."""
    from ..inference.options import SmoothingOptions

    chosen = {
        "step": args.slide_window_step_size,
        "window": args.slide_window_size,
        **{name: getattr(args, name) for name in ("fps", "checkpoint", "device")},
    }
    if cfg is not None:
        settings = {
            "step": cfg.EVALUATE.SLIDE_WINDOW_STEP_SIZE, "fps": cfg.EVALUATE.FPS or None,
            "checkpoint": cfg.EVALUATE.PRETRAINED or None, "device": cfg.DEVICE,
        }  # fmt: skip
        chosen = {name: settings.get(name) if value is None else value for name, value in chosen.items()}
    for name in ("delay", "min_score", "max_gap", "fill", "dims", "input_format"):
        chosen[name] = getattr(args, name)
    return SmoothingOptions(**{name: value for name, value in chosen.items() if value is not None})


def named_settings(args: argparse.Namespace) -> dict[str, Any]:
    """The given arguments that stand for a setting: full key -> value."""
    values = {argument.key: getattr(args, argument.flags[0][2:], None) for argument in ARGUMENTS if argument.key}
    return {key: value for key, value in values.items() if value is not None}


def run_main(main: Callable[[Sequence[str] | None], int], argv: Sequence[str] | None = None) -> int:
    """Call an entry script's main; a user's mistake becomes one sentence on stderr and status 2."""
    try:
        return main(argv)
    except SmoothNetError as error:
        rank = os.environ.get("RANK", "0")  # of several processes, which usually have the same to say
        print(f"error: {error}" if rank == "0" else f"error of process {rank}: {error}", file=sys.stderr)
        return 2
    except ModuleNotFoundError as error:
        if error.name != "torch":
            raise
        print("error: PyTorch is not installed: pip install torch (see pytorch.org)", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        return 130
