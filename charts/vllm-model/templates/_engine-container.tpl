{{/*
The container of the engine. Inputs of the helpers here as in _pod.tpl.
*/}}

{{- define "vllm-model.engineContainer" -}}
{{- $root := .root -}}
name: {{ .container | default "vllm" }}
image: {{ include "vllm-model.image" (dict "root" $root "image" $root.Values.engine.image) | quote }}
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
vllm-model.preStop: waits while endpoints are removed. A worker of a group stays as long as its leader does and no longer: it may be
told at the same time, and the leader's streams need it, or because the leader has gone. By the engine's own Python.
*/}}
{{- define "vllm-model.preStop" -}}
{{- $shutdown := fromJson (include "vllm-model.shutdown" .root) -}}
{{- $seconds := int $shutdown.endpointSeconds -}}
{{- if eq .role "worker" }}
lifecycle:
  preStop:
    exec:
      command:
        - python3
        - -c
        - {{ .root.Files.Get "files/leader_end.py" | quote }}
        - {{ int .root.Values.engine.port | quote }}
        - {{ add $seconds $shutdown.drainSeconds | quote }}
{{- else if gt $seconds 0 }}
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
{{- if .Values.rdma.enabled -}}{{- range $name, $count := fromJson (include "vllm-model.stated" .Values.rdma.resources) -}}{{- $_ := set $devices $name (toString $count) -}}{{- end -}}{{- end -}}
{{- toYaml (dict "requests" (merge (dict) $devices (.Values.resources.requests | default dict)) "limits" (merge (dict) $devices (.Values.resources.limits | default dict))) -}}
{{- end }}

{{- define "vllm-model.securityContext" -}}
{{- $context := deepCopy (.Values.securityContext | default dict) -}}
{{- if .Values.rdma.enabled -}}
{{- $_ := set $context "capabilities" (merge (dict "add" (list "IPC_LOCK")) ($context.capabilities | default dict)) -}}
{{- end -}}
{{ toYaml $context }}
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
