{{/*
What Prometheus Adapter must be told before an HPA can read a metric of vLLM. The adapter reads no ConfigMap but its own, so
this is not an object of the release: NOTES prints it for `helm upgrade prometheus-adapter -f`, and the umbrella's values carry it
for the adapter that it installs. The rules select by metric and not by model: one copy serves every model of a cluster.
*/}}

{{/*
vllm-model.adapterMetricNames: the metric of the custom metrics API for each trigger.
*/}}
{{- define "vllm-model.adapterMetricNames" -}}
waitingRequests: vllm_num_requests_waiting
runningRequests: vllm_num_requests_running
requestsPerSecond: vllm_requests_per_second
timeToFirstToken: vllm_time_to_first_token_seconds_p{{ round (mulf 100 .Values.autoscaling.triggers.timeToFirstToken.quantile) 1 | toString | replace "." "_" }}
kvCacheUsage: vllm_kv_cache_usage_perc
tokensPerSecond: vllm_generation_tokens_per_second
gpuUtilization: dcgm_gpu_utilization
{{- end }}

{{/*
vllm-model.adapterRules: the adapter's values for the triggers that are on. <<.LabelMatchers>> and <<.GroupBy>> are the adapter's: a
query without them would give every pod the same number.
*/}}
{{- define "vllm-model.adapterRules" -}}
{{- $root := . -}}
rules:
  custom:
    {{- range fromYamlArray (include "vllm-model.metricTriggers" .) }}
    {{- include "vllm-model.adapterRule" (dict "root" $root "trigger" .name) | trim | nindent 4 }}
    {{- end }}
{{- end }}

{{/*
vllm-model.adapterRule: the rules of one trigger. Inputs: dict "root" the root, "trigger" its name.
*/}}
{{- define "vllm-model.adapterRule" -}}
{{- $window := .root.Values.autoscaling.prometheus.rateWindow -}}
{{- $name := get (fromYaml (include "vllm-model.adapterMetricNames" .root)) .trigger -}}
{{- $running := "sum(vllm:num_requests_running{<<.LabelMatchers>>}) by (<<.GroupBy>>)" -}}
{{- if eq .trigger "gpuUtilization" }}
{{- range list "exported_" "" }}
- seriesQuery: {{ printf "DCGM_FI_DEV_GPU_UTIL{%snamespace!=\"\",%spod!=\"\"%s}" . . (ternary ",exported_pod=\"\"" "" (empty .)) | squote }}
  resources: {overrides: { {{- . }}namespace: {resource: namespace}, {{ . }}pod: {resource: pod}}}
  name: {as: {{ $name }}}
  metricsQuery: avg(DCGM_FI_DEV_GPU_UTIL{<<.LabelMatchers>>}) by (<<.GroupBy>>)
{{- end }}
{{- else }}
{{- $series := get (dict
  "waitingRequests" "vllm:num_requests_waiting"
  "runningRequests" "vllm:num_requests_running"
  "requestsPerSecond" "vllm:request_success_total"
  "timeToFirstToken" "vllm:time_to_first_token_seconds_bucket"
  "kvCacheUsage" "vllm:kv_cache_usage_perc"
  "tokensPerSecond" "vllm:generation_tokens_total") .trigger }}
- seriesQuery: {{ printf "{__name__=\"%s\",namespace!=\"\",pod!=\"\"}" $series | squote }}
  resources: {overrides: {namespace: {resource: namespace}, pod: {resource: pod}}}
  name: {as: {{ $name }}}
  {{- if eq .trigger "timeToFirstToken" }}
  metricsQuery: (histogram_quantile({{ .root.Values.autoscaling.triggers.timeToFirstToken.quantile }}, sum(rate({{ $series }}{<<.LabelMatchers>>}[{{ $window }}])) by (le, <<.GroupBy>>)) >= 0) or 0 * {{ $running }}
  {{- else if has .trigger (list "requestsPerSecond" "tokensPerSecond") }}
  metricsQuery: sum(rate({{ $series }}{<<.LabelMatchers>>}[{{ $window }}])) by (<<.GroupBy>>)
  {{- else if eq .trigger "kvCacheUsage" }}
  metricsQuery: avg({{ $series }}{<<.LabelMatchers>>}) by (<<.GroupBy>>)
  {{- else }}
  metricsQuery: sum({{ $series }}{<<.LabelMatchers>>}) by (<<.GroupBy>>)
  {{- end }}
{{- end }}
{{- end }}
