# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) SmoothNet contributors
"""The command line arguments of all commands: those of settings stand in config.py, the others here, each once."""

from __future__ import annotations

import argparse
import errno
import os
import re
import sys
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, NamedTuple, NoReturn

from .. import __version__, config
from ..utils.errors import SmoothNetError
from ..utils.signals import send_again_what_got_lost

if TYPE_CHECKING:
    from ..inference.options import SmoothingOptions

PACKAGE = __name__.partition(".")[0]  # lib in a checkout, smoothnet once installed
SMOOTHING = {"smooth", "visualize", "corpus"}  # what all take decides how poses are smoothed
_LONGEST = 2000  # characters of a sentence
INTERRUPTED = 128 + 2  # the status of a program that Ctrl-C ended
BROKEN_PIPE = 128 + 13  # the status of a program whose output nobody reads any more


class Argument(NamedTuple):
    """One argument of the command line."""

    flags: tuple[str, ...]  # its spellings
    commands: str  # which take it, see COMMANDS; and launch, for the launcher alone
    help: str
    options: Mapping[str, Any] = MappingProxyType({})  # of argparse
    key: str = ""  # of the setting that it sets
    path: str = ""  # see config.Setting

    @property
    def name(self) -> str:
        """Its name among the parsed arguments."""
        return next((flag for flag in self.flags if flag.startswith("--")), self.flags[0]).lstrip("-")


def argument_type(parse: Callable[[Any], Any]) -> Callable[[str], Any]:
    """A type for argparse whose complaint is the ValueError's own text."""

    def read(text: str) -> Any:
        try:
            return parse(text)
        except ValueError as error:
            raise argparse.ArgumentTypeError(str(error)) from None

    return read


def number(default: float, check: config.Check = config.ANY) -> Callable[[str], Any]:
    """The type of an argument that is no setting: a number like the default, checked like one."""
    return argument_type(config.Setting("", default, "", check).parse)


def edge_list(text: str) -> list[tuple[int, int]]:
    """0-1,1-2 as pairs of numbers."""
    pairs = [re.fullmatch(r"(\d{1,6})-(\d{1,6})", pair.strip()) for pair in text.split(",") if pair.strip()]
    if not pairs or None in pairs:
        raise argparse.ArgumentTypeError(f"{text!r} is not a list of joint pairs such as 0-1,1-2")
    return [(int(pair[1]), int(pair[2])) for pair in pairs if pair]


def picture_size(text: str) -> tuple[int, int]:
    """1280x720 as numbers."""
    match = re.fullmatch(r"(\d{1,5})x(\d{1,5})", text)
    if not match:
        raise argparse.ArgumentTypeError(f"{text!r} is not a size such as 1280x720")
    return int(match[1]), int(match[2])


def gap_length(text: str) -> int | str:
    """10, or 0.5s as it is."""
    return text if text.endswith("s") else number(0, config.COUNT_OR_0)(text)


class ListFormats(argparse.Action):
    """Print the formats that can be smoothed, and stop."""

    def __call__(self, parser: argparse.ArgumentParser, *_: Any) -> None:
        from ..formats import list_formats

        print(list_formats())
        parser.exit()


