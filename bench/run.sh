#!/usr/bin/env bash
# Builds what is measured and what measures it, then runs bench/run.py with the arguments given.
set -euo pipefail
cd "$(dirname "$0")/.."

scripts/build.sh build gwh bench_tools
exec python3 bench/run.py "$@"
