# Needs Python 3.11+ and make, nothing else. `make` lists what there is.
#   PYTHON=python3.13 make setup      another Python
#   DEVICE=cpu make serve             the CPU build of ONNX Runtime, whatever the machine has
#   make test ARGS='-k match -x'      arguments for pytest
PYTHON ?= python3
VENV   ?= .venv
BIN    := $(VENV)/bin
ARGS   ?=

# The two builds of ONNX Runtime overwrite each other, so a venv holds one of them: GPU where a driver answers.
# Moving from one to the other takes a `make clean`.
DEVICE ?= $(shell nvidia-smi >/dev/null 2>&1 && echo gpu || echo cpu)
INSTALL = $(BIN)/python -m pip install --disable-pip-version-check --constraint constraints.txt --editable

# Stamps: what is installed is installed again only after a change of what it was installed from.
SERVING     := $(VENV)/.serving
DEVELOPMENT := $(VENV)/.development

# In a venv of its own, so that the list has what is used and not what writes the list.
SBOM := $(VENV)-sbom/bin/cyclonedx-py

# The tests of what pyproject.toml has under tool.coverage.
COVERED := $(addprefix tests/service/,inference oip pictures repository tasks workers)

.DEFAULT_GOAL := help
.PHONY: help setup serve native test coverage gpu-check docs check page-check audit sbom format clean

help: ## list the targets
	@sed -n 's/^\([a-z-]*\):.*## /  make \1\t/p' Makefile | expand -t 18

setup: $(DEVELOPMENT) ## install everything: serving, training, tests

serve: $(SERVING) ## serve on 127.0.0.1:8000; settings are SCS_… variables
	@$(BIN)/python models/onnx/native/build.py --if-possible
	$(BIN)/scs serve

native: ## build the C++ kernels for the CPU, seconds; `make serve` does so by itself where there is a compiler
	@$(PYTHON) models/onnx/native/build.py

test: $(DEVELOPMENT) ## run the whole suite
	$(BIN)/python -m pytest $(ARGS)

coverage: $(DEVELOPMENT) ## run the tests of what the service does, and fail where they cover less than before
	$(BIN)/python -m pytest --cov --cov-report=term -n auto --dist loadfile -m "not slow and not alone" $(COVERED) $(ARGS)

gpu-check: $(DEVELOPMENT) ## check and time on a GPU all that can run on one, minutes; where there is none it says so
	$(BIN)/python bench/gpu.py $(ARGS)

docs: $(DEVELOPMENT) ## write docs/api.md, draw every picture and fill every table of the documentation, minutes
	$(BIN)/python docs/api.py
	$(BIN)/python docs/draw.py
	$(BIN)/python docs/rooms.py
	$(BIN)/scs lab all --out docs/lab/pictures
	$(BIN)/python docs/tables

check: $(DEVELOPMENT) ## lint, format, types and layers of imports, as CI does
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports --no-logo
	@if [ -d node_modules ]; then $(MAKE) --no-print-directory page-check; else echo "the explorer's scripts are not checked: npm ci"; fi

page-check: ## check types and format of the explorer's scripts; needs Node.js, and `npm ci` once
	npm run --silent check

audit: $(DEVELOPMENT) ## ask whether a pinned package has a known advisory; fails too if that cannot be asked
	@$(BIN)/python .ci/audit.py $(ARGS)

sbom: $(DEVELOPMENT) $(SBOM) ## write dist/sbom.json, the packages of this venv in the form of CycloneDX
	@mkdir -p dist
	$(SBOM) environment $(BIN)/python --pyproject pyproject.toml --output-reproducible --of JSON -o dist/sbom.json

format: $(DEVELOPMENT) ## mend what ruff can mend by itself
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

clean: ## take away the venv and the caches
	rm -rf $(VENV) $(VENV)-sbom dist .pytest_cache .mypy_cache .ruff_cache .import_linter_cache .hypothesis .coverage

# pip is what a venv without Debian's python3-venv lacks, so its presence says that the venv is whole.
$(BIN)/pip:
	$(PYTHON) -m venv $(VENV)

$(SERVING): pyproject.toml constraints.txt | $(BIN)/pip
	@echo "installing for serving ($(DEVICE)) into $(VENV)"
	$(INSTALL) '.[$(DEVICE),grpc,otel]'
	@touch $@

# Holds all that serving needs, so it is both stamps.
$(DEVELOPMENT): pyproject.toml constraints.txt | $(BIN)/pip
	@echo "installing for serving ($(DEVICE)), training and tests into $(VENV)"
	$(INSTALL) '.[$(DEVICE),grpc,otel,train,models,map,test]'
	@touch $@ $(SERVING)

$(SBOM): pyproject.toml constraints.txt
	$(PYTHON) -m venv $(VENV)-sbom
	$(VENV)-sbom/bin/python -m pip install --disable-pip-version-check --constraint constraints.txt cyclonedx-bom
	@touch $@
