{{/*
llm-platform.monitoring.recording.gateway: shares of server errors by model, over the windows of the alerts, and how fast the
error budget burns. Answers of the hold count: who waits for a model and gets none has had an error.
Inputs: the facts. Returns a YAML list of rules.
*/}}
{{- define "llm-platform.monitoring.recording.gateway" -}}
{{- $matchers := printf "%s,proxy=~\"(model|hold)-.+\"" (include "llm-platform.monitoring.gatewayMatchers" .root) -}}
{{- $labels := dict "namespace" .root.Release.Namespace -}}
{{- $rules := list -}}
{{- range $window := list "5m" "30m" "1h" "6h" -}}
{{- $all := include "llm-platform.monitoring.byModel" (list "sum" (printf "rate(haproxy_backend_http_responses_total{%s}[%s])" $matchers $window)) -}}
{{- $failed := include "llm-platform.monitoring.byModel" (list "sum" (printf "rate(haproxy_backend_http_responses_total{%s,code=\"5xx\"}[%s])" $matchers $window)) -}}
{{- $rules = append $rules (dict "record" (printf "model:llm_gateway_errors:ratio_rate%s" $window) "expr" (printf "%s / %s" $failed $all) "labels" $labels) -}}
{{- end -}}
{{- range $window := list "1h" "6h" -}}
{{- $expr := printf "model:llm_gateway_errors:ratio_rate%s{namespace=%q} / %s" $window $.root.Release.Namespace (include "llm-platform.monitoring.errorBudget" $.root) -}}
{{- $rules = append $rules (dict "record" (printf "model:llm_gateway_budget_burn:rate%s" $window) "expr" $expr) -}}
{{- end -}}
{{- toYaml $rules -}}
{{- end }}

{{/*
llm-platform.monitoring.errorBudget: the share of answers that may be server errors. Rounded: 100 - 99.9 is not 0.1 in a computer.
*/}}
{{- define "llm-platform.monitoring.errorBudget" -}}
{{ round (divf (subf 100 .Values.monitoring.rules.objective) 100) 8 }}
{{- end }}
