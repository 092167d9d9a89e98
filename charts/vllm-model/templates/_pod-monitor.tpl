{{/*
vllm-model.pod-monitor: Prometheus scrapes the pods that serve, by themselves and not through the Service: a replica that is full or
loading must be seen too. /metrics asks for no key. An engine that ends TLS has a certificate for the names of its Service, and pods
are scraped by address: it is not verified, as the kubelet's probes do not.
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
      {{- if eq (include "vllm-model.scheme" .) "https" }}
      scheme: https
      tlsConfig: {insecureSkipVerify: true}
      {{- end }}
      {{- with $monitor.relabelings }}
      relabelings: {{- toYaml . | nindent 8 }}
      {{- end }}
      {{- with $monitor.metricRelabelings }}
      metricRelabelings: {{- toYaml . | nindent 8 }}
      {{- end }}
{{- end -}}
{{- end }}
