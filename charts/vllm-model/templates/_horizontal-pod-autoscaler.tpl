{{/*
vllm-model.horizontal-pod-autoscaler: for clusters without KEDA. Metrics come from Prometheus Adapter's custom metrics API, by
pod: KEDA owns the external metrics API of a cluster, so the two never meet, and an HPA itself counts pods without a metric as
idle on the way up and as busy on the way down. The rules that the adapter needs stand in _prometheus-adapter.tpl.
The annotation lets a later release move to KEDA in one upgrade: KEDA's webhook would refuse a ScaledObject beside this HPA.
*/}}
{{- define "vllm-model.horizontal-pod-autoscaler" -}}
{{- if eq .Values.autoscaling.type "hpa" -}}
{{- $scaling := .Values.autoscaling -}}
{{- $names := fromYaml (include "vllm-model.adapterMetricNames" .) -}}
apiVersion: autoscaling/v2
kind: HorizontalPodAutoscaler
metadata: {{- include "vllm-model.metadata" (dict "root" . "annotations" (dict "validations.keda.sh/hpa-ownership" "false")) | nindent 2 }}
spec:
  scaleTargetRef: {{- include "vllm-model.scaleTarget" . | nindent 4 }}
  minReplicas: {{ int $scaling.minReplicas }}
  maxReplicas: {{ int $scaling.maxReplicas }}
  behavior: {{- include "vllm-model.scaleBehavior" . | nindent 4 }}
  metrics:
    {{- range fromYamlArray (include "vllm-model.metricTriggers" .) }}
    - type: Pods
      pods:
        metric: {name: {{ get $names .name }}}
        target: {type: AverageValue, averageValue: {{ .threshold | toString | quote }}}
    {{- end }}
    {{- with $scaling.triggers.custom }}
    {{- toYaml . | nindent 4 }}
    {{- end }}
{{- end -}}
{{- end }}
