{{/*
vllm-model.env: a list of environment variables from maps by name; the one place where they are merged.
Inputs: dict "base" what the chart sets (name to {value} or {valueFrom}), "extra" what the user sets (name to a string, a
number or {valueFrom}); the user's win. Sorted by name: a render never changes by itself.
*/}}
{{- define "vllm-model.env" -}}
{{- $all := dict -}}
{{- range $name, $value := .base -}}{{- $_ := set $all $name $value -}}{{- end -}}
{{- range $name, $value := (.extra | default dict) -}}
{{- if kindIs "map" $value -}}
{{- $_ := set $all $name $value -}}
{{- else if not (kindIs "invalid" $value) -}}
{{- $_ := set $all $name (dict "value" (include "vllm-model.scalar" $value)) -}}
{{- end -}}
{{- end -}}
{{- range $name := keys $all | sortAlpha }}
- {{ toYaml (merge (dict "name" $name) (get $all $name)) | nindent 2 | trim }}
{{- end }}
{{- end }}

{{/*
vllm-model.engineEnv: what the engine needs to run as a stranger under a read-only root, and what production wants of it.
  USER, LOGNAME  an unknown uid breaks getpwuid, which torch's compile cache asks
  *_CACHE_*      every path that vLLM, torch, Triton and FlashInfer write to; on the cache volume, so that a claim keeps
                 compiled kernels from one start to the next
  VLLM_ENGINE_READY_TIMEOUT_S  the engine's own patience (600 s) would end a long load that the probe still allows
*/}}
{{- define "vllm-model.engineEnv" -}}
{{- $cache := .Values.weights.cache.mountPath -}}
HOME: {value: /tmp}
USER: {value: vllm}
LOGNAME: {value: vllm}
XDG_CACHE_HOME: {value: {{ printf "%s/xdg" $cache | quote }}}
XDG_CONFIG_HOME: {value: /tmp/.config}
VLLM_CACHE_ROOT: {value: {{ printf "%s/vllm" $cache | quote }}}
VLLM_CONFIG_ROOT: {value: /tmp/.config/vllm}
TORCHINDUCTOR_CACHE_DIR: {value: {{ printf "%s/torchinductor" $cache | quote }}}
TRITON_CACHE_DIR: {value: {{ printf "%s/triton" $cache | quote }}}
FLASHINFER_WORKSPACE_BASE: {value: {{ printf "%s/flashinfer" $cache | quote }}}
CUDA_CACHE_PATH: {value: {{ printf "%s/cuda" $cache | quote }}}
VLLM_NO_USAGE_STATS: {value: "1"}
VLLM_LOGGING_LEVEL: {value: {{ .Values.engine.logLevel }}}
VLLM_ENGINE_READY_TIMEOUT_S: {value: {{ max 600 (include "vllm-model.startupBudgetSeconds" . | int) | quote }}}
{{ include "vllm-model.hubEnv" . }}
{{- if ne (include "vllm-model.downloader" .) "engine" }}
HF_HUB_OFFLINE: {value: "1"}
{{- end }}
{{- with include "vllm-model.bucketEnv" . }}
{{ trim . }}
{{- end }}
{{- with .Values.auth.apiKeySecret }}
{{- if .name }}
VLLM_API_KEY: {valueFrom: {secretKeyRef: {name: {{ .name | quote }}, key: {{ .key | quote }}}}}
{{- end }}
{{- end }}
{{- if .Values.tracing.endpoint }}
OTEL_SERVICE_NAME: {value: {{ include "vllm-model.fullname" . | quote }}}
OTEL_EXPORTER_OTLP_TRACES_PROTOCOL: {value: {{ .Values.tracing.protocol }}}
{{- end }}
{{- if gt (int .Values.parallelism.nodes) 1 }}
VLLM_HOST_IP: {valueFrom: {fieldRef: {fieldPath: status.podIP}}}
{{- end }}
{{- end }}
