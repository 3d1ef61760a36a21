# SPDX-FileCopyrightText: 2026 the gr-ata authors
# SPDX-License-Identifier: GPL-3.0-or-later
# setup: the module in .venv.  demo: label a recording (IQ=file.sigmf-meta for your own).  test, bench, lint: as named.
# fuzz: hostile files, tags, messages and samples, SECONDS of each kind.
.PHONY: setup demo test bench lint fuzz
PY := .venv/bin/python
IQ ?=
SECONDS ?= 60

setup:
	@scripts/setup.sh runtime
	@echo "ready: .venv/bin/ata-sense doctor"

ifeq ($(IQ),)
demo: DEMO := build/demo/demo.sigmf-meta
demo:
	@scripts/setup.sh training
	@test -e build/demo/demo.sigmf-meta || $(PY) training/scene.py --preset demo --count 1 --seed 3 --out build/demo
	@$(PY) examples/demo.py $(DEMO) --png build/demo/demo.png
else
demo:
	@scripts/setup.sh runtime
	@$(PY) examples/demo.py "$(IQ)" --png "build/demo/$$(basename "$(IQ)").png"
endif

# In two processes: in one, on Ubuntu 24.04 with PyTorch's build for CUDA, triton's import crashed after the runtime's tests.
test:
	@scripts/setup.sh dev
	@OMP_NUM_THREADS=2 $(PY) -m pytest tests/training
	@OMP_NUM_THREADS=2 $(PY) -m pytest tests --ignore tests/training

bench:
	@scripts/setup.sh dev
	@$(PY) benchmarks/bench.py

fuzz:
	@scripts/setup.sh dev
	@$(PY) tests/fuzz/run.py --seconds $(SECONDS)

lint:
	@scripts/setup.sh dev
	@.venv/bin/ruff check .
	@.venv/bin/clang-format --dry-run --Werror $$(git ls-files '*.cc' '*.h')