COUNT = {"type": number(1, config.COUNT), "metavar": "N"}
COUNT_OR_0 = {"type": number(0, config.COUNT_OR_0), "metavar": "N"}
SWITCH = {"action": "store_true"}
PATH = {"metavar": "PATH"}
OWN = (  # what is no setting
    Argument(("inputs",), "smooth", "file of poses, folder with a file a frame, or - with --stream",
             {"nargs": "+", "metavar": "INPUT"}),
    Argument(("inputs",), "inspect", "file of poses, or folder with a file a frame", {"nargs": "+", "metavar": "FILE"}),
    Argument(("input",), "convert", "file of poses, or folder with a file a frame", {"metavar": "IN"}),
    Argument(("output",), "convert", "the file to write; its ending decides the form", {"metavar": "OUT"}),
    Argument(("-o", "--output"), "smooth", "output file, of another form where its ending is another; a folder for "
             "several inputs", {"metavar": "OUT"}),
    Argument(("inputs",), "corpus", "file, folder, pattern, list, shard, or the URL of one",
             {"nargs": "+", "metavar": "INPUT"}),
    Argument(("-o", "--output"), "corpus", "folder or URL that will mirror the inputs",
             {"metavar": "OUT", "required": True}),
    Argument(("--manifest",), "corpus", "what is known of each file, an SQLite file (OUT.corpus/manifest.sqlite)",
             {"metavar": "FILE"}),
    Argument(("--engine",), "corpus", "local (default): processes of this machine | ray: a Ray cluster",
             {"choices": ("local", "ray"), "default": "local"}),
    Argument(("--address",), "corpus", "of a Ray cluster that is there; without it one is started for the run",
             {"metavar": "ADDR"}),
    Argument(("--jobs",), "corpus", "files at once: processes or Ray tasks (as many as processors); 0: here",
             COUNT_OR_0),
    Argument(("--retry",), "corpus", "try again what has failed", SWITCH),
    Argument(("--force",), "corpus", "replace files that no run of this manifest has written (never an input)", SWITCH),
    Argument(("-o", "--output"), "export", "the .onnx file to write", {"metavar": "ONNX", "required": True}),
    Argument(("-o", "--output"), "page", "the .html to write; .js for the weights alone",
             {"metavar": "PAGE", "required": True}),
    Argument(("-o", "--output", "--output_video_path"), "visualize", "where the pictures go (./visualize)",
             {"metavar": "FOLDER", "default": "./visualize"}),
    Argument(("--cfg",), "train eval visualize", "YAML file of settings; without it the defaults", {"metavar": "YAML"},
             path="in"),
    Argument(("--model_name",), "launch", "name of the model, always smoothnet", {"choices": ["smoothnet"]}),
    Argument(("--delay",), "smooth visualize corpus",
             "smooth as a live stream would that gives a frame so many frames later; with the default "
             "weights 31 gives what a whole recording does, at 34 no frame of a stream takes longer than others",
             COUNT_OR_0),
    Argument(("--method",), "smooth visualize corpus",
             "network (default) | rts | butterworth | gaussian | savgol | oneeuro | median", {"metavar": "NAME"}),
    Argument(("--strength",), "smooth visualize corpus", "0 gives the input, 1 (default) what the method does by "
             "itself, more is smoother (the default network up to 4, classical filters up to 1000)",
             {"type": number(1.0), "metavar": "X"}),
    Argument(("--cutoff",), "smooth visualize corpus", "cut-off frequency of a classical filter, in place of its "
             "strength", {"type": number(1.0), "metavar": "HZ"}),
    Argument(("--outliers",), "smooth visualize corpus", "hampel: reject outliers before the method sees them; "
             "network: so does the default network by every second frame, at 48 frames/s and more, in twice the time",
             {"metavar": "NAME"}),
    Argument(("--min_score",), "smooth visualize corpus inspect", "points with a lower score count as missing",
             {"type": number(0.0), "metavar": "X"}),
    Argument(("--max_gap",), "smooth visualize corpus",
             "longest gap that is bridged, in frames (10) or seconds (0.5s); longer ones split the track",
             {"type": gap_length, "metavar": "N|Xs"}),
    Argument(("--fill",), "smooth visualize corpus",
             "also write points in bridged gaps: linear (without a word), spline, or network, which smooths the spline",
             {"nargs": "?", "const": True, "choices": ("linear", "spline", "network")}),
    Argument(("--dims",), "smooth visualize corpus inspect convert", "coordinates a joint, for files that do not say",
             {"type": int, "choices": (1, 2, 3)}),
    Argument(("--input_format",), "smooth visualize corpus inspect convert",
             "format of the input, instead of telling it by content",
             {"metavar": "NAME"}),
    Argument(("--layout",), "smooth visualize corpus inspect convert",
             "what arrays and tables do not say: axes by letter (c cameras, p people, t frames, k joints, "
             "d numbers of a joint), the numbers of a joint (x,y,z,score; _ is left alone; or axis-angle, wxyz, xyzw, "
             "matrix, 6d) and missing=VALUE or none, as in 'ctkd x,y,score missing=-1'", {"metavar": "WORDS"}),
    Argument(("--plot",), "smooth", "also write OUT.png: the joints that changed most, before and after", SWITCH),
    Argument(("--derivatives",), "smooth",
             "also write OUT.derivatives.npz: velocity and acceleration, per second", SWITCH),
    Argument(("--uncertainty",), "smooth",
             "also write OUT.uncertainty.npz: a standard deviation for each point (general network)", SWITCH),
    Argument(("--report",), "smooth", "also write what the lines say, for programs", {"metavar": "JSON"}),
    Argument(("--jobs",), "smooth", "files that are smoothed at the same time, each in a process of its own (1)",
             {**COUNT, "default": 1}),
    Argument(("--force",), "smooth convert", "replace existing outputs (never an input)", SWITCH),
    Argument(("--force",), "page export", "replace an existing file", SWITCH),
    Argument(("--force",), "visualize", "replace existing pictures (never --input or --video)", SWITCH),
    Argument(("--stream",), "smooth", "JSON lines from standard input to standard output as they come", SWITCH),
    Argument(("--formats",), "smooth", "list the formats and stop", {"action": ListFormats, "nargs": 0}),
    Argument(("--visualize_video_id",), "visualize", "sequence of the dataset, from 0", {**COUNT_OR_0, "default": 0}),
    Argument(("--output_format", "--format"), "visualize", "mp4 | gif | png | html, several by comma (mp4)",
             {"metavar": "LIST", "default": "mp4"}),
    Argument(("--input",), "visualize", "a file of poses, in place of a dataset", PATH),
    Argument(("--track",), "visualize", "which person of the file; without it all of them",
             {"metavar": "ID"}),
    Argument(("--video",), "visualize", "the recording that 2D poses of --input came from; drawn under them", PATH),
    Argument(("--skeleton",), "visualize", "which joints these are, e.g. h36m17; without it the likeliest",
             {"metavar": "NAME"}),
    Argument(("--edges",), "visualize", "joints to connect, e.g. 0-1,1-2 (numbers from 0)",
             {"type": edge_list, "metavar": "A-B,..."}),
    Argument(("--up",), "visualize", "the axis that points up: +x, -x, +y, -y, +z, -z; without it the likeliest",
             {"metavar": "AXIS"}),
    Argument(("--size",), "visualize", "of a video (1280x720)",
             {"type": picture_size, "metavar": "WxH", "default": (1280, 720)}),
    Argument(("--verify",), "export",
             "run both with random windows and write only what agrees to 1e-5 (needs onnxruntime)", SWITCH),
    Argument(("--nproc_per_node",), "launch", "processes on this machine, one a device", {**COUNT, "default": 1}),
    Argument(("--nnode",), "launch", "machines", {**COUNT, "default": 1}),
    Argument(("--node_rank",), "launch", "number of this machine, from 0", {**COUNT_OR_0, "default": 0}),
    Argument(("--master_addr",), "launch", "address of machine 0", {"default": "127.0.0.1"}),
    Argument(("--master_port",), "launch", "free port there",
             {"type": number(1, config.between(1, 65535)), "metavar": "N", "default": 29500}),
    Argument(("--opts",), "train eval visualize", "KEY VALUE ...: any setting, last word",
             {"nargs": argparse.REMAINDER, "default": []}),
    Argument(("--eval",), "launch", "evaluate --checkpoint instead of training",
             {"type": argument_type(config.Setting("", False, "").parse), "nargs": "?", "const": True,
              "metavar": "True|False"}),
)  # fmt: skip
# further spellings in one command alone: elsewhere they mean something else
ALIASES = {
    ("smooth", "input_format"): ("--format",),
    ("inspect", "input_format"): ("--format",),
    ("smooth", "slide_window_step_size"): ("--step",),
    ("visualize", "slide_window_step_size"): ("--step",),
    ("corpus", "input_format"): ("--format",),
    ("corpus", "slide_window_step_size"): ("--step",),
}


