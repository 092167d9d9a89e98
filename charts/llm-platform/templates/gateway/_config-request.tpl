{{/*
What every request gets: an id, a line in the log, and a look at its path.
*/}}
{{- define "llm-platform.gateway.config.request" -}}
# For load balancers; not logged.
monitor-uri /healthz
monitor fail if { stopping }
{{- if .gateway.accessLog.enabled }}
# One line a request on standard output, as long as it is.
log stdout len 8192 format raw local0 info
option dontlognull
log-format '{{ include "llm-platform.gateway.logFormat" . }}'
{{- end }}

http-request set-var(txn.began) date
# The client's id if it is one, else a new one; the engine logs it too.
http-request set-var(txn.id) req.hdr(x-request-id) if { req.hdr(x-request-id) -m reg ^[A-Za-z0-9._-]{1,64}$ }
http-request set-var(txn.id) uuid unless { var(txn.id) -m found }
http-request set-header x-request-id %[var(txn.id)]
http-after-response set-header x-request-id %[var(txn.id)]
http-after-response set-var(txn.error) res.hdr(x-gateway-error)
{{ include "llm-platform.gateway.config.tracing" . | trim }}

# /models/<name>/v1/... names the model in the path.
http-request set-var(txn.asked) path,regsub(^/models/,),regsub(/v1/[a-z/]+$,),url_dec if { path_beg /models/ } { path_reg ^/models/.+/v1/[a-z/]+$ }
http-request set-path %[path,regsub(^/models/.+/v1/,/v1/)] if { var(txn.asked) -m found }
http-request set-var(txn.asked) req.hdr({{ .gateway.modelHeader }}) unless { var(txn.asked) -m found }
http-request set-var(txn.path) path

acl on_models path /v1/models
acl on_model path_beg /v1/models/
acl on_work path -m str {{ join " " .gateway.paths }}
{{ include "llm-platform.gateway.error" (dict "status" 404 "code" "unknown_path"
  "message" "There is no such path here. There are: /v1/models and, with POST, ${PATHS}." "if" "!on_models !on_model !on_work") | replace "${PATHS}" (join ", " .gateway.paths) }}
{{ include "llm-platform.gateway.error" (dict "status" 405 "code" "method_not_allowed"
  "message" "%[method] is not for this path: POST what a model should do, GET /v1/models." "if" "on_work !METH_POST") }}
{{ include "llm-platform.gateway.error" (dict "status" 405 "code" "method_not_allowed"
  "message" "%[method] is not for this path: POST what a model should do, GET /v1/models." "if" "!on_work !METH_GET") }}
{{ include "llm-platform.gateway.error" (dict "status" 431 "code" "headers_too_large"
  "message" "The headers are larger than 32 KiB." "if" "{ req.hdrs,length gt 32768 }") }}
{{- end }}

{{/*
llm-platform.gateway.logFormat: one JSON object a request. Times in ms: request read, queued, connected, answered, whole.
*/}}
{{- define "llm-platform.gateway.logFormat" -}}
{{- $text := list -}}
{{- range $key, $field := dict
  "time" "%[var(txn.began),utime(%Y-%m-%dT%H:%M:%SZ)]"
  "client" "%ci" "request_id" "%[var(txn.id),json(utf8s)]" "traceparent" "%[var(txn.traceparent),json(utf8s)]"
  "tenant" "%[var(txn.tenant),json(utf8s)]" "model" "%[var(txn.name),json(utf8s)]" "entry" "%[var(txn.entry),json(utf8s)]"
  "method" "%HM" "path" "%[var(txn.path),json(utf8s)]" "backend" "%b" "server" "%s" "end_state" "%ts"
  "error" "%[var(txn.error)]" -}}
{{- $text = append $text (printf "%q:\"%s\"" $key $field) -}}
{{- end -}}
{{- range $key, $field := dict
  "status" "%ST" "bytes_in" "%U" "bytes_out" "%B" "retries" "%rc" "queue" "%bq"
  "read_ms" "%TR" "queued_ms" "%Tw" "connected_ms" "%Tc" "answered_ms" "%Tr" "total_ms" "%Ta" -}}
{{- $text = append $text (printf "%q:%s" $key $field) -}}
{{- end -}}
{ {{- join "," $text -}} }
{{- end }}
