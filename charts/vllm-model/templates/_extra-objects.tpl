{{/*
vllm-model.extra-objects: whole objects of the user, one YAML document each. A string is a template (it sees what every
template sees); a map is taken as it is. Their names, labels and namespaces are the user's own.
Text that is no object fails here with its position: Helm would only name this file.
*/}}
{{- define "vllm-model.extra-objects" -}}
{{- $root := . -}}
{{- range $index, $entry := .Values.extraObjects }}
{{- $object := $entry }}
{{- if kindIs "string" $entry }}
{{- $object = fromYaml (tpl $entry $root) }}
{{- end }}
{{- if hasKey $object "Error" }}
{{- fail (printf "extraObjects[%d] is not YAML of one object: %s" $index $object.Error) }}
{{- else if not (and $object.apiVersion $object.kind) }}
{{- fail (printf "extraObjects[%d] has no apiVersion and kind: set both, one object an entry." $index) }}
{{- end }}
---
{{ toYaml $object }}
{{- end }}
{{- end }}
