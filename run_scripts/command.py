"""The `smoothnet` command of the installed package: the first word names a script, the rest is for it.

Installed as smoothnet.commands.command, beside the scripts; in a checkout: `python -m run_scripts.command`.
"""

from __future__ import annotations

import importlib
import sys
from collections.abc import Sequence

from run_scripts.argument import run_main

COMMANDS = {
    "train": "train on pose files",
    "eval": "evaluate a checkpoint against ground truth",
    "smooth": "smooth your own pose files or a live stream",
    "visualize": "draw poses before and after",
    "export": "write a checkpoint as an ONNX model",
}
USAGE = "usage: smoothnet COMMAND [ARGUMENT ...]\n\n{}\n\n`smoothnet COMMAND --help` lists the arguments."


def main(argv: Sequence[str] | None = None) -> int:
    argv = list(sys.argv[1:] if argv is None else argv)
    usage = USAGE.format("\n".join(f"  {name:10} {text}" for name, text in COMMANDS.items()))
    if argv and argv[0] in ("-h", "--help"):
        print(usage)
        return 0
    if not argv or argv[0] not in COMMANDS:
        print(f"error: unknown command {argv[0]!r}\n\n{usage}" if argv else usage, file=sys.stderr)
        return 2
    package = (__package__ or "").removeprefix("run_scripts")
    try:
        script = importlib.import_module(f"{package}.{argv[0]}_smoothnet".lstrip("."))
        return run_main(script.main, argv[1:])
    except ModuleNotFoundError as error:
        if error.name != "torch":
            raise
        print("error: PyTorch is not installed: pip install torch (see pytorch.org)", file=sys.stderr)
        return 2


if __name__ == "__main__":
    sys.exit(main())
