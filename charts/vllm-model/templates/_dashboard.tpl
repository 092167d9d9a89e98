{{/*
vllm-model.dashboard: the Grafana dashboard of this model in a ConfigMap that Grafana's sidecar finds by its label.
dashboards/model.json is generated (scripts/dashboards.py) and works for every model by its variables; here it gets a uid and a
title of its own and opens on this model, or the dashboards of two models would overwrite each other.
Reads .Files: in the umbrella the root-shaped dict carries the subchart's (.Subcharts "vllm-model" .Files).
*/}}
{{- define "vllm-model.dashboard" -}}
{{- $dashboard := .Values.monitoring.dashboard -}}
{{- if $dashboard.enabled -}}
{{- $name := include "vllm-model.fullname" . -}}
apiVersion: v1
kind: ConfigMap
metadata: {{- include "vllm-model.metadata" (dict "root" . "name" (printf "%s-dashboard" $name) "labels" $dashboard.labels "annotations" $dashboard.annotations) | nindent 2 }}
data:
  {{ .Release.Namespace }}-{{ $name }}.json: {{ include "vllm-model.dashboardJson" . | quote }}
{{- end -}}
{{- end }}

{{/*
vllm-model.dashboardJson: the generated dashboard with this model's uid, title and variables.
*/}}
{{- define "vllm-model.dashboardJson" -}}
{{- $name := include "vllm-model.fullname" . -}}
{{- $target := fromJson (include "vllm-model.scaleTarget" .) -}}
{{- $chosen := dict "namespace" .Release.Namespace "workload" $target.name "model" (include "vllm-model.servedName" .) -}}
{{- $json := fromJson (.Files.Get "dashboards/model.json") -}}
{{- $variables := list -}}
{{- range $json.templating.list -}}
{{- $current := get $chosen .name -}}
{{- $variables = append $variables (ternary (merge (dict "current" (dict "text" $current "value" $current)) .) . (hasKey $chosen .name)) -}}
{{- end -}}
{{- merge (dict "uid" (printf "%s/%s" .Release.Namespace $name | sha1sum) "title" (printf "vLLM / %s" $name) "templating" (dict "list" $variables)) $json | toJson -}}
{{- end }}
