# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) SmoothNet contributors
"""Start a script in several processes, as torchrun does: `python run_scripts/processes.py OPTIONS SCRIPT ARGUMENTS`.

Options and behaviour are those of `python -m torch.distributed.run`. But what ends a process is said by that process in
one sentence, without torchrun's own traceback behind it, and the exit status is that of the first that failed.
"""

from __future__ import annotations

import logging
import os
import signal
import sys
from collections.abc import Sequence


def main(argv: Sequence[str]) -> int:
    from torch.distributed import run
    from torch.distributed.elastic.multiprocessing.api import SignalException
    from torch.distributed.elastic.multiprocessing.errors import ChildFailedError

    if "LOGLEVEL" not in os.environ:  # torchrun's own variable, for those who want to read what it does
        logging.disable(logging.ERROR)
    try:
        run.run(run.parse_args(list(argv)))
    except ChildFailedError as error:
        rank, failure = error.get_first_failure()
        if failure.exitcode < 0:  # it could not say so itself
            name = signal.Signals(-failure.exitcode).name
            print(f"error: process {rank} was ended by {name}", file=sys.stderr)
            return 128 - failure.exitcode
        return failure.exitcode
    except SignalException as error:
        return 128 + error.sigval
    except (RuntimeError, OSError) as error:  # machines that do not meet, a port that is taken
        reason = " ".join(str(error).split())[:300]
        print(f"error: the processes cannot be started: {reason}", file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
