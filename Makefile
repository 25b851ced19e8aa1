# make demo and make test are all a newcomer needs; the others are for who changes things.
PYTHON ?= python3.11
BIN := .venv/bin

.PHONY: .venv demo test bench lint lock clean

.venv: .venv/installed

.venv/installed: pyproject.toml requirements.lock
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --requirement requirements.lock
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation --editable .
	touch $@

demo: .venv
	$(BIN)/sorter demo

test: .venv
	$(BIN)/python -m pytest

bench: .venv
	$(BIN)/python -m bench

lint: .venv
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

lock:
	$(BIN)/python -m pip install --quiet pip-tools
	$(BIN)/pip-compile --quiet --strip-extras --extra dev --no-emit-index-url --no-emit-find-links --no-emit-trusted-host \
		--no-header --output-file requirements.lock pyproject.toml

clean:
	rm -rf .venv demo-day
