{{/*
Queries over the metrics of this model: what scalers, alerts and adapter rules read. Every series stands in tests/data/metrics.csv, read
from those who emit it; every query of a scaler sums up to one number, or KEDA refuses it.
*/}}

{{/*
vllm-model.seriesMatchers: label matchers of this model's series, without braces. model_name alone would also match a model of
the same name in another namespace or another release; pods tell them apart, whatever else the scrape adds.
*/}}
{{- define "vllm-model.seriesMatchers" -}}{{ include "vllm-model.once" (list "vllm-model.seriesMatchers.text" .) }}{{- end }}

{{- define "vllm-model.seriesMatchers.text" -}}
model_name={{ include "vllm-model.servedName" . | quote }},namespace={{ .Release.Namespace | quote }},pod=~{{ include "vllm-model.podNamePattern" . | quote }}
{{- include "vllm-model.extraMatchers" . -}}
{{- end }}

{{/*
vllm-model.podMatchers: the same for series that others emit about the pods (kube-state-metrics, the engine's HTTP server),
which know no model_name.
*/}}
{{- define "vllm-model.podMatchers" -}}{{ include "vllm-model.once" (list "vllm-model.podMatchers.text" .) }}{{- end }}

{{- define "vllm-model.podMatchers.text" -}}
namespace={{ .Release.Namespace | quote }},pod=~{{ include "vllm-model.podNamePattern" . | quote }}
{{- include "vllm-model.extraMatchers" . -}}
{{- end }}

{{- define "vllm-model.extraMatchers" -}}
{{- range $label, $value := fromJson (include "vllm-model.stated" .Values.autoscaling.prometheus.matchLabels) -}}
,{{ $label }}={{ $value | toString | quote }}
{{- end -}}
{{- end }}

{{/*
vllm-model.wantedReplicas: the series that says how many replicas are wanted: kube-state-metrics', or the controller's own for a
Rollout, whose labels are `exported_` where its ServiceMonitor does not honour them. A group's leaders are a StatefulSet.
*/}}
{{- define "vllm-model.wantedReplicas" -}}
{{- $target := fromJson (include "vllm-model.scaleTarget" .) -}}
{{- $more := include "vllm-model.extraMatchers" . -}}
{{- if eq $target.kind "Rollout" -}}
{{- $series := list -}}
{{- range list "namespace" "exported_namespace" -}}
{{- $series = append $series (printf "rollout_info_replicas_desired{%s=%q,name=%q%s}" . $.Release.Namespace $target.name $more) -}}
{{- end -}}
({{ join " or " $series }})
{{- else -}}
{{- $name := get (dict "Deployment" "deployment_spec_replicas{deployment" "LeaderWorkerSet" "statefulset_replicas{statefulset") $target.kind -}}
kube_{{ $name }}={{ $target.name | quote }},namespace={{ .Release.Namespace | quote }}{{ $more }}}
{{- end -}}
{{- end }}

{{/*
vllm-model.query: the query of one named trigger.
Inputs: dict "root" the root, "trigger" its name in autoscaling.triggers.
A quantile of no traffic is NaN, which would stop the scaler: an idle model counts as 0 as long as the engine itself is seen.
Shares (KV cache, GPU) are summed over the replicas and compared with threshold x replicas, so replicas that still load count.
DCGM's own labels are `exported_` where its ServiceMonitor does not honour them.
*/}}
{{- define "vllm-model.query" -}}
{{- $matchers := include "vllm-model.seriesMatchers" .root -}}
{{- $window := .root.Values.autoscaling.prometheus.rateWindow -}}
{{- $running := printf "sum(vllm:num_requests_running{%s})" $matchers -}}
{{- if eq .trigger "waitingRequests" -}}
sum(vllm:num_requests_waiting{ {{- $matchers -}} })
{{- else if eq .trigger "runningRequests" -}}
{{ $running }}
{{- else if eq .trigger "requestsPerSecond" -}}
sum(rate(vllm:request_success_total{ {{- $matchers -}} }[{{ $window }}]))
{{- else if eq .trigger "timeToFirstToken" -}}
{{- $quantile := .root.Values.autoscaling.triggers.timeToFirstToken.quantile -}}
(histogram_quantile({{ $quantile }}, sum by (le) (rate(vllm:time_to_first_token_seconds_bucket{ {{- $matchers -}} }[{{ $window }}]))) >= 0) or 0 * {{ $running }}
{{- else if eq .trigger "kvCacheUsage" -}}
sum(avg by (pod) (vllm:kv_cache_usage_perc{ {{- $matchers -}} }))
{{- else if eq .trigger "tokensPerSecond" -}}
sum(rate(vllm:generation_tokens_total{ {{- $matchers -}} }[{{ $window }}]))
{{- else if eq .trigger "gpuUtilization" -}}
{{- $pods := include "vllm-model.podMatchers" .root -}}
sum(avg by (exported_pod) (DCGM_FI_DEV_GPU_UTIL{ {{- $pods | replace "namespace=" "exported_namespace=" | replace "pod=~" "exported_pod=~" -}} })) or sum(avg by (pod) (DCGM_FI_DEV_GPU_UTIL{ {{- $pods -}} }))
{{- end -}}
{{- end }}
