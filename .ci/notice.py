# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) SmoothNet contributors
"""Every Python file of the project starts with its licence: `python .ci/notice.py`, with --fix to put it there.

The files are those that git follows. The notice is two lines, behind a line that starts with #!, if there is one.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
NOTICE = "# SPDX-License-Identifier: BSD-3-Clause\n# Copyright (c) SmoothNet contributors\n"


def own_files(root: Path) -> list[Path]:
    """The Python files that git follows in a checkout."""
    listed = subprocess.run(["git", "ls-files", "-z", "*.py"], cwd=root, capture_output=True, text=True, check=True)
    return [root / name for name in listed.stdout.split("\0") if name and (root / name).exists()]


def with_notice(text: str) -> str:
    """The text of a file with the notice at its start; unchanged if it is there."""
    first, rest = text.split("\n", 1) if text.startswith("#!") and "\n" in text else ("", text)
    start = f"{first}\n" if first else ""
    return text if rest.startswith(NOTICE) else start + NOTICE + rest


def main(argv: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="notice.py", description=__doc__.splitlines()[0])
    parser.add_argument("--fix", action="store_true", help="put the notice where it is missing")
    parser.add_argument("--root", type=Path, default=ROOT, help="the checkout")
    parser.add_argument("paths", nargs="*", type=Path, help="only these files")
    args = parser.parse_args(argv)
    missing = 0
    for path in args.paths or own_files(args.root):
        text = path.read_text(encoding="utf-8")
        wanted = with_notice(text)
        if wanted != text:
            missing += 1
            print(f"{path}: {'added' if args.fix else 'misses'} the licence notice")
            if args.fix:
                path.write_text(wanted, encoding="utf-8", newline="")
    return 1 if missing and not args.fix else 0


if __name__ == "__main__":
    sys.exit(main())
