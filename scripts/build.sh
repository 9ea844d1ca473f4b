#!/usr/bin/env bash
# Builds one variant into its own folder, setting the folder up first where needed.
#
#   scripts/build.sh build|build-clang|build-asan|build-tsan|build-cover|build-fuzz|build-lambda [TARGET...]
set -euo pipefail
cd "$(dirname "$0")/.."

dir=${1:?usage: scripts/build.sh DIR [TARGET...]}
shift

# Only gcc's and clang's ordinary builds make warnings errors: instrumented code draws false ones.
options=()
case $dir in
build) ;;
build-clang)
    options=(-Dtests=enabled)
    export CC=clang
    ;;
build-asan) options=(-Dtests=enabled '-Db_sanitize=address,undefined' -Doptimization=1 -Dwerror=false) ;;
build-tsan) options=(-Dtests=enabled -Db_sanitize=thread -Doptimization=1 -Dwerror=false) ;;
build-cover) options=(-Dtests=enabled -Db_coverage=true -Doptimization=0 -Dwerror=false) ;;
build-fuzz)
    options=(-Dtests=enabled -Dfuzz=true '-Db_sanitize=address,undefined' -Db_lundef=false
        -Doptimization=1 -Dwerror=false)
    export CC=clang
    ;;
build-lambda) options=(-Dtests=disabled -Dbuildtype=release) ;;
*)
    echo "build: no variant is called $dir" >&2
    exit 2
    ;;
esac

mkdir -p "$dir"
exec 8<"$dir"
flock 8 # one build at a time in one folder

# Ninja sees changed files, but not new ones that were merely looked for, nor libraries installed
# since: set up again when this list changes.
what_is_there() {
    find src test bench \( -name '*.c' -o -name meson.build \) -not -path '*/node_modules/*' \
        2>/dev/null | sort
    pkg-config --modversion cmocka 2>/dev/null || true
}

inputs=$(what_is_there)
if [ ! -e "$dir/build.ninja" ] || [ "$inputs" != "$(cat "$dir/inputs" 2>/dev/null)" ]; then
    again=()
    [ ! -e "$dir/build.ninja" ] || again=(--reconfigure)
    meson setup "${again[@]}" "${options[@]}" "$dir" >"$dir/setup.log" || {
        cat "$dir/setup.log"
        exit 1
    }
    printf '%s\n' "$inputs" >"$dir/inputs"
fi

quiet=()
[ -t 1 ] || quiet=(--quiet)
ninja "${quiet[@]}" -C "$dir" "$@"
