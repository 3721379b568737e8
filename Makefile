# Everything that is done with a checkout. Written for GNU make 3.81 and up; every command runs from this directory.
PYTHON_IN_VENV = .venv/bin/python
COMPILE = .venv/bin/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes \
	--no-emit-index-url --no-emit-find-links --no-header --no-annotate
LOCKED = requirements.txt requirements-local.txt requirements-dev.txt requirements-bench.txt requirements-heic.txt
export PYTHON

.PHONY: help setup setup-dev demo up migrate test test-faults lint bench soak wheel lock clean

help: ## Say what there is
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-12s %s\n", $$1, $$2 }' Makefile

setup: ## Make .venv with what it takes to run
	@sh ops/setup.sh local

setup-dev: ## Make .venv with what it takes to check and test as well
	@sh ops/setup.sh dev

demo: setup ## Start everything, act as a client, verify what was made, stop
	@$(PYTHON_IN_VENV) -m ops demo

up: setup ## Run everything until Ctrl-C
	@$(PYTHON_IN_VENV) -m ops up

migrate: setup ## Bring the database to the newest migration
	@$(PYTHON_IN_VENV) -m ops migrate

test: setup-dev ## Run all tests (PYTEST_ARGS="-k words" for some)
	@$(PYTHON_IN_VENV) -m pytest $(PYTEST_ARGS)

test-faults: setup-dev ## Run the tests that kill, freeze and starve, the long ones too, with their figures
	@$(PYTHON_IN_VENV) -m pytest tests/faults -m "not root_linux" -s $(PYTEST_ARGS)

lint: setup-dev ## Check style, types, the direction of imports and the requirements
	.venv/bin/ruff check
	.venv/bin/ruff format --check
	.venv/bin/basedpyright
	.venv/bin/lint-imports
	.venv/bin/deptry .

bench: setup-dev ## Measure beside the rivals (BENCH_ARGS="--quick", or names of parts)
	@sh ops/setup.sh bench
	@$(PYTHON_IN_VENV) -m tests.bench $(BENCH_ARGS)

soak: setup-dev ## Run 10,000 jobs while everything is killed, frozen and wiped (SOAK_ARGS="--jobs 500")
	@$(PYTHON_IN_VENV) -m tests.soak $(SOAK_ARGS)

wheel: setup-dev ## Build the client and its command as a wheel of their own, in var/dist
	@cd jobyard && ../$(PYTHON_IN_VENV) -m hatchling build -t wheel -d ../var/dist

lock: setup-dev ## Pin the requirements anew, with hashes
	$(COMPILE) requirements.in -o requirements.txt
	$(COMPILE) -c requirements.txt requirements-local.in -o requirements-local.txt
	$(COMPILE) -c requirements-local.txt requirements-dev.in -o requirements-dev.txt
	$(COMPILE) -c requirements-dev.txt requirements-bench.in -o requirements-bench.txt
	$(COMPILE) -c requirements-dev.txt requirements-heic.in -o requirements-heic.txt
	@! grep -nE -e '--(extra-)?index-url|--find-links|://' $(LOCKED)

clean: ## Delete .venv, var and what tools have cached
	rm -rf .venv var .pytest_cache .ruff_cache .hypothesis .import_linter_cache
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
