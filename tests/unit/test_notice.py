# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) SmoothNet contributors
"""The check that every Python file carries the licence."""

import re
import runpy
import subprocess
from pathlib import PurePath

import pytest
from helpers import ROOT

script = runpy.run_path(str(ROOT / ".ci/notice.py"), run_name="a_test")
NOTICE = "# SPDX-License-Identifier: BSD-3-Clause\n# Copyright (c) SmoothNet contributors\n"


@pytest.fixture
def checkout(tmp_path):
    """One file with the notice, three without, and one that git does not follow."""
    files = {
        "with.py": f'{NOTICE}"""Words."""\n',
        "without.py": '"""Words."""\n',
        "script.py": "#!/usr/bin/env python\nprint()\n",
        "empty.py": "",
        "other.txt": "no Python\n",
    }
    for name, text in files.items():
        (tmp_path / name).write_text(text)
    subprocess.run(["git", "init", "-q", "."], cwd=tmp_path, check=True)
    subprocess.run(["git", "add", "."], cwd=tmp_path, check=True)
    (tmp_path / "untracked.py").write_text("")
    return tmp_path


def test_missing_notices_are_named_and_put_in_once(checkout, capsys):
    assert script["main"](["--root", str(checkout)]) == 1
    said = capsys.readouterr().out
    assert [name for name in ("without.py", "script.py", "empty.py") if f"{name}: misses" in said] == [
        "without.py", "script.py", "empty.py",
    ]  # fmt: skip
    assert "with.py: " not in said.replace("without.py: ", "") and "untracked" not in said and "other" not in said
    assert script["main"](["--root", str(checkout), "--fix"]) == 0
    assert (checkout / "without.py").read_text() == f'{NOTICE}"""Words."""\n'
    assert (checkout / "script.py").read_text() == f"#!/usr/bin/env python\n{NOTICE}print()\n"
    assert (checkout / "with.py").read_text() == f'{NOTICE}"""Words."""\n'
    assert (checkout / "empty.py").read_text() == NOTICE and (checkout / "untracked.py").read_text() == ""
    capsys.readouterr()
    assert script["main"](["--root", str(checkout)]) == 0 and not capsys.readouterr().out


def test_every_sample_weight_and_package_has_its_terms():
    notice = (ROOT / "NOTICE").read_text()
    out = subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    listed = [name for name in out.splitlines() if not name.startswith("tests/")]
    weights = {PurePath(name).parent.name for name in listed if name.endswith((".safetensors", ".pth.tar", ".onnx"))}
    samples = {
        "/".join(PurePath(name).parts[:3])
        for name in listed
        if name.startswith("data/samples/") and not name.endswith((".md", ".txt"))
    }
    assert weights and samples
    for name in weights:
        assert re.search(rf"/{name} \(checkpoint_.*\): trained by", notice), (
            f"NOTICE does not say what {name} learnt from"
        )
    for place in samples:
        assert place in notice, f"NOTICE does not say where {place} is from"
    packages = re.findall(r"^([a-z0-9_-]+)", (ROOT / "requirements.txt").read_text(), re.MULTILINE)
    for package in packages:
        assert package in notice.lower(), f"NOTICE does not name the licence of {package}"
