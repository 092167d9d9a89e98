{{/*
What rules select by. Every series stands in tests/data/metrics.csv, with who emits it.
*/}}

{{/*
llm-platform.monitoring.gatewayMatchers: label matchers of the gateway's pods, without braces.
Inputs: the umbrella's root.
*/}}
{{- define "llm-platform.monitoring.gatewayMatchers" -}}
namespace={{ .Release.Namespace | quote }},pod=~"{{ include "llm-platform.gateway.name" . }}-[a-z0-9]+-[a-z0-9]{5}"
{{- end }}

{{/*
llm-platform.monitoring.byModel: adds up over gateway pods; the label is the model's name instead of HAProxy's of the backend.
Inputs: list of the function (sum, max) and the expression.
*/}}
{{- define "llm-platform.monitoring.byModel" -}}
{{ index . 0 }} by (model) (label_replace({{ index . 1 }}, "model", "$1", "proxy", "(?:model|hold)-(.+)"))
{{- end }}

{{/*
llm-platform.monitoring.models: what to select each model's pods by, as a YAML map of name -> {namespace, pods, series}:
pods matches every pod that holds GPUs (of a group its workers too), series the engine's own metrics.
Models of other releases are told by their Service, which has the name of their pods.
Inputs: the facts (llm-platform.gateway.facts).
*/}}
{{- define "llm-platform.monitoring.models" -}}
{{- $models := dict -}}
{{- range $name, $root := .roots -}}
{{- $target := fromJson (include "vllm-model.scaleTarget" $root) -}}
{{- $ends := ternary "-[0-9]+(-[0-9]+)?" "-[a-z0-9]+-[a-z0-9]{5}" (eq $target.kind "LeaderWorkerSet") -}}
{{- $pods := printf "namespace=%q,pod=~\"%s%s\"" $root.Release.Namespace $target.name $ends -}}
{{- $_ := set $models $name (dict "namespace" $root.Release.Namespace "pods" $pods "series" (include "vllm-model.seriesMatchers" $root)) -}}
{{- end -}}
{{- range $name, $external := .gateway.externalModels -}}
{{- $namespace := $external.namespace | default $.root.Release.Namespace -}}
{{- $pods := printf "namespace=%q,pod=~\"%s-([a-z0-9]+-[a-z0-9]{5}|[0-9]+(-[0-9]+)?)\"" $namespace ($external.service | default $name) -}}
{{- $_ := set $models $name (dict "namespace" $namespace "pods" $pods "series" $pods) -}}
{{- end -}}
{{- toYaml $models -}}
{{- end }}

{{/*
llm-platform.monitoring.gpuSeries: a series of kube-state-metrics about resources, every GPU resource counted as the share of a
GPU that it is. kube-state-metrics writes resources with underscores.
Inputs: dict "cost" monitoring.cost, "metric", "by" the labels that stay, "matchers" more matchers (optional).
*/}}
{{- define "llm-platform.monitoring.gpuSeries" -}}
{{- $parts := list -}}
{{- range $resource, $share := .cost.gpuResources | default (dict "nvidia.com/gpu" 1) -}}
{{- $name := regexReplaceAll "[^a-zA-Z0-9_]" $resource "_" -}}
{{- $part := printf "max by (%s, resource) (%s{resource=%q%s})" $.by $.metric $name ($.matchers | default "") -}}
{{- $parts = append $parts (ternary $part (printf "%s * %v" $part $share) (eq (float64 $share) 1.0)) -}}
{{- end -}}
{{ join " or " $parts }}
{{- end }}

{{/*
llm-platform.monitoring.podsIn: pods of these phases. Finished pods hold nothing, and kube-state-metrics still lists them.
Inputs: the phases as a regular expression.
*/}}
{{- define "llm-platform.monitoring.podsIn" -}}
max by (namespace, pod) (kube_pod_status_phase{phase=~{{ quote . }}}) == 1
{{- end }}
