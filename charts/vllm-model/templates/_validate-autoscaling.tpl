{{/*
Rules of scaling (which triggers are on: vllm-model.enabledTriggers in _scaling.tpl).
*/}}

{{- define "vllm-model.problems.autoscaling" -}}
{{- $found := list -}}
{{- $scaling := .Values.autoscaling -}}
{{- if ne $scaling.type "none" -}}
{{- $on := fromJsonArray (include "vllm-model.enabledTriggers" .) -}}
{{- if gt (int $scaling.minReplicas) (int $scaling.maxReplicas) -}}
{{- $found = append $found (include "vllm-model.problem" (list (printf "autoscaling.minReplicas: %d is more than maxReplicas %d." (int $scaling.minReplicas) (int $scaling.maxReplicas)) (dict "autoscaling" (dict "maxReplicas" $scaling.minReplicas)))) -}}
{{- end -}}
{{- if not $on -}}
{{- $found = append $found (include "vllm-model.problem" (list "autoscaling.triggers: no trigger is on, so nothing would ever scale." (dict "autoscaling" (dict "triggers" (dict "waitingRequests" (dict "enabled" true)))))) -}}
{{- end -}}
{{- if and (has "demand" $on) (not $scaling.wake.gateway.service) -}}
{{- $found = append $found (include "vllm-model.problem" (list "autoscaling.triggers.demand: demand is counted by a gateway, and autoscaling.wake names none." (dict "autoscaling" (dict "wake" (dict "gateway" (dict "service" "llm-gateway-internal" "namespace" "llm-platform")))))) -}}
{{- end -}}
{{- $found = concat $found (fromJsonArray (include (printf "vllm-model.problems.%s" $scaling.type) (dict "root" . "on" $on))) -}}
{{- end -}}
{{- toJson $found -}}
{{- end }}

{{- define "vllm-model.problems.keda" -}}
{{- $found := list -}}
{{- $scaling := .root.Values.autoscaling -}}
{{- $queries := without .on "demand" "cron" "custom" -}}
{{- if and $queries (not $scaling.prometheus.serverAddress) -}}
{{- $found = append $found (include "vllm-model.problem" (list (printf "autoscaling.prometheus.serverAddress: %s ask Prometheus, and nothing says where it is." (join ", " $queries)) (dict "autoscaling" (dict "prometheus" (dict "serverAddress" "http://prometheus-operated.monitoring.svc:9090"))))) -}}
{{- end -}}
{{- if eq (int $scaling.minReplicas) 0 -}}
{{- if not (or (has "demand" .on) (has "cron" .on) (has "custom" .on)) -}}
{{- $found = append $found (include "vllm-model.problem" (list "autoscaling.minReplicas: 0, and nothing can wake the model: every other trigger reads metrics of running pods, and a model at zero has none." (dict "autoscaling" (dict "wake" (dict "gateway" (dict "service" "llm-gateway-internal" "namespace" "llm-platform")))))) -}}
{{- end -}}
{{- $least := add (include "vllm-model.startupBudgetSeconds" .root | int) 60 -}}
{{- with $scaling.keda.cooldownPeriod -}}
{{- if lt (int .) (int $least) -}}
{{- $found = append $found (include "vllm-model.problem" (list (printf "autoscaling.keda.cooldownPeriod: %d s is shorter than a start may take (%d s): a client that gives up would let KEDA take the loading pod away, for ever." (int .) (int $least)) (dict "autoscaling" (dict "keda" (dict "cooldownPeriod" $least))))) -}}
{{- end -}}
{{- end -}}
{{- end -}}
{{- toJson $found -}}
{{- end }}

{{- define "vllm-model.problems.hpa" -}}
{{- $found := list -}}
{{- if eq (int .root.Values.autoscaling.minReplicas) 0 -}}
{{- $found = append $found (include "vllm-model.problem" (list "autoscaling.minReplicas: a HorizontalPodAutoscaler does not scale to zero." "Please set autoscaling.type: keda with a gateway that wakes the model, or minReplicas: 1.")) -}}
{{- end -}}
{{- with without .on "waitingRequests" "runningRequests" "requestsPerSecond" "timeToFirstToken" "kvCacheUsage" "tokensPerSecond" "gpuUtilization" "custom" -}}
{{- $found = append $found (include "vllm-model.problem" (list (printf "autoscaling.triggers: %s are KEDA's; a HorizontalPodAutoscaler cannot read them." (join ", " .)) "Please set autoscaling.type: keda, or switch them off.")) -}}
{{- end -}}
{{- toJson $found -}}
{{- end }}
