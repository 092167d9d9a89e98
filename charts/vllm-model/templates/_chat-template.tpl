{{/*
vllm-model.chat-template: the chat template of the values as a ConfigMap.
*/}}
{{- define "vllm-model.chat-template" -}}
{{- if .Values.model.chatTemplate.inline -}}
apiVersion: v1
kind: ConfigMap
metadata: {{- include "vllm-model.metadata" (dict "root" . "name" (include "vllm-model.chatTemplateName" .)) | nindent 2 }}
data:
  {{ .Values.model.chatTemplate.key | quote }}: {{ .Values.model.chatTemplate.inline | quote }}
{{- end -}}
{{- end }}
