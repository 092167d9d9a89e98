{{/*
vllm-model.image: one image reference. A digest wins over the tag; global.imageRegistry goes in front for air-gapped sites.
Inputs: dict "root" the root, "image" a map of repository, tag, digest.
*/}}
{{- define "vllm-model.image" -}}
{{- $repository := .image.repository -}}
{{- with (.root.Values.global | default dict).imageRegistry -}}
{{- $repository = printf "%s/%s" (trimSuffix "/" .) $repository -}}
{{- end -}}
{{- if .image.digest -}}{{ $repository }}@{{ .image.digest }}{{- else -}}{{ $repository }}:{{ .image.tag }}{{- end -}}
{{- end }}

{{/*
vllm-model.engineVersion: the engine's version as x.y.z, from engine.version or the tag; empty where neither tells.
*/}}
{{- define "vllm-model.engineVersion" -}}
{{- $stated := .Values.engine.version | default (ternary "" .Values.engine.image.tag (not (empty .Values.engine.image.digest))) -}}
{{- regexFind "[0-9]+\\.[0-9]+\\.[0-9]+" $stated -}}
{{- end }}

{{/*
vllm-model.engineAtLeast: "true" where the engine is known to be that new. An unknown version counts as old here: the
flag is left out rather than killing the engine, and the validator has already asked for engine.version.
Inputs: dict "root" the root, "version" x.y.z.
*/}}
{{- define "vllm-model.engineAtLeast" -}}
{{- $version := include "vllm-model.engineVersion" .root -}}
{{- if $version -}}
{{- if semverCompare (printf ">=%s" .version) $version -}}true{{- end -}}
{{- end -}}
{{- end }}

{{- define "vllm-model.imagePullSecrets" -}}
{{- with concat (.Values.engine.imagePullSecrets | default list) ((.Values.global | default dict).imagePullSecrets | default list) -}}
imagePullSecrets: {{- toYaml . | nindent 2 }}
{{- end -}}
{{- end }}
