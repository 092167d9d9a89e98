{{/*
The pod template: one for Deployment, Rollout, InferenceService and both halves of a LeaderWorkerSet.
Inputs of the helpers here: dict "root" the root, "role" server (takes requests) or worker (the other pods of a group),
"container" the engine container's name (default vllm; KServe wants its own).
*/}}

{{- define "vllm-model.podTemplate" -}}
{{- $root := .root -}}
metadata:
  labels: {{ toJson (merge (dict "vllm-model/role" .role) (fromYaml (include "vllm-model.selectorLabels" $root)) ($root.Values.podLabels | default dict) ($root.Values.commonLabels | default dict)) }}
  {{- with fromJson (include "vllm-model.podAnnotations" $root) }}
  annotations: {{ toJson . }}
  {{- end }}
spec: {{- include "vllm-model.podSpec" . | nindent 2 }}
{{- end }}

{{/*
vllm-model.podAnnotations: a pod that loads for minutes or holds streams is not to be moved for a tidier node; a changed chat
template starts new pods.
*/}}
{{- define "vllm-model.podAnnotations" -}}
{{- $own := dict -}}
{{- if .Values.availability.protectFromNodeScaleDown -}}
{{- $own = dict "cluster-autoscaler.kubernetes.io/safe-to-evict" "false" "karpenter.sh/do-not-disrupt" "true" -}}
{{- end -}}
{{- with .Values.model.chatTemplate.inline -}}{{- $_ := set $own "checksum/chat-template" (sha256sum .) -}}{{- end -}}
{{- toJson (merge (dict) (.Values.podAnnotations | default dict) $own) -}}
{{- end }}

{{/*
enableServiceLinks: a Service named vllm would set VLLM_PORT to a URL in every pod of the namespace, and vLLM dies of it.
*/}}
{{- define "vllm-model.podSpec" -}}
{{- $root := .root -}}
enableServiceLinks: false
automountServiceAccountToken: {{ $root.Values.serviceAccount.automountServiceAccountToken }}
serviceAccountName: {{ include "vllm-model.serviceAccountName" $root | quote }}
terminationGracePeriodSeconds: {{ (fromJson (include "vllm-model.shutdown" $root)).graceSeconds }}
{{- with include "vllm-model.imagePullSecrets" $root }}
{{ . }}
{{- end }}
{{- with $root.Values.availability.priorityClassName }}
priorityClassName: {{ . | quote }}
{{- end }}
{{- with $root.Values.gpu.runtimeClassName }}
runtimeClassName: {{ . | quote }}
{{- end }}
securityContext: {{- toYaml $root.Values.podSecurityContext | nindent 2 }}
{{- with $root.Values.scheduling.schedulerName }}
schedulerName: {{ . | quote }}
{{- end }}
{{- with fromJson (include "vllm-model.stated" $root.Values.scheduling.nodeSelector) }}
nodeSelector: {{- toYaml . | nindent 2 }}
{{- end }}
tolerations: {{- include "vllm-model.tolerations" $root | nindent 2 }}
{{- with include "vllm-model.affinity" $root }}
affinity: {{- . | nindent 2 }}
{{- end }}
{{- if eq .role "server" }}
{{- with include "vllm-model.spread" $root }}
topologySpreadConstraints: {{- . | nindent 2 }}
{{- end }}
{{- end }}
{{- with include "vllm-model.initContainers" $root }}
initContainers: {{- . | nindent 2 }}
{{- end }}
containers:
  - {{- include "vllm-model.engineContainer" . | nindent 4 }}
  {{- with $root.Values.extraContainers }}
  {{- toYaml . | nindent 2 }}
  {{- end }}
volumes: {{- include "vllm-model.volumes" $root | nindent 2 }}
{{- end }}

{{- define "vllm-model.initContainers" -}}
{{- $downloader := include "vllm-model.downloader" . -}}
{{- if eq $downloader "initContainer" }}
- {{- include "vllm-model.downloadContainer" . | nindent 2 }}
{{- else if eq $downloader "job" }}
- {{- include "vllm-model.waitContainer" . | nindent 2 }}
{{- end }}
{{- with .Values.extraInitContainers }}
{{ toYaml . }}
{{- end }}
{{- end }}

{{- define "vllm-model.volumes" -}}
- {name: tmp, emptyDir: {}}
{{ include "vllm-model.weightsVolumes" . }}
{{- if .Values.sharedMemory.enabled }}
- {name: shm, emptyDir: {medium: Memory, sizeLimit: {{ .Values.sharedMemory.sizeGiB }}Gi}}
{{- end }}
{{- if or .Values.model.chatTemplate.inline .Values.model.chatTemplate.configMap }}
- {name: chat-template, configMap: {name: {{ include "vllm-model.chatTemplateName" . | quote }}}}
{{- end }}
{{- with .Values.extraVolumes }}
{{ toYaml . }}
{{- end }}
{{- end }}
