{{/*
Names. Every helper of this chart takes the root-shaped dict (Values, Release, Chart, Capabilities, Template) and
mutates nothing: the umbrella calls the same helpers with one such dict a model.
*/}}

{{/*
vllm-model.fullname: the name that every object starts with.
At most 50 characters, so that the suffixes of this chart and the hashes that controllers add stay under 63.
A longer name keeps its head and gets a hash, or two long names would become one.
*/}}
{{- define "vllm-model.fullname" -}}
{{- $name := .Values.fullnameOverride | default (.Values.nameOverride | default .Release.Name) -}}
{{- if gt (len $name) 50 -}}
{{- printf "%s-%s" (trunc 41 $name | trimSuffix "-") (sha256sum $name | trunc 8) -}}
{{- else -}}
{{- $name | trimSuffix "-" -}}
{{- end -}}
{{- end }}

{{- define "vllm-model.headlessName" -}}{{ include "vllm-model.fullname" . }}-pods{{- end }}
{{- define "vllm-model.cacheClaimName" -}}{{ .Values.weights.cache.existingClaim | default (printf "%s-cache" (include "vllm-model.fullname" .)) }}{{- end }}
{{- define "vllm-model.chatTemplateName" -}}{{ .Values.model.chatTemplate.configMap | default (printf "%s-chat" (include "vllm-model.fullname" .)) }}{{- end }}

{{- define "vllm-model.serviceAccountName" -}}
{{- if .Values.serviceAccount.create -}}
{{- .Values.serviceAccount.name | default (include "vllm-model.fullname" .) -}}
{{- else -}}
{{- .Values.serviceAccount.name | default "default" -}}
{{- end -}}
{{- end }}

{{/*
vllm-model.servedName: the first name clients may ask for. vLLM puts it on every metric as `model_name`.
*/}}
{{- define "vllm-model.servedName" -}}
{{- if .Values.model.servedNames -}}{{ first .Values.model.servedNames }}{{- else -}}{{ .Values.model.id }}{{- end -}}
{{- end }}

{{/*
vllm-model.kind: the object that makes the pods. Pods of one replica on several nodes need a group, whatever workload.kind says.
*/}}
{{- define "vllm-model.kind" -}}
{{- if gt (int .Values.parallelism.nodes) 1 -}}LeaderWorkerSet{{- else -}}{{ .Values.workload.kind }}{{- end -}}
{{- end }}

{{/*
vllm-model.scaleTarget: what a ScaledObject or an HPA points at (apiVersion, kind, name), as JSON. An InferenceService cannot be scaled
itself; KServe makes a Deployment <name>-predictor of it.
*/}}
{{- define "vllm-model.scaleTarget" -}}
{{- $kind := include "vllm-model.kind" . -}}
{{- $kserve := eq $kind "InferenceService" -}}
{{- toJson (dict
  "apiVersion" (get (dict "Deployment" "apps/v1" "Rollout" "argoproj.io/v1alpha1" "LeaderWorkerSet" "leaderworkerset.x-k8s.io/v1" "InferenceService" "apps/v1") $kind)
  "kind" (ternary "Deployment" $kind $kserve)
  "name" (printf "%s%s" (include "vllm-model.fullname" .) (ternary "-predictor" "" $kserve))) -}}
{{- end }}

{{/*
vllm-model.podNamePattern: a regular expression that matches the serving pods of this model and no other's,
for selecting series by `pod`. Deployment and Rollout: <name>-<hash>-<5>; the leader of a group: <name>-<index>.
*/}}
{{- define "vllm-model.podNamePattern" -}}
{{- $target := fromJson (include "vllm-model.scaleTarget" .) -}}
{{- if eq $target.kind "LeaderWorkerSet" -}}
{{ $target.name }}-[0-9]+
{{- else -}}
{{ $target.name }}-[a-z0-9]+-[a-z0-9]{5}
{{- end -}}
{{- end }}
