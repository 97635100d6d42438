# make demo | table1 | evidence | test | test-all | test-gpu | check | format | docs | lock | clean. Each sets up what it needs in .venv, once.
BIN := .venv/bin
INSTALLED := .venv/installed

.PHONY: demo table1 evidence test test-all test-gpu check format docs lock clean
.DEFAULT_GOAL := demo

# Starts with any Python from 3.8 on, or with uv alone; install.py finds or downloads Python 3.11.
$(INSTALLED): requirements.lock setup.py install.py
	@by_uv() { uv run -qq --no-project --no-cache --python 3.11 python "$$@"; }; \
	for python in $(if $(PYTHON),"$(PYTHON)",python3.11 python3 by_uv); do \
		if "$$python" -c 'import sys; sys.exit(sys.version_info < (3, 8))' 2>/dev/null; then "$$python" "$(CURDIR)/install.py"; exit; fi; \
	done; echo "emogan needs Python 3.11 (TensorFlow 2.15 runs on no newer one), and none is found or can be downloaded by uv; install it, or uv, or name it with PYTHON=/path/to/python3.11"; exit 1
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

# The cases of Table 1, baselines and ablations, on both corpora.
table1: $(CORPORA)/voxceleb2.done $(CORPORA)/crema_d.done $(CORPORA)/ravdess.done
	$(PREPARE) --dataset=voxceleb_av --manual_dir=$(CORPORA)/voxceleb2
	$(PREPARE) --dataset=crema_d_av --manual_dir=$(CORPORA)/crema_d
	$(PREPARE) --dataset=ravdess_av --manual_dir=$(CORPORA)/ravdess
	$(BIN)/python -m trainers.table1 --flagfile=trainers/configs/table1_demo.flags --data_dir=$(DEMO)/tfds --study_dir=$(DEMO)/table1

# Does generated speech help if labels are scarce? A synthetic corpus with an oracle. Hours.
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
