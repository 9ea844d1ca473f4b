#!/usr/bin/env bash
# All checks that need no test run. Goes on after a failure; exits 1 if anything failed.
set -uo pipefail
cd "$(dirname "$0")/.." || exit 1

failed=()

check() {
    local name=$1
    shift
    if "$@"; then
        echo "lint: $name: ok"
    else
        echo "lint: $name: FAILED"
        failed+=("$name")
    fi
}

c_files() {
    find src test bench -name '*.[ch]' -not -path '*/node_modules/*' -print0 2>/dev/null || true
}

formatted() {
    c_files | xargs -0 -r .venv/bin/clang-format --dry-run -Werror
}

shell_scripts() {
    { find scripts .ci bench test \( -name '*.sh' -o -path .ci/run \) -not -path '*/node_modules/*' \
        -print0 2>/dev/null || true; } | xargs -0 -r shellcheck
}

check "the checks themselves" python3 -B scripts/lint_test.py --quiet
check "floors" python3 -B scripts/layers.py
check "banned calls" python3 -B scripts/banned.py
check "headers compile alone" python3 -B scripts/headers.py
check "formatting" formatted
check "shell scripts" shell_scripts
check "gcc" scripts/build.sh build
check "clang" scripts/build.sh build-clang

if [ ${#failed[@]} -gt 0 ]; then
    printf 'lint: failed: %s\n' "${failed[@]}"
    exit 1
fi
