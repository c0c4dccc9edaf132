"""How the checkout becomes the package `smoothnet`; everything declarative is in pyproject.toml.

lib is installed as it is under the name smoothnet. The scripts and what they share go to smoothnet.commands
with their imports renamed, and the default weights to smoothnet/data.
"""

import ast
import re
import shutil
from pathlib import Path

from setuptools import find_packages, setup
from setuptools.command.build_py import build_py

ROOT = Path(__file__).resolve().parent
SCRIPTS = [
    *sorted(ROOT.glob("*_smoothnet.py")),
    ROOT / "run_scripts/argument.py",
    ROOT / "run_scripts/command.py",
]
WEIGHTS = Path("data/checkpoints/uiprmd_kinect_3D")
RENAMED = (
    (r"^(\s*(?:from|import) )lib\b", r"\1smoothnet"),
    (r"^(\s*(?:from|import) )run_scripts\b", r"\1smoothnet.commands"),
    (r'prog="(\w+)_smoothnet\.py"', r'prog="smoothnet \1"'),
)


def installed_text(path: Path) -> str:
    """A script's source with the names it has as a part of the package.

    Raises:
        ValueError: a mention of lib or run_scripts remains that would not work there.
    """
    text = path.read_text(encoding="utf-8")
    for pattern, replacement in RENAMED:
        text = re.sub(pattern, replacement, text, flags=re.MULTILINE)
    for node in ast.walk(ast.parse(text)):
        names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
        names += [node.module or ""] if isinstance(node, ast.ImportFrom) else []
        if any(name.split(".")[0] in ("lib", "run_scripts") for name in names):
            raise ValueError(
                f"{path.name}:{node.lineno} imports {', '.join(names)} in a way that setup.py cannot rename"
            )
        if isinstance(node, ast.Constant) and node.value == "lib":
            raise ValueError(
                f"{path.name}:{node.lineno} names the package lib, which is called smoothnet once installed"
            )
    return text


class BuildWithCommands(build_py):
    """Adds the scripts and the default weights to the package."""

    def run(self) -> None:
        super().run()
        if self.editable_mode:  # then the scripts of the checkout are at hand
            return
        commands = Path(self.build_lib) / "smoothnet" / "commands"
        commands.mkdir(parents=True, exist_ok=True)
        (commands / "__init__.py").write_text('"""The command line."""\n', encoding="utf-8")
        for path in SCRIPTS:
            (commands / path.name).write_text(installed_text(path), encoding="utf-8")
        if (ROOT / WEIGHTS).is_dir():
            shutil.copytree(ROOT / WEIGHTS, Path(self.build_lib) / "smoothnet" / WEIGHTS, dirs_exist_ok=True)


setup(
    packages=["smoothnet", *(f"smoothnet.{name}" for name in find_packages("lib"))],
    package_dir={"smoothnet": "lib"},
    package_data={"": ["*.html"]},
    cmdclass={"build_py": BuildWithCommands},
)
