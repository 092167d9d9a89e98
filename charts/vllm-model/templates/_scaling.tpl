{{/*
What both autoscalers, KEDA and the plain HPA, are told: which triggers are on, their thresholds, and how fast to move.
*/}}

{{/*
vllm-model.enabledTriggers: names of the triggers that are on, as a JSON list. Three decide by themselves where `enabled` is null:
  demand           on where KEDA scales and a gateway is named
  waitingRequests  on unless demand is: behind a gateway that limits requests per replica they wait there, and this stays near 0
  runningRequests  on with minReplicas 0 and no demand: waiting requests alone would let the last replica go under a long stream
The order is fixed, and demand comes first: KEDA numbers its metrics (s0-..., s1-...) by position.
*/}}
{{- define "vllm-model.enabledTriggers" -}}
{{- $scaling := .Values.autoscaling -}}
{{- $triggers := $scaling.triggers -}}
{{- $demand := and (eq $scaling.type "keda") (not (empty $scaling.wake.gateway.service)) -}}
{{- $demand = eq (include "vllm-model.orElse" (list $triggers.demand.enabled $demand)) "true" -}}
{{- $defaults := dict "demand" $demand "waitingRequests" (not $demand) "runningRequests" (and (eq (int $scaling.minReplicas) 0) (not $demand)) -}}
{{- $on := list -}}
{{- range list "demand" "waitingRequests" "runningRequests" "requestsPerSecond" "timeToFirstToken" "kvCacheUsage" "tokensPerSecond" "gpuUtilization" -}}
{{- if eq (include "vllm-model.orElse" (list (get $triggers .).enabled (get $defaults .))) "true" -}}{{- $on = append $on . -}}{{- end -}}
{{- end -}}
{{- range list "cron" "custom" -}}
{{- if get $triggers . -}}{{- $on = append $on . -}}{{- end -}}
{{- end -}}
{{- toJson $on -}}
{{- end }}

{{/*
vllm-model.metricTriggers: those of them that are queries, as a YAML list of name, threshold and activationThreshold.
*/}}
{{- define "vllm-model.metricTriggers" -}}
{{- $scaling := .Values.autoscaling -}}
{{- range without (fromJsonArray (include "vllm-model.enabledTriggers" .)) "demand" "cron" "custom" }}
{{- $trigger := get $scaling.triggers . }}
- name: {{ . }}
  threshold: {{ include "vllm-model.orElse" (list $trigger.threshold (ternary 10 5 (eq $scaling.type "hpa"))) }}
  activationThreshold: {{ $trigger.activationThreshold }}
{{- end }}
{{- end }}

{{/*
vllm-model.scaleBehavior: `behavior` of the HPA that either autoscaler ends in. Up: not on a spike of seconds, and no faster
than nodes and weights arrive; responsive drops the wait. Down: slowly, a replica that comes back costs minutes.
*/}}
{{- define "vllm-model.scaleBehavior" -}}
{{- $up := .Values.autoscaling.behavior.scaleUp -}}
{{- $down := .Values.autoscaling.behavior.scaleDown -}}
{{- $upWindow := ternary 0 60 (eq .Values.autoscaling.preset "responsive") -}}
scaleUp:
  stabilizationWindowSeconds: {{ include "vllm-model.orElse" (list $up.stabilizationWindowSeconds $upWindow) }}
  policies:
    - {type: Pods, value: {{ int $up.pods }}, periodSeconds: {{ int $up.periodSeconds }}}
scaleDown:
  stabilizationWindowSeconds: {{ int $down.stabilizationWindowSeconds }}
  policies:
    - {type: Pods, value: {{ int $down.pods }}, periodSeconds: {{ int $down.periodSeconds }}}
{{- end }}
