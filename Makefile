# Every target builds what it needs: python3 (3.11 or newer), make and a package index are enough to start.
PYTHON ?= python3
PY := .venv/bin/python
UV := .venv/bin/uv
STAMP := .venv/.installed
LABEL_STUDIO := build/label-studio/.installed
S3 := build/moto/.installed
PROCESSES := -n auto --maxprocesses 4  # tests/conftest.py says how many; each needs about 3 GB

# Without bytecode each process that a test starts would compile all of torch again.
unexport PYTHONDONTWRITEBYTECODE

.DEFAULT_GOAL := help
.PHONY: help install test test-fast lint format lock sbom audit demo bench docs readers clean

help:  ## say what each target does
	@sed -n 's/^\([a-z-]*\):.*## \(.*\)/  make \1\t\2/p' $(MAKEFILE_LIST) | expand -t 18

install: $(STAMP)  ## build .venv from requirements.lock; quick when it is up to date

$(STAMP): requirements.lock pyproject.toml
	@command -v $(PYTHON) >/dev/null || { echo "make: no '$(PYTHON)' on PATH; name a Python 3.11 or newer: make install PYTHON=python3.12" >&2; exit 1; }
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "make: Boxstrap needs Python 3.11 or newer, and '$(PYTHON)' is $$($(PYTHON) --version 2>&1); name another one: make install PYTHON=python3.12" >&2; exit 1; }
	@test -x $(PY) || $(PYTHON) -m venv .venv
	@test -x $(UV) || $(PY) -m pip install --quiet --disable-pip-version-check uv || echo "make: uv cannot be had; pip does the same, slower" >&2
	@if test -x $(UV); then \
		$(UV) pip install --quiet --python $(PY) --require-hashes -r requirements.lock && \
		$(UV) pip install --quiet --python $(PY) --no-deps --no-build-isolation -e . ; \
	else \
		$(PY) -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements.lock && \
		$(PY) -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation -e . ; \
	fi
	@touch $@

test: lint $(LABEL_STUDIO) $(S3)  ## lint, types and all tests
	$(PY) -m pytest -q $(PROCESSES) --durations=20

test-fast: install  ## ruff, and the tests that take less than half a second each
	$(PY) -m ruff check -q .
	$(PY) -m pytest -q $(PROCESSES) -m "not slow"

$(LABEL_STUDIO): $(STAMP)
	$(PY) -c 'from pathlib import Path; from demo.label_studio_server import install; install(Path("build/label-studio"))'
	@touch $@

# In an environment of its own, since it wants older versions of what Boxstrap uses.
$(S3): $(STAMP)
	$(PY) -c 'from pathlib import Path; from demo.label_studio_server import install; install(Path("build/moto"), "moto[s3,server]==5.2.5", "moto_server")'
	@touch $@

lint: install  ## ruff and mypy
	$(PY) -m ruff check .
	$(PY) -m ruff format --check .
	$(PY) -m mypy

format: install  ## rewrite the code in the project's format
	$(PY) -m ruff check --fix .
	$(PY) -m ruff format .

# The compile keeps the versions that are locked already; `make lock UPGRADE=--upgrade` takes the newest.
lock:  ## write requirements.lock from pyproject.toml (UPGRADE=--upgrade: newest versions)
	@test -x $(PY) || $(PYTHON) -m venv .venv
	@test -x $(UV) || $(PY) -m pip install --quiet --disable-pip-version-check uv
	$(UV) pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-emit-find-links \
		--custom-compile-command "make lock" --extra label-studio-ml --extra onnx --extra tensorboard --extra mlflow --extra timm --extra s3 --group dev $(UPGRADE) --output-file requirements.lock pyproject.toml

sbom: install  ## write build/sbom.cdx.json, a bill of materials of requirements.lock
	@mkdir -p build
	$(UV) tool run --from cyclonedx-bom cyclonedx-py requirements requirements.lock --of JSON -o build/sbom.cdx.json

# --strict: without it a package that no database knows counts as safe.
audit: install  ## ask for known holes in what is locked; needs a network that reaches their database
	$(UV) tool run pip-audit --strict --disable-pip --require-hashes -r requirements.lock

demo: install  ## a real Label Studio with boxes and masks from class labels (IMAGES=folder, EXIT=1)
	@$(PY) -m demo $(if $(IMAGES),--images "$(IMAGES)") $(if $(EXIT),--exit)

bench: install $(LABEL_STUDIO)  ## measure speed and memory against the bare backbone
	$(PY) -m benchmarks

docs: install  ## the documentation as a site, build/site; a reference that leads nowhere is an error
	NO_MKDOCS_2_WARNING=1 $(PY) -m mkdocs build --quiet --strict

# In an environment of their own: detectors of torchvision and Ultralytics train an epoch, others read.
readers: install  ## let other programs read and train on exports of SOURCE
	@test -x build/readers/bin/python || $(UV) venv --quiet --python $(PY) build/readers
	@$(UV) pip install --quiet --python build/readers/bin/python ultralytics supervision datumaro pycocotools torchvision
	for kind in coco voc yolo yolo-seg; do $(PY) -m backend export $(SOURCE) --format $$kind --out build/exports/$$kind --force; done
	build/readers/bin/python benchmarks/export_readers.py build/exports

clean:  ## remove what was built, .venv included
	rm -rf .venv build dist *.egg-info .mypy_cache .pytest_cache .ruff_cache .hypothesis
