{{/*
The command line of the engine. Flags are tokens of a list, never one shell string: nothing is split or quoted twice.
*/}}

{{/*
vllm-model.engineArgs: all arguments of one pod, as a YAML list.
Inputs: dict "root" the root, "role" server or worker (a worker of a group serves no HTTP).
extraArgs come last: argparse takes the last of two.
*/}}
{{- define "vllm-model.engineArgs" -}}
{{- $root := .root -}}
- {{ include "vllm-model.modelReference" $root | quote }}
{{- with include "vllm-model.modelArgs" $root }}
{{ . }}
{{- end }}
- --port={{ int $root.Values.engine.port }}
{{- if include "vllm-model.engineAtLeast" (dict "root" $root "version" "0.18.0") }}
- --shutdown-timeout={{ (fromJson (include "vllm-model.shutdown" $root)).drainSeconds }}
{{- end }}
{{- /* Probes and scrapes would be most of the access log. */}}
{{- if and (include "vllm-model.engineAtLeast" (dict "root" $root "version" "0.16.0")) (not (hasKey $root.Values.engine.flags "disableAccessLogForEndpoints")) }}
- --disable-access-log-for-endpoints=/health,/metrics
{{- end }}
{{- with include "vllm-model.parallelismArgs" . }}
{{ . }}
{{- end }}
{{- with $root.Values.tracing.endpoint }}
- {{ printf "--otlp-traces-endpoint=%s" . | quote }}
{{- end }}
{{- with include "vllm-model.flagArgs" $root }}
{{ . }}
{{- end }}
{{- range $root.Values.engine.extraArgs }}
- {{ include "vllm-model.scalar" . | quote }}
{{- end }}
{{- end }}

{{/*
vllm-model.modelArgs: what is served and under which names.
*/}}
{{- define "vllm-model.modelArgs" -}}
{{- $model := .Values.model -}}
- --served-model-name
{{- range $model.servedNames | default (list $model.id) }}
- {{ . | quote }}
{{- end }}
{{- if and $model.revision (eq .Values.weights.source "huggingface") }}
- {{ printf "--revision=%s" $model.revision | quote }}
{{- end }}
{{- if $model.trustRemoteCode }}
- --trust-remote-code
{{- end }}
{{- if or $model.chatTemplate.inline $model.chatTemplate.configMap }}
- {{ printf "--chat-template=/etc/vllm/%s" $model.chatTemplate.key | quote }}
{{- end }}
{{- with fromJson (include "vllm-model.stated" $model.adapters) }}
- --enable-lora
- --lora-modules
{{- range $name, $adapter := . }}
- {{ printf "%s=%s" $name $adapter.source | quote }}
{{- end }}
{{- end }}
{{- if and (has .Values.weights.source (list "s3" "gcs")) (eq (include "vllm-model.downloader" .) "none") (not .Values.engine.flags.loadFormat) }}
- --load-format=runai_streamer
{{- end }}
{{- end }}

{{/*
vllm-model.parallelismArgs: how the model is split. In a group of pods (LeaderWorkerSet) the controller gives each pod the
leader's address and its own index; $(NAME) is expanded by the kubelet, so no shell is needed.
*/}}
{{- define "vllm-model.parallelismArgs" -}}
{{- $split := .root.Values.parallelism -}}
{{- $args := list -}}
{{- if gt (int $split.tensor) 1 -}}{{ $args = append $args (printf "--tensor-parallel-size=%d" (int $split.tensor)) }}{{- end -}}
{{- if gt (int $split.pipeline) 1 -}}{{ $args = append $args (printf "--pipeline-parallel-size=%d" (int $split.pipeline)) }}{{- end -}}
{{- if gt (int $split.data) 1 -}}{{ $args = append $args (printf "--data-parallel-size=%d" (int $split.data)) }}{{- end -}}
{{- if $split.expert -}}{{ $args = append $args "--enable-expert-parallel" }}{{- end -}}
{{- if gt (int $split.nodes) 1 -}}
{{- if gt (int $split.data) 1 -}}
{{- $local := div (int $split.data) (int $split.nodes) -}}
{{- $args = concat $args (list (printf "--data-parallel-size-local=%d" $local) "--data-parallel-address=$(LWS_LEADER_ADDRESS)") -}}
{{- else -}}
{{- $args = concat $args (list (printf "--nnodes=%d" (int $split.nodes)) "--node-rank=$(LWS_WORKER_INDEX)" "--master-addr=$(LWS_LEADER_ADDRESS)") -}}
{{- end -}}
{{- if eq .role "worker" -}}{{ $args = append $args "--headless" }}{{- end -}}
{{- end -}}
{{- with $args -}}{{ toYaml . }}{{- end -}}
{{- end }}

{{/*
vllm-model.flagArgs: engine.flags as arguments. camelCase becomes --kebab-case; unset (null) emits nothing, true --flag,
false --no-flag, a list one token an element, a map JSON. Sorted by name, so a render never changes by itself. Not by Sprig's
kebabcase, which makes --all-2-all-backend of all2allBackend.
*/}}
{{- define "vllm-model.flagArgs" -}}
{{- $args := list -}}
{{- range $name, $value := .Values.engine.flags -}}
{{- $dashed := regexReplaceAll "([A-Z])" $name "-${1}" | lower -}}
{{- $flag := printf "--%s" $dashed -}}
{{- if kindIs "bool" $value -}}
{{- $args = append $args (ternary $flag (printf "--no-%s" $dashed) $value) -}}
{{- else if kindIs "slice" $value -}}
{{- $args = append $args $flag -}}
{{- range $value -}}{{- $args = append $args (include "vllm-model.scalar" .) -}}{{- end -}}
{{- else if kindIs "map" $value -}}
{{- $args = append $args (printf "%s=%s" $flag (toJson $value)) -}}
{{- else if not (kindIs "invalid" $value) -}}
{{- $args = append $args (printf "%s=%s" $flag (include "vllm-model.scalar" $value)) -}}
{{- end -}}
{{- end -}}
{{- with $args -}}{{ toYaml . }}{{- end -}}
{{- end }}

{{/*
vllm-model.scalar: a string or number as vLLM reads it. Helm holds the numbers of a values file as float64 and would print
131072 as 1.31072e+05, which argparse refuses.
*/}}
{{- define "vllm-model.scalar" -}}
{{- if kindIs "string" . -}}{{ . }}
{{- else if eq (float64 (int64 .)) (float64 .) -}}{{ int64 . }}
{{- else -}}{{ . }}{{- end -}}
{{- end }}
