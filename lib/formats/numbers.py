# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) SmoothNet contributors
"""Numbers in text files: how the file wrote them, and writing new ones the same way."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence

_NUMBER = re.compile(r"^\s*[+-]?(?P<whole>\d*)(?:\.(?P<fraction>\d*))?(?P<exponent>[eE][+-]?\d+)?\s*$")
_SAMPLE = 20_000
# A double takes up to 17 digits to write; a file that shows 15 or more keeps everything it has.
_FULL_PRECISION = 15
# Whole-number coordinates would bring the jitter back when the smoothed ones were rounded to whole numbers.
_DECIMALS_FOR_WHOLE_NUMBERS = 3


def number_style(tokens: Sequence[str]) -> Callable[[float], str]:
    """How to write a number so that it looks like `tokens`, the coordinates of a file as they stand in it.

    Four habits are told apart: full precision (repr), a fixed count of decimals with zeros kept (`%.3f`),
    rounded to some decimals (`round(x, 3)`), and significant digits (`%g`, what OpenPose does). A file with
    whole numbers only gets three decimals.
    """
    step = max(1, len(tokens) // _SAMPLE)
    digits_and_decimals = set()
    exponents = False
    for token in tokens[::step]:
        match = _NUMBER.match(token)
        if match is None or not (match["whole"] or match["fraction"]):
            continue
        fraction = match["fraction"] or ""
        digits_and_decimals.add((len((match["whole"] + fraction).lstrip("0")), len(fraction)))
        exponents = exponents or match["exponent"] is not None
    decimals = {decimal for _, decimal in digits_and_decimals}
    most_digits = max((digits for digits, _ in digits_and_decimals), default=0)
    most_decimals = max(decimals, default=0)

    if most_digits >= _FULL_PRECISION or not digits_and_decimals:
        return _shortest
    if exponents:
        return lambda value: f"{value:.{most_digits}g}"
    if most_decimals == 0:
        return lambda value: _shortest(round(value, _DECIMALS_FOR_WHOLE_NUMBERS))
    if len(decimals) == 1:
        return lambda value: f"{value:.{most_decimals}f}"
    if len({decimal for digits, decimal in digits_and_decimals if digits == most_digits}) > 1:
        return lambda value: f"{value:.{most_digits}g}"
    return lambda value: _shortest(round(value, most_decimals))


def _shortest(value: float) -> str:
    return repr(float(value))
