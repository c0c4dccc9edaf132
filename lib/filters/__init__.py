# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) SmoothNet contributors
"""Classical filters: the paper's baselines for evaluation, and smoothers for one's own poses. Imports no torch."""

from .smoother import METHODS, OUTLIERS, ClassicalSmoother, ClassicalStream, classical_smoother
from .table import FILTERS, Filter, apply_filter, filter_names, filter_options

__all__ = [
    "FILTERS",
    "METHODS",
    "OUTLIERS",
    "ClassicalSmoother",
    "ClassicalStream",
    "Filter",
    "apply_filter",
    "classical_smoother",
    "filter_names",
    "filter_options",
]
