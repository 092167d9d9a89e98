{{/*
llm-platform.gateway.config.internal: what is for the cluster and not for clients.
/demand/<model>: requests that run, queue or are held, of this pod. KEDA asks every pod and adds up.
*/}}
{{- define "llm-platform.gateway.config.internal" -}}
frontend demand
    {{ include "llm-platform.gateway.bind" (dict "gateway" .gateway "port" .gateway.ports.demand) }}
    {{- range $backend := .backends }}
    {{- if $backend.holds }}
    http-request set-var(txn.held) be_conn(hold-{{ $backend.name }}) if { path /demand/{{ $backend.demand }} }
    http-request return status 200 content-type application/json lf-string '{"demand":%[be_conn(model-{{ $backend.name }}),add(txn.held)]}' if { path /demand/{{ $backend.demand }} }
    {{- else }}
    http-request return status 200 content-type application/json lf-string '{"demand":%[be_conn(model-{{ $backend.name }})]}' if { path /demand/{{ $backend.demand }} }
    {{- end }}
    {{- end }}
    {{ include "llm-platform.gateway.error" (dict "status" 404 "code" "unknown_path" "message" "There is /demand/<model> here, for the models of this gateway.") }}

frontend metrics
    {{ include "llm-platform.gateway.bind" (dict "gateway" .gateway "port" .gateway.ports.metrics) }}
    monitor-uri /healthz
    monitor fail if { stopping }
    http-request use-service prometheus-exporter if { path /metrics }
    {{- include "llm-platform.gateway.config.tenantMetrics" . | nindent 4 }}
    {{ include "llm-platform.gateway.error" (dict "status" 404 "code" "unknown_path" "message" "There are /metrics, /metrics/tenants and /healthz here.") }}
{{- end }}

{{/*
llm-platform.gateway.config.tenantMetrics: what each tenant used of this pod, in Prometheus' format.
*/}}
{{- define "llm-platform.gateway.config.tenantMetrics" -}}
{{- $metrics := list
  (list "llm_gateway_requests_total" "counter" "Requests let through." "table_gpc0(tenant-requests)")
  (list "llm_gateway_limited_requests_total" "counter" "Requests refused because of a limit of the tenant." "table_gpc1(tenant-requests)")
  (list "llm_gateway_running_requests" "gauge" "Requests that run, queue or are held." "table_conn_cur(tenant-requests)") -}}
{{- if .limits.tokensPerMinute -}}
{{- $metrics = append $metrics (list "llm_gateway_estimated_tokens_total" "counter" "Tokens as estimated from requests." "table_gpc(0,tenant-tokens)") -}}
{{- end -}}
{{- $text := "" -}}
{{- range $metric := $metrics -}}
{{- $text = printf "%s# HELP %s %s\\n# TYPE %s %s\\n" $text (index $metric 0) (index $metric 2) (index $metric 0) (index $metric 1) -}}
{{- range $tenant := keys $.tenants | sortAlpha -}}
{{- $text = printf `%s%s{tenant=\"%s\"} %%[str(%s),%s]\n` $text (index $metric 0) $tenant $tenant (index $metric 3) -}}
{{- end -}}
{{- end -}}
http-request return status 200 content-type "text/plain; version=0.0.4" lf-string "{{ $text }}" if { path /metrics/tenants }
{{- end }}
