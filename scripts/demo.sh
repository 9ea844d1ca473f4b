#!/usr/bin/env bash
# Shows gwh at work on this machine: a server, three clients' receivers (one is well, one fails its
# first two tries, one hangs), and the events of two producers. Ctrl-C ends all of it; nothing stays.
#
#   scripts/demo.sh              until Ctrl-C
#   DEMO_SECONDS=20 scripts/demo.sh
#
# GWH_BIN names another binary than build/gwh.
set -euo pipefail
cd "$(dirname "$0")/.."

gwh=${GWH_BIN:-build/gwh}
seconds=${DEMO_SECONDS:-}
pids=()
dir=

die() {
    echo "demo: $*" >&2
    exit 1
}

# All of it is ours and nobody else's: what the caller's own gwh is set to does not count here.
for name in "${!GWH_@}"; do
    unset "$name"
done

[ -x "$gwh" ] || die "$gwh is not there: make build makes it"
[[ $seconds =~ ^[0-9]*$ ]] || die "DEMO_SECONDS: must be whole seconds, was \"$seconds\""

# ── Starting and ending ──────────────────────────────────────────────────────────────────────────

is_running() {
    kill -0 "$1" 2>/dev/null
}

end_all() {
    local pid round
    trap '' INT TERM
    # The youngest first: producers, receivers, the server.
    for ((round = ${#pids[@]} - 1; round >= 0; round--)); do
        kill "${pids[round]}" 2>/dev/null || true
    done
    for ((round = 0; round < 100; round++)); do
        local left=0
        for pid in "${pids[@]}"; do
            ! is_running "$pid" || left=1
        done
        [ $left -eq 1 ] || break
        sleep 0.1
    done
    for pid in "${pids[@]}"; do
        kill -9 "$pid" 2>/dev/null || true
    done
    wait 2>/dev/null || true
    [ -z "$dir" ] || rm -rf "$dir"
    [ ${#pids[@]} -eq 0 ] || printf '\nThe demo has ended; nothing of it is left.\n'
}
trap end_all EXIT
trap 'exit 0' INT TERM HUP

# Starts something that says in its log where it listens; `port` is that.
start_listening() {
    local log=$1 pattern=$2 round
    shift 2
    : >"$log"
    "$@" >>"$log" 2>&1 </dev/null &
    pids+=($!)
    for ((round = 0; round < 200; round++)); do
        port=$(sed -nE "s/$pattern/\\1/p" "$log" | head -n 1)
        [ -z "$port" ] || return 0
        is_running "${pids[-1]}" || break
        sleep 0.05
    done
    cat "$log" >&2
    die "could not start: $*"
}

# A client: its receiver, which has the options given, and a config that sends it everything.
start_client() {
    local app=$1
    shift
    local secret
    secret=whsec_$(head -c 32 /dev/urandom | base64 -w 0)
    start_listening "$dir/$app.log" '^listening on .*:([0-9]+);.*' \
        "$gwh" listen --port 0 --secret "$secret" "$@"
    "$gwh" config create --app "$app" --type '*' --url "http://127.0.0.1:$port/hook" \
        --workflow "wf-high-risk=http://127.0.0.1:$port/high-risk" \
        --secret "$secret" --retry 2,5,10 --timeout-ms 1500 >/dev/null
}

start_producer() {
    "$gwh" simulate "$@" >>"$dir/producers.log" 2>&1 </dev/null &
    pids+=($!)
}

# ── The show ─────────────────────────────────────────────────────────────────────────────────────

mkdir -p build
dir=$(mktemp -d build/demo.XXXXXX)

start_listening "$dir/serve.log" '.*"event":"listening".*"port":([0-9]+).*' \
    "$gwh" serve --data "$dir/data" --listen 127.0.0.1:0 \
    --allow-http --allow-nets 127.0.0.0/8 --allow-ports '*'
server=${pids[-1]}
export GWH_URL=http://127.0.0.1:$port GWH_DATA=$dir/data

start_client acme
acme=$port
start_client globex --fail-first 2
globex=$port
start_client initech --hang
initech=$port

start_producer audit-portal --rate 3 --app acme --app globex --app initech
start_producer link-kyc --rate 1 --app acme --app globex

cat <<END

Generic Webhook at work

  server    $GWH_URL   its log: $dir/serve.log
  acme      127.0.0.1:$acme is well               what it received: $dir/acme.log
  globex    127.0.0.1:$globex fails the first 2 tries of each
  initech   127.0.0.1:$initech never answers: dead after 4 tries of 1.5 s each
  events    about 4 a second, as two products would send them

  Look around from another terminal, here in $PWD:

    export GWH_URL=$GWH_URL GWH_DATA=$GWH_DATA
    $gwh config list
    $gwh deliveries --app globex
    $gwh why ID          of a delivery, message, event or transaction

  Ctrl-C ends all of it.

END

# In the background, so that a signal is heeded at once.
"$gwh" deliveries --watch &
pids+=($!)
watched=("$server" "${pids[-1]}")
if [ -n "$seconds" ]; then
    sleep "$seconds" &
    pids+=($!)
    watched+=("${pids[-1]}")
fi
wait -n "${watched[@]}" || true

if ! is_running "$server"; then
    tail -n 5 "$dir/serve.log" >&2
    die "the server has ended"
fi
