# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) SmoothNet contributors
"""Whole corpora: hundreds of thousands of files, several processes or machines. Importing this imports no torch."""

from .run import run_corpus
from .work import FileSmoother

__all__ = ["FileSmoother", "run_corpus"]
