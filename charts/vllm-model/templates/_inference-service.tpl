{{/*
vllm-model.inference-service: KServe in standard (raw) deployment mode, where it makes a plain Deployment of the pod template.
KServe names and scales the Deployment itself.
*/}}
{{- define "vllm-model.inference-service" -}}
{{- if eq (include "vllm-model.kind" .) "InferenceService" -}}
{{- $fixed := eq .Values.autoscaling.type "none" -}}
{{- $template := fromYaml (include "vllm-model.podTemplate" (dict "root" . "role" "server" "container" "kserve-container")) -}}
apiVersion: serving.kserve.io/v1beta1
kind: InferenceService
metadata: {{- include "vllm-model.metadata" (dict "root" . "annotations" (dict "serving.kserve.io/deploymentMode" "RawDeployment" "serving.kserve.io/autoscalerClass" (ternary "none" "external" $fixed))) | nindent 2 }}
spec:
  predictor:
    minReplicas: {{ ternary .Values.replicas .Values.autoscaling.minReplicas $fixed | int }}
    maxReplicas: {{ ternary .Values.replicas .Values.autoscaling.maxReplicas $fixed | int }}
    deploymentStrategy: {{- include "vllm-model.strategy" . | nindent 6 }}
    labels: {{- toYaml $template.metadata.labels | nindent 6 }}
    {{- with $template.metadata.annotations }}
    annotations: {{- toYaml . | nindent 6 }}
    {{- end }}
    {{- toYaml $template.spec | nindent 4 }}
{{- end -}}
{{- end }}
