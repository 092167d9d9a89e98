{{- define "llm-platform.gateway.config.global" -}}
{{- $gateway := .gateway -}}
global
    # Servers that come and go, and what is wrong. Clients' requests have a log of their own, those of Lua (spans) none.
    log stdout format raw local0 notice
    nbthread {{ int $gateway.threads }}
    maxconn {{ int $gateway.maxConnections }}
    # In a drain: idle connections close within seconds, streams may end, and what is left at this time is cut.
    close-spread-time 2s
    hard-stop-after {{ int $gateway.shutdown.drainSeconds }}s
    stats socket /run/llm-gateway/admin.sock mode 600 level admin expose-fd listeners
    # A body is read for its model only as far as it fits one buffer.
    tune.bufsize {{ include "llm-platform.gateway.bufferBytes" $gateway }}
    tune.maxrewrite 8192
    # Keep a few of these buffers at hand in each thread instead of giving them back to the kernel each time.
    tune.memory.hot-size {{ mul 16 (include "llm-platform.gateway.bufferBytes" $gateway | int) }}
    .if version_atleast(3.1)
    tune.lua.bool-sample-conversion normal
    .endif
    lua-load-per-thread /etc/llm-gateway/config/model-keys.lua
    # A reload begins with the pods that the worker before it knew.
    lua-load /etc/llm-gateway/config/server-state.lua
    server-state-file /run/llm-gateway/servers.state
    {{- include "llm-platform.gateway.config.spans" . | nindent 4 }}
    ssl-default-bind-options ssl-min-ver TLSv1.2

resolvers cluster
    {{- range $number, $server := $gateway.dns.nameservers }}
    nameserver dns{{ $number }} {{ $server }}
    {{- else }}
    parse-resolv-conf
    {{- end }}
    accepted_payload_size 8192
    resolve_retries 3
    timeout resolve 1s
    timeout retry 1s
    # Answers are believed at once, also that a name has no pods. Without answers the pods known last stay in use.
    hold valid 1s
    hold nx 1s
    hold obsolete 1s
    hold other 10m
    hold refused 10m
    hold timeout 10m
{{- end }}

{{- define "llm-platform.gateway.config.defaults" -}}
{{- $timeouts := .gateway.timeouts -}}
defaults
    mode http
    load-server-state-from-file global
    # Without it tokens of a stream arrive in bunches.
    option http-no-delay
    # A client that gives up while it waits frees its place, and no longer wakes a model.
    option abortonclose
    timeout client {{ max (int $timeouts.idleSeconds) (add 30 (int .gateway.hold.seconds)) }}s
    timeout server {{ int $timeouts.idleSeconds }}s
    timeout connect {{ int $timeouts.connectSeconds }}s
    timeout http-request 10s
    timeout http-keep-alive {{ int $timeouts.keepAliveSeconds }}s
    # What may be tried again on another pod: a connection that failed, and one that ended or said 503 before the first
    # byte of an answer. Never a 500 (a draining engine says it), never a timeout: that doubles the load.
    retries 3
    retry-on conn-failure empty-response 503
    option redispatch 1
    {{- include "llm-platform.gateway.ownErrors" . | trim | nindent 4 }}
{{- end }}

{{/*
llm-platform.gateway.bind: "bind" for a port. Inputs: dict "gateway", "port".
*/}}
{{- define "llm-platform.gateway.bind" -}}
bind {{ .gateway.bindAddress }}:{{ int .port }}{{ if eq .gateway.bindAddress "[::]" }} v4v6{{ end }}
{{- end }}

{{- define "llm-platform.gateway.config.bind" -}}
{{- $gateway := .gateway -}}
{{ include "llm-platform.gateway.bind" (dict "gateway" $gateway "port" $gateway.ports.api) }}
{{- if $gateway.tls.secret }} ssl crt /etc/llm-gateway/tls/tls.pem alpn h2,http/1.1
{{- if $gateway.auth.clientCertificates.enabled }} ca-file /etc/llm-gateway/client-ca/ca.crt verify optional{{ end }}
{{- end }}
{{- end }}
