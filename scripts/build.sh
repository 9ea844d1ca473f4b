#!/usr/bin/env bash
# Builds one variant into its own folder, setting the folder up first where needed.
#
#   scripts/build.sh build|build-clang|build-asan|build-tsan|build-cover [TARGET...]
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
*)
    echo "build: no variant is called $dir" >&2
    exit 2
    ;;
esac

mkdir -p "$dir"
exec 8<"$dir"
flock 8 # one build at a time in one folder

# Meson does not notice a new file that was merely looked for, nor libraries installed since.
setup_is_stale() {
    find meson.build src test bench \( -name meson.build -o -name main.c \) \
        -newer "$dir/build.ninja" 2>/dev/null | grep -q . && return 0
    ! grep -q cmocka "$dir/build.ninja" && pkg-config --exists cmocka
}

if [ ! -e "$dir/build.ninja" ]; then
    meson setup "${options[@]}" "$dir" >"$dir/setup.log" || {
        cat "$dir/setup.log"
        exit 1
    }
elif setup_is_stale; then
    meson setup --reconfigure "${options[@]}" "$dir" >"$dir/setup.log" || {
        cat "$dir/setup.log"
        exit 1
    }
fi
quiet=()
[ -t 1 ] || quiet=(--quiet)
ninja "${quiet[@]}" -C "$dir" "$@"
