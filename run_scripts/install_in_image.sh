#!/bin/bash
# Installs requirements.txt where PyTorch is: in the vendor's conda environment, else in the image's own Python,
# which gets the cpu build of PyTorch if it has none. Called by the Dockerfile.
set -euo pipefail

environment=
if command -v conda > /dev/null; then
    environment=$(conda env list | awk '$1 == "torch27_env_py310" || $1 == "torch_env" { print $1; exit }')
fi
if [ -n "$environment" ]; then
    echo "source activate $environment" >> "$HOME/.bashrc" # for docker exec -it ... /bin/bash
    set +u # conda's activation scripts read variables that are not set
    source activate "$environment"
    set -u
fi
if ! python -c "import importlib.util, sys; sys.exit(importlib.util.find_spec('torch') is None)"; then
    pip install --no-cache-dir torch --index-url https://download.pytorch.org/whl/cpu
fi
pip install --no-cache-dir -r requirements.txt

# The vendor's logger is optional, and its repository may be out of reach: training writes the same lines without it.
GIT_TERMINAL_PROMPT=0 timeout 300 pip install --no-cache-dir git+https://github.com/Tecorigin/tcap_dllogger.git ||
    echo "tcap_dllogger could not be installed; training writes the same log lines without it" >&2
