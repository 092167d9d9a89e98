{{/*
vllm-model.leader-worker-set: one replica = a group of pods. Only the leader is probed and routed to; a worker that dies takes
the group with it, since NCCL does not survive it.
*/}}
{{- define "vllm-model.leader-worker-set" -}}
{{- if eq (include "vllm-model.kind" .) "LeaderWorkerSet" -}}
{{- $replicas := fromYaml (include "vllm-model.replicas" (dict "root" . "apiVersion" "leaderworkerset.x-k8s.io/v1" "kind" "LeaderWorkerSet")) -}}
{{- $strategy := .Values.availability.strategy -}}
apiVersion: leaderworkerset.x-k8s.io/v1
kind: LeaderWorkerSet
metadata: {{- include "vllm-model.metadata" (dict "root" . "annotations" $replicas.annotations) | nindent 2 }}
spec:
  {{- if hasKey $replicas "replicas" }}
  replicas: {{ $replicas.replicas }}
  {{- end }}
  startupPolicy: LeaderCreated
  # Peers find one another before they are ready by a headless Service that the controller makes: one for each group, since the one
  # for all would need the name of the set, which is the name of this model's own Service.
  networkConfig: {subdomainPolicy: UniquePerReplica}
  rolloutStrategy:
    type: RollingUpdate
    rollingUpdateConfiguration:
      maxSurge: {{ $strategy.maxSurge }}
      maxUnavailable: {{ $strategy.maxUnavailable }}
  leaderWorkerTemplate:
    size: {{ int .Values.parallelism.nodes }}
    restartPolicy: RecreateGroupOnPodRestart
    leaderTemplate: {{- include "vllm-model.podTemplate" (dict "root" . "role" "server") | nindent 6 }}
    workerTemplate: {{- include "vllm-model.podTemplate" (dict "root" . "role" "worker") | nindent 6 }}
{{- end -}}
{{- end }}
