{{/*
What keeps the gateway there, and what watches it.
*/}}
{{- define "llm-platform.gateway.podDisruptionBudget" -}}
apiVersion: policy/v1
kind: PodDisruptionBudget
metadata: {{- include "llm-platform.metadata" (dict "root" . "component" "gateway" "name" (include "llm-platform.gateway.name" .)) | nindent 2 }}
spec:
  maxUnavailable: {{ .Values.gateway.podDisruptionBudget.maxUnavailable }}
  unhealthyPodEvictionPolicy: AlwaysAllow
  selector:
    matchLabels: {{- include "llm-platform.selectorLabels" (dict "root" . "component" "gateway") | nindent 6 }}
{{- end }}

{{- define "llm-platform.gateway.horizontalPodAutoscaler" -}}
{{- $scaling := .Values.gateway.autoscaling -}}
apiVersion: autoscaling/v2
kind: HorizontalPodAutoscaler
metadata: {{- include "llm-platform.metadata" (dict "root" . "component" "gateway" "name" (include "llm-platform.gateway.name" .)) | nindent 2 }}
spec:
  scaleTargetRef: {apiVersion: apps/v1, kind: Deployment, name: {{ include "llm-platform.gateway.name" . }}}
  minReplicas: {{ int $scaling.minReplicas }}
  maxReplicas: {{ int $scaling.maxReplicas }}
  metrics:
    - type: ContainerResource
      containerResource:
        container: haproxy
        name: cpu
        target: {type: Utilization, averageUtilization: {{ int $scaling.cpuPercent }}}
{{- end }}

{{/*
llm-platform.gateway.podMonitor: HAProxy's own metrics without the rows of pods that are not there, and what tenants use.
*/}}
{{- define "llm-platform.gateway.podMonitor" -}}
{{- $monitor := .Values.gateway.podMonitor -}}
apiVersion: monitoring.coreos.com/v1
kind: PodMonitor
metadata: {{- include "llm-platform.metadata" (dict "root" . "component" "gateway" "name" (include "llm-platform.gateway.name" .) "labels" $monitor.labels) | nindent 2 }}
spec:
  namespaceSelector:
    matchNames: [{{ .Release.Namespace | quote }}]
  selector:
    matchLabels: {{- include "llm-platform.selectorLabels" (dict "root" . "component" "gateway") | nindent 6 }}
  podMetricsEndpoints:
    - port: metrics
      path: /metrics
      interval: {{ $monitor.interval | quote }}
      params: {scope: [global, frontend, backend, server], no-maint: [""]}
    - port: metrics
      path: /metrics/tenants
      interval: {{ $monitor.interval | quote }}
      # Two targets of one port would otherwise have the same labels, and one `up` between them.
      relabelings:
        - {targetLabel: endpoint, replacement: tenants}
{{- end }}
