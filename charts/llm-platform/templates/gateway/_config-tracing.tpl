{{/*
Traces: W3C traceparent to the engine and into the log, and spans of the gateway's own to a collector.
*/}}

{{/*
llm-platform.gateway.config.tracing: the trace of a request. One that the client began goes on. Where the gateway sends
spans, the engine's are children of them, so its own id takes the client's place in the header.
*/}}
{{- define "llm-platform.gateway.config.tracing" -}}
{{- $tracing := .gateway.tracing -}}
{{- $hasTrace := "{ req.hdr(traceparent) -m reg ^00-[0-9a-f]{32}-[0-9a-f]{16}-[0-9a-f]{2}$ }" -}}
{{- if $tracing.enabled }}
{{- if $tracing.endpoint }}
filter lua.span
http-request set-var(txn.method) method
http-request set-var(txn.parent) req.hdr(traceparent),word(3,-) if {{ $hasTrace }}
http-after-response set-var(txn.status) status
{{- end }}
http-request set-var(txn.span) uuid,regsub(-,,g),bytes(0,16)
http-request set-var(txn.trace) req.hdr(traceparent),word(2,-) if {{ $hasTrace }}
http-request set-var(txn.flags) req.hdr(traceparent),word(4,-) if {{ $hasTrace }}
http-request set-var(txn.flags) str(00) unless { var(txn.trace) -m found }
http-request set-var(txn.flags) str(01) if !{ var(txn.trace) -m found } { rand(100) lt {{ int $tracing.samplePercent }} }
http-request set-var(txn.trace) uuid,regsub(-,,g) unless { var(txn.trace) -m found }
http-request set-header traceparent 00-%[var(txn.trace)]-%[var(txn.span)]-%[var(txn.flags)]
{{- if not $tracing.endpoint }} unless {{ $hasTrace }}{{ end }}
{{- end }}
http-request set-var(txn.traceparent) req.hdr(traceparent)
{{- end }}

{{/*
llm-platform.gateway.config.spans: what sends them, in the section `global`. HAProxy knows no search domains, so the
name of a Service is written out.
*/}}
{{- define "llm-platform.gateway.config.spans" -}}
{{- $tracing := .gateway.tracing -}}
{{- if and $tracing.enabled $tracing.endpoint -}}
{{- $domain := printf ".svc.%s${1}" .gateway.dns.clusterDomain -}}
{{- $url := regexReplaceAll `\.svc(:[0-9]+|/|$)` (trimSuffix "/" $tracing.endpoint) $domain }}
httpclient.resolvers.id cluster
lua-load-per-thread /etc/llm-gateway/config/spans.lua {{ $url }}/v1/traces
{{- end }}
{{- end }}
