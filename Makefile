# Everything a person types. The work is in scripts/.
SHELL := /bin/bash
.DEFAULT_GOAL := help
.PHONY: help setup demo test server bench bench-quick lock audit clean

# make demo DATA=/folder/of/images   your own files instead of a simulated plate
# make demo MB=200                   a larger simulated plate
export DATA MB

help: ## list what can be made
	@grep -E '^[a-z-]+:.*## ' $(firstword $(MAKEFILE_LIST)) | sed -E 's/^([a-z-]+):.*## /  make \1\t/' | expand -t 16

setup: ## a private .venv with everything in it (JDK and C compiler found or installed)
	@scripts/setup.sh

demo: setup ## extract a simulated plate, or DATA=/a/folder, by a Prefect flow
	@scripts/demo.sh

test: setup ## style, types and tests
	@scripts/test.sh

server: setup ## a Prefect server with our deployments and a worker; Ctrl-C stops them
	@scripts/server.sh

bench: setup ## measure all, against other tools too: benchmarks/results.md (an hour)
	@.venv/bin/python -m benchmarks

bench-quick: setup ## measure ours with few planes, in three minutes
	@.venv/bin/python -m benchmarks --quick

lock: setup ## compile requirements.lock anew from pyproject.toml
	@scripts/lock.sh

audit: setup ## compare requirements.lock with the published advisories (needs the network)
	@.venv/bin/uv tool run pip-audit -r requirements.lock --no-deps --disable-pip

clean: ## remove the .venv, the demo's files and all caches
	rm -rf .venv .demo build dist .mypy_cache .ruff_cache .pytest_cache .hypothesis
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
