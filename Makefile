# Every target sets up $(VENV) by itself, once; `make help` lists the targets.
#
# PYTHON names the interpreter that makes the environment (3.11 or newer), VENV the folder that it is made in:
#   make test PYTHON=python3.12 VENV=.venv-3.12

PYTHON ?= python3
VENV   ?= .venv
RUN    := $(VENV)/bin/python
STAMP  := $(VENV)/installed.stamp
PIP    := $(RUN) -m pip install -qq --disable-pip-version-check --no-input
CHECKS := "-m ruff check ." "-m ruff format --check ." "-m mypy" tests/house/limits.py

# The tests of a file stay in one process, so what they share is prepared once.
PYTEST := $(RUN) -m pytest --numprocesses=auto --maxprocesses=8 --dist=loadfile

.DEFAULT_GOAL := help
.PHONY: help install demo demo-reft demo-rl test test-slow lint docs format lock clean

help: ## list the targets
	@sed -n 's/^\([a-z-]*\):.*## \(.*\)/  make \1\t\2/p' $(MAKEFILE_LIST) | expand -t 18

install: $(STAMP) ## set up the environment and nothing else

demo: $(STAMP) ## train the built-in model where it is missing, then evaluate it with and without LASER
	@$(RUN) evaluate.py

# A trained Llama of 260 thousand parameters, tinystories-260k; any other folder in transformers' format does too.
SHARED := $(or $(LASER_LIT_SHARED),../shared)
MODEL  ?= $(SHARED)/checkpoints/tinystories-260k

demo-reft: $(STAMP) ## train ReFT's ten emoji examples on the model of MODEL=DIR
	@$(RUN) train.py experiment=emoji model=local model.path=$(MODEL) reft.layer=0 reft.learning_rate=2e-2 trainer=cpu

demo-rl: $(STAMP) ## train a Sokoban policy, try every edit on validation rooms, test the best on 8,000 others
	@$(RUN) evaluate.py task=sokoban search=grid search.rho=[0.01,0.05,0.15,0.3,0.5,0.75] data.levels.test=8000 trainer=cpu

test: $(STAMP) ## the fast tests
	@$(PYTEST) -m "not slow and not browser"

test-slow: $(STAMP) ## several processes, kills, end-to-end runs, the browser
	@$(RUN) -m pytest -m "slow or browser"

lint: $(STAMP) ## style, types and the limits of the house
	@failed=0; for check in $(CHECKS); do $(RUN) $$check || failed=1; done; exit $$failed

docs: $(STAMP) ## build the documentation site into ./site; a warning is an error
	@NO_MKDOCS_2_WARNING=1 $(RUN) -m mkdocs build --strict --clean

format: $(STAMP) ## rewrite the sources in the house's format
	@$(RUN) -m ruff check --fix .
	@$(RUN) -m ruff format .

ifneq ($(origin PYTHON),file)
VERSION := -c 'import sys; print(sys.version_info[:2])'
.PHONY: interpreter
$(STAMP): | interpreter
interpreter:
	@[ ! -e $(STAMP) ] || [ "$$($(PYTHON) $(VERSION))" = "$$($(RUN) $(VERSION))" ] || { \
	  echo "$(VENV) was made with $$($(RUN) --version), not with $(PYTHON):" \
	       "run make clean first, or name a folder beside it with VENV=" >&2; exit 1; }
endif

# The stamp is removed first and written last: an installation that was cut short starts again from an empty folder.
$(STAMP): requirements.lock pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null || { \
	  echo "laser_lit needs Python 3.11 or newer, and $(PYTHON) is $$($(PYTHON) --version 2>&1);" \
	       "name another one: make $(MAKECMDGOALS) PYTHON=python3.12" >&2; exit 1; }
	@if [ -e $@ ]; then echo "Updating $(VENV) …"; else \
	  echo "Setting up $(VENV): $$(grep -c == requirements.lock) packages, a few minutes on a slow line …"; \
	  $(PYTHON) -m venv --clear $(VENV); fi
	@rm -f $@
	@$(PIP) -r requirements.lock
	@$(PIP) --no-deps --no-build-isolation -e .
	@touch $@

# wandb 0.31 requires a beta package that it never imports; the version before it does not.
LOCK     := $(VENV)-lock
LOCKED   := 'torch==2.13.0' 'wandb<0.31' '.[dev,launch,lm-eval,minari,wandb-report]'
UNWANTED := ^(pip|laser_lit|nvidia-.*|cuda-.*|triton)==

lock: ## work requirements.lock out anew from pyproject.toml
	@$(PYTHON) -m venv --clear $(LOCK)
	@$(LOCK)/bin/python -m pip install -qq --disable-pip-version-check --no-input $(LOCKED)
	@$(LOCK)/bin/python -m pip freeze --all > $(LOCK)/freeze.txt
	@{ echo "# Made by \`make lock\`: every package that the project and its tests install, exactly."; \
	   sed -E 's/\+[a-z0-9.]+$$//' $(LOCK)/freeze.txt | grep '==' | grep -viE '$(UNWANTED)'; } > $(LOCK)/new.lock
	@mv $(LOCK)/new.lock requirements.lock && rm -rf $(LOCK)
	@echo "requirements.lock: $$(grep -c == requirements.lock) packages"

clean: ## remove the environment and every cache of the tools; results stay
	@rm -rf $(VENV) build dist site .pytest_cache .mypy_cache .ruff_cache .hypothesis *.egg-info
	@find . -name __pycache__ -type d -prune -exec rm -rf {} +
