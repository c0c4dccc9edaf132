# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) SmoothNet contributors
"""The words of --layout."""

import numpy as np
import pytest

from lib.formats import read_recording
from lib.formats.layout import Layout, Piece, parse_layout
from lib.utils.errors import SmoothNetError


def test_words_in_any_order():
    expected = Layout("ctkd", ("x", "y", "score"), -1.0)
    for text in ("ctkd; x,y,score; missing=-1", "missing=-1 x,y,conf CTKD", "x,y,visibility;ctkd missing=-1.0"):
        assert parse_layout(text) == expected
    assert parse_layout(None) == parse_layout("") == Layout()
    assert parse_layout("missing=none").missing == "none"


def test_numbers_of_a_joint():
    assert parse_layout("x,y,z,qw,qx,qy,qz").pieces == (Piece((0, 1, 2)), Piece((3, 4, 5, 6), "wxyz"))
    assert parse_layout("xyzw").pieces == (Piece((3, 0, 1, 2), "wxyz"),)
    assert parse_layout("_,score,x,y").pieces == (Piece((2, 3), score=1),)
    assert parse_layout("axis-angle").pieces == (Piece((0, 1, 2), "axis-angle"),)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("tkq", "'tkq' is neither axes"),
        ("kd", "t \\(frames\\)"),
        ("tkk", "each letter once"),
        ("x,z", "a point is x or x,y or x,y,z"),
        ("x,x,y", "names a number twice"),
        ("qw,qx", "makes no points"),
        ("_,score", "makes no points"),
        ("missing=many", "give a number, or none"),
        ("missing=nan", "give a number, or none"),
        ("tkd ktd", "says the axes twice"),
    ],
)
def test_mistakes_in_words(text, message):
    with pytest.raises(SmoothNetError, match=message):
        parse_layout(text)


@pytest.mark.parametrize(
    ("layout", "message"),
    [
        ("ctpkd", "needs an axis for each of"),
        ("x,y,z,score", "joints have 2 numbers, --layout asks for 4"),
        ("tkd x,y,z", "joints have 2 numbers, --layout asks for 3"),
    ],
)
def test_words_that_do_not_fit_the_array(layout, message, tmp_path):
    np.save(tmp_path / "a.npy", np.random.default_rng(0).normal(size=(20, 5, 2)))
    with pytest.raises(SmoothNetError, match=rf"a\.npy.*{message}"):
        read_recording(tmp_path / "a.npy", layout=layout)
