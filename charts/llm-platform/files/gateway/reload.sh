#!/bin/sh
# Makes HAProxy take up Secrets that changed (keys, certificates). A reload starts a new worker on the same sockets; the
# old one takes nothing new and ends when its last stream does, so no request is lost.
#
# Usage: reload.sh SECONDS DIRECTORY...
set -eu

seconds=$1
shift

fingerprint() { find "$@" -type f -o -type l | sort | xargs cat 2>/dev/null | sha256sum; }

known=$(fingerprint "$@")
trap 'exit 0' TERM INT
while :; do
    sleep "$seconds" &
    wait $!
    now=$(fingerprint "$@")
    [ "$now" = "$known" ] && continue
    # A file that HAProxy refuses leaves the old worker in place; HAProxy says why in its log.
    if kill -USR2 "$(cat /run/llm-gateway/haproxy.pid)"; then
        known=$now
        echo '{"event":"reload","reason":"a Secret changed"}'
    fi
done
