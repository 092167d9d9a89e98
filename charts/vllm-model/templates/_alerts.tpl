{{/*
One template an alert, named after its key in monitoring.rules.alerts: expr, summary and description as YAML (`for` where it is not
the value's own). Inputs of each: dict "root" the root, "alert" the alert's values.
An expression is a block of its own: matchers may hold colons and hashes of autoscaling.prometheus.matchLabels.
*/}}

{{- define "vllm-model.alert.queueHigh" -}}
expr: |-
  avg(sum by (pod) (vllm:num_requests_waiting{ {{- include "vllm-model.seriesMatchers" .root -}} })) > {{ .alert.threshold }}
summary: Requests queue at the engine
description: 'More than {{ .alert.threshold }} requests a replica wait for a place in the batch: {{ "{{ $value | humanize }}" }}.'
{{- end }}

{{- define "vllm-model.alert.queueVeryHigh" -}}
{{ include "vllm-model.alert.queueHigh" . }}
{{- end }}

{{- define "vllm-model.alert.timeToFirstTokenHigh" -}}
expr: |-
  histogram_quantile(0.95, sum by (le) (rate(vllm:time_to_first_token_seconds_bucket{ {{- include "vllm-model.seriesMatchers" .root -}} }[5m]))) > {{ .alert.threshold }}
summary: The first token comes late
description: 'One request in twenty waits more than {{ .alert.threshold }} s for its first token: {{ "{{ $value | humanizeDuration }}" }}.'
{{- end }}

{{- define "vllm-model.alert.latencyHigh" -}}
expr: |-
  histogram_quantile(0.99, sum by (le) (rate(vllm:e2e_request_latency_seconds_bucket{ {{- include "vllm-model.seriesMatchers" .root -}} }[5m]))) > {{ .alert.threshold }}
summary: Whole requests take long
description: 'One request in a hundred takes more than {{ .alert.threshold }} s: {{ "{{ $value | humanizeDuration }}" }}.'
{{- end }}

{{- define "vllm-model.alert.kvCacheFull" -}}
expr: |-
  max(vllm:kv_cache_usage_perc{ {{- include "vllm-model.seriesMatchers" .root -}} }) > {{ .alert.threshold }}
summary: A replica's KV cache is full
description: 'The fullest replica uses {{ "{{ $value | humanizePercentage }}" }} of its KV cache; requests are preempted and computed again.'
{{- end }}

{{/*
With a fixed or minimal number of replicas, silence of the metrics is the alarm, whatever its cause. A model that may sleep is only
missed while replicas are wanted, and a wake-up may take the startup budget.
*/}}
{{- define "vllm-model.alert.noPods" -}}
{{- $asleep := and (eq .root.Values.autoscaling.type "keda") (eq (int .root.Values.autoscaling.minReplicas) 0) -}}
{{- $engine := printf "vllm:num_requests_running{%s}" (include "vllm-model.seriesMatchers" .root) -}}
{{- if $asleep }}
expr: |-
  (sum({{ include "vllm-model.wantedReplicas" .root }}) > 0) unless on () {{ $engine }}
for: {{ .alert.for | default (printf "%ds" (add (include "vllm-model.startupBudgetSeconds" .root | int) 300)) | quote }}
{{- else }}
expr: |-
  absent({{ $engine }})
for: {{ .alert.for | default "5m" | quote }}
{{- end }}
summary: No replica answers
description: Prometheus gets metrics of no replica, though replicas are wanted. Requests fail, or the scrape does.
{{- end }}

{{/*
Two restarts or more within three startup budgets while the pod is not ready: a loop, not an accident.
*/}}
{{- define "vllm-model.alert.restartsWhileLoading" -}}
{{- $pods := include "vllm-model.podMatchers" .root -}}
{{- $window := printf "[%ds]" (mul 3 (include "vllm-model.startupBudgetSeconds" .root | int)) -}}
{{- $restarts := printf "kube_pod_container_status_restarts_total{%s}%s" $pods $window -}}
expr: |-
  max by (pod) (max_over_time({{ $restarts }}) - min_over_time({{ $restarts }})) >= {{ .alert.threshold }} and on (pod) kube_pod_status_ready{ {{- $pods -}} ,condition="true"} == 0
summary: A replica restarts before it is ready
description: '{{ "Pod {{ $labels.pod }} has restarted {{ $value }} times" }} and has not become ready: its startup budget is too small, or the engine dies while it loads.'
{{- end }}

