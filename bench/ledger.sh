#!/usr/bin/env bash
# What a life (accept, one attempt, settle) costs the embedded store, and whether that grows with what
# is kept: bench/ledger.sh [LIVES [NAME=NUMBER...]], see test/store/sqlite_bench.c. In build/, for it is
# the disk that counts.
set -euo pipefail
cd "$(dirname "$0")/.."

lives=${1:-2000000}
scripts/build.sh build test/store/sqlite_bench
dir=$(mktemp -d "$PWD/build/bench-ledger.XXXXXX")
trap 'rm -rf "$dir"' EXIT
build/test/store/sqlite_bench "$dir/data" lives="$lives" "${@:2}"
