# make demo | test | test-all | check | format | lock | clean. Each sets up what it needs in .venv, once.
PYTHON ?= python3.11
BIN := .venv/bin
INSTALLED := .venv/installed

.PHONY: demo test test-all check format lock clean
.DEFAULT_GOAL := demo

$(INSTALLED): requirements.lock setup.py
	@command -v $(PYTHON) >/dev/null || { echo "emogan needs Python 3.11 (TensorFlow 2.15 runs on no newer one); install it, or name it with PYTHON=/path/to/python3.11"; exit 1; }
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info[:2] != (3, 11))' || { echo "emogan needs Python 3.11, and $(PYTHON) is another version; name the right one with PYTHON=/path/to/python3.11"; exit 1; }
	$(PYTHON) -m venv --clear .venv
	$(BIN)/pip install --quiet --disable-pip-version-check --require-hashes --no-deps -r requirements.lock
	$(BIN)/pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation -e .
	@touch $@

DEMO := demo
SYNTHETIC := $(BIN)/python -m datasets.synthetic
PREPARE := $(BIN)/python -m trainers.prepare --data_dir=$(DEMO)/tfds --config=64

demo: $(INSTALLED)
	$(SYNTHETIC) --corpus=voxceleb2 --output_dir=$(DEMO)/corpora/voxceleb2 --speakers=16 --clips_per_speaker=8 --seed=5
	$(SYNTHETIC) --corpus=crema_d --output_dir=$(DEMO)/corpora/crema_d --speakers=60 --clips_per_speaker=12 --seed=5
	$(PREPARE) --dataset=voxceleb_av --manual_dir=$(DEMO)/corpora/voxceleb2
	$(PREPARE) --dataset=crema_d_av --manual_dir=$(DEMO)/corpora/crema_d
	$(BIN)/python -m trainers.progressive --flagfile=trainers/configs/demo.flags --data_dir=$(DEMO)/tfds --run_dir=$(DEMO)/run

# Two processes; the tests of a file share what they build, so a file goes to one of them.
PYTEST := $(BIN)/pytest --numprocesses=2 --dist=loadfile

test: check
	$(PYTEST) -m "not slow" --durations=12

test-all: check
	$(PYTEST) --durations=12

check: $(INSTALLED)
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy

format: $(INSTALLED)
	$(BIN)/ruff format
	$(BIN)/ruff check --fix

lock: $(INSTALLED)
	$(BIN)/uv pip compile setup.py --extra dev --python-version 3.11 --python-platform x86_64-manylinux_2_28 \
		--generate-hashes --no-header --no-annotate --output-file requirements.lock

clean:
	rm -rf .venv $(DEMO) .pytest_cache .mypy_cache .ruff_cache
