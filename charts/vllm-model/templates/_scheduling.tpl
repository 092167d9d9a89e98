{{/*
Where the pods of a model may run.
*/}}

{{/*
vllm-model.tolerations: taints of GPU pools, of spot pools where allowed, and the user's; never a list that replaces another.
*/}}
{{- define "vllm-model.tolerations" -}}
{{- $spot := ternary .Values.spot.tolerations list .Values.spot.enabled | default list -}}
{{- toYaml (concat (.Values.gpu.tolerations | default list) $spot (.Values.scheduling.tolerations | default list) | uniq) -}}
{{- end }}

{{/*
vllm-model.gpuExpressions: gpu.nodeLabels as match expressions; an empty list of values means that the label exists.
*/}}
{{- define "vllm-model.gpuExpressions" -}}
{{- range $label, $values := fromJson (include "vllm-model.stated" .Values.gpu.nodeLabels) }}
- key: {{ $label | quote }}
  operator: {{ ternary "In" "Exists" (not (empty $values)) }}
  {{- with $values }}
  values: {{- toYaml . | nindent 4 }}
  {{- end }}
{{- end }}
{{- end }}

{{/*
vllm-model.affinity: the user's affinity with the GPU's node labels added to every required term (terms are alternatives,
expressions within one must all hold).
*/}}
{{- define "vllm-model.affinity" -}}
{{- $affinity := deepCopy (.Values.scheduling.affinity | default dict) -}}
{{- $gpu := fromYamlArray (include "vllm-model.gpuExpressions" .) -}}
{{- if $gpu -}}
{{- $node := $affinity.nodeAffinity | default dict -}}
{{- $terms := ($node.requiredDuringSchedulingIgnoredDuringExecution | default dict).nodeSelectorTerms | default (list dict) -}}
{{- $joined := list -}}
{{- range $terms -}}
{{- $joined = append $joined (merge (dict "matchExpressions" (concat (.matchExpressions | default list) $gpu)) .) -}}
{{- end -}}
{{- $_ := set $node "requiredDuringSchedulingIgnoredDuringExecution" (dict "nodeSelectorTerms" $joined) -}}
{{- $_ := set $affinity "nodeAffinity" $node -}}
{{- end -}}
{{- with $affinity -}}{{ toYaml . }}{{- end -}}
{{- end }}

{{/*
vllm-model.spread: replicas over zones and nodes. matchLabelKeys counts the pods of one revision only, or a rollout would be
spread against the pods it replaces; tainted nodes that no pod may use are not counted as empty.
*/}}
{{- define "vllm-model.spread" -}}
{{- $root := . -}}
{{- $revision := get (dict "Deployment" "pod-template-hash" "Rollout" "rollouts-pod-template-hash" "LeaderWorkerSet" "leaderworkerset.sigs.k8s.io/template-revision-hash") (include "vllm-model.kind" .) -}}
{{- range $knob, $key := dict "zones" "topology.kubernetes.io/zone" "nodes" "kubernetes.io/hostname" }}
{{- $wish := get $root.Values.availability.spread $knob }}
{{- if ne $wish "none" }}
- maxSkew: 1
  topologyKey: {{ $key }}
  whenUnsatisfiable: {{ ternary "DoNotSchedule" "ScheduleAnyway" (eq $wish "required") }}
  nodeTaintsPolicy: Honor
  labelSelector:
    matchLabels: {{- include "vllm-model.servingLabels" $root | nindent 6 }}
  {{- with $revision }}
  matchLabelKeys: [{{ . }}]
  {{- end }}
{{- end }}
{{- end }}
{{- end }}
