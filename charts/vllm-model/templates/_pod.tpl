{{/*
The pod template: one for Deployment, Rollout, InferenceService and both halves of a LeaderWorkerSet.
Inputs of the helpers here: dict "root" the root, "role" server (takes requests) or worker (the other pods of a group),
"container" the engine container's name (default vllm; KServe wants its own).
*/}}

{{- define "vllm-model.podTemplate" -}}
{{- $root := .root -}}
metadata:
  labels: {{- toYaml (merge (dict "vllm-model/role" .role) (fromYaml (include "vllm-model.selectorLabels" $root)) $root.Values.podLabels $root.Values.commonLabels) | nindent 4 }}
  {{- with fromYaml (include "vllm-model.podAnnotations" $root) }}
  annotations: {{- toYaml . | nindent 4 }}
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
{{- toYaml (merge (dict) .Values.podAnnotations $own) -}}
{{- end }}

{{/*
enableServiceLinks: a Service named vllm would set VLLM_PORT to a URL in every pod of the namespace, and vLLM dies of it.
*/}}
{{- define "vllm-model.podSpec" -}}
{{- $root := .root -}}
enableServiceLinks: false
automountServiceAccountToken: {{ $root.Values.serviceAccount.automountServiceAccountToken }}
serviceAccountName: {{ include "vllm-model.serviceAccountName" $root }}
terminationGracePeriodSeconds: {{ (fromYaml (include "vllm-model.shutdown" $root)).graceSeconds }}
{{- with include "vllm-model.imagePullSecrets" $root }}
{{ . }}
{{- end }}
{{- with $root.Values.availability.priorityClassName }}
priorityClassName: {{ . }}
{{- end }}
{{- with $root.Values.gpu.runtimeClassName }}
runtimeClassName: {{ . }}
{{- end }}
securityContext: {{- toYaml $root.Values.podSecurityContext | nindent 2 }}
{{- with $root.Values.scheduling.schedulerName }}
schedulerName: {{ . }}
{{- end }}
{{- with $root.Values.scheduling.nodeSelector }}
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

{{- define "vllm-model.engineContainer" -}}
{{- $root := .root -}}
name: {{ .container | default "vllm" }}
image: {{ include "vllm-model.image" (dict "root" $root "image" $root.Values.engine.image) }}
imagePullPolicy: {{ $root.Values.engine.image.pullPolicy }}
command: {{- include "vllm-model.engineCommand" . | nindent 2 }}
args: {{- include "vllm-model.engineArgs" . | nindent 2 }}
env: {{- include "vllm-model.env" (dict "base" (fromYaml (include "vllm-model.engineEnv" $root)) "extra" $root.Values.engine.env) | nindent 2 }}
{{- with $root.Values.engine.envFrom }}
envFrom: {{- toYaml . | nindent 2 }}
{{- end }}
{{- if eq .role "server" }}
ports:
  - {name: http, containerPort: {{ int $root.Values.engine.port }}, protocol: TCP}
{{ include "vllm-model.probes" $root }}
{{- end }}
{{- include "vllm-model.preStop" . }}
resources: {{- include "vllm-model.resources" $root | nindent 2 }}
securityContext: {{- include "vllm-model.securityContext" $root | nindent 2 }}
volumeMounts: {{- include "vllm-model.volumeMounts" $root | nindent 2 }}
{{- end }}

{{/*
vllm-model.engineCommand: engine.command, which must become PID 1. Only a worker of a data-parallel group needs a shell, for
the one thing that the kubelet cannot expand, a product; exec hands PID 1 and its signals on.
*/}}
{{- define "vllm-model.engineCommand" -}}
{{- $split := .root.Values.parallelism -}}
{{- $command := .root.Values.engine.command -}}
{{- if and (eq .role "worker") (gt (int $split.data) 1) -}}
{{- $rank := printf "--data-parallel-start-rank=$((LWS_WORKER_INDEX * %d))" (div (int $split.data) (int $split.nodes)) -}}
{{- $command = concat (list "/bin/sh" "-euc" (printf "exec \"$@\" %s" $rank) "vllm") $command -}}
{{- end -}}
{{ toYaml $command }}
{{- end }}

{{/*
vllm-model.preStop: waits while endpoints are removed. A worker of a group stays until its leader has drained: it is told at
the same time, and the leader's streams need it.
*/}}
{{- define "vllm-model.preStop" -}}
{{- $shutdown := fromYaml (include "vllm-model.shutdown" .root) -}}
{{- $seconds := int $shutdown.endpointSeconds -}}
{{- if eq .role "worker" -}}{{- $seconds = add $seconds $shutdown.drainSeconds -}}{{- end -}}
{{- if gt (int $seconds) 0 }}
lifecycle:
  preStop:
    sleep: {seconds: {{ $seconds }}}
{{- end }}
{{- end }}

{{/*
vllm-model.resources: GPUs are requests and limits alike (extended resources cannot be overcommitted). No memory limit by
default. RDMA devices come along for groups.
*/}}
{{- define "vllm-model.resources" -}}
{{- $devices := dict -}}
{{- with include "vllm-model.podGpus" . | int -}}{{- $_ := set $devices $.Values.gpu.resourceName (toString .) -}}{{- end -}}
{{- if .Values.rdma.enabled -}}{{- range $name, $count := .Values.rdma.resources -}}{{- $_ := set $devices $name (toString $count) -}}{{- end -}}{{- end -}}
{{- toYaml (dict "requests" (merge (dict) $devices .Values.resources.requests) "limits" (merge (dict) $devices .Values.resources.limits)) -}}
{{- end }}

{{- define "vllm-model.securityContext" -}}
{{- $context := deepCopy .Values.securityContext -}}
{{- if .Values.rdma.enabled -}}
{{- $_ := set $context "capabilities" (merge (dict "add" (list "IPC_LOCK")) ($context.capabilities | default dict)) -}}
{{- end -}}
{{ toYaml $context }}
{{- end }}

{{- define "vllm-model.volumes" -}}
- {name: tmp, emptyDir: {}}
{{ include "vllm-model.weightsVolumes" . }}
{{- if .Values.sharedMemory.enabled }}
- {name: shm, emptyDir: {medium: Memory, sizeLimit: {{ .Values.sharedMemory.sizeGiB }}Gi}}
{{- end }}
{{- if or .Values.model.chatTemplate.inline .Values.model.chatTemplate.configMap }}
- {name: chat-template, configMap: {name: {{ include "vllm-model.chatTemplateName" . }}}}
{{- end }}
{{- with .Values.extraVolumes }}
{{ toYaml . }}
{{- end }}
{{- end }}

{{- define "vllm-model.volumeMounts" -}}
{{ include "vllm-model.cacheMounts" . }}
{{- if has .Values.weights.source (list "claim" "image" "hostPath") }}
- {name: weights, mountPath: /weights, readOnly: true}
{{- end }}
{{- if .Values.sharedMemory.enabled }}
- {name: shm, mountPath: /dev/shm}
{{- end }}
{{- if or .Values.model.chatTemplate.inline .Values.model.chatTemplate.configMap }}
- {name: chat-template, mountPath: /etc/vllm, readOnly: true}
{{- end }}
{{- with .Values.extraVolumeMounts }}
{{ toYaml . }}
{{- end }}
{{- end }}
