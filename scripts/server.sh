#!/usr/bin/env bash
# A Prefect server with our deployments and a worker, until Ctrl-C.
set -euo pipefail
cd -P "$(dirname "$0")/.."
source scripts/environment.sh
exec .venv/bin/python -m scripts.serve
