# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) SmoothNet contributors
"""The one exception for mistakes that a user can mend."""


class SmoothNetError(Exception):
    """A mistake in what the user gave: one clear sentence that names the file and says what to do.

    Entry scripts print it to stderr and exit with status 2; it never shows as a traceback.
    """
