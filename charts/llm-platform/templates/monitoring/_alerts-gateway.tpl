{{/*
One template an alert, named after its key in monitoring.rules.alerts: expr, summary, description, and labels where the
expression has lost them, as YAML. What to do: docs/runbook.md.
Inputs of each: dict "facts" the facts (llm-platform.gateway.facts), "root" the umbrella's root, "alert" the alert's values.
*/}}

{{- define "llm-platform.alert.gatewayDown" -}}
{{- if eq (include "llm-platform.gateway.isHaproxy" .root) "true" -}}
expr: absent(haproxy_process_uptime_seconds{ {{- include "llm-platform.monitoring.gatewayMatchers" .root -}} })
summary: No gateway answers
description: Prometheus gets metrics of no gateway pod. No model can be reached through it, or the scrape fails.
labels: {namespace: {{ .root.Release.Namespace | quote }}}
{{- end -}}
{{- end }}

{{- define "llm-platform.alert.gatewayDegraded" -}}
{{- if eq (include "llm-platform.gateway.isHaproxy" .root) "true" -}}
{{- $matchers := printf "{namespace=%q,deployment=%q}" .root.Release.Namespace (include "llm-platform.gateway.name" .root) -}}
expr: max by (namespace, deployment) (kube_deployment_status_replicas_available{{ $matchers }}) < max by (namespace, deployment) (kube_deployment_spec_replicas{{ $matchers }})
summary: Gateway pods are missing
description: 'Only {{ "{{ $value }}" }} of the gateway''s pods are available. Limits of tenants are divided by their number: what is let through is less than it should be.'
{{- end -}}
{{- end }}

{{- define "llm-platform.alert.gatewayConnectionsHigh" -}}
{{- if eq (include "llm-platform.gateway.isHaproxy" .root) "true" -}}
{{- $matchers := include "llm-platform.monitoring.gatewayMatchers" .root -}}
expr: max by (namespace, pod) (haproxy_process_current_connections{ {{- $matchers -}} }) / max by (namespace, pod) (haproxy_process_max_connections{ {{- $matchers -}} }) > {{ .alert.threshold }}
summary: A gateway pod runs out of connections
description: '{{ "Pod {{ $labels.pod }} uses {{ $value | humanizePercentage }}" }} of the connections it may take; at 100 % new ones wait.'
{{- end -}}
{{- end }}

{{- define "llm-platform.alert.gatewayQueueHigh" -}}
{{- if eq (include "llm-platform.gateway.isHaproxy" .root) "true" -}}
{{- $queue := printf "haproxy_backend_current_queue{%s,proxy=~\"model-.+\"}" (include "llm-platform.monitoring.gatewayMatchers" .root) -}}
expr: {{ include "llm-platform.monitoring.byModel" (list "sum" $queue) }} > {{ .alert.threshold }}
summary: Requests queue at the gateway
description: '{{ "{{ $value }} requests for model {{ $labels.model }}" }} wait for a place at a replica.'
labels: {namespace: {{ .root.Release.Namespace | quote }}}
{{- end -}}
{{- end }}

{{/*
Models that may sleep are left out: no pod is their normal state, and holdTimeouts tells when waking fails.
*/}}
{{- define "llm-platform.alert.gatewayModelUnreachable" -}}
{{- $awake := list -}}
{{- range $backend := .facts.backends -}}{{- if not $backend.holds -}}{{- $awake = append $awake $backend.name -}}{{- end -}}{{- end -}}
{{- if and $awake (eq (include "llm-platform.gateway.isHaproxy" .root) "true") -}}
{{- $servers := printf "haproxy_backend_active_servers{%s,proxy=~\"model-(%s)\"}" (include "llm-platform.monitoring.gatewayMatchers" .root) (join "|" $awake) -}}
expr: {{ include "llm-platform.monitoring.byModel" (list "max" $servers) }} == 0
summary: The gateway reaches no replica of a model
description: '{{ "No gateway pod has a replica of model {{ $labels.model }}" }} to send requests to; they end in 503.'
labels: {namespace: {{ .root.Release.Namespace | quote }}}
{{- end -}}
{{- end }}

{{- define "llm-platform.alert.holdTimeouts" -}}
{{- $holds := list -}}
{{- range $backend := .facts.backends -}}{{- if $backend.holds -}}{{- $holds = append $holds $backend.name -}}{{- end -}}{{- end -}}
{{- if and $holds (eq (include "llm-platform.gateway.isHaproxy" .root) "true") -}}
{{- $answers := printf "increase(haproxy_backend_http_responses_total{%s,proxy=~\"hold-.+\",code=\"5xx\"}[10m])" (include "llm-platform.monitoring.gatewayMatchers" .root) -}}
expr: {{ include "llm-platform.monitoring.byModel" (list "sum" $answers) }} > {{ .alert.threshold }}
summary: Requests waited for a model that did not wake
description: '{{ "{{ $value | humanize }} requests for model {{ $labels.model }}" }} ended in 503 within 10 minutes: it was not up in gateway.hold.seconds, or more waited than gateway.hold.maxRequests.'
labels: {namespace: {{ .root.Release.Namespace | quote }}}
{{- end -}}
{{- end }}

{{/*
Two windows each, so that it fires soon and stops when the errors stop.
*/}}
{{- define "llm-platform.alert.errorBudgetBurn" -}}
{{ include "llm-platform.monitoring.burn" (dict "root" .root "alert" .alert "long" "1h" "short" "5m") }}
{{- end }}

{{- define "llm-platform.alert.errorBudgetBurnSlow" -}}
{{ include "llm-platform.monitoring.burn" (dict "root" .root "alert" .alert "long" "6h" "short" "30m") }}
{{- end }}

{{- define "llm-platform.monitoring.burn" -}}
{{- if eq (include "llm-platform.gateway.isHaproxy" .root) "true" -}}
{{- $limit := round (mulf .alert.threshold (include "llm-platform.monitoring.errorBudget" .root | float64)) 8 -}}
{{- $space := .root.Release.Namespace -}}
expr: model:llm_gateway_errors:ratio_rate{{ .long }}{namespace={{ quote $space }}} > {{ $limit }} and on (model) model:llm_gateway_errors:ratio_rate{{ .short }}{namespace={{ quote $space }}} > {{ $limit }}
summary: Errors eat the month's budget
description: '{{ "{{ $value | humanizePercentage }} of the answers for model {{ $labels.model }}" }} in {{ .long }} are server errors, {{ .alert.threshold }} times what {{ .root.Values.monitoring.rules.objective }} % allows.'
{{- end -}}
{{- end }}

{{- define "llm-platform.alert.tenantLimited" -}}
{{- if and .facts.limits (eq (include "llm-platform.gateway.isHaproxy" .root) "true") -}}
{{- $matchers := include "llm-platform.monitoring.gatewayMatchers" .root -}}
{{- $refused := printf "sum by (tenant) (rate(llm_gateway_limited_requests_total{%s}[10m]))" $matchers -}}
expr: {{ $refused }} / ({{ $refused }} + sum by (tenant) (rate(llm_gateway_requests_total{ {{- $matchers -}} }[10m]))) > {{ .alert.threshold }}
summary: A tenant runs into its limits
description: '{{ "{{ $value | humanizePercentage }} of the requests of tenant {{ $labels.tenant }}" }} are refused for a limit.'
labels: {namespace: {{ .root.Release.Namespace | quote }}}
{{- end -}}
{{- end }}