def arguments(*commands: str) -> list[Argument]:
    """The arguments that any of these commands takes: those of settings, then the others."""
    rows = [*(of_setting(setting) for setting in config.SETTINGS if setting.flags), *OWN]
    return [row for row in rows if set(commands) & set(row.commands.split())]


def of_setting(setting: config.Setting) -> Argument:
    """The argument that stands for a setting. A switch can be written --autocast or --autocast True."""
    options: dict[str, Any] = {"type": argument_type(setting.parse)}
    if type(setting.default) in (int, float):
        options["metavar"] = "N" if isinstance(setting.default, int) else "X"
    if setting.path:
        options |= PATH
    elif isinstance(setting.default, bool) or setting.words:
        numbers = "" if isinstance(setting.default, bool) else "|NUMBER"
        options |= {"nargs": "?", "const": setting.parse("True"), "metavar": f"True|False{numbers}"}
    return Argument(tuple(setting.flags.split()), setting.commands, setting.help, options, setting.key, setting.path)


def add_arguments(parser: argparse.ArgumentParser, *commands: str) -> None:
    """Add the arguments of a command, or of several."""
    shared = set(commands) & SMOOTHING
    for argument in arguments(*commands):
        if not (shared and set(argument.commands.split()) >= SMOOTHING):
            _add(parser, argument, commands[0])
    if shared:
        add_smoothing_arguments(parser, commands[0])


