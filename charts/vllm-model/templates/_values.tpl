{{/*
vllm-model.orElse: a value unless it is null, else the fallback. `default` would also replace 0, which many knobs mean.
Inputs: list of the value and the fallback.
*/}}
{{- define "vllm-model.orElse" -}}
{{- ternary (index . 1) (index . 0) (kindIs "invalid" (index . 0)) -}}
{{- end }}

{{/*
vllm-model.once: the text of a helper that many objects of a model ask for (its labels, its series), rendered once and kept beside the
root. A release may hold a hundred models of a dozen objects: without this, most of a render is the same text again and again.
Nothing else in this chart changes a root.
Inputs: list of the helper's name and the root.
*/}}
{{- define "vllm-model.once" -}}
{{- $name := index . 0 -}}
{{- $root := index . 1 -}}
{{- if not (hasKey $root "rendered") -}}{{- $_ := set $root "rendered" dict -}}{{- end -}}
{{- if not (hasKey $root.rendered $name) -}}{{- $_ := set $root.rendered $name (include $name $root) -}}{{- end -}}
{{- get $root.rendered $name -}}
{{- end }}
