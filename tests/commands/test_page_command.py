# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) SmoothNet contributors
"""The command that writes the page for the browser."""

from __future__ import annotations

import pytest
from helpers import ROOT, write_checkpoint

from lib.browser.export import weights_module
from lib.commands import main
from lib.models.checkpoints import save_checkpoint
from lib.models.general import GeneralSmoother
from lib.models.kinds import description


def test_the_page_is_the_one_in_docs(tmp_path, capsys):
    assert main(["page", "-o", str(tmp_path / "a.html")]) == 0
    assert (tmp_path / "a.html").read_text() == (ROOT / "docs/try/index.html").read_text()
    assert main(["page", "-o", str(tmp_path / "a.html")]) == 2
    assert "exists" in capsys.readouterr().err
    assert main(["page", "-o", str(tmp_path / "a.html"), "--force"]) == 0


def test_other_weights_go_into_the_page_or_a_module(tmp_path):
    model = GeneralSmoother(window_size=12, knots=4, step=3)
    save_checkpoint(tmp_path / "own.pth.tar", {"state_dict": model.state_dict(), "model": description(model)})
    wanted = weights_module(tmp_path / "own.pth.tar")
    for name in ("w.js", "w.html"):
        assert main(["page", "-o", str(tmp_path / name), "--checkpoint", str(tmp_path / "own.pth.tar")]) == 0
    assert (tmp_path / "w.js").read_text() == wanted
    page, data = (tmp_path / "w.html").read_text(), wanted.partition("export default ")[2]
    assert data in page and page.count('"kind": "general"') == 1


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["-o", "page.txt"], "name it *.html"),
        (["-o", ""], "the output ''"),
        (["-o", "no/where.html"], "cannot write"),
        (["-o", "folder.html"], "is a folder"),
        (["-o", "a.html", "--checkpoint", "smoothnet.pth.tar"], "only the general one"),
        (["-o", "a.html", "--checkpoint", "none.pth.tar"], "does not exist|cannot|no such"),
    ],
)
def test_what_cannot_be_is_one_sentence(tmp_path, monkeypatch, capsys, arguments, words):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "folder.html").mkdir()
    write_checkpoint(tmp_path / "smoothnet.pth.tar", window=8)
    assert main(["page", *arguments]) == 2
    error = capsys.readouterr().err
    assert error.count("\n") == 1 and any(word in error for word in words.split("|")), error
    assert not (tmp_path / "a.html").exists()
