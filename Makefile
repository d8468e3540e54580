# Every target builds what it needs by itself; `make help` lists them.
# To use another Python than the default: make test PYTHON=python3.12
PYTHON ?= python3
BIN := .venv/bin

DEMO_OUT ?= runs/demo
DEMO = $(BIN)/headstart compare --source Hopper-v5 --target Hopper-v5@torso_mass=9 --ensemble Hopper-v5@torso_mass=3..9 \
	--methods scratch,naive,finetune,randomize,epopt --source-steps 1.2e5 --target-steps 3e4 --shots 0,1,10 --seeds 5 --eval-episodes 5 \
	--out $(DEMO_OUT)

# make-venv FOLDER: a new virtual environment there, or one sentence that says why not.
define make-venv
	@command -v $(PYTHON) >/dev/null || { echo "headstart needs Python 3.11 or newer, and there is no $(PYTHON) here: install it, or name another with PYTHON=."; exit 1; }
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "headstart needs Python 3.11 or newer, and $(PYTHON) is $$($(PYTHON) -V 2>&1): name a newer one, such as make PYTHON=python3.12."; exit 1; }
	@echo "Installing into $(1) (a few minutes the first time) ..."
	@$(PYTHON) -m venv $(1)
endef

.DEFAULT_GOAL := help
.PHONY: help demo test tests smoke lint types docs bench clean

help:  ## what there is to make
	@awk -F ':.*## ' '/^[a-z]+:.*## / { printf "  make %-7s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

demo: .venv/.installed  ## a whole study, small: Hopper to a heavier Hopper, five methods, a report
	$(DEMO)
	@echo "The report is $(CURDIR)/$(DEMO_OUT)/report.html: open it in a browser."

test: lint types tests  ## lint, types and tests

# The tests of a file share what they compile, so one worker takes all of them.
tests: .venv/.installed | lint types
	$(BIN)/pytest -n auto --dist loadfile --no-loadscope-reorder --durations 10 --ignore tests/test_benchmarks.py

smoke: .venv/.installed  ## does every benchmark still run, in small?
	$(BIN)/pytest -n auto tests/test_benchmarks.py

lint: .venv/.installed  ## ruff: style and format
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types: .venv/.installed
	$(BIN)/pyright

docs: .venv/.installed-docs  ## the documentation, into site/
	$(BIN)/mkdocs build --strict
	@echo "The documentation is $(CURDIR)/site/index.html: open it in a browser, or search it with $(BIN)/mkdocs serve."

bench: .venv/.installed .venv-peers/.installed  ## every benchmark at full size, one after the other (hours)
	@set -e; for script in $(sort $(filter-out benchmarks/flags.py benchmarks/pretrained.py benchmarks/side_by_side.py benchmarks/together.py,$(wildcard benchmarks/*.py))); do echo "== $$script"; $(BIN)/python $$script; done

clean:  ## remove what was built here (not runs/)
	rm -rf .venv .venv-peers build site *.egg-info .pytest_cache .ruff_cache
	find headstart -name '_rows*.so' -delete
	find headstart tests benchmarks examples docs -name __pycache__ -type d -prune -exec rm -rf {} +

# The stamps: an environment is whole only when its stamp is there, so an interrupted install starts again.
.venv/.installed: pyproject.toml constraints.txt headstart/tasks/mujoco/rows.c
	$(call make-venv,.venv)
	@$(BIN)/pip install -q --disable-pip-version-check -c constraints.txt -e '.[dev,mjx,envs,tensorboard,figures]'
	@touch $@

.venv/.installed-docs: .venv/.installed
	@$(BIN)/pip install -q --disable-pip-version-check -c constraints.txt -e '.[docs]'
	@touch $@

# What we are measured against needs other versions than we do, and none of us: an environment of its own.
.venv-peers/.installed: constraints.txt
	$(call make-venv,.venv-peers)
	@.venv-peers/bin/pip install -q --disable-pip-version-check -c constraints.txt \
		torch==2.13.0 stable-baselines3 sbx-rl rejax brax envpool 'gymnasium[mujoco]'
	@touch $@
