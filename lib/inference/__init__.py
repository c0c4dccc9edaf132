# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) SmoothNet contributors
"""Smoothing a user's own poses: whole recordings, live streams and files. Importing this imports no torch."""

from .labelled import smooth_labelled
from .smoother import Smoother
from .stream import Stream

__all__ = ["Smoother", "Stream", "smooth_labelled"]
