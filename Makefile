# Bare `make` explains the targets.

PYTHON ?= python3
WEIGHTS ?= random
PYTEST ?=
TORTURE ?=
BENCH ?=
# PyPI's torch for Linux brings CUDA along, some gigabytes: make bench PEERS='...' leaves it out.
# It gets an environment of its own, as its CUDA libraries would overwrite TensorFlow's; all else it
# finds in the other one.
PEERS ?= tensorflow onnx onnxruntime openvino torch==2.13.0

# What tests ask besides, where it can be installed: make frameworks TORCH= takes the newest.
TORCH ?= torch==2.13.0

export PIP_DISABLE_PIP_VERSION_CHECK = 1

.PHONY: help demo test torture frameworks bench lint format clean
.DEFAULT_GOAL := help

help:
	@echo "make demo                 extract the features of sample_images, with random weights"
	@echo "make demo WEIGHTS=keras   the same with the real ones (downloads 553 MB once)"
	@echo "make test                 run the tests; PYTEST='-k name' picks some"
	@echo "make torture              kill runs a thousand times, a minute or two; TORTURE=--help tells more"
	@echo "make frameworks           install PyTorch for those tests that ask it (may take gigabytes)"
	@echo "make bench                measure vggfeat beside its peers; BENCH=--help tells more,"
	@echo "                          BENCH='--tables 6' measures it on a GPU in some seven minutes"
	@echo "make lint                 check style (ruff) and types (mypy)"
	@echo "make format               put the code into the one style"
	@echo "make clean                remove what the others have made"
	@echo
	@echo "Each sets up what it needs in .venv; PYTHON=python3.12 chooses the interpreter."

demo: .venv/installed
	@mkdir -p .demo
	.venv/bin/vggfeat extract sample_images -o .demo/feats.npy --weights $(WEIGHTS)
	@echo; echo "What it wrote:"; ls -l .demo
	@echo; echo "Which row is which image (.demo/feats.index.csv):"; head -n 6 .demo/feats.index.csv
	@echo; echo "In Python:"
	@.venv/bin/python -c "from vggfeat import load_features; \
	vectors, paths = load_features('.demo/feats.npy'); \
	print(' ', vectors.shape, vectors.dtype); \
	print(' ', paths[0], vectors[0, :6].round(2))"

test: .venv/installed-dev
	.venv/bin/python -m pytest $(PYTEST)

torture: .venv/installed-dev
	.venv/bin/python -m tests.crash $(TORTURE)

frameworks: .venv/installed-dev
	.venv/bin/python -m pip install --quiet --editable '.[frameworks]' $(TORCH) \
	|| echo "It cannot be installed here: tests that ask PyTorch are skipped"

bench: .bench/installed
	@.bench/venv/bin/python -m tests.benchmarks $(BENCH)

lint: .venv/installed-dev
	.venv/bin/ruff check .
	.venv/bin/ruff format --check .
	.venv/bin/mypy

format: .venv/installed-dev
	.venv/bin/ruff check --fix .
	.venv/bin/ruff format .

clean:
	rm -rf .venv .bench .demo build dist *.egg-info .mypy_cache .pytest_cache .ruff_cache .hypothesis
	find vggfeat tests -name __pycache__ -type d -exec rm -rf {} +

.venv/bin/python:
	$(PYTHON) -m venv .venv

.venv/installed: pyproject.toml | .venv/bin/python
	@echo "Installing vggfeat into .venv (TensorFlow is large: a few minutes the first time)"
	.venv/bin/python -m pip install --quiet --editable .
	@touch $@

.venv/installed-dev: pyproject.toml | .venv/bin/python
	@echo "Installing vggfeat and its tests into .venv (a few minutes the first time)"
	.venv/bin/python -m pip install --quiet --editable '.[dev]'
	@touch $@ .venv/installed

.bench/installed: pyproject.toml
	@echo "Installing vggfeat and its peers into .bench/venv (some gigabytes, some minutes)"
	@mkdir -p .bench
	$(PYTHON) -m venv .bench/venv
	.bench/venv/bin/python -m pip install --quiet --editable . matplotlib
	@for peer in $(PEERS); do \
	case "$$peer" in torch*) home=.bench/torch;; *) home=.bench/venv;; esac; \
	test -d $$home || { $(PYTHON) -m venv $$home && .bench/venv/bin/python -c \
	"import sysconfig; print(sysconfig.get_path('purelib'))" \
	> "$$(echo $$home/lib/python*/site-packages)/others.pth"; }; \
	$$home/bin/python -m pip install --quiet "$$peer" \
	|| echo "$$peer cannot be installed here: the report will say so"; done
	@if .bench/venv/bin/python -c "from vggfeat.engines import gpu; exit(not gpu.cards())"; then \
	.bench/venv/bin/python -m pip install --quiet --editable '.[cuda]' \
	|| echo "TensorFlow's CUDA libraries cannot be installed here"; fi
	@touch $@
