#!/usr/bin/env bash
# Compile requirements.lock from pyproject.toml, naming no package index.
set -euo pipefail
cd -P "$(dirname "$0")/.."
source scripts/environment.sh

uv=$(type -P uv) || { .venv/bin/python -m pip install -q 'uv>=0.5' && uv=.venv/bin/uv; }
"$uv" pip compile -q pyproject.toml --extra dev --universal --generate-hashes \
    --build-constraints build-constraints.txt \
    --no-emit-index-url --no-header "$@" -o requirements.lock
say "requirements.lock: $(grep -c '^[a-z].*==' requirements.lock) packages"
