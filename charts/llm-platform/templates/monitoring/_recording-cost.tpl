{{/*
llm-platform.monitoring.recording.cost: what GPUs that are held cost an hour, by pod, namespace, model and tenant; what is paid for
and held by nobody; budgets. Nothing without a price.
Inputs: the facts. Returns a YAML list of rules.
*/}}
{{- define "llm-platform.monitoring.recording.cost" -}}
{{- $cost := .root.Values.monitoring.cost -}}
- record: node:llm_gpu_price_per_hour:max
  expr: {{ include "llm-platform.monitoring.prices" $cost | quote }}
- record: namespace_pod:llm_spend_per_hour:sum
  expr: sum by (namespace, pod) (namespace_pod_node:llm_gpus:sum * on (node) group_left () node:llm_gpu_price_per_hour:max)
- record: namespace:llm_spend_per_hour:sum
  expr: sum by (namespace) (namespace_pod:llm_spend_per_hour:sum)
- record: node:llm_spend_unused_per_hour:sum
  expr: node:llm_gpus_free:sum * on (node) node:llm_gpu_price_per_hour:max
{{- range $name, $model := fromYaml (include "llm-platform.monitoring.models" .) }}
- record: model:llm_spend_per_hour:sum
  expr: sum(namespace_pod:llm_spend_per_hour:sum{ {{- $model.pods -}} })
  labels: {model: {{ $name | quote }}, namespace: {{ $model.namespace | quote }}}
- record: model:llm_generation_tokens:rate1h
  expr: sum(rate(vllm:generation_tokens_total{ {{- $model.series -}} }[1h]))
  labels: {model: {{ $name | quote }}, namespace: {{ $model.namespace | quote }}}
{{- end }}
{{- $spaces := list }}
{{- range $name, $tenant := .tenants }}
{{- $spaces = append $spaces $tenant.namespace.name }}
- record: tenant:llm_spend_per_hour:sum
  expr: sum(namespace:llm_spend_per_hour:sum{namespace={{ $tenant.namespace.name | quote }}})
  labels: {tenant: {{ $name | quote }}}
{{- end }}
- record: platform:llm_spend_shared_per_hour:sum
  expr: sum(model:llm_spend_per_hour:sum{namespace!~{{ join "|" $spaces | quote }}})
  labels: {platform: {{ .root.Release.Name | quote }}}
{{- with $cost.budgetPerHour }}
- record: platform:llm_budget_per_hour:max
  expr: vector({{ . }})
  labels: {platform: {{ $.root.Release.Name | quote }}}
{{- end }}
{{- range $namespace, $budget := $cost.namespaceBudgetsPerHour }}
- record: namespace:llm_budget_per_hour:max
  expr: vector({{ $budget }})
  labels: {namespace: {{ $namespace | quote }}}
{{- end }}
{{- end }}

{{/*
llm-platform.monitoring.prices: the price of a GPU hour of each node: by the product that GPU Feature Discovery labels the node with,
which kube-state-metrics shows where it is told to (metricLabelsAllowlist), else the price of all.
Inputs: monitoring.cost.
*/}}
{{- define "llm-platform.monitoring.prices" -}}
{{- $parts := list -}}
{{- range $product, $price := .prices -}}
{{- $parts = append $parts (printf "max by (node) (kube_node_labels{label_nvidia_com_gpu_product=%q}) * %v" $product $price) -}}
{{- end -}}
{{- if not (kindIs "invalid" .pricePerGpuHour) -}}
{{- $parts = append $parts (printf "max by (node) (kube_node_info) * %v" .pricePerGpuHour) -}}
{{- end -}}
{{ join " or " $parts }}
{{- end }}

{{/*
llm-platform.monitoring.isPriced: "true" where there is a price.
*/}}
{{- define "llm-platform.monitoring.isPriced" -}}
{{- if or .prices (not (kindIs "invalid" .pricePerGpuHour)) -}}true{{- end -}}
{{- end }}