def add_smoothing_arguments(parser: argparse.ArgumentParser, command: str = "visualize") -> None:
    """Add what decides how poses are smoothed: the same in smooth, corpus and visualize; see smoothing_options."""
    group = parser.add_argument_group("how poses are smoothed")
    for argument in arguments(*SMOOTHING):
        if set(argument.commands.split()) >= SMOOTHING:
            _add(group, argument, command)


def _add(parser: Any, argument: Argument, command: str) -> None:
    flags = (*argument.flags, *ALIASES.get((command, argument.name), ()))
    default = {} if "action" in argument.options or "default" in argument.options else {"default": None}
    parser.add_argument(*flags, help=argument.help.replace("%", "%%"), **default, **argument.options)


def smoothing_options(args: argparse.Namespace, cfg: Any = None) -> SmoothingOptions:
    """What the arguments of add_smoothing_arguments say; what they leave open is taken from the settings, if given."""
    from ..inference.options import SmoothingOptions

    of_settings = {
        "step": (args.slide_window_step_size, "EVALUATE.SLIDE_WINDOW_STEP_SIZE"),
        "fps": (args.fps, "EVALUATE.FPS"),
        "checkpoint": (args.checkpoint, "EVALUATE.PRETRAINED"),
        "device": (args.device, "DEVICE"),
    }
    chosen = {
        name: config.get(cfg, key) or None if value is None and cfg is not None else value
        for name, (value, key) in of_settings.items()
    }
    if chosen["step"] == config.settings()["EVALUATE.SLIDE_WINDOW_STEP_SIZE"].default:
        chosen["step"] = args.slide_window_step_size  # 1 is meant for evaluations: the network's own is taken
    chosen["window"] = args.slide_window_size
    others = (
        "delay",
        "min_score",
        "max_gap",
        "fill",
        "dims",
        "input_format",
        "layout",
        "method",
        "strength",
        "cutoff",
        "outliers",
    )
    chosen |= {name: getattr(args, name) for name in others}
    return SmoothingOptions(**{name: value for name, value in chosen.items() if value is not None})


def named_settings(args: argparse.Namespace) -> dict[str, Any]:
    """The given arguments that stand for a setting: full key -> value."""
    rows = [of_setting(setting) for setting in config.SETTINGS if setting.flags]
    values = {row.key: getattr(args, row.name, None) for row in rows}
    return {key: value for key, value in values.items() if value is not None}


def program(command: str) -> str:
    """What the user calls a command: train_smoothnet.py in a checkout, `smoothnet train` once installed."""
    return f"{command}_smoothnet.py" if PACKAGE == "lib" else f"{PACKAGE} {command}"


EXTRAS = {"torch": "train", "yaml": "train", "tensorboard": "train", "matplotlib": "video", "PIL": "video"}


def how_to_install(extra: str) -> str:
    """What installs the packages of an extra of pyproject.toml."""
    if PACKAGE != "lib":
        return f"pip install {PACKAGE}[{extra}]" + (", or the torch of your device first" if extra == "train" else "")
    packages = {"train": "torch -r requirements.txt", "video": "-r requirements.txt imageio-ffmpeg pillow"}
    return f"pip install {packages[extra]}"


class Parser(argparse.ArgumentParser):
    """A parser whose complaints are one sentence, as all others are."""

    _words: Sequence[str] = ()

    def parse_known_args(self, args: Any = None, namespace: Any = None) -> Any:
        self._words = sys.argv[1:] if args is None else list(args)
        return super().parse_known_args(args, namespace)

    def error(self, message: str) -> NoReturn:
        message = re.sub(r"^argument ([^:/ ]+)[^:]*: ", r"\1 ", message)
        for word in self._words:
            if word.startswith("-") and (os.path.lexists(word) or self._may_be_file(word)):
                # argparse takes it for one of its own
                message += (
                    f"; {word} is taken for an argument: for the file of that name write {os.curdir}{os.sep}{word}"
                )
        self.exit(2, f"error: {message} ({self.prog} --help lists the arguments)\n")

    def _may_be_file(self, word: str) -> bool:
        """Whether a word like "-walk.bvh" is no argument, nor one with its value."""
        return bool(re.fullmatch(r"-[^-\d.].*\.\w+", word)) and word[:2] not in self._option_string_actions


