# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) SmoothNet contributors
"""Write anew what the browser's part takes from Python: `python run_scripts/browser.py`.

Due after new weights or skeletons, new names of columns and arrays in lib/formats, and changes in lib/browser/js:
lib/browser/js/weights.js, skeletons.js and words.js, docs/try/index.html, which holds all of it, and copies of LICENSE
and NOTICE. Tests say when it is.
"""

from __future__ import annotations

import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))


def main() -> int:
    from lib.browser.export import skeletons_module, weights_module, words_module
    from lib.browser.page import try_page
    from lib.utils.files import write_text
    from lib.weights import find_weights

    js = ROOT / "lib/browser/js"
    write_text(js / "weights.js", weights_module(find_weights(None)))
    write_text(js / "skeletons.js", skeletons_module())
    write_text(js / "words.js", words_module())
    for name in ("LICENSE", "NOTICE"):  # npm takes nothing from outside the folder
        write_text(js / name, (ROOT / name).read_text(encoding="utf-8"))
    (ROOT / "docs/try").mkdir(exist_ok=True)
    write_text(ROOT / "docs/try/index.html", try_page())
    return 0


if __name__ == "__main__":
    sys.exit(main())
