{{/*
What a schema cannot say: rules over several keys. Each rule is a line or two in a group below; all that fail are reported in one
message, each with what is wrong, why, and the YAML to set. Nothing is dropped or mended in silence.
*/}}

{{/*
vllm-model.validate: renders nothing, or fails with every problem at once.
*/}}
{{- define "vllm-model.validate" -}}
{{- if .Values.enabled -}}
{{- $root := . -}}
{{- $problems := list -}}
{{- range $group := list "engine" "weights" "parallelism" "shutdown" "availability" "autoscaling" "access" "quota" -}}
{{- $problems = concat $problems (fromJsonArray (include (printf "vllm-model.problems.%s" $group) $root)) -}}
{{- end -}}
{{- $problems = concat $problems (fromJsonArray (include "vllm-model.capabilityProblems" $root)) -}}
{{- if $problems -}}
{{- $text := list -}}
{{- range $index, $problem := $problems -}}
{{- $text = append $text (printf "%d. %s" (add1 $index) (trim $problem | replace "\n" "\n   ")) -}}
{{- end -}}
{{- fail (printf "\n\nvllm-model cannot render %q:\n\n%s\n" (include "vllm-model.fullname" .) (join "\n\n" $text)) -}}
{{- end -}}
{{- end -}}
{{- end }}

{{/*
vllm-model.problem: one problem. Inputs: list of what is wrong and why, and the YAML to set (a dict, or a sentence).
*/}}
{{- define "vllm-model.problem" -}}
{{- $fix := index . 1 -}}
{{- if kindIs "string" $fix -}}
{{ printf "%s\n%s" (index . 0) $fix }}
{{- else -}}
{{ printf "%s\nPlease set:\n%s" (index . 0) (toYaml $fix | indent 2) }}
{{- end -}}
{{- end }}
