{{/*
The objects that make pods. Exactly one of them is rendered (vllm-model.kind), all around one pod template.
*/}}

{{/*
vllm-model.replicas: spec.replicas, and the annotation that remembers who wrote it.
An autoscaler owns the number, so it is absent: a number would reset the scaler at every upgrade. But dropping a number that
an earlier release wrote makes the API server default it to 1 and kills the rest. So where the live object still carries
the chart's number (the annotation says so), the number that is live is carried over. Offline renders see no live object.
Inputs: dict "root" the root, "apiVersion", "kind".
Renders YAML of annotations and, where there is one, replicas.
*/}}
{{- define "vllm-model.replicas" -}}
{{- $mark := dict "vllm-model/replicas" "chart" -}}
{{- if eq .root.Values.autoscaling.type "none" -}}
annotations: {{- toYaml $mark | nindent 2 }}
replicas: {{ int .root.Values.replicas }}
{{- else -}}
{{- $live := lookup .apiVersion .kind .root.Release.Namespace (include "vllm-model.fullname" .root) -}}
{{- if eq (dig "metadata" "annotations" "vllm-model/replicas" "" ($live | default dict)) "chart" -}}
annotations: {{- toYaml $mark | nindent 2 }}
replicas: {{ int $live.spec.replicas }}
{{- else -}}
annotations: {}
{{- end -}}
{{- end -}}
{{- end }}

{{- define "vllm-model.deployment" -}}
{{- if eq (include "vllm-model.kind" .) "Deployment" -}}
{{- $replicas := fromYaml (include "vllm-model.replicas" (dict "root" . "apiVersion" "apps/v1" "kind" "Deployment")) -}}
apiVersion: apps/v1
kind: Deployment
metadata: {{- include "vllm-model.metadata" (dict "root" . "annotations" $replicas.annotations) | nindent 2 }}
spec:
  {{- if hasKey $replicas "replicas" }}
  replicas: {{ $replicas.replicas }}
  {{- end }}
  revisionHistoryLimit: {{ int .Values.availability.revisionHistoryLimit }}
  progressDeadlineSeconds: {{ include "vllm-model.progressDeadlineSeconds" . }}
  selector:
    matchLabels: {{- include "vllm-model.servingLabels" . | nindent 6 }}
  strategy: {{- include "vllm-model.strategy" . | nindent 4 }}
  template: {{- include "vllm-model.podTemplate" (dict "root" . "role" "server") | nindent 4 }}
{{- end -}}
{{- end }}

{{/*
vllm-model.strategy: rolling needs a free GPU for the pod that comes first; recreate serves nothing while the new one loads.
*/}}
{{- define "vllm-model.strategy" -}}
{{- $strategy := .Values.availability.strategy -}}
{{- if eq $strategy.type "recreate" -}}
type: Recreate
{{- else -}}
type: RollingUpdate
rollingUpdate:
  maxSurge: {{ $strategy.maxSurge }}
  maxUnavailable: {{ $strategy.maxUnavailable }}
{{- end -}}
{{- end }}
