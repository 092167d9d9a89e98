{{/*
vllm-model.problems.quota: what this release may need at most against the quota that it sets itself. A pod past the quota is refused in
silence: the ReplicaSet says so in its events, and the scaler waits for ever. And what a quota names but Kubernetes never counts.
*/}}
{{- define "vllm-model.problems.quota" -}}
{{- $found := list -}}
{{- $key := printf "requests.%s" .Values.gpu.resourceName -}}
{{- if and .Values.resourceQuota.enabled (hasKey (.Values.resourceQuota.hard | default dict) $key) -}}
{{- $hard := int (get .Values.resourceQuota.hard $key) -}}
{{- $replicas := ternary .Values.replicas .Values.autoscaling.maxReplicas (eq .Values.autoscaling.type "none") | int -}}
{{- $surge := include "vllm-model.surgeReplicas" (dict "root" . "replicas" $replicas) | int -}}
{{- $gpus := mul (include "vllm-model.podGpus" . | int) (int .Values.parallelism.nodes) -}}
{{- $need := mul (add $replicas $surge) $gpus -}}
{{- if gt (int $need) $hard -}}
{{- $found = append $found (include "vllm-model.problem" (list (printf "resourceQuota.hard: %d replicas and %d more while they are updated, with %d GPUs each, need %d, and the quota admits %d: pods beyond it are refused." $replicas $surge $gpus $need $hard) (dict "resourceQuota" (dict "hard" (dict $key (toString $need)))))) -}}
{{- end -}}
{{- end -}}
{{- range $name := ternary (keys (.Values.resourceQuota.hard | default dict)) list .Values.resourceQuota.enabled | sortAlpha -}}
{{- if include "vllm-model.isUncounted" $name -}}
{{- $right := dict $name nil (replace "limits." "requests." $name) (get $.Values.resourceQuota.hard $name | toString) -}}
{{- $found = append $found (include "vllm-model.problem" (list (printf "resourceQuota.hard: the API server takes %s and counts nothing by it: extended resources are counted by requests. only." $name) (dict "resourceQuota" (dict "hard" $right)))) -}}
{{- end -}}
{{- end -}}
{{- toJson $found -}}
{{- end }}

{{/*
vllm-model.isUncounted: "true" for a name that a ResourceQuota may have and Kubernetes never counts, such as
limits.nvidia.com/gpu. Input: the name.
*/}}
{{- define "vllm-model.isUncounted" -}}
{{- if regexMatch "^limits\\.[^/]+/" . }}true{{ end -}}
{{- end }}

{{/*
vllm-model.surgeReplicas: replicas that an update adds before it takes one away. A share is rounded up, as Kubernetes does.
Inputs: dict "root" the root, "replicas" their number.
*/}}
{{- define "vllm-model.surgeReplicas" -}}
{{- $strategy := .root.Values.availability.strategy -}}
{{- if eq $strategy.type "recreate" -}}
0
{{- else if hasSuffix "%" (toString $strategy.maxSurge) -}}
{{ divf (mulf (trimSuffix "%" $strategy.maxSurge | int) .replicas) 100 | ceil | int }}
{{- else -}}
{{ int $strategy.maxSurge }}
{{- end -}}
{{- end }}
