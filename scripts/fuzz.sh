#!/usr/bin/env bash
# Fuzzes each driver of test/fuzz in turn, and says what was found.
#
#   scripts/fuzz.sh [NAME...]            each for FUZZ_SECONDS (60)
#   scripts/fuzz.sh --check [NAME...]    each over its seeds and a few thousand inputs made of them,
#                                        always the same: a test
#
# What is learnt stays in build-fuzz/corpus; what makes a driver fail goes to build-fuzz/found:
# give that file to build-fuzz/test/fuzz/fuzz_NAME to see it again.
set -uo pipefail
cd "$(dirname "$0")/.." || exit 1

is_check=
if [ "${1:-}" = --check ]; then
    is_check=1
    shift
fi
scripts/build.sh build-fuzz fuzz || exit 1

names=("$@")
if [ $# -eq 0 ]; then
    for source in test/fuzz/*.c; do
        names+=("$(basename "$source" .c)")
    done
fi

limits=(-timeout=60 -rss_limit_mb=2048 -max_len=16384 -dict=test/fuzz/words.dict)
export ASAN_OPTIONS=detect_stack_use_after_return=1:strict_string_checks=1
export UBSAN_OPTIONS=halt_on_error=1:print_stacktrace=1
passed=0
failed=()
mkdir -p build-fuzz/found build-fuzz/log
for name in "${names[@]}"; do
    log=build-fuzz/log/$name
    corpus=build-fuzz/corpus/$name
    how=(-max_total_time="${FUZZ_SECONDS:-60}")
    if [ -n "$is_check" ]; then
        corpus=build-fuzz/check/$name
        rm -rf "$corpus"
        how=(-seed=1 -runs=3000)
    fi
    mkdir -p "$corpus"
    if "build-fuzz/test/fuzz/fuzz_$name" "${limits[@]}" "${how[@]}" -print_final_stats=1 \
        -artifact_prefix="build-fuzz/found/$name-" "$corpus" "test/fuzz/seeds/$name" >"$log" 2>&1; then
        passed=$((passed + 1))
        awk -v name="$name" '/^stat::number_of_executed_units/ { n = $2 }
            END { printf "fuzz: %s: %d inputs, nothing found\n", name, n }' "$log"
    else
        failed+=("$name")
        echo "fuzz: $name: FAILED, see $log and build-fuzz/found"
        grep -m 1 -A 20 -E 'ERROR:|runtime error:|check failed' "$log" || tail -n 20 "$log"
    fi
done
printf 'fuzz: %d passed, %d failed\n' "$passed" "${#failed[@]}"
[ ${#failed[@]} -eq 0 ]
