# Everything happens in .venv, which `make setup` makes and keeps up to date.
PYTHON ?= python3
VENV := .venv/bin
METHODS := source-only adda dt-ft da-faster mtor few-shot select-align strong-weak img \
	ifan auto oracle
ABLATIONS := img-ins img-cat img-corr phi1 phi2 phi3 phi4 img-cat-200 \
	img-cat-350 img-cat-800
TEACHERS := source-only-strong teacher-hard teacher aldi at mic img-strong \
	img-teacher ifan-strong ifan-teacher oracle-strong
STUDY := $(VENV)/python tools/study.py --out docs/data/study_mini-city
STUDY_OF_TEACHERS := $(VENV)/python tools/study.py --out docs/data/study_teacher

.DEFAULT_GOAL := help
.PHONY: help setup demo report study gpu-check bench tables test test-fast coverage \
	compat lint docs clean

help: ## List the targets
	@sed -n 's/^\([a-z-]*\):.*## \(.*\)/  make \1\t\2/p' Makefile | expand -t 19

setup: ## Install everything into .venv (first time: minutes, then a second)
	@# An older Python cannot even read the script, which checks the rest.
	@$(PYTHON) -c 'import sys; sys.version_info >= (3, 7) or sys.exit( \
		"error: $(PYTHON) is too old: run \"make setup PYTHON=python3.11\".")'
	@$(PYTHON) tools/setup_env.py

demo: setup ## See an adaptation work, on the CPU, with nothing to download
	$(VENV)/python tools/demo.py

report: setup ## Write the demo's page again, with the pictures it has now
	$(VENV)/python tools/report.py

study: setup ## Compare methods (three seeds) and ablations on Mini City (hours)
	$(VENV)/python tools/prepare/mini_city.py
	$(VENV)/python tools/prepare/cityscapes.py data/mini_city
	@# DT+FT's images, of one CycleGAN for all seeds.
	$(VENV)/python tools/train.py configs/dt-ft/cyclegan_mini-city.py --resume
	$(VENV)/python tools/prepare/translate.py \
		work_dirs/cyclegan_mini-city/iter_2400.pth data/mini_city/leftImg8bit \
		--out data/mini_city/translated/leftImg8bit
	@# The settings were found on seeds 0 and 1.
	$(STUDY) $(METHODS:%=%_mini-city.py) --seeds 2 3 4
	$(STUDY) $(ABLATIONS:%=%_mini-city.py) --seeds 2
	@# All of them in one table.
	$(STUDY) $(patsubst %,%_mini-city.py,$(filter-out oracle,$(METHODS)) \
		$(ABLATIONS) oracle) --seeds 2 3 4 --no-train
	@# With a recipe of their own, so with a source-only and an oracle of their own.
	$(STUDY_OF_TEACHERS) $(TEACHERS:%=%_mini-city.py) --seeds 2 3 4

gpu-check: setup ## Check that everything runs on this machine's GPU (ten minutes)
	$(VENV)/python tools/gpu_check.py

bench: setup ## Measure time and memory compared with stock Faster R-CNN's (two hours)
	$(VENV)/python tools/bench.py --page docs/lab/performance.md

tables: setup ## Write the tables of README and docs from their sources
	$(VENV)/python tools/write_tables.py

# Spare the tests what none of them is about: the processes that they start need not
# compile the package again, nor give the memory of a step back before the next (see
# KEEP_MEMORY in mmdet_ifan/runs/training_run.py).
test test-fast coverage compat: export PYTHONDONTWRITEBYTECODE =
test test-fast coverage compat: export MALLOC_MMAP_THRESHOLD_ = 33554432
test test-fast coverage compat: export MALLOC_TRIM_THRESHOLD_ = 1073741824

test: setup ## Run the tests
	$(VENV)/python -m pytest

test-fast: setup ## Run the tests that take no more than a second or two
	$(VENV)/python -m pytest -m 'not slow'

coverage: setup ## Run the tests and list the lines that they leave out
	$(VENV)/python -m pytest --cov

compat: ## Run the tests on the OneDL forks, in .venv-onedl
	@$(PYTHON) tools/setup_env.py --onedl
	.venv-onedl/bin/python -m pytest

lint: setup ## Check style, types and spelling
	$(VENV)/ruff check .
	$(VENV)/ruff format --check .
	$(VENV)/mypy
	$(VENV)/lint-imports --no-logo
	$(VENV)/codespell

docs: setup ## Build these pages and an API reference into build/docs
	$(VENV)/pip install -q -r requirements/docs.txt \
		-c requirements/constraints.txt
	$(VENV)/python -m sphinx -W --keep-going -q docs build/docs
	@echo 'Open build/docs/index.html.'

clean: ## Remove what builds and checks leave behind (.venv stays)
	rm -rf build dist docs/api .coverage* *.egg-info .hypothesis .mypy_cache .pytest_cache \
		.ruff_cache .import_linter_cache
	find . -name .venv -prune -o -name __pycache__ -exec rm -rf {} +
