{{/*
vllm-model.resource-quota: what the namespace of this release may ask for. It holds everything in the namespace, not this
model alone, so it is off where tenants have quotas of the platform. Extended resources (GPUs) take only `requests.`.
*/}}
{{- define "vllm-model.resource-quota" -}}
{{- if .Values.resourceQuota.enabled -}}
apiVersion: v1
kind: ResourceQuota
metadata: {{- include "vllm-model.metadata" (dict "root" .) | nindent 2 }}
spec:
  hard: {{- include "vllm-model.stated" .Values.resourceQuota.hard | nindent 4 }}
{{- end -}}
{{- end }}
