{{/*
llm-platform.monitoring.recording.gpu: GPUs on nodes, held and waited for, from kube-state-metrics. Held is what the scheduler
gave away: that is what is paid for, busy or not.
Inputs: the facts. Returns a YAML list of rules.
*/}}
{{- define "llm-platform.monitoring.recording.gpu" -}}
{{- $cost := .root.Values.monitoring.cost -}}
{{- $requests := "kube_pod_container_resource_requests" -}}
{{- $held := include "llm-platform.monitoring.gpuSeries" (dict "cost" $cost "metric" $requests "by" "namespace, pod, container, node" "matchers" ",node!=\"\"") -}}
{{- $wanted := include "llm-platform.monitoring.gpuSeries" (dict "cost" $cost "metric" $requests "by" "namespace, pod, container") -}}
{{- $there := include "llm-platform.monitoring.gpuSeries" (dict "cost" $cost "metric" "kube_node_status_allocatable" "by" "node") -}}
- record: namespace_pod_node:llm_gpus:sum
  expr: sum by (namespace, pod, node) ({{ $held }}) and on (namespace, pod) ({{ include "llm-platform.monitoring.podsIn" "Pending|Running" }})
- record: namespace_pod:llm_gpus_pending:sum
  expr: sum by (namespace, pod) ({{ $wanted }}) and on (namespace, pod) ({{ include "llm-platform.monitoring.podsIn" "Pending" }})
- record: node:llm_gpus:sum
  expr: sum by (node) ({{ $there }})
- record: node:llm_gpus_free:sum
  expr: (node:llm_gpus:sum - on (node) sum by (node) (namespace_pod_node:llm_gpus:sum)) or node:llm_gpus:sum
{{- range $name, $model := fromYaml (include "llm-platform.monitoring.models" .) }}
- record: model:llm_gpus:sum
  expr: sum(namespace_pod_node:llm_gpus:sum{ {{- $model.pods -}} })
  labels: {model: {{ $name | quote }}, namespace: {{ $model.namespace | quote }}}
{{- end }}
{{- end }}
