# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) SmoothNet contributors
"""One promise, tried again and again with damaged input.

Every command, given anything at all, ends with status 0 and a right result, or with status 2 and one sentence that
names the file, setting or argument; in bounded time and memory; and nothing outside its output has changed.

scenes.py     good input and a command for each reader and command
mutate.py     what is done to it: values, types, sizes, structure, names, links, arguments, signals
run.py        one case in a process of its own, with limits
judge.py      whether the promise held

`python tests/harness.py --cases 20000` runs many cases; a few of them are in the suite.
"""
