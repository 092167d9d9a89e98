{{/*
The numbers of a replica's life: how long it may take to start, and how it leaves. Everything else that depends on them
(probes, deadlines, preStop, grace, cooldown, helm --timeout) asks here.
*/}}

{{/*
vllm-model.replicaGpus: GPUs of one replica over all its nodes.
*/}}
{{- define "vllm-model.replicaGpus" -}}
{{- with .Values.parallelism -}}{{ mul (int .tensor) (int .pipeline) (int .data) }}{{- end -}}
{{- end }}

{{/*
vllm-model.podGpus: GPUs of one pod: what is stated, else the replica's share. 0 is allowed (an engine on CPUs).
*/}}
{{- define "vllm-model.podGpus" -}}
{{- if kindIs "invalid" .Values.gpu.count -}}
{{ div (int (include "vllm-model.replicaGpus" .)) (int .Values.parallelism.nodes) }}
{{- else -}}
{{ int .Values.gpu.count }}
{{- end -}}
{{- end }}

{{/*
vllm-model.weightsGiB: size of the weights. Where it is not stated, the most that the GPUs could hold: too long a budget
costs minutes once, too short a one kills a loading pod for ever.
*/}}
{{- define "vllm-model.weightsGiB" -}}
{{- if kindIs "invalid" .Values.weights.sizeGiB -}}
{{ mulf (include "vllm-model.replicaGpus" .) (.Values.gpu.memoryGiB | default 80) }}
{{- else -}}
{{ .Values.weights.sizeGiB }}
{{- end -}}
{{- end }}

{{/*
vllm-model.startupBudgetSeconds: seconds from the start of the container to ready (formula: _startup-budget.tpl).
*/}}
{{- define "vllm-model.startupBudgetSeconds" -}}{{ include "vllm-model.once" (list "vllm-model.startupBudget" .) }}{{- end }}

{{- define "vllm-model.startupBudget" -}}
{{- if .Values.probes.startup.budgetSeconds -}}
{{ int .Values.probes.startup.budgetSeconds }}
{{- else -}}
{{- include "vllm-model.startup.neededSeconds" (dict
  "sizeGiB" (include "vllm-model.weightsGiB" . | float64)
  "gpus" (include "vllm-model.replicaGpus" . | int)
  "nodes" .Values.parallelism.nodes
  "eager" (eq (.Values.engine.flags.enforceEager | toString) "true")
  "downloads" (eq (include "vllm-model.downloader" .) "engine")
  "readRateMiBps" (.Values.weights.readMiBPerSecond | default 0)) -}}
{{- end -}}
{{- end }}

{{/*
vllm-model.prepareSeconds: what comes before the container starts: image and node (600 s), and an init container or Job
that brings the weights at 50 MiB/s. Counts for rollouts and helm --timeout, never for a probe.
*/}}
{{- define "vllm-model.prepareSeconds" -}}
{{- $downloads := has (include "vllm-model.downloader" .) (list "initContainer" "job") -}}
{{- add 600 (ternary (divf (mulf (include "vllm-model.weightsGiB" .) 1024) 50 | ceil | int) 0 $downloads) -}}
{{- end }}

{{/*
vllm-model.progressDeadlineSeconds: the API's default of 600 marks a slow start as failed.
*/}}
{{- define "vllm-model.progressDeadlineSeconds" -}}
{{- if .Values.availability.progressDeadlineSeconds -}}
{{ int .Values.availability.progressDeadlineSeconds }}
{{- else -}}
{{ add (include "vllm-model.startupBudgetSeconds" . | int) (include "vllm-model.prepareSeconds" . | int) 120 }}
{{- end -}}
{{- end }}

{{/*
vllm-model.shutdown: how a replica leaves, as JSON of
  endpointSeconds  preStop sleep: endpoints are removed while the pod still serves; vLLM itself answers /health 200 and
                   new requests with 500 once it drains, so nothing but time stops the traffic
  drainSeconds     --shutdown-timeout; vLLM's own default of 0 aborts every stream
  graceSeconds     terminationGracePeriodSeconds: the two, a margin, and at least 120 on demand
With spot.enabled the defaults are cut to fit the notice; numbers that were stated are kept, and the validator refuses
those that cannot fit.
*/}}
{{- define "vllm-model.shutdown" -}}
{{- $notice := int .Values.spot.noticeSeconds -}}
{{- $spot := .Values.spot.enabled -}}
{{- $margin := ternary 5 15 (and $spot (lt $notice 60)) -}}
{{- $endpoint := ternary (min 15 (div $notice 3)) 15 $spot -}}
{{- if not (kindIs "invalid" .Values.shutdown.endpointSeconds) -}}
{{- $endpoint = int .Values.shutdown.endpointSeconds -}}
{{- end -}}
{{- $drain := ternary (max 1 (min 90 (sub $notice (add $margin $endpoint)))) 90 $spot -}}
{{- if not (kindIs "invalid" .Values.shutdown.drainSeconds) -}}
{{- $drain = int .Values.shutdown.drainSeconds -}}
{{- end -}}
{{- $sum := add $endpoint $drain $margin -}}
{{- toJson (dict
  "endpointSeconds" $endpoint
  "drainSeconds" $drain
  "graceSeconds" (ternary $sum (max 120 $sum) $spot)) -}}
{{- end }}
