# make demo | table1 | evidence | test | test-all | test-gpu | check | format | docs | lock | clean. Each sets up what it needs in .venv, once.
PYTHON ?= python3.11
BIN := .venv/bin
INSTALLED := .venv/installed

# Of pip's settings, in files or in the environment, only those are obeyed that say where packages come from and how to get there:
# others would install them elsewhere (user, target), not as they are locked (no-binary, constraint), or not at all.
SOURCES := index-url|extra-index-url|no-index|find-links|trusted-host|proxy|cert|client-cert|keyring-provider|timeout|default-timeout|retries|cache-dir|no-cache-dir
pip_install = $(BIN)/pip -vvv config list | sed 's/^:env:/last/' | sort \
	| sed -nE "s/^(global|install|last)\.($(SOURCES))=.(.*).$$/PIP_\2=\3/; T; s/\\\\n/ /g; p" | tr '\n' '\0' \
	| xargs -0 sh -c 'env $(patsubst %,-u %,$(filter PIP_%,$(.VARIABLES))) PIP_CONFIG_FILE=/dev/null "$$@" \
		$(BIN)/pip install --quiet --disable-pip-version-check --no-deps $(1)' sh

.PHONY: demo table1 evidence test test-all test-gpu check format docs lock clean
.DEFAULT_GOAL := demo

$(INSTALLED): requirements.lock setup.py
	@command -v $(PYTHON) >/dev/null || { echo "emogan needs Python 3.11 (TensorFlow 2.15 runs on no newer one); install it, or name it with PYTHON=/path/to/python3.11"; exit 1; }
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info[:2] != (3, 11))' || { echo "emogan needs Python 3.11, and $(PYTHON) is another version; name the right one with PYTHON=/path/to/python3.11"; exit 1; }
	$(PYTHON) -m venv --clear .venv
	$(call pip_install,--require-hashes -r requirements.lock)
	$(call pip_install,--no-build-isolation -e .)
	@touch $@

DEMO := demo
CORPORA := $(DEMO)/corpora
PREPARE := $(BIN)/python -m trainers.prepare --data_dir=$(DEMO)/tfds --config=64

SIZE_voxceleb2 := --speakers=16 --clips_per_speaker=8
SIZE_crema_d := --speakers=60 --clips_per_speaker=12
SIZE_ravdess := --speakers=24 --clips_per_speaker=24

$(CORPORA)/%.done: | $(INSTALLED)
	$(BIN)/python -m datasets.synthetic --corpus=$* --output_dir=$(CORPORA)/$* $(SIZE_$*) --seed=5
	@touch $@

demo: $(CORPORA)/voxceleb2.done $(CORPORA)/crema_d.done
	$(PREPARE) --dataset=voxceleb_av --manual_dir=$(CORPORA)/voxceleb2
	$(PREPARE) --dataset=crema_d_av --manual_dir=$(CORPORA)/crema_d
	$(BIN)/python -m trainers.progressive --flagfile=trainers/configs/demo.flags --data_dir=$(DEMO)/tfds --run_dir=$(DEMO)/run

# All cases of Table 1 and their controls on both corpora.
table1: $(CORPORA)/voxceleb2.done $(CORPORA)/crema_d.done $(CORPORA)/ravdess.done
	$(PREPARE) --dataset=voxceleb_av --manual_dir=$(CORPORA)/voxceleb2
	$(PREPARE) --dataset=crema_d_av --manual_dir=$(CORPORA)/crema_d
	$(PREPARE) --dataset=ravdess_av --manual_dir=$(CORPORA)/ravdess
	$(BIN)/python -m trainers.table1 --flagfile=trainers/configs/table1_demo.flags --data_dir=$(DEMO)/tfds --study_dir=$(DEMO)/table1

# What generated speech is worth, on a synthetic corpus whose ceiling is known. Hours.
EVIDENCE := $(DEMO)/evidence
EVIDENCE_CASES := baseline,oracle,no_face,moderate_supervised,progressive_supervised,generators,use_first,unlabelled

$(EVIDENCE)/corpora.done: | $(INSTALLED)
	$(BIN)/python -m datasets.synthetic --corpus=voxceleb2 --output_dir=$(@D)/voxceleb2 --speakers=160 --clips_per_speaker=6 --seed=300
	$(BIN)/python -m datasets.synthetic --corpus=crema_d --output_dir=$(@D)/crema_d --speakers=60 --clips_per_speaker=12 --seed=300
	$(BIN)/python -m trainers.prepare --data_dir=$(@D)/tfds --config=64 --dataset=voxceleb_av --manual_dir=$(@D)/voxceleb2
	$(BIN)/python -m trainers.prepare --data_dir=$(@D)/tfds --config=64 --dataset=crema_d_av --manual_dir=$(@D)/crema_d
	@touch $@

evidence: $(EVIDENCE)/corpora.done
	$(BIN)/python -m trainers.table1 --flagfile=trainers/configs/table1_evidence.flags --cases=$(EVIDENCE_CASES) \
		--data_dir=$(EVIDENCE)/tfds --study_dir=$(EVIDENCE)/synthetic

# Two processes; the tests of a file share what they build, so a file goes to one of them.
PYTEST := $(BIN)/pytest --numprocesses=2 --dist=loadfile --no-loadscope-reorder

test: check
	$(PYTEST) -m "not slow" --durations=12

test-all: check
	$(PYTEST) --durations=12 --cov --cov-report=term

# For a machine with GPUs; the report is in build/gpu_report.md.
test-gpu: $(INSTALLED)
	$(BIN)/python tests/gpu_check.py

check: $(INSTALLED)
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy

format: $(INSTALLED)
	$(BIN)/ruff format
	$(BIN)/ruff check --fix

# The reference of the code, from its docstrings, in build/docs; a warning is an error.
docs: $(INSTALLED)
	$(BIN)/properdocs build --strict --config-file=docs/site.yml

lock: $(INSTALLED)
	$(BIN)/uv pip compile setup.py --extra dev --extra page --python-version 3.11 --python-platform x86_64-manylinux_2_28 \
		--generate-hashes --no-header --no-annotate --output-file requirements.lock

clean:
	rm -rf .venv build $(DEMO) .pytest_cache .mypy_cache .ruff_cache