def make_parser(command: str, text: str) -> argparse.ArgumentParser:
    """The parser of a command; its module's docstring says what it does, and how, with its name in a checkout."""
    if PACKAGE != "lib":
        text = re.sub(r"(?:python )?(\w+)_smoothnet\.py", lambda match: program(match[1]), text)
    what, _, more = text.partition("\n\n")
    parser = Parser(
        prog=program(command),
        description=what,
        epilog=more,
        allow_abbrev=False,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--version", action="version", version=f"{PACKAGE} {__version__}")
    add_arguments(parser, command)
    return parser


def run_main(main: Callable[[Sequence[str] | None], int], argv: Sequence[str] | None = None) -> int:
    """Call an entry script's main; a user's mistake becomes one sentence on stderr and status 2.

    Output that nobody reads any more (`| head`) ends the program without a word, and file names that are not UTF-8 are
    printed as they are.
    """
    send_again_what_got_lost()
    if hasattr(sys.stdout, "reconfigure"):
        sys.stdout.reconfigure(errors="surrogateescape")
    try:
        status = _run(main, argv)
    except SystemExit as end:  # --help, a wrong argument
        if not isinstance(end.code, int | None):
            raise
        status = end.code or 0
    except KeyboardInterrupt:  # as the sentence was printed
        status = INTERRUPTED
    try:
        status = finish_output() or status
        if "torch.distributed" in sys.modules:
            from ..utils.distributed import end_among_others

            end_among_others(status)
    except KeyboardInterrupt:
        status = INTERRUPTED
    return status


def _run(main: Callable[[Sequence[str] | None], int], argv: Sequence[str] | None) -> int:
    try:
        return main(argv)
    except SmoothNetError as error:
        message = str(error)
    except BrokenPipeError:
        drop_output()
        return BROKEN_PIPE
    except OSError as error:
        if error.filename is not None:
            message = f"{os.fsdecode(error.filename)}: {error.strerror}"
        elif error.errno in (errno.ENOSPC, errno.EIO):  # of stdout; files are written elsewhere, by their names
            message = f"cannot write the output: {error.strerror}"
        else:
            raise
    except UnicodeEncodeError as error:  # from packages that take no other names, such as TensorBoard
        message = f"{error.object[:200]!a} is not UTF-8 throughout; choose another name"
    except ModuleNotFoundError as error:
        extra = EXTRAS.get((error.name or "").partition(".")[0])
        if extra is None:
            raise
        message = f"this needs the package {error.name}, which is not installed: {how_to_install(extra)}"
    except ImportError as error:
        ended = _ended_by(error)
        if ended is None:
            raise
        return ended
    except KeyboardInterrupt:
        return INTERRUPTED
    if len(message) > _LONGEST:  # of a name that has thousands of characters
        message = f"{message[: _LONGEST // 2]} ... {message[-_LONGEST // 2 :]}"
    rank = os.environ.get("RANK", "0")  # of several processes, which usually have the same to say
    who = "error" if rank == "0" else f"error of process {rank}"
    print(f"{who}: {message}\n", end="", file=sys.stderr)  # in one piece, since several processes may write
    return 2


def _ended_by(error: BaseException | None) -> int | None:
    """The status of a signal that arrived while a package was imported, which some turn into an ImportError."""
    while error is not None:
        if isinstance(error, KeyboardInterrupt):
            return INTERRUPTED
        if isinstance(error, SystemExit) and isinstance(error.code, int):
            return error.code
        error = error.__cause__ or error.__context__
    return None


def finish_output() -> int:
    """Write out what waits for stdout; if that cannot be, drop the rest and return the status for it, else 0."""
    try:
        if sys.stdout is not None:
            sys.stdout.flush()
        return 0
    except OSError as error:
        drop_output()
        if isinstance(error, BrokenPipeError):
            return BROKEN_PIPE
        print(f"error: cannot write the output: {error.strerror}", file=sys.stderr)
        return 2


def drop_output() -> None:
    """Let stdout lead nowhere from now on."""
    with suppress(OSError, ValueError):
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
