# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) SmoothNet contributors
"""The site of the documentation builds without a warning, in both languages, with what the docstrings say."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from urllib.parse import unquote

import pytest
from helpers import ROOT

from lib.inference import Smoother

PACKAGES = ("mkdocs", "material", "mkdocs_static_i18n", "mkdocstrings", "mkdocstrings_handlers.python")


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    for package in PACKAGES:
        pytest.importorskip(package, reason="the site needs docs/requirements.txt")
    folder = tmp_path_factory.mktemp("site")
    command = [sys.executable, "-m", "mkdocs", "build", "--strict", "--site-dir", str(folder)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, env=os.environ | {"CI": "true"})
    assert done.returncode == 0, done.stdout + done.stderr
    return folder


def text_of(page):
    return re.sub(r"<[^>]*>", "", page.read_text(encoding="utf-8"))


def test_pages_are_there_in_both_languages(site):
    for page, english, chinese in (("smoothing", "Strength", "强度"), ("training", "A run folder", "运行目录")):
        assert english in text_of(site / page / "index.html")
        translated = text_of(site / "zh" / page / "index.html")
        assert chinese in translated and english not in translated


def test_pages_without_a_translation_are_shown_in_english(site):
    assert "Why a smoother without a skeleton" in text_of(site / "zh" / "related" / "index.html")


def test_the_interface_is_made_from_the_docstrings(site):
    text = " ".join(text_of(site / "reference" / "index.html").split())
    assert "Smooth one recording: the mean over all windows that cover a frame" in text
    assert Smoother.__call__.__doc__.splitlines()[0] in text
    assert "Mean per joint position error" in text and "SmoothNetError" in text


def test_links_into_the_repository_lead_to_its_pages(site):
    page = (site / "smoothing" / "index.html").read_text(encoding="utf-8")
    (target,) = set(re.findall(r'href="([^"]*weights/general/)"', page.split("<article")[1].split("</article")[0]))
    assert (site / "smoothing" / target / "index.html").is_file()
    assert (site / "sports2d_blazepose.gif").stat().st_size < 1.5e6


@pytest.mark.parametrize("page", ["start", "smoothing"])
def test_anchors_are_there_in_chinese(site, page):
    folder = site / "zh" / page
    found = re.findall(r'href="([^"#]*)#([^"]+)"', (folder / "index.html").read_text(encoding="utf-8"))
    for path, anchor in found:
        target = (folder / path if path else folder) / "index.html"
        if target.is_file():
            assert f'id="{unquote(anchor)}"' in target.read_text(encoding="utf-8"), anchor
