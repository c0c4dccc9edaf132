# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) SmoothNet contributors
"""What streams of networks and of filters refuse alike, and that they go on after it."""

import numpy as np
import pytest

from lib.filters import classical_smoother
from lib.inference import Smoother
from lib.utils.errors import SmoothNetError

STREAMS = {"network": Smoother.from_checkpoint().stream, "filter": classical_smoother("rts").stream}
POSE = np.arange(6.0).reshape(3, 2)


@pytest.mark.parametrize("start", STREAMS.values(), ids=STREAMS)
@pytest.mark.parametrize(
    ("wrong", "words"),
    [
        ({7: np.zeros(3)}, r"frame 0 has the shape \(3,\), this stream takes \(joints, dims\)"),
        ({7: POSE, 8: np.zeros((4, 2))}, r"frame 0 has the shape \(4, 2\), this stream takes \(3, 2\)"),
        ({7: [["a", "b"]]}, "numbers"),
    ],
)
def test_a_refused_frame_decides_nothing(start, wrong, words):
    stream = start(0)
    with pytest.raises(SmoothNetError, match=words):
        stream.push(wrong)
    assert stream.push(POSE[:2]).shape == (2, 2)


@pytest.mark.parametrize("start", STREAMS.values(), ids=STREAMS)
def test_the_first_frame_decides_for_all(start):
    stream = start(0)
    assert stream.push(None) is None
    assert stream.push(POSE).shape == POSE.shape and np.isnan(stream.push(None)).all()
    with pytest.raises(SmoothNetError, match=r"frame 3 .* must be an array \(joints, dims\)"):
        stream.push({7: POSE})
    several = start(0, tracks=[7])
    assert several.push(None) == {} and set(several.push({7: POSE, 8: POSE[:1]})) == {7}
    with pytest.raises(SmoothNetError, match=r"frame 2 .* must be a dict id"):
        several.push(POSE)
