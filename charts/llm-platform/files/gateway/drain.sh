#!/bin/sh
# How a gateway pod leaves: serve on until every proxy has forgotten it, then take nothing new and let streams end.
# HAProxy ends at once on SIGTERM, so this runs before the kubelet sends it, and returns when HAProxy has ended.
#
# Usage: drain.sh SECONDS
set -eu

pid=$(cat /run/llm-gateway/haproxy.pid)
sleep "$1"
kill -USR1 "$pid"
while kill -0 "$pid" 2>/dev/null; do sleep 1; done
