{{/*
vllm-model.prometheus-rule: the alerts of this model that are on. What each looks at: _alerts.tpl; what to do: docs/runbook.md.
*/}}
{{- define "vllm-model.prometheus-rule" -}}
{{- if .Values.monitoring.rules.enabled -}}
{{- $group := dict "name" (printf "vllm-model.%s.%s" .Release.Namespace (include "vllm-model.fullname" .)) "rules" (fromJsonArray (include "vllm-model.alerts" .)) -}}
{{- toJson (dict
  "apiVersion" "monitoring.coreos.com/v1"
  "kind" "PrometheusRule"
  "metadata" (fromYaml (include "vllm-model.metadata" (dict "root" . "labels" .Values.monitoring.rules.labels)))
  "spec" (dict "groups" (list $group))) -}}
{{- end -}}
{{- end }}

{{/*
vllm-model.alerts: the rules, as a JSON list. An alert without an expression does not apply to these values and is left out (a
model without a scaler has no maximum). Its runbook_url is the page and the heading of the alert's own name.
*/}}
{{- define "vllm-model.alerts" -}}
{{- $root := . -}}
{{- $model := include "vllm-model.fullname" . -}}
{{- $rules := .Values.monitoring.rules -}}
{{- $list := list -}}
{{- range $key, $alert := $rules.alerts -}}
{{- if $alert.enabled -}}
{{- $body := fromYaml (include (printf "vllm-model.alert.%s" $key) (dict "root" $root "alert" $alert)) -}}
{{- if hasKey $body "Error" -}}{{- fail (printf "vllm-model.alert.%s is not YAML: %s" $key $body.Error) -}}{{- end -}}
{{- if $body.expr -}}
{{- $name := printf "Vllm%s%s" (substr 0 1 $key | upper) (substr 1 -1 $key) -}}
{{- $labels := merge (dict "severity" $alert.severity "model" $model "namespace" $root.Release.Namespace) ($rules.alertLabels | default dict) -}}
{{- $annotations := dict "summary" $body.summary "description" (printf "%s (model %s in %s)" $body.description $model $root.Release.Namespace) "runbook_url" (printf "%s#%s" $rules.runbookBaseUrl (lower $name)) -}}
{{- $list = append $list (dict "alert" $name "expr" $body.expr "for" ($body.for | default $alert.for) "labels" $labels "annotations" $annotations) -}}
{{- end -}}
{{- end -}}
{{- end -}}
{{- toJson $list -}}
{{- end }}
