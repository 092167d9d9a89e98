{{/*
Rules of the engine: image, version, flags, environment.
*/}}

{{/*
vllm-model.ownedFlags: flags that a knob of the chart sets, and the knob, short forms too. Twice the same flag, and vLLM takes
the last. None of them is a key of engine.flags; `vllm-charts schema validate` reads this list.
*/}}
{{- define "vllm-model.ownedFlags" -}}
model: model.id
served-model-name: model.servedNames
revision: model.revision
trust-remote-code: model.trustRemoteCode
chat-template: model.chatTemplate
enable-lora: model.adapters
lora-modules: model.adapters
host: service
port: engine.port
uds: service
hf-token: weights.huggingface.tokenSecret
shutdown-timeout: shutdown.drainSeconds
api-key: auth.apiKeySecret
otlp-traces-endpoint: tracing.endpoint
tensor-parallel-size: parallelism.tensor
-tp: parallelism.tensor
pipeline-parallel-size: parallelism.pipeline
-pp: parallelism.pipeline
data-parallel-size: parallelism.data
-dp: parallelism.data
data-parallel-size-local: parallelism.data
data-parallel-address: parallelism.nodes
data-parallel-start-rank: parallelism.nodes
enable-expert-parallel: parallelism.expert
-ep: parallelism.expert
nnodes: parallelism.nodes
-n: parallelism.nodes
node-rank: parallelism.nodes
-r: parallelism.nodes
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
{{- $typed := regexReplaceAll "=.*$" (. | toString) "" -}}
{{- $flag := $typed | trimPrefix "--" | trimPrefix "no-" -}}
{{- with get $owned ($flag | replace "_" "-") -}}
{{- $found = append $found (include "vllm-model.problem" (list (printf "engine.extraArgs: %s is set by the chart; of two, vLLM takes the last, and the rest of the chart would not know." $typed) (printf "Please set %s instead." .))) -}}
{{- end -}}
{{- end -}}
{{- range $name, $value := .Values.engine.env -}}
{{- if and (kindIs "string" $value) (regexMatch "(^|_)(TOKEN|SECRET|PASSWORD|API_KEY|ACCESS_KEY)$" $name) -}}
{{- $found = append $found (include "vllm-model.problem" (list (printf "engine.env.%s: a secret in values ends up in Git, in the release and in `helm get values`." $name) (printf "Please make a Secret and refer to it:\n  kubectl create secret generic %s --from-literal=token=...\n  engine: {env: {%s: {valueFrom: {secretKeyRef: {name: %s, key: token}}}}}" (kebabcase (lower $name)) $name (kebabcase (lower $name))))) -}}
{{- end -}}
{{- end -}}
{{- toJson $found -}}
{{- end }}
