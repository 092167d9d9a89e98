{{/*
Rules of the weights: source, cache, downloads, templates and adapters that come with them.
*/}}

{{- define "vllm-model.problems.weights" -}}
{{- $found := list -}}
{{- $weights := .Values.weights -}}
{{- $required := dict "claim" (list "name" $weights.claim.name "llama-weights") "s3" (list "uri" $weights.s3.uri "s3://bucket/llama-3.1-8b") "gcs" (list "uri" $weights.gcs.uri "gs://bucket/llama-3.1-8b") "image" (list "reference" $weights.image.reference "registry.example.com/models/llama:3.1-8b") "engineImage" (list "path" $weights.engineImage.path "/models/llama-3.1-8b") "hostPath" (list "path" $weights.hostPath.path "/models/llama-3.1-8b") -}}
{{- with get $required $weights.source -}}
{{- if not (index . 1) -}}
{{- $found = append $found (include "vllm-model.problem" (list (printf "weights.%s.%s: weights.source is %s, and nothing says where they are." $weights.source (index . 0) $weights.source) (dict "weights" (dict $weights.source (dict (index . 0) (index . 2)))))) -}}
{{- end -}}
{{- end -}}
{{- $claim := eq $weights.cache.type "claim" -}}
{{- $downloader := include "vllm-model.downloader" . -}}
{{- if and (eq $downloader "job") (not $claim) -}}
{{- $found = append $found (include "vllm-model.problem" (list "weights.downloader: a Job cannot fill an emptyDir, which lives and dies with one pod." (dict "weights" (dict "cache" (dict "type" "claim" "accessModes" (list "ReadWriteMany")))))) -}}
{{- end -}}
{{- $pods := ternary (int .Values.replicas) (int .Values.autoscaling.maxReplicas) (eq .Values.autoscaling.type "none") | mul (int .Values.parallelism.nodes) -}}
{{- $many := or (has "ReadWriteMany" $weights.cache.accessModes) (has "ReadOnlyMany" $weights.cache.accessModes) -}}
{{- if and $claim (not $weights.cache.existingClaim) (not $many) -}}
{{- if gt (int $pods) 1 -}}
{{- $found = append $found (include "vllm-model.problem" (list (printf "weights.cache.accessModes: %d pods share the claim, and ReadWriteOnce lets only one node mount it; the others would stay in ContainerCreating." (int $pods)) (dict "weights" (dict "cache" (dict "accessModes" (list "ReadWriteMany")))))) -}}
{{- else if ne .Values.availability.strategy.type "recreate" -}}
{{- $found = append $found (include "vllm-model.problem" (list "availability.strategy.type: a rolling update starts the new pod beside the old one, which holds the ReadWriteOnce claim; on another node the new one never starts." "Please set availability.strategy.type: recreate, or weights.cache.accessModes: [ReadWriteMany].")) -}}
{{- end -}}
{{- end -}}
{{- if and .Values.model.chatTemplate.inline .Values.model.chatTemplate.configMap -}}
{{- $found = append $found (include "vllm-model.problem" (list "model.chatTemplate: inline and configMap are both set, and the engine takes one template." "Please leave one of them empty.")) -}}
{{- end -}}
{{- range $name, $adapter := fromJson (include "vllm-model.stated" .Values.model.adapters) -}}
{{- if and (ne $downloader "engine") (not (hasPrefix "/" $adapter.source)) -}}
{{- $found = append $found (include "vllm-model.problem" (list (printf "model.adapters.%s.source: %q would be downloaded, but the engine runs with HF_HUB_OFFLINE=1 because its weights are prefilled." $name $adapter.source) "Please give a path in the pod (put the adapter beside the weights), or let the engine download: weights.source huggingface, downloader engine.")) -}}
{{- end -}}
{{- if has $name ($.Values.model.servedNames | default (list $.Values.model.id)) -}}
{{- $found = append $found (include "vllm-model.problem" (list (printf "model.adapters.%s: the base model is served under that name already; clients could not tell them apart." $name) "Please name the adapter otherwise.")) -}}
{{- end -}}
{{- end -}}
{{- if and (eq $weights.source "image") (semverCompare "<1.33-0" .Capabilities.KubeVersion.Version) -}}
{{- $found = append $found (include "vllm-model.problem" (list (printf "weights.source: image volumes need Kubernetes 1.33 (with the feature gate ImageVolume before 1.35), and this is %s." .Capabilities.KubeVersion.Version) "Please use another source (claim, s3, gcs, huggingface).")) -}}
{{- end -}}
{{- toJson $found -}}
{{- end }}
