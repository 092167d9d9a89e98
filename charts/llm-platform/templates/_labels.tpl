{{/*
llm-platform.selectorLabels: what selects the pods of one component. Immutable, so nothing that changes is in it.
Inputs: dict "root" the root, "component" its name (gateway).
*/}}
{{- define "llm-platform.selectorLabels" -}}
app.kubernetes.io/name: llm-platform
app.kubernetes.io/instance: {{ .root.Release.Name | quote }}
app.kubernetes.io/component: {{ .component }}
{{- end }}

{{- define "llm-platform.labels" -}}
{{- $fixed := fromYaml (include "llm-platform.selectorLabels" .) -}}
{{- $chart := dict
  "helm.sh/chart" (printf "%s-%s" .root.Chart.Name .root.Chart.Version | replace "+" "_" | trunc 63 | trimSuffix "-")
  "app.kubernetes.io/part-of" .root.Release.Name
  "app.kubernetes.io/managed-by" .root.Release.Service -}}
{{- include "vllm-model.stated" (merge (dict) $fixed $chart (.root.Values.commonLabels | default dict)) | fromJson | toYaml -}}
{{- end }}

{{/*
llm-platform.metadata: metadata of one of the umbrella's own objects.
Inputs: dict "root" the root, "component", "name", and optionally "namespace" (default: the release's; false: the object
has none), "labels" and "annotations" (dicts).
*/}}
{{- define "llm-platform.metadata" -}}
name: {{ .name | quote }}
{{- if not (eq (toString .namespace) "false") }}
namespace: {{ .namespace | default .root.Release.Namespace | quote }}
{{- end }}
labels: {{- include "vllm-model.stated" (merge (dict) (fromYaml (include "llm-platform.labels" .)) (.labels | default dict)) | fromJson | toYaml | nindent 2 }}
{{- with fromJson (include "vllm-model.stated" (merge (dict) (.annotations | default dict) (.root.Values.commonAnnotations | default dict))) }}
annotations: {{- toYaml . | nindent 2 }}
{{- end }}
{{- end }}
