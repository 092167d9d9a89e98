{{/*
vllm-model.extra-objects: whole objects of the user; the umbrella calls it for its own. A text is a template of YAML documents (it sees
what every template sees), and may come out empty; a map is taken as it is, since the braces in an alert or a dashboard are not Helm's.
Their names, labels and namespaces are the user's own.
Text that is no object fails here with its position: Helm would only name this file.
*/}}
{{- define "vllm-model.extra-objects" -}}
{{- $root := . -}}
{{- range $index, $entry := .Values.extraObjects }}
{{- $objects := list $entry }}
{{- if kindIs "string" $entry }}
{{- $objects = list }}
{{- range regexSplit "(?m)^---([ \\t].*)?$" (tpl $entry $root) -1 }}{{ $objects = append $objects (fromYaml .) }}{{ end }}
{{- end }}
{{- range $object := compact $objects }}
{{- if hasKey $object "Error" }}
{{- fail (printf "extraObjects[%d] is not YAML of one object: %s" $index $object.Error) }}
{{- else if not (and $object.apiVersion $object.kind) }}
{{- fail (printf "extraObjects[%d] has no apiVersion and kind: set both in every object." $index) }}
{{- end }}
---
{{ toYaml $object }}
{{- end }}
{{- end }}
{{- end }}
