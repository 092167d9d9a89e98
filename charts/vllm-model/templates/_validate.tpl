{{/*
What a schema cannot say: rules over several keys. Each rule is a line or two in a group below; all that fail are reported in one
message, each with what is wrong, why, and the YAML to set. Nothing is dropped or mended in silence.
*/}}

{{/*
vllm-model.validate: renders nothing, or fails with every problem at once.
*/}}
{{- define "vllm-model.validate" -}}
{{- if .Values.enabled -}}
{{- $root := . -}}
{{- $problems := list -}}
{{- range $group := list "engine" "weights" "parallelism" "shutdown" "availability" "autoscaling" "access" -}}
{{- $problems = concat $problems (fromYamlArray (include (printf "vllm-model.problems.%s" $group) $root)) -}}
{{- end -}}
{{- $problems = concat $problems (fromYamlArray (include "vllm-model.capabilityProblems" $root)) -}}
{{- if $problems -}}
{{- $text := list -}}
{{- range $index, $problem := $problems -}}
{{- $text = append $text (printf "%d. %s" (add1 $index) (trim $problem | replace "\n" "\n   ")) -}}
{{- end -}}
{{- fail (printf "\n\nvllm-model cannot render %q:\n\n%s\n" (include "vllm-model.fullname" .) (join "\n\n" $text)) -}}
{{- end -}}
{{- end -}}
{{- end }}

{{/*
vllm-model.problem: one problem. Inputs: list of what is wrong and why, and the YAML to set (a dict, or a sentence).
*/}}
{{- define "vllm-model.problem" -}}
{{- $fix := index . 1 -}}
{{- if kindIs "string" $fix -}}
{{ printf "%s\n%s" (index . 0) $fix }}
{{- else -}}
{{ printf "%s\nPlease set:\n%s" (index . 0) (toYaml $fix | indent 2) }}
{{- end -}}
{{- end }}

{{/*
vllm-model.ownedFlags: flags that a knob of the chart sets, and the knob. Twice the same flag, and vLLM takes the last.
*/}}
{{- define "vllm-model.ownedFlags" -}}
model: model.id
served-model-name: model.servedNames
revision: model.revision
trust-remote-code: model.trustRemoteCode
chat-template: model.chatTemplate
enable-lora: model.adapters
lora-modules: model.adapters
port: engine.port
shutdown-timeout: shutdown.drainSeconds
api-key: auth.apiKeySecret
otlp-traces-endpoint: tracing.endpoint
tensor-parallel-size: parallelism.tensor
pipeline-parallel-size: parallelism.pipeline
data-parallel-size: parallelism.data
data-parallel-size-local: parallelism.data
data-parallel-address: parallelism.nodes
data-parallel-start-rank: parallelism.nodes
enable-expert-parallel: parallelism.expert
nnodes: parallelism.nodes
node-rank: parallelism.nodes
master-addr: parallelism.nodes
headless: parallelism.nodes
download-dir: weights.cache.mountPath
{{- end }}

{{/*
vllm-model.flagsSince: flags that older engines do not know and die of, and the version that brought them.
*/}}
{{- define "vllm-model.flagsSince" -}}
disableAccessLogForEndpoints: 0.16.0
{{- end }}

