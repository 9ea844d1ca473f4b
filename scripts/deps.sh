#!/usr/bin/env bash
# Installs what gwh needs on Debian 12 or 13. Repeatable; does nothing, quickly, when all is there.
#
#   scripts/deps.sh build    what building and running needs
#   scripts/deps.sh test     everything (default)
#
# Debian 13 has all of it. Debian 12 lacks llhttp and yyjson (taken from Debian 13, pinned to these
# four packages, which need no newer libc) and has too old a libcurl (taken from backports).
set -euo pipefail
cd "$(dirname "$0")/.."
exec 9<scripts/deps.sh
flock 9 # one at a time in this tree

build_packages=(
    gcc libc6-dev make meson ninja-build pkg-config
    libuv1-dev libsqlite3-dev libpq-dev libssl-dev libcurl4-openssl-dev
    libc-ares-dev libllhttp-dev libyyjson-dev
    ca-certificates
)
test_packages=(
    clang libclang-rt-dev shellcheck
    libcmocka-dev
    sqlite3 curl python3 python3-venv
    zsh fish groff-base
)
# package and the least version that will do
least_versions=(
    "libcurl4-openssl-dev 8.14"
    "libyyjson-dev 0.10"
    "libllhttp-dev 9"
)
from_trixie="libllhttp-dev libllhttp9.2 libyyjson-dev libyyjson0"
from_backports="curl libcurl4 libcurl4-openssl-dev libcurl3-gnutls"

say() {
    printf 'deps: %s\n' "$*" >&2
}

die() {
    say "$*"
    exit 1
}

# --- Debian packages -----------------------------------------------------------------------------

# Prints those of its arguments that are not installed, or too old.
missing_packages() {
    local installed name version row
    installed=$(dpkg-query -W -f '${db:Status-Status} ${Package} ${Version}\n' "$@" 2>/dev/null || true)
    for name in "$@"; do
        version=$(awk -v n="$name" '$1 == "installed" && $2 == n { print $3; exit }' <<<"$installed")
        if [ -z "$version" ]; then
            echo "$name"
            continue
        fi
        for row in "${least_versions[@]}"; do
            if [ "${row% *}" = "$name" ] && dpkg --compare-versions "$version" lt "${row#* }"; then
                echo "$name"
            fi
        done
    done
}

# Prints the source entry that this machine takes plain bookworm from, with the suite replaced by $1;
# $2 is the form to look in: sources (stanzas) or list (lines). Where from, and which keys, stays.
source_like_bookworm() {
    local files=()
    shopt -s nullglob
    if [ "$2" = sources ]; then
        files=(/etc/apt/sources.list.d/*.sources)
    else
        files=(/etc/apt/sources.list /etc/apt/sources.list.d/*.list)
    fi
    shopt -u nullglob
    local file
    for file in "${files[@]}"; do
        case $file in */gwh.*) continue ;; esac
        [ -r "$file" ] || continue
        if [ "$2" = sources ]; then
            awk -v suite="$1" '
                function end_of_stanza() {
                    if (fits && enabled && deb) { printf "%s", text; done = 1; exit }
                    text = ""; fits = 0; enabled = 1; deb = 0; field = ""
                }
                BEGIN { enabled = 1 }
                /^#/ { next }
                /^[ \t]*$/ { end_of_stanza(); next }
                /^[^ \t]/ { field = tolower($0); sub(/[ \t]*:.*/, "", field) }
                {
                    value = $0
                    if ($0 ~ /^[^ \t]/) sub(/^[^:]*:/, "", value)
                    n = split(value, words, /[ \t]+/)
                    if (field == "suites") {
                        for (i = 1; i <= n; i++) if (words[i] == "bookworm") fits = 1
                        if ($0 ~ /^[^ \t]/) text = text "Suites: " suite "\n"
                        next
                    }
                    if (field == "types") {
                        for (i = 1; i <= n; i++) if (words[i] == "deb") deb = 1
                        if ($0 ~ /^[^ \t]/) text = text "Types: deb\n"
                        next
                    }
                    if (field == "components") {
                        if ($0 ~ /^[^ \t]/) text = text "Components: main\n"
                        next
                    }
                    if (field == "enabled" && tolower(value) ~ /no|false|off|0/) enabled = 0
                    text = text $0 "\n"
                }
                END { if (!done) end_of_stanza() }
            ' "$file"
        else
            awk -v suite="$1" '
                $1 == "deb" {
                    line = $0
                    options = ""
                    sub(/^[ \t]*deb[ \t]+/, "", line)
                    if (match(line, /^\[[^]]*\][ \t]*/)) {
                        options = substr(line, 1, RLENGTH)
                        line = substr(line, RLENGTH + 1)
                    }
                    split(line, words, /[ \t]+/)
                    if (words[2] == "bookworm") {
                        print "deb " options words[1] " " suite " main"
                        exit
                    }
                }
            ' "$file"
        fi
    done | if [ "$2" = sources ]; then awk 'BEGIN { RS = ""; ORS = "\n" } NR == 1'; else head -n 1; fi
}

