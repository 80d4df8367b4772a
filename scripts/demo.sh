#!/usr/bin/env bash
# The demo: a simulated plate, or the folder DATA, extracted by a Prefect flow.
set -euo pipefail
cd -P "$(dirname "$0")/.."
source scripts/environment.sh
exec .venv/bin/python -m scripts.demo
