#!/usr/bin/env bash
# Builds each named variant and runs all tests on it: the unit tests (cmocka, by meson), then the
# end-to-end tests (pytest), which find the binary in GWH_BIN and the variant's name in GWH_VARIANT.
#
#   scripts/test.sh [plain|asan|tsan|cover|fuzz ...]
#
# `fuzz` is the fuzzing drivers alone, over their seeds and a little more (scripts/fuzz.sh).
#
# What a sanitizer finds fails the run even where no test looks: each process writes its report to a
# file. Goes on after a failure, so that one run shows all; exits 1 if anything failed.
set -uo pipefail
cd "$(dirname "$0")/.." || exit 1

sanitizer_options() {
    local report=log_path=$PWD/$1/report
    rm -f "$1"/report.*
    export ASAN_OPTIONS=$report:abort_on_error=1:detect_stack_use_after_return=1:strict_string_checks=1
    export UBSAN_OPTIONS=$report:halt_on_error=1:print_stacktrace=1
    export TSAN_OPTIONS=$report:halt_on_error=1:second_deadlock_stack=1
    if [ -e test/tsan.supp ]; then
        TSAN_OPTIONS+=:suppressions=$PWD/test/tsan.supp
    fi
}

sanitizer_reports() {
    compgen -G "$1/report.*" >/dev/null || return 0
    head -n 60 "$1"/report.*
    return 1
}

jobs=${JOBS:-$(nproc)}
waiting_jobs=$((jobs + (jobs + 1) / 2)) # of tests that wait for others most of the time
failed=()

unit_tests() {
    local dir=$1 slower=$2 log=$1/unit.log status=0
    "${prefix[@]}" meson test -C "$dir" --no-rebuild --print-errorlogs --num-processes "$jobs" \
        --timeout-multiplier "$slower" | tee "$log" || status=1
    awk '/^Ok:/ { ok = $2 } /^(Fail|Timeout):/ { bad += $2 }
         END { if (ok + bad) printf "unit: %d passed, %d failed\n", ok, bad }' "$log"
    return $status
}

end_to_end_tests() {
    local dir=$1 slower=$2
    GWH_BIN=$PWD/$dir/gwh "${prefix[@]}" .venv/bin/python -m pytest test/e2e -q -n "$waiting_jobs" --dist worksteal \
        --timeout $((120 * slower)) -p no:cacheprovider
}

run_variant() {
    local variant=$1 dir=build-$1 slower=1 started=$SECONDS prefix=()
    [ "$variant" != plain ] || dir=build
    case $variant in
    asan) slower=3 ;;
    tsan)
        slower=5
        # Its programs cannot start where addresses are randomised too widely.
        ! setarch -R true 2>/dev/null || prefix=(setarch -R)
        ;;
    esac
    echo "== $variant"
    if [ "$variant" = fuzz ]; then
        scripts/fuzz.sh --check || failed+=(fuzz)
        echo "== fuzz took $((SECONDS - started)) s"
        return
    fi
    export GWH_VARIANT=$variant
    sanitizer_options "$dir"
    if ! scripts/build.sh "$dir"; then
        failed+=("$variant build")
        return
    fi
    unit_tests "$dir" $slower || failed+=("$variant unit")
    end_to_end_tests "$dir" $slower || failed+=("$variant end-to-end")
    sanitizer_reports "$dir" || failed+=("$variant sanitizer")
    echo "== $variant took $((SECONDS - started)) s"
}

variants=("$@")
[ $# -gt 0 ] || variants=(plain asan tsan fuzz)
for variant in "${variants[@]}"; do
    run_variant "$variant"
done
if [ ${#failed[@]} -gt 0 ]; then
    printf 'FAILED: %s\n' "${failed[@]}"
    exit 1
fi
