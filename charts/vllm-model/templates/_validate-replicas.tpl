{{/*
Rules of a replica and of replicas: how it is split, how it leaves, how it is replaced, how it is reached.
*/}}

{{- define "vllm-model.problems.parallelism" -}}
{{- $found := list -}}
{{- $split := .Values.parallelism -}}
{{- $gpus := include "vllm-model.replicaGpus" . | int -}}
{{- $nodes := int $split.nodes -}}
{{- if mod $gpus $nodes -}}
{{- $found = append $found (include "vllm-model.problem" (list (printf "parallelism.nodes: tensor x pipeline x data = %d GPUs do not divide over %d nodes." $gpus $nodes) "Please make their product a multiple of parallelism.nodes.")) -}}
{{- else if and (not (kindIs "invalid" .Values.gpu.count)) (ne (int .Values.gpu.count) 0) (ne (int .Values.gpu.count) (div $gpus $nodes | int)) -}}
{{- $found = append $found (include "vllm-model.problem" (list (printf "gpu.count: the pod would get %d GPUs, and parallelism (tensor x pipeline x data / nodes) uses %d: the engine would not start, or GPUs would idle." (int .Values.gpu.count) (div $gpus $nodes)) (dict "gpu" (dict "count" (div $gpus $nodes))))) -}}
{{- end -}}
{{- if and (gt $nodes 1) (gt (int $split.data) 1) (mod (int $split.data) $nodes) -}}
{{- $found = append $found (include "vllm-model.problem" (list (printf "parallelism.data: %d copies do not divide over %d nodes." (int $split.data) $nodes) (dict "parallelism" (dict "data" $nodes)))) -}}
{{- end -}}
{{- if and .Values.gpu.memoryGiB .Values.weights.sizeGiB -}}
{{- $shards := mul (int $split.tensor) (int $split.pipeline) (ternary (int $split.data) 1 $split.expert) -}}
{{- $share := divf .Values.weights.sizeGiB $shards -}}
{{- $room := mulf .Values.gpu.memoryGiB (.Values.engine.flags.gpuMemoryUtilization | default 0.92) -}}
{{- $offload := .Values.engine.flags.cpuOffloadGb | default 0 -}}
{{- if gt (subf $share $offload) $room -}}
{{- $found = append $found (include "vllm-model.problem" (list (printf "gpu.memoryGiB: %.1f GiB of weights a GPU do not fit into the %.1f GiB that the engine may use (memory x gpuMemoryUtilization)." $share $room) (printf "Please split over more GPUs (parallelism.tensor: %d or more), take a quantized build, or a larger GPU. `vllm-charts plan fit` shows what fits." (ceil (divf .Values.weights.sizeGiB $room) | int)))) -}}
{{- end -}}
{{- end -}}
{{- if and (gt $nodes 1) (ne .Values.workload.kind "Deployment") -}}
{{- $found = append $found (include "vllm-model.problem" (list (printf "workload.kind: %s cannot run one replica on %d nodes; a LeaderWorkerSet is made for that." .Values.workload.kind $nodes) (dict "workload" (dict "kind" "Deployment")))) -}}
{{- end -}}
{{- if and .Values.rdma.enabled (not .Values.rdma.resources) -}}
{{- $found = append $found (include "vllm-model.problem" (list "rdma.resources: rdma is on, and no device is asked for." (dict "rdma" (dict "resources" (dict "rdma/ib" 1))))) -}}
{{- end -}}
{{- toJson $found -}}
{{- end }}

{{- define "vllm-model.problems.shutdown" -}}
{{- $found := list -}}
{{- if .Values.spot.enabled -}}
{{- $shutdown := fromJson (include "vllm-model.shutdown" .) -}}
{{- $notice := int .Values.spot.noticeSeconds -}}
{{- if gt (int $shutdown.graceSeconds) $notice -}}
{{- $found = append $found (include "vllm-model.problem" (list (printf "shutdown: %d s (preStop) + %d s (drain) + margin = %d s do not fit into the %d s between a spot notice and the end; the cloud would cut the streams." (int $shutdown.endpointSeconds) (int $shutdown.drainSeconds) (int $shutdown.graceSeconds) $notice) "Please lower shutdown.endpointSeconds or shutdown.drainSeconds, or leave them unset: the chart then fits them to spot.noticeSeconds.")) -}}
{{- end -}}
{{- end -}}
{{- toJson $found -}}
{{- end }}

{{- define "vllm-model.problems.availability" -}}
{{- $found := list -}}
{{- $strategy := .Values.availability.strategy -}}
{{- if and (eq $strategy.type "rolling") (has (toString $strategy.maxSurge) (list "0" "0%")) (has (toString $strategy.maxUnavailable) (list "0" "0%")) -}}
{{- $found = append $found (include "vllm-model.problem" (list "availability.strategy: with maxSurge 0 and maxUnavailable 0 no pod may come and none may go." "Please set maxSurge: 1 (a GPU is free), or maxUnavailable: 1 (the pool is full).")) -}}
{{- end -}}
{{- if and (eq $strategy.type "recreate") (has (include "vllm-model.kind" .) (list "Rollout" "LeaderWorkerSet")) -}}
{{- $found = append $found (include "vllm-model.problem" (list (printf "availability.strategy.type: a %s knows no recreate." (include "vllm-model.kind" .)) (dict "availability" (dict "strategy" (dict "type" "rolling" "maxSurge" 0 "maxUnavailable" 1))))) -}}
{{- end -}}
{{- $judged := .Values.workload.analysis.enabled -}}
{{- if and $judged (ne (include "vllm-model.kind" .) "Rollout") -}}
{{- $found = append $found (include "vllm-model.problem" (list (printf "workload.analysis: a %s has no canary that could be judged." (include "vllm-model.kind" .)) (dict "workload" (dict "kind" "Rollout")))) -}}
{{- end -}}
{{- if and $judged (not .Values.autoscaling.prometheus.serverAddress) -}}
{{- $found = append $found (include "vllm-model.problem" (list "autoscaling.prometheus.serverAddress: workload.analysis asks Prometheus, and nothing says where it is." (dict "autoscaling" (dict "prometheus" (dict "serverAddress" "http://prometheus-operated.monitoring.svc:9090"))))) -}}
{{- end -}}
{{- toJson $found -}}
{{- end }}

{{- define "vllm-model.problems.access" -}}
{{- $found := list -}}
{{- $name := include "vllm-model.fullname" . -}}
{{- if not (regexMatch "^[a-z][-a-z0-9]*$" $name) -}}
{{- $found = append $found (include "vllm-model.problem" (list (printf "fullnameOverride: the model's Service would be called %q, and the API refuses a Service whose name starts with a digit or holds a dot." $name) (printf "Please set fullnameOverride: model-%s, or give the release another name." (replace "." "-" $name | trunc 44 | trimSuffix "-")))) -}}
{{- end -}}
{{- if and .Values.ingress.enabled (not .Values.ingress.hosts) -}}
{{- $found = append $found (include "vllm-model.problem" (list "ingress.hosts: an Ingress without a host answers for every name that reaches the controller." (dict "ingress" (dict "hosts" (list "llm.example.com"))))) -}}
{{- end -}}
{{- if and .Values.route.enabled (not .Values.route.parentRefs) -}}
{{- $found = append $found (include "vllm-model.problem" (list "route.parentRefs: an HTTPRoute without a Gateway is attached to nothing." (dict "route" (dict "parentRefs" (list (dict "name" "public" "namespace" "gateways")))))) -}}
{{- end -}}
{{- toJson $found -}}
{{- end }}
