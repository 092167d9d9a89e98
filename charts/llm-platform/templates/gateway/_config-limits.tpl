{{/*
How much a tenant may. Every number is this pod's share. Requests that are refused do not count against the rate, or a
client that is too fast would get nothing instead of its share.
*/}}
{{- define "llm-platform.gateway.config.limits" -}}
{{- $estimate := .gateway.limits.tokenEstimate }}

# How much of it. Every number is the share of one gateway pod.
http-request track-sc0 var(txn.tenant) table tenant-requests if on_work is_known
{{- if .limits.requestsPerSecond }}
http-request set-var(txn.limit_requests) var(txn.tenant),map_str_int(/etc/llm-gateway/config/limit-requests.map) if on_work
http-request set-var(txn.over) str(requests) if on_work is_known { var(txn.limit_requests) -m found } { sc_gpc0_rate(0),sub(txn.limit_requests) ge 0 }
{{- end }}
{{- if .limits.concurrentRequests }}
http-request set-var(txn.limit_concurrency) var(txn.tenant),map_str_int(/etc/llm-gateway/config/limit-concurrency.map) if on_work
http-request set-var(txn.over) str(concurrency) if on_work is_known { var(txn.limit_concurrency) -m found } { sc_conn_cur(0),sub(txn.limit_concurrency) gt 0 }
{{- end }}
{{- if .limits.tokensPerMinute }}
# Tokens are an estimate, made before there is an answer: bytes / {{ int $estimate.bytesPerToken }} + what the request allows the answer.
# A tenant without such a limit is spared the reading.
http-request set-var(txn.limit_tokens) var(txn.tenant),map_str_int(/etc/llm-gateway/config/limit-tokens.map) if on_work is_known
acl has_token_limit var(txn.limit_tokens) -m found
http-request set-var(txn.says_maximum) bool(true) if has_token_limit { var(txn.body) -m sub \"max_ }
http-request track-sc1 var(txn.tenant) table tenant-tokens if has_token_limit
{{- range $key := list "max_tokens" "max_completion_tokens" "max_output_tokens" }}
http-request set-var(txn.allowed) var(txn.body),json_query('$.{{ $key }}','int') if { var(txn.says_maximum) -m bool } !{ var(txn.allowed) -m found }
{{- end }}
http-request set-var(txn.allowed) int({{ int $estimate.completionTokens }}) if has_token_limit !{ var(txn.allowed) -m int gt 0 }
http-request set-var(txn.tokens) req.body_size,div({{ int $estimate.bytesPerToken }}),add(txn.allowed) if has_token_limit
http-request set-var(txn.over) str(tokens) if has_token_limit { sc_gpc_rate(0,1),sub(txn.limit_tokens) ge 0 }
{{- end }}
http-request unset-var(txn.body)
acl is_over var(txn.over) -m found
http-request sc-inc-gpc1(0) if is_over
{{ include "llm-platform.gateway.error" (dict "status" 429 "code" "rate_limit_exceeded" "type" "rate_limit_error" "retryAfter" 1
  "message" "Tenant %[var(txn.tenant),json(utf8s)] has used its requests per second." "if" "{ var(txn.over) -m str requests }") }}
{{ include "llm-platform.gateway.error" (dict "status" 429 "code" "concurrency_limit_exceeded" "type" "rate_limit_error" "retryAfter" 1
  "message" "Tenant %[var(txn.tenant),json(utf8s)] has as many requests running as it may." "if" "{ var(txn.over) -m str concurrency }") }}
{{ include "llm-platform.gateway.error" (dict "status" 429 "code" "token_limit_exceeded" "type" "rate_limit_error" "retryAfter" 10
  "message" "Tenant %[var(txn.tenant),json(utf8s)] has used its tokens per minute (an estimate from the size of requests and max_tokens)." "if" "{ var(txn.over) -m str tokens }") }}
http-request sc-inc-gpc0(0) if on_work is_known
{{- if .limits.tokensPerMinute }}
http-request sc-add-gpc(0,1) var(txn.tokens) if has_token_limit
{{- end }}
{{- end }}

{{/*
llm-platform.gateway.config.counters: the tables. They begin anew with a reload (a changed Secret). gpc0: requests let through; gpc1: requests refused for a limit.
*/}}
{{- define "llm-platform.gateway.config.counters" -}}
backend tenant-requests
    stick-table type string len 64 size 10k expire 1h store gpc0,gpc0_rate({{ int .gateway.limits.windowSeconds }}s),gpc1,conn_cur
{{- if .limits.tokensPerMinute }}

backend tenant-tokens
    stick-table type string len 64 size 10k expire 1h store gpc(1),gpc_rate(1,60s)
{{- end }}
{{- end }}
