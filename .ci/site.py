# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) SmoothNet contributors
"""The pages of the site: what lies in docs, and the Markdown that lies elsewhere in the repository, under its own path.

A hook of mkdocs.yml. Pages are written to be read on GitHub, where their links lead through the whole repository. Here
they are copied to one folder, a link to a page leads to its copy, and of a link to anything else its words are left.
"""

from __future__ import annotations

import os
import re
import shutil
from pathlib import Path, PurePosixPath
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
STAGE = ROOT / "build" / "docs"
DOCS = "docs"
ELSEWHERE = (
    "CHANGELOG.md",
    "CONTRIBUTING.md",
    "SECURITY.md",
    "benchmarks/README.md",
    "data/README.md",
    "data/samples/README.md",
    "lib/weights/general/README.md",
    "lib/weights/uiprmd_kinect_3D/README.md",
    "run_scripts/README.md",
)
MOVED = {"benchmarks/README.md": "benchmarks/measuring.md"}  # docs/benchmarks.md has the address benchmarks/
LINK = re.compile(r"(!?)\[((?:[^\[\]]|\[[^\]]*\])*)\]\(([^)\s]+)\)")


def sources(root: Path = ROOT) -> dict[str, str]:
    """{path in the repository: path in the site} of everything that is shown."""
    shown = {name: MOVED.get(name, name) for name in ELSEWHERE if (root / name).exists()}
    for path in sorted((root / DOCS).rglob("*")):
        if path.is_file() and path.name != "requirements.txt":
            shown[path.relative_to(root).as_posix()] = path.relative_to(root / DOCS).as_posix()
    return shown


def with_links(text: str, name: str, shown: dict[str, str]) -> str:
    """The text of page `name` (its path in the repository) with its links as the site needs them."""
    here = PurePosixPath(shown[name]).parent

    def link(match: re.Match) -> str:
        sign, words, target = match.groups()
        path, mark, anchor = target.partition("#")
        if re.match(r"[a-z]+:", target) or not path:
            return match[0]
        there = os.path.normpath(PurePosixPath(name).parent / path)
        if there in shown:
            return f"{sign}[{words}]({os.path.relpath(shown[there], here)}{mark}{anchor})"
        return words if (ROOT / there).exists() else match[0]  # a dead link is left for mkdocs to complain of

    return LINK.sub(link, text)


def stage(folder: Path = STAGE, root: Path = ROOT) -> Path:
    """Copy the pages to `folder`, as mkdocs is to read them."""
    shutil.rmtree(folder, ignore_errors=True)
    shown = sources(root)
    for name, place in shown.items():
        path = folder / place
        path.parent.mkdir(parents=True, exist_ok=True)
        if path.suffix == ".md":
            path.write_text(with_links((root / name).read_text(encoding="utf-8"), name, shown), encoding="utf-8")
        else:
            shutil.copyfile(root / name, path)
    return folder


def on_config(config: Any) -> Any:
    """Called by mkdocs once for each language: the first time, it is sent to the copies."""
    if Path(config.docs_dir) != STAGE:
        config.docs_dir = str(stage())
    return config
