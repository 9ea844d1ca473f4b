#!/usr/bin/env bash
# Builds a worker, what stands for AWS, and a target, then runs bench/aws.py with the arguments given.
set -euo pipefail
cd "$(dirname "$0")/.."

scripts/build.sh build gwh bench_aws_tools
exec python3 -B bench/aws.py "$@"
