# `make demo` and `make test` are all that a newcomer needs.
PYTHON ?= python3.11
VENV := .venv
BIN := $(VENV)/bin
INSTALLED := $(VENV)/.installed

.PHONY: demo test test-slow test-all install check fmt bench

demo: install
	$(BIN)/patchlane demo

# `test` is for every change, about ten minutes on two cores; what takes long is in `test-slow`: the
# further pages in a browser, each engine with each tower, trainings. CI runs both.
# Compiled modules are kept: the checks of shapes and the commands that tests start load them again.
test test-slow: export PYTHONDONTWRITEBYTECODE =
test: SLOW := not slow
test-slow: SLOW := slow
test test-slow: install
	@command -v chromium >/dev/null || { command -v apt-get >/dev/null && apt-get update -qq && apt-get install -y -qq chromium; } || echo "no Chromium: browser tests will skip"
	HF_HUB_OFFLINE=1 OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n 2 --dist loadfile --no-loadscope-reorder -m "$(SLOW)" $(ARGS)

test-all: test test-slow

# Names nobody defined are looked for where no shapes are written, whose letters look like them.
check: install
	$(BIN)/ruff check . && $(BIN)/ruff check --select F821 tests ui && $(BIN)/ruff format --check .
	$(BIN)/lint-imports
	$(BIN)/pyright

fmt: install
	$(BIN)/ruff check --fix . && $(BIN)/ruff format .

bench: install
	$(BIN)/patchlane bench $(NAME)

install: $(INSTALLED)

# torch first and pinned: anything else that asks for torch would bring a CUDA build.
$(INSTALLED): pyproject.toml constraints.txt
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install -q --upgrade "pip>=25.1" -c constraints.txt
	$(BIN)/python -m pip install -q -c constraints.txt torch
	$(BIN)/python -m pip install -q -c constraints.txt -e '.[cpu]' --group test
	touch $(INSTALLED)
