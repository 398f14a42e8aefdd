# Verbs: demo, test, check, site, board, slow, bench. Each stands on .venv, which `setup` makes.
UV := $(shell command -v uv 2>/dev/null || echo .uv/bin/uv)
PY := .venv/bin/python
DATA := $(wildcard ../shared/data)
export HYDROMETER_DATA ?= $(if $(DATA),$(abspath $(DATA)),)

.PHONY: setup demo test check site board slow bench bench-quick

setup: .venv/.ready

.venv/.ready: pyproject.toml
	@command -v uv >/dev/null || test -x .uv/bin/uv || \
		{ python3 -m venv .uv && .uv/bin/pip install --quiet uv; }
	@test -x $(PY) || $(UV) venv --quiet --python 3.11 .venv
	$(UV) pip install --quiet --python $(PY) --editable . --group dev
	@touch $@

demo: setup
	.venv/bin/hydrometer demo

test: setup
	$(PY) -m pytest

check: setup
	.venv/bin/ruff format --check .
	.venv/bin/ruff check .
	.venv/bin/mypy
	$(PY) tools/layers.py

# The committed entries as a site: nothing is trained, entries carry their raw runs.
site: setup
	.venv/bin/hydrometer report board --out site --title "Hydrometer: our own board"

# The entries themselves: students in the plan's store are not trained again.
board: setup
	.venv/bin/hydrometer bench run board/plan.toml
	$(PY) benchmarks/own_board.py

slow: setup
	$(PY) -m pytest -m slow

bench: setup
	$(PY) benchmarks/vs_ddranking.py

bench-quick: setup
	$(PY) benchmarks/vs_ddranking.py --quick
