# What the end-to-end tests say in one word. Every test begins with `. "$(dirname "$0")/steps.sh"`.
# shellcheck shell=bash
#
# No test sleeps to let something happen: it waits for the condition. The runner bounds each test as a whole.
set -euo pipefail

# The bus of this test: its socket and state lie in $T, which the runner makes and removes.
socket=$T/run/bus.sock
export LOCALBUS_SOCKET=$socket

fail() {
    echo "FAILED: $*"
    exit 1
}

skip() {
    echo "$*"
    exit 77
}

# wait_until COMMAND...: until it succeeds; 20 s is "never" on any machine this runs on.
wait_until() {
    local deadline=$((SECONDS + 20))
    until "$@" >/dev/null 2>&1; do
        [ "$SECONDS" -lt "$deadline" ] || fail "never came true: $*"
        sleep 0.02
    done
}

# start_bus: a daemon of this test's own, listening and answering when this returns. Its pid is in $busd; what
# stands in the array `under` goes before it, such as strace.
under=()
start_bus() {
    mkdir -p "$T/run" "$T/state"
    chmod 700 "$T/state"
    [ -e "$T/busd.yaml" ] || printf 'socket: "%s"\nstate: "%s"\n' "$socket" "$T/state" >"$T/busd.yaml"
    # Descriptor 3 is where tests keep a pipe open; a daemon that inherited it would keep it open for ever.
    "${under[@]}" busd --config "$T/busd.yaml" >>"$T/busd.log" 2>&1 3>&- &
    busd=$!
    wait_until bus status
}

# crash_bus: kill -9, as the kernel does when memory is short.
crash_bus() {
    kill -KILL "$busd"
    wait "$busd" 2>/dev/null || true
}

# all_end: waits for everything in the background but the daemon; each must succeed.
all_end() {
    local pid
    for pid in $(jobs -p); do
        [ "$pid" = "$busd" ] || wait "$pid" || fail "a background command ended with status $?"
    done
}

# status KEY: one number of `bus status --json`.
status() { bus status --json | sed -n "s/.*\"$1\": *\([0-9][0-9]*\).*/\1/p"; }

has_status() { [ "$(status "$1")" = "$2" ]; }

# subscribed N: returns once the daemon has N subscriptions, so that nothing published now is missed.
subscribed() { wait_until has_status subscriptions "$1"; }

# members N: the same, and counts each member of a group.
members() { wait_until has_members "$1"; }
has_members() { [ "$(bus subscriptions --json | wc -l)" = "$1" ]; }

# wills N: returns once N sessions have left a last will.
wills() { wait_until has_wills "$1"; }
has_wills() { [ "$(bus list --json | grep -c '"has_will":1')" = "$1" ]; }

# has_lines N FILE: at least so many.
has_lines() { [ "$(wc -l <"$2")" -ge "$1" ]; }

# expect_status STATUS COMMAND...: runs it, output in $T/out and $T/err.
expect_status() {
    local wanted=$1 got=0
    shift
    "$@" >"$T/out" 2>"$T/err" </dev/null || got=$?
    [ "$got" -eq "$wanted" ] || {
        cat "$T/out" "$T/err"
        fail "status $got, not $wanted: $*"
    }
}

# says PATTERN [FILE]: the message (standard error of the last expect_status) has it, in whatever case.
says() {
    grep -qiE -- "$1" "${2:-$T/err}" || {
        cat "${2:-$T/err}"
        fail "does not say '$1'"
    }
}

# same EXPECTED FILE: the file is exactly this text.
same() {
    printf '%s' "$1" | cmp - "$2" || {
        cat "$2"
        fail "$2 is not what was expected"
    }
}

# log_lines N: a log as services write them, the same every time: lines of 60 to 200 bytes, some not ASCII.
log_lines() {
    awk -v n="$1" 'BEGIN {
        split("info notice warning error", level, " ")
        for (i = 1; i <= n; i++) {
            printf "Nov 23 %02d:%02d:%02d host app[%d]: %s: request %d took %d ms",
                i / 3600 % 24, i / 60 % 60, i % 60, 1000 + i % 7, level[1 + i % 4], i, i * 7919 % 1000
            if (i % 10 == 0) printf " for user \"Zoë Ångström\" at /items/%d?q=", i
            for (j = i % 100 == 0 ? 100 : 0; j > 0; j--) printf "x"
            printf "\n"
        }
    }'
}