# Runs a command as root.
as_root() {
    if [ "$(id -u)" -eq 0 ]; then
        "$@"
    else
        sudo "$@"
    fi
}

# Writes standard input to a file that root owns, if that changes it.
put_file() {
    local text
    text=$(cat)
    if [ ! -r "$1" ] || [ "$(cat "$1")" != "$text" ]; then
        printf '%s\n' "$text" | as_root tee "$1" >/dev/null
    fi
}

# Debian 12 only: tell apt where the newer packages are, and that nothing else may come from there.
add_bookworm_sources() {
    local form suite entry text
    for form in sources list; do
        text=
        for suite in bookworm-backports trixie; do
            entry=$(source_like_bookworm "$suite" "$form")
            [ -n "$entry" ] || break
            text+=$entry$'\n\n'
        done
        if [ -n "$entry" ]; then
            printf '%s' "$text" | put_file "/etc/apt/sources.list.d/gwh.$form"
            break
        fi
    done
    [ -n "$entry" ] || die "found no apt source for bookworm in /etc/apt to take the address from"
    put_file /etc/apt/preferences.d/gwh <<END
Package: *
Pin: release n=trixie
Pin-Priority: -10

Package: $from_trixie
Pin: release n=trixie
Pin-Priority: 500

Package: $from_backports
Pin: release n=bookworm-backports
Pin-Priority: 500
END
}

# Debian's PostgreSQL makes a cluster of its own and runs it, unless it is told not to. The tests start
# theirs.
without_cluster() {
    [ -e /etc/postgresql-common/createcluster.d/gwh.conf ] || {
        as_root mkdir -p /etc/postgresql-common/createcluster.d
        put_file /etc/postgresql-common/createcluster.d/gwh.conf <<<'create_main_cluster = false'
    }
}

install_packages() {
    local missing release
    mapfile -t missing < <(missing_packages "$@")
    [ ${#missing[@]} -gt 0 ] || return 0
    # shellcheck source=/dev/null
    release=$(. /etc/os-release && echo "${ID:-}:${VERSION_CODENAME:-}")
    case $release in
    debian:bookworm | debian:trixie) ;;
    *) die "this script knows Debian 12 and 13 only; install by hand: ${missing[*]}" ;;
    esac
    if [ "$(id -u)" -ne 0 ] && ! command -v sudo >/dev/null; then
        die "needs root to install ${missing[*]}: run it as root, or install sudo"
    fi
    say "installing ${missing[*]}"
    if [ "$release" = debian:bookworm ]; then
        add_bookworm_sources
    fi
    as_root apt-get update -qq </dev/null || say "apt-get update had errors; trying all the same"
    as_root env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends \
        -o DPkg::Lock::Timeout=300 -o Dpkg::Use-Pty=0 "${missing[@]}" </dev/null >/dev/null
    mapfile -t missing < <(missing_packages "$@")
    [ ${#missing[@]} -eq 0 ] || die "still missing or too old: ${missing[*]}"
}

# --- Python and Node, for the tests --------------------------------------------------------------

# Runs a command unless the stamp file says that it ran for these very inputs.
#   once STAMP INPUT_FILE... -- COMMAND...
once() {
    local stamp=$1 inputs=() sum
    shift
    while [ "$1" != -- ]; do
        inputs+=("$1")
        shift
    done
    shift
    sum=$(sha256sum "${inputs[@]}")
    if [ -r "$stamp" ] && [ "$(cat "$stamp")" = "$sum" ]; then
        return
    fi
    "$@"
    printf '%s\n' "$sum" >"$stamp"
}

install_python() {
    say "installing Python packages into .venv"
    rm -rf .venv
    /usr/bin/python3 -m venv .venv
    .venv/bin/pip install --quiet --disable-pip-version-check -r test/requirements.txt
}

install_node() {
    say "installing Node packages into test/e2e/node"
    (cd test/e2e/node && npm ci --silent --no-audit --no-fund --ignore-scripts)
}

# --- what was asked for --------------------------------------------------------------------------

case ${1:-test} in
build)
    install_packages "${build_packages[@]}"
    ;;
test)
    # Any Node will do; Debian's is taken only where there is none.
    command -v node >/dev/null || test_packages+=(nodejs)
    command -v npm >/dev/null || test_packages+=(npm)
    if compgen -G '/usr/lib/postgresql/*/bin/initdb' >/dev/null; then
        : # any will do
    else
        without_cluster
        test_packages+=(postgresql)
    fi
    install_packages "${build_packages[@]}" "${test_packages[@]}"
    once .venv/stamp test/requirements.txt -- install_python
    once test/e2e/node/node_modules/stamp test/e2e/node/package-lock.json -- install_node
    ;;
*)
    die "usage: scripts/deps.sh [build|test]"
    ;;
esac
