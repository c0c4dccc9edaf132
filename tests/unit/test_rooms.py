# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) SmoothNet contributors
"""The ground plan of lib: which room may import which. The table in docs/ARCHITECTURE.md is the rule."""

from __future__ import annotations

import ast
import re
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import pytest
from helpers import ROOT

LIB = ROOT / "lib"
ALL = "all of them"


def imports(path: Path, lib: Path) -> set[str]:
    """The modules of lib that a file imports anywhere, as names below lib: dataset.poses, utils.errors, ..."""
    package = path.relative_to(lib).parts[:-1]
    found = set()
    tree = ast.parse(path.read_text(encoding="utf-8"))
    for_types = {  # of annotations alone: nothing is imported
        id(node)
        for block in ast.walk(tree)
        if isinstance(block, ast.If) and ast.unparse(block.test) == "TYPE_CHECKING"
        for node in ast.walk(block)
    }
    for node in ast.walk(tree):
        if id(node) in for_types:
            continue
        if isinstance(node, ast.ImportFrom) and node.level:
            module = [*package[: len(package) - node.level + 1], *(node.module or "").split(".")]
            module = [name for name in module if name]
            for name in node.names:
                whole = lib.joinpath(*module, name.name)
                is_module = whole.is_dir() or whole.with_suffix(".py").exists()
                found.add(".".join([*module, name.name] if is_module else module))
    return found - {""}


def rules(text: str) -> dict[str, set[str]]:
    """Room -> rooms that it may import, from the table whose rows are | `room` | what it holds | imports |."""
    rows = re.findall(r"^\| `(\w+)` \|.*\| ([^|]*) \|$", text, re.MULTILINE)
    allowed = {room: set(re.findall(r"`(\w+)`", cell)) for room, cell in rows}
    return {room: set(allowed) if ALL in cell else allowed[room] for room, cell in rows}


def broken(lib: Path, allowed: dict[str, set[str]]) -> list[str]:
    """Imports that the table does not allow, rooms that it does not name, and circles of modules."""
    found, graph = [], {}
    for path in sorted(lib.rglob("*.py")):
        name = ".".join(path.relative_to(lib).with_suffix("").parts).removesuffix(".__init__")
        room = name.split(".")[0]
        graph[name] = imports(path, lib) - {name}
        if room in ("__init__", "__main__"):
            continue
        if room not in allowed:
            found.append(f"{room} is not in the table")
            continue
        others = {module for module in graph[name] if module.split(".")[0] not in {room, *allowed[room]}}
        found += [f"{name} imports {module}" for module in sorted(others)]
    try:
        TopologicalSorter(graph).prepare()
    except CycleError as error:
        found.append(f"a circle: {' -> '.join(error.args[1])}")
    return found


def test_rooms_import_only_what_the_table_allows():
    allowed = rules((ROOT / "docs/ARCHITECTURE.md").read_text(encoding="utf-8"))
    assert set(allowed) == {p.stem for p in LIB.iterdir() if p.suffix == ".py" or p.is_dir()} - {
        "__init__",
        "__main__",
        "__pycache__",
        "py",
    }
    assert not broken(LIB, allowed)


def test_the_table_itself_has_no_circle():
    allowed = rules((ROOT / "docs/ARCHITECTURE.md").read_text(encoding="utf-8"))
    TopologicalSorter({room: others - {room} for room, others in allowed.items()}).prepare()


@pytest.mark.parametrize(
    ("files", "words"),
    [
        ({"low/a.py": "from ..high import b"}, "low.a imports high.b"),
        ({"low/a.py": "def f():\n    from ..high.b import x"}, "low.a imports high.b"),
        ({"low/a.py": "from .c import x", "low/c.py": "from .a import x"}, "a circle"),
        ({"attic/a.py": ""}, "attic is not in the table"),
    ],
)
def test_what_is_not_allowed_is_found(tmp_path, files, words):
    for name, text in {"high/b.py": "from ..low import a", **files}.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(text)
    assert words in " ".join(broken(tmp_path, rules("| `low` | x | nothing |\n| `high` | x | all of them |")))


def test_only_commands_read_arguments_and_print():
    for path in LIB.rglob("*.py"):
        if path.relative_to(LIB).parts[0] not in ("commands", "__main__.py"):
            tree = ast.parse(path.read_text(encoding="utf-8"))
            names = {
                node.func.id
                for node in ast.walk(tree)
                if isinstance(node, ast.Call) and isinstance(node.func, ast.Name)
            }
            assert "print" not in names and "argparse" not in path.read_text(encoding="utf-8"), path
