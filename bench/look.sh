#!/usr/bin/env bash
# How long support waits for a page of deliveries, or for one event, behind millions of others:
# bench/look.sh [DELIVERIES [NAME=NUMBER...]], see test/store/sqlite_look_bench.c. In build/, for it is
# the disk that counts. A row over 50 ms is marked SLOW.
set -euo pipefail
cd "$(dirname "$0")/.."

fill=${1:-5000000}
scripts/build.sh build test/store/sqlite_look_bench
dir=$(mktemp -d "$PWD/build/bench-look.XXXXXX")
trap 'rm -rf "$dir"' EXIT
build/test/store/sqlite_look_bench "$dir/data" fill="$fill" "${@:2}"
