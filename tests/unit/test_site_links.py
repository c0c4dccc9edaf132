# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) SmoothNet contributors
"""How the site is put together from pages that are written to be read on GitHub."""

import re
import runpy

import pytest
from helpers import ROOT

site = runpy.run_path(str(ROOT / ".ci/site.py"), run_name="a_test")
SHOWN = {"docs/a.md": "a.md", "docs/b.md": "b.md", "docs/p.png": "p.png", "data/README.md": "data/README.md"}


@pytest.mark.parametrize(
    "page, link, shown",
    [
        ("docs/a.md", "[b](b.md#part)", "[b](b.md#part)"),
        ("docs/a.md", "[data](../data/README.md#own)", "[data](data/README.md#own)"),
        ("docs/a.md", "![picture](p.png)", "![picture](p.png)"),
        ("data/README.md", "[b](../docs/b.md)", "[b](../b.md)"),
        ("data/README.md", "![picture](../docs/p.png)", "![picture](../p.png)"),
        ("docs/a.md", "[settings](../lib/config.py)", "settings"),
        ("docs/a.md", "[`code` [x]](../lib/config.py), more", "`code` [x], more"),
        ("docs/a.md", "[home](https://example.org/README.md)", "[home](https://example.org/README.md)"),
        ("docs/a.md", "[below](#part)", "[below](#part)"),
        ("docs/a.md", "[dead](nowhere.md)", "[dead](nowhere.md)"),
    ],
)
def test_links_lead_to_the_copies_and_others_are_left_out(page, link, shown):
    assert site["with_links"](link, page, SHOWN) == shown


def test_pages_of_the_whole_repository_are_copied(tmp_path):
    for name, text in {
        "docs/a.md": "[card](../lib/weights/general/README.md)",
        "docs/requirements.txt": "mkdocs",
        "docs/folder/c.zh.md": "c",
        "lib/weights/general/README.md": "[a](../../../docs/a.md)",
    }.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text)
    folder = site["stage"](tmp_path / "out", tmp_path)
    found = {path.relative_to(folder).as_posix(): path.read_text() for path in folder.rglob("*") if path.is_file()}
    assert found == {
        "a.md": "[card](lib/weights/general/README.md)",
        "folder/c.zh.md": "c",
        "lib/weights/general/README.md": "[a](../../../a.md)",
    }


def test_the_extra_of_the_package_is_what_make_docs_installs():
    (extra,) = re.findall(r"(?m)^docs = \[(.*)\]$", (ROOT / "pyproject.toml").read_text())
    asked = (ROOT / "docs/requirements.txt").read_text().splitlines()
    assert re.findall(r'"([^"]+)"', extra) == [line for line in asked if not line.startswith("#")]
