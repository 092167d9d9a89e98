#!/bin/sh
# Makes HAProxy take up Secrets that changed (keys, certificates). A reload starts a new worker on the same sockets; the
# old one takes nothing new and ends when its last stream does, so no request is lost.
#
# Usage: reload.sh SECONDS DIRECTORY...
set -eu

seconds=$1
shift

fingerprint() { find "$@" -type f -o -type l | sort | xargs cat 2>/dev/null | sha256sum; }

# Has HAProxy write down the pods it knows (server-state.lua). One that does not answer is reloaded all the same.
save_servers() {
    : >/run/llm-gateway/servers.wanted
    tries=50
    while [ -e /run/llm-gateway/servers.wanted ] && [ $tries -gt 0 ]; do
        sleep 0.1
        tries=$((tries - 1))
    done
}

known=$(fingerprint "$@")
# What changed after HAProxy read it and before this looked.
[ -z "$(find "$@" -newer /run/llm-gateway/haproxy.pid 2>/dev/null)" ] || known=stale
trap 'exit 0' TERM INT
while :; do
    sleep "$seconds" &
    wait $!
    now=$(fingerprint "$@")
    [ "$now" = "$known" ] && continue
    save_servers
    # A file that HAProxy refuses leaves the old worker in place; HAProxy says why in its log.
    if kill -USR2 "$(cat /run/llm-gateway/haproxy.pid)"; then
        known=$now
        echo '{"event":"reload","reason":"a Secret changed"}'
    fi
done
