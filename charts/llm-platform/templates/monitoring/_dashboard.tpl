{{/*
llm-platform.monitoring.dashboard: a dashboard in a ConfigMap that Grafana's sidecar finds by its label. The files are generated
(scripts/dashboards) and work for every release by their variables; the model's is that of charts/vllm-model, once for all models.
Written without line breaks: 30 kB less in the release's Secret each.
Inputs: dict "root", "name", "json" the text of the file.
*/}}
{{- define "llm-platform.monitoring.dashboard" -}}
{{- $dashboards := .root.Values.monitoring.dashboards -}}
apiVersion: v1
kind: ConfigMap
metadata: {{- include "llm-platform.metadata" (dict "root" .root "component" "monitoring" "name" (printf "%s-dashboard-%s" (include "llm-platform.name" .root) .name) "labels" $dashboards.labels "annotations" $dashboards.annotations) | nindent 2 }}
data:
  llm-platform-{{ .name }}.json: {{ .json | fromJson | toJson | quote }}
{{- end }}
