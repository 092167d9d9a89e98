{{/*
vllm-model.pod-disruption-budget: how many replicas a drain of nodes may take at a time.
maxUnavailable and never minAvailable: minAvailable 1 of one replica blocks every drain for ever. With one replica there is
no budget at all; with an autoscaler the maximum counts, since a budget of one unavailable pod blocks nothing while one runs.
AlwaysAllow lets a drain take pods that are not ready: a replica that cannot start must not hold a broken node.
In a group the workers count too: the eviction of one kills the group, and until all its pods are back no other group may go.
Pods of Jobs and DaemonSets stay out: they have no scale, and one of them would stop the budget from working.
*/}}
{{- define "vllm-model.pod-disruption-budget" -}}
{{- $budget := .Values.availability.podDisruptionBudget -}}
{{- $replicas := ternary .Values.replicas .Values.autoscaling.maxReplicas (eq .Values.autoscaling.type "none") | int -}}
{{- $enabled := ternary (ge $replicas 2) $budget.enabled (kindIs "invalid" $budget.enabled) -}}
{{- if $enabled -}}
apiVersion: policy/v1
kind: PodDisruptionBudget
metadata: {{- include "vllm-model.metadata" (dict "root" .) | nindent 2 }}
spec:
  maxUnavailable: {{ $budget.maxUnavailable }}
  unhealthyPodEvictionPolicy: AlwaysAllow
  selector:
    {{- if eq (include "vllm-model.kind" .) "LeaderWorkerSet" }}
    matchLabels: {{- include "vllm-model.selectorLabels" . | nindent 6 }}
    matchExpressions:
      - {key: vllm-model/role, operator: In, values: [server, worker]}
    {{- else }}
    matchLabels: {{- include "vllm-model.servingLabels" . | nindent 6 }}
    {{- end }}
{{- end -}}
{{- end }}
