{{/*
What a schema cannot say: rules over several keys. All that fail are reported in one message, each with what is wrong, why,
and what to set. Each group below returns a YAML list of problems (vllm-model.problem).
*/}}
{{- define "llm-platform.validate" -}}
{{- $facts := dict -}}
{{- include "llm-platform.gateway.facts" (dict "root" . "into" $facts) -}}
{{- $groups := list "models" "duplicates" "tenants" "operators" "monitoring" -}}
{{- if .Values.gateway.enabled -}}{{- $groups = concat $groups (list "names" "access" "outside" "tracing" "encryption" "capacity") -}}{{- end -}}
{{- $problems := list -}}
{{- range $group := $groups -}}
{{- $problems = concat $problems (fromYamlArray (include (printf "llm-platform.problems.%s" $group) $facts)) -}}
{{- end -}}
{{- if $problems -}}
{{- $text := list -}}
{{- range $index, $problem := $problems -}}
{{- $text = append $text (printf "%d. %s" (add1 $index) (trim $problem | replace "\n" "\n   ")) -}}
{{- end -}}
{{- fail (printf "\n\nllm-platform cannot render %q:\n\n%s\n" .Release.Name (join "\n\n" $text)) -}}
{{- end -}}
{{- end }}

{{/*
llm-platform.problem: one entry of a list of problems. Inputs: list of what is wrong and why, and what to set (text).
*/}}
{{- define "llm-platform.problem" }}
- {{ printf "%s\n%s" (index . 0) (index . 1) | toJson }}
{{- end }}