{{- define "vllm-model.problems.engine" -}}
{{- $found := list -}}
{{- $image := .Values.engine.image -}}
{{- if and (not $image.digest) (or (not $image.tag) (eq $image.tag "latest")) -}}
{{- $found = append $found (include "vllm-model.problem" (list (printf "engine.image.tag: %q names no version; the image would change under the running model, and the chart could not know its flags." $image.tag) (dict "engine" (dict "image" (dict "tag" (printf "v%s" .Chart.AppVersion)))))) -}}
{{- else if not (include "vllm-model.engineVersion" .) -}}
{{- $found = append $found (include "vllm-model.problem" (list "engine.version: neither the tag nor the digest tells the engine's version, which decides the flags that may be passed (--shutdown-timeout ends engines older than 0.18)." (dict "engine" (dict "version" .Chart.AppVersion)))) -}}
{{- else if and (not (kindIs "invalid" .Values.shutdown.drainSeconds)) (not (include "vllm-model.engineAtLeast" (dict "root" . "version" "0.18.0"))) -}}
{{- $found = append $found (include "vllm-model.problem" (list (printf "shutdown.drainSeconds: vLLM %s cannot drain (--shutdown-timeout came with 0.18)." (include "vllm-model.engineVersion" .)) "Please use a newer engine, or leave shutdown.drainSeconds unset.")) -}}
{{- end -}}
{{- range $flag, $since := fromYaml (include "vllm-model.flagsSince" .) -}}
{{- if and (hasKey $.Values.engine.flags $flag) (include "vllm-model.engineVersion" $) (not (include "vllm-model.engineAtLeast" (dict "root" $ "version" $since))) -}}
{{- $found = append $found (include "vllm-model.problem" (list (printf "engine.flags.%s: vLLM %s does not know it (it came with %s) and would not start." $flag (include "vllm-model.engineVersion" $) $since) "Please use a newer engine or remove the flag.")) -}}
{{- end -}}
{{- end -}}
{{- $owned := fromYaml (include "vllm-model.ownedFlags" .) -}}
{{- range .Values.engine.extraArgs -}}
{{- $flag := regexReplaceAll "=.*$" (. | toString) "" | trimPrefix "--" | trimPrefix "no-" -}}
{{- with get $owned ($flag | replace "_" "-") -}}
{{- $found = append $found (include "vllm-model.problem" (list (printf "engine.extraArgs: --%s is set by the chart; of two, vLLM takes the last, and the rest of the chart would not know." $flag) (printf "Please set %s instead." .))) -}}
{{- end -}}
{{- end -}}
{{- range $name, $value := .Values.engine.env -}}
{{- if and (kindIs "string" $value) (has $name (list "HF_TOKEN" "HUGGING_FACE_HUB_TOKEN" "VLLM_API_KEY" "AWS_SECRET_ACCESS_KEY" "AWS_SESSION_TOKEN")) -}}
{{- $found = append $found (include "vllm-model.problem" (list (printf "engine.env.%s: a secret in values ends up in Git, in the release and in `helm get values`." $name) (printf "Please make a Secret and refer to it:\n  kubectl create secret generic %s --from-literal=token=...\n  engine: {env: {%s: {valueFrom: {secretKeyRef: {name: %s, key: token}}}}}" (kebabcase (lower $name)) $name (kebabcase (lower $name))))) -}}
{{- end -}}
{{- end -}}
{{- toYaml $found -}}
{{- end }}

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
{{- range $name, $adapter := .Values.model.adapters -}}
{{- if and (ne $downloader "engine") (not (hasPrefix "/" $adapter.source)) -}}
{{- $found = append $found (include "vllm-model.problem" (list (printf "model.adapters.%s.source: %q would be downloaded, but the engine runs with HF_HUB_OFFLINE=1 because its weights are prefilled." $name $adapter.source) "Please give a path in the pod (put the adapter beside the weights), or let the engine download: weights.source huggingface, downloader engine.")) -}}
{{- end -}}
{{- if has $name ($.Values.model.servedNames | default (list $.Values.model.id)) -}}
{{- $found = append $found (include "vllm-model.problem" (list (printf "model.adapters.%s: the base model is served under that name already; clients could not tell them apart." $name) "Please name the adapter otherwise.")) -}}
{{- end -}}
{{- end -}}
{{- if and (eq $weights.source "image") (semverCompare "<1.33-0" .Capabilities.KubeVersion.Version) -}}
{{- $found = append $found (include "vllm-model.problem" (list (printf "weights.source: image volumes need Kubernetes 1.33, and this is %s." .Capabilities.KubeVersion.Version) "Please use another source (claim, s3, gcs, huggingface).")) -}}
{{- end -}}
{{- toYaml $found -}}
{{- end }}

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
{{- toYaml $found -}}
{{- end }}

{{- define "vllm-model.problems.shutdown" -}}
{{- $found := list -}}
{{- if .Values.spot.enabled -}}
{{- $shutdown := fromYaml (include "vllm-model.shutdown" .) -}}
{{- $notice := int .Values.spot.noticeSeconds -}}
{{- if gt (int $shutdown.graceSeconds) $notice -}}
{{- $found = append $found (include "vllm-model.problem" (list (printf "shutdown: %d s (preStop) + %d s (drain) + margin = %d s do not fit into the %d s between a spot notice and the end; the cloud would cut the streams." (int $shutdown.endpointSeconds) (int $shutdown.drainSeconds) (int $shutdown.graceSeconds) $notice) "Please lower shutdown.endpointSeconds or shutdown.drainSeconds, or leave them unset: the chart then fits them to spot.noticeSeconds.")) -}}
{{- end -}}
{{- end -}}
{{- toYaml $found -}}
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
{{- toYaml $found -}}
{{- end }}

{{- define "vllm-model.problems.access" -}}
{{- $found := list -}}
{{- if and .Values.ingress.enabled (not .Values.ingress.hosts) -}}
{{- $found = append $found (include "vllm-model.problem" (list "ingress.hosts: an Ingress without a host answers for every name that reaches the controller." (dict "ingress" (dict "hosts" (list "llm.example.com"))))) -}}
{{- end -}}
{{- if and .Values.route.enabled (not .Values.route.parentRefs) -}}
{{- $found = append $found (include "vllm-model.problem" (list "route.parentRefs: an HTTPRoute without a Gateway is attached to nothing." (dict "route" (dict "parentRefs" (list (dict "name" "public" "namespace" "gateways")))))) -}}
{{- end -}}
{{- toYaml $found -}}
{{- end }}
