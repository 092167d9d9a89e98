{{/*
llm-platform.monitoring.rule: recording rules and alerts of the platform, one group a concern. Alerts of a model are in the model's own
PrometheusRule (charts/vllm-model).
Inputs: the facts (llm-platform.gateway.facts).
*/}}
{{- define "llm-platform.monitoring.rule" -}}
{{- $root := .root -}}
{{- $name := include "llm-platform.name" $root -}}
{{- $parts := list "gpu" -}}
{{- if include "llm-platform.monitoring.isPriced" $root.Values.monitoring.cost -}}{{- $parts = append $parts "cost" -}}{{- end -}}
{{- if eq (include "llm-platform.gateway.isHaproxy" $root) "true" -}}{{- $parts = append $parts "gateway" -}}{{- end -}}
apiVersion: monitoring.coreos.com/v1
kind: PrometheusRule
metadata: {{- include "llm-platform.metadata" (dict "root" $root "component" "monitoring" "name" $name "labels" $root.Values.monitoring.rules.labels) | nindent 2 }}
spec:
  groups:
    {{- range $part := $parts }}
    - name: llm-platform.{{ $root.Release.Namespace }}.{{ $name }}.{{ $part }}
      rules: {{- include (printf "llm-platform.monitoring.recording.%s" $part) $ | nindent 8 }}
    {{- end }}
    - name: llm-platform.{{ $root.Release.Namespace }}.{{ $name }}.alerts
      rules: {{- include "llm-platform.monitoring.alerts" . | nindent 8 }}
{{- end }}

{{/*
llm-platform.monitoring.alerts: the alerts that are on, as a YAML list. One without an expression does not apply to these values
(no model sleeps, no budget) and is left out. Its runbook_url is the page and the heading of the alert's own name.
*/}}
{{- define "llm-platform.monitoring.alerts" -}}
{{- $facts := . -}}
{{- $rules := .root.Values.monitoring.rules -}}
{{- $list := list -}}
{{- range $key, $alert := $rules.alerts -}}
{{- $body := fromYaml (include (printf "llm-platform.alert.%s" $key) (dict "facts" $facts "root" $facts.root "alert" $alert)) -}}
{{- if and $alert.enabled $body.expr -}}
{{- $name := printf "Llm%s%s" (substr 0 1 $key | upper) (substr 1 -1 $key) -}}
{{- $labels := merge (dict "severity" $alert.severity "platform" $facts.root.Release.Name) ($body.labels | default dict) ($rules.alertLabels | default dict) -}}
{{- $annotations := dict "summary" $body.summary "description" $body.description "runbook_url" (printf "%s#%s" $rules.runbookBaseUrl (lower $name)) -}}
{{- $list = append $list (dict "alert" $name "expr" $body.expr "for" $alert.for "labels" $labels "annotations" $annotations) -}}
{{- end -}}
{{- end -}}
{{- toYaml $list -}}
{{- end }}
