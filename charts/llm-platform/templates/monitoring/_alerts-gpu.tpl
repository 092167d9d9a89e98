{{/*
Alerts of GPUs and cost. See _alerts-gateway.tpl for the form.
*/}}

{{- define "llm-platform.alert.gpuPodsPending" -}}
expr: count by (namespace) (namespace_pod:llm_gpus_pending:sum > 0)
summary: Pods wait for GPUs
description: '{{ "{{ $value }} pods in {{ $labels.namespace }}" }} ask for GPUs and are pending: no node has them free, a quota is used up, or an image is being pulled.'
{{- end }}

{{/*
The pod that holds the GPU is `exported_pod` where the exporter's ServiceMonitor does not honour labels. A GPU that nobody holds
carries the exporter's own pod there; the join with pods that ask for GPUs leaves it out. Quiet for that long means also: held for that long.
*/}}
{{- define "llm-platform.alert.gpusIdle" -}}
{{- $window := printf "%dh" (int .alert.hours) -}}
{{- $busiest := printf "max_over_time(DCGM_FI_DEV_GPU_UTIL[%s])" $window -}}
{{- $busiest = printf "label_replace(label_replace(%s, \"pod\", \"$1\", \"exported_pod\", \"(.+)\"), \"namespace\", \"$1\", \"exported_namespace\", \"(.+)\")" $busiest -}}
expr: sum by (namespace, pod) (namespace_pod_node:llm_gpus:sum) and on (namespace, pod) max by (namespace, pod) ({{ $busiest }}) <= {{ .alert.threshold }} and on (namespace, pod) namespace_pod_node:llm_gpus:sum offset {{ $window }}
summary: GPUs are held and do nothing
description: '{{ "Pod {{ $labels.pod }} in {{ $labels.namespace }} holds {{ $value }} GPUs" }} that were at most {{ .alert.threshold }} % busy for {{ int .alert.hours }} h.'
{{- end }}

{{- define "llm-platform.alert.gpusUnused" -}}
{{- $window := printf "%dh" (int .alert.hours) -}}
expr: min_over_time(node:llm_gpus_free:sum[{{ $window }}]) > 0 and on (node) node:llm_gpus:sum offset {{ $window }}
summary: GPUs are paid for and nobody holds them
description: '{{ "Node {{ $labels.node }} has had {{ $value }} GPUs free" }} for {{ int .alert.hours }} h.'
{{- end }}

{{/*
An XID is the driver's report of an error; the exporter shows the last one. Only those are listed that mean the GPU itself.
*/}}
{{- define "llm-platform.alert.gpuFailing" -}}
{{- $parts := list "max by (Hostname, gpu) (DCGM_FI_DEV_ROW_REMAP_FAILURE) == 1" -}}
{{- range $xid := .alert.xids -}}{{- $parts = append $parts (printf "max by (Hostname, gpu) (DCGM_FI_DEV_XID_ERRORS) == %d" (int $xid)) -}}{{- end -}}
expr: {{ join " or " $parts }}
summary: A GPU fails
description: '{{ "GPU {{ $labels.gpu }} of node {{ $labels.Hostname }} reported XID {{ $value }}" }} (1: its memory cannot be repaired any more).'
{{- end }}

{{- define "llm-platform.alert.spendOverBudget" -}}
{{- $cost := .root.Values.monitoring.cost -}}
{{- $parts := list -}}
{{- if $cost.budgetPerHour -}}
{{- $parts = append $parts (printf "sum(namespace:llm_spend_per_hour:sum) > %v" $cost.budgetPerHour) -}}
{{- end -}}
{{- range $namespace, $budget := $cost.namespaceBudgetsPerHour -}}
{{- $parts = append $parts (printf "namespace:llm_spend_per_hour:sum{namespace=%q} > %v" $namespace $budget) -}}
{{- end -}}
{{- if and $parts (include "llm-platform.monitoring.isPriced" $cost) -}}
expr: {{ join " or " $parts }}
summary: GPUs cost more than the budget
description: '{{ "{{ if $labels.namespace }}Namespace {{ $labels.namespace }} holds{{ else }}All namespaces hold{{ end }} GPUs for {{ $value | humanize }} an hour" }}, more than the budget allows.'
{{- end -}}
{{- end }}
