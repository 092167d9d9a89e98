{{/*
vllm-model.orElse: a value unless it is null, else the fallback. `default` would also replace 0, which many knobs mean.
Inputs: list of the value and the fallback.
*/}}
{{- define "vllm-model.orElse" -}}
{{- ternary (index . 1) (index . 0) (kindIs "invalid" (index . 0)) -}}
{{- end }}
