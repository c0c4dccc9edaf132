# make demo   own environment, generated data, training, evaluation, pictures
# make quick  the same environment, lint, types and the tests that answer within a minute on two cores
# make test   lint, types and the whole test suite
# make docs   the site of the documentation, in site/
PYTHON ?= python3
VENV ?= .venv
# What pip installs as PyTorch. On Linux, for the small CPU build:
#   make demo TORCH="torch==2.13.0 --index-url https://download.pytorch.org/whl/cpu"
TORCH ?= torch==2.13.0
PIP = $(VENV)/bin/python -m pip install --quiet --disable-pip-version-check

.PHONY: demo quick test unit lint docs clean

demo: $(VENV)/base.done
	$(VENV)/bin/python run_scripts/demo.py

quick: lint unit

unit: $(VENV)/dev.done
	OMP_NUM_THREADS=1 $(VENV)/bin/python -m pytest -n auto -m "not slow"

test: lint
	$(VENV)/bin/python -m pytest -n auto

lint: $(VENV)/dev.done
	$(VENV)/bin/ruff check .
	$(VENV)/bin/ruff format --check .
	$(VENV)/bin/mypy
	$(VENV)/bin/python .ci/notice.py

docs: $(VENV)/docs.done
	$(VENV)/bin/python -m mkdocs build --strict

$(VENV)/docs.done: docs/requirements.txt
	test -x $(VENV)/bin/python || $(PYTHON) -m venv $(VENV)
	$(PIP) -r docs/requirements.txt
	touch $@

$(VENV)/base.done: requirements.txt
	test -x $(VENV)/bin/python || $(PYTHON) -m venv $(VENV)
	$(PIP) $(TORCH)
	$(PIP) -r requirements.txt imageio-ffmpeg pillow
	touch $@

$(VENV)/dev.done: $(VENV)/base.done requirements-dev.txt docs/requirements.txt
	$(PIP) -r requirements-dev.txt
	touch $@

clean:
	rm -rf $(VENV) demo build dist site *.egg-info
