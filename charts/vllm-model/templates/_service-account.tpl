{{/*
vllm-model.service-account: the identity of the pods in the cloud (annotations), never in Kubernetes: no token is mounted and
no Role is bound.
*/}}
{{- define "vllm-model.service-account" -}}
{{- if .Values.serviceAccount.create -}}
apiVersion: v1
kind: ServiceAccount
metadata: {{- include "vllm-model.metadata" (dict "root" . "name" (include "vllm-model.serviceAccountName" .) "annotations" .Values.serviceAccount.annotations) | nindent 2 }}
automountServiceAccountToken: {{ .Values.serviceAccount.automountServiceAccountToken }}
{{- end -}}
{{- end }}
