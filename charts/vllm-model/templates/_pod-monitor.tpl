{{/*
vllm-model.pod-monitor: Prometheus scrapes the pods that serve, by themselves and not through the Service: a replica that is full or
loading must be seen too. /metrics asks for no key.
*/}}
{{- define "vllm-model.pod-monitor" -}}
{{- $monitor := .Values.monitoring.podMonitor -}}
{{- if $monitor.enabled -}}
apiVersion: monitoring.coreos.com/v1
kind: PodMonitor
metadata: {{- include "vllm-model.metadata" (dict "root" . "labels" $monitor.labels) | nindent 2 }}
spec:
  namespaceSelector:
    matchNames: [{{ .Release.Namespace | quote }}]
  selector:
    matchLabels: {{- include "vllm-model.servingLabels" . | nindent 6 }}
  podMetricsEndpoints:
    - port: http
      path: /metrics
      interval: {{ $monitor.interval | quote }}
      scrapeTimeout: {{ $monitor.scrapeTimeout | quote }}
      {{- with $monitor.relabelings }}
      relabelings: {{- toYaml . | nindent 8 }}
      {{- end }}
      {{- with $monitor.metricRelabelings }}
      metricRelabelings: {{- toYaml . | nindent 8 }}
      {{- end }}
{{- end -}}
{{- end }}