{{/*
Prompt tokens count too: a pooling model generates none.
*/}}
{{- define "vllm-model.alert.engineStuck" -}}
{{- $matchers := include "vllm-model.seriesMatchers" .root -}}
expr: |-
  sum by (pod) (vllm:num_requests_running{ {{- $matchers -}} }) > 0 and on (pod) sum by (pod) (increase(vllm:generation_tokens_total{ {{- $matchers -}} }[1m]) + increase(vllm:prompt_tokens_total{ {{- $matchers -}} }[1m])) == 0
summary: An engine runs requests and produces nothing
description: '{{ "Pod {{ $labels.pod }} holds {{ $value }} running requests" }} and no token has gone in or come out for 60 s, while /health says 200.'
{{- end }}

{{- define "vllm-model.alert.scalerAtMaximum" -}}
{{- $type := .root.Values.autoscaling.type -}}
{{- if ne $type "none" -}}
{{- $name := printf "%s%s" (ternary "keda-hpa-" "" (eq $type "keda")) (include "vllm-model.fullname" .root) -}}
{{- $labels := printf "{horizontalpodautoscaler=%q,namespace=%q%s}" $name .root.Release.Namespace (include "vllm-model.extraMatchers" .root) -}}
expr: |-
  max(kube_horizontalpodautoscaler_status_desired_replicas{{ $labels }}) >= max(kube_horizontalpodautoscaler_spec_max_replicas{{ $labels }})
summary: The scaler is at its maximum
description: 'The scaler wants {{ "{{ $value }}" }} replicas and may have no more; load above that waits.'
{{- end -}}
{{- end }}

{{/*
A pod that a quota refuses is never made, so no pod is pending: the Deployment says that it failed to make one.
*/}}
{{- define "vllm-model.alert.podsPending" -}}
{{- $target := fromJson (include "vllm-model.scaleTarget" .root) -}}
{{- $pending := printf "sum(kube_pod_status_phase{%s,phase=\"Pending\"}) > 0" (include "vllm-model.podMatchers" .root) -}}
{{- if eq $target.kind "Deployment" -}}
{{- $labels := printf "deployment=%q,namespace=%q%s" $target.name .root.Release.Namespace (include "vllm-model.extraMatchers" .root) -}}
{{- $refused := printf "max(kube_deployment_status_condition{%s,condition=\"ReplicaFailure\",status=\"true\"}) > 0" $labels -}}
{{- $pending = printf "(%s) or (%s)" $pending $refused -}}
{{- end -}}
expr: |-
  {{ $pending }}
summary: Replicas cannot start
description: '{{ "{{ $value }}" }} pods are pending or refused: no node with a free GPU, a quota that is used up, a claim that is not bound, or an image that is being pulled.'
{{- end }}

{{/*
Two windows, so that it fires in minutes and stops when the errors stop. 14.4 times the budget for an hour is 2 % of a month's.
*/}}
{{- define "vllm-model.alert.errorBudgetBurn" -}}
{{- $pods := printf "%s,handler=~\"/v1/.*\"" (include "vllm-model.podMatchers" .root) -}}
{{- $limit := round (mulf 0.144 (subf 100 .alert.objective)) 6 -}}
{{- $windows := list -}}
{{- range list "1h" "5m" -}}
{{- $windows = append $windows (printf "sum(rate(http_requests_total{%s,status=\"5xx\"}[%s])) / sum(rate(http_requests_total{%s}[%s])) > %v" $pods . $pods . $limit) -}}
{{- end -}}
expr: |-
  {{ join " and " $windows }}
summary: Errors eat the month's budget
description: '{{ "{{ $value | humanizePercentage }}" }} of the answers are server errors; at this pace the budget of {{ .alert.objective }} % is gone within two days.'
{{- end }}

{{/*
Quiet for that long means also: there for that long. A model that was installed a minute ago has not been idle for hours.
*/}}
{{- define "vllm-model.alert.idleReplicas" -}}
{{- $matchers := include "vllm-model.seriesMatchers" .root -}}
{{- $running := printf "vllm:num_requests_running{%s}" $matchers -}}
{{- $window := printf "[%dh]" (int .alert.hours) -}}
{{- $idle := printf "sum(increase(vllm:request_success_total{%s}%s)) + sum(max_over_time(%s%s)) == 0" $matchers $window $running $window -}}
expr: |-
  count(count by (pod) ({{ $running }})) and on () ({{ $idle }}) and on () count({{ $running }} offset {{ int .alert.hours }}h)
summary: GPUs are held and nobody asks
description: '{{ "{{ $value }}" }} replicas have had no request for {{ int .alert.hours }} h; minReplicas 0 would free their GPUs.'
{{- end }}
