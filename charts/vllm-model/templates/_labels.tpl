{{/*
vllm-model.selectorLabels: what selects the pods of this model. Never the chart's version, never a user's label:
a selector is immutable, and a label that changes would break every upgrade.
*/}}
{{- define "vllm-model.selectorLabels" -}}
app.kubernetes.io/name: vllm-model
app.kubernetes.io/instance: {{ .Release.Name | quote }}
vllm-model/name: {{ include "vllm-model.fullname" . | quote }}
{{- end }}

{{/*
vllm-model.servingLabels: the pods that take requests. In a group of pods only the leader does.
*/}}
{{- define "vllm-model.servingLabels" -}}
{{ include "vllm-model.selectorLabels" . }}
vllm-model/role: server
{{- end }}

{{/*
vllm-model.labels: labels of the objects themselves. global.partOf is the platform that a model belongs to (the umbrella sets it); it is
on no pod, so that a model can leave the platform for a release of its own without a restart. As JSON.
*/}}
{{- define "vllm-model.labels" -}}
{{- $fixed := fromYaml (include "vllm-model.selectorLabels" .) -}}
{{- $chart := dict
  "helm.sh/chart" (printf "%s-%s" .Chart.Name .Chart.Version | replace "+" "_" | trunc 63 | trimSuffix "-")
  "app.kubernetes.io/managed-by" .Release.Service -}}
{{- with (.Values.global | default dict).partOf -}}{{- $_ := set $chart "app.kubernetes.io/part-of" . -}}{{- end -}}
{{- toJson (merge (dict) $fixed $chart (.Values.commonLabels | default dict)) -}}
{{- end }}

{{/*
vllm-model.metadata: metadata of one object.
Inputs: dict "root" the root, "name" (default: the fullname), "labels" and "annotations" (dicts, optional).
A namespace is always written: `helm template | kubectl apply` and Kustomize would otherwise lose it.
*/}}
{{- define "vllm-model.metadata" -}}
{{- $root := .root -}}
name: {{ .name | default (include "vllm-model.fullname" $root) | quote }}
namespace: {{ $root.Release.Namespace | quote }}
labels: {{ merge (dict) (fromJson (include "vllm-model.once" (list "vllm-model.labels" $root))) (.labels | default dict) | toJson }}
{{- with merge (dict) (.annotations | default dict) ($root.Values.commonAnnotations | default dict) }}
annotations: {{ toJson . }}
{{- end }}
{{- end }}
