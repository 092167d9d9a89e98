{{/*
The objects that make pods. Exactly one of them is rendered (vllm-model.kind), all around one pod template.
*/}}

{{/*
vllm-model.replicas: spec.replicas, and the annotation that remembers who wrote it.
An autoscaler owns the number, so it is absent: a number would reset the scaler at every upgrade. But dropping a number that
an earlier release wrote makes the API server default it to 1 and kills the rest. So where the live object still carries
the chart's number (the annotation says so), the number that is live is carried over. Offline renders see no live object.
Inputs: dict "root" the root, "apiVersion", "kind".
Renders YAML of annotations and, where there is one, replicas.
*/}}
{{- define "vllm-model.replicas" -}}
{{- $mark := dict "vllm-model/replicas" "chart" -}}
{{- if eq .root.Values.autoscaling.type "none" -}}
annotations: {{- toYaml $mark | nindent 2 }}
replicas: {{ int .root.Values.replicas }}
{{- else -}}
{{- $live := lookup .apiVersion .kind .root.Release.Namespace (include "vllm-model.fullname" .root) -}}
{{- if eq (dig "metadata" "annotations" "vllm-model/replicas" "" ($live | default dict)) "chart" -}}
annotations: {{- toYaml $mark | nindent 2 }}
replicas: {{ int $live.spec.replicas }}
{{- else -}}
annotations: {}
{{- end -}}
{{- end -}}
{{- end }}

{{- define "vllm-model.deployment" -}}
{{- if eq (include "vllm-model.kind" .) "Deployment" -}}
{{- $replicas := fromYaml (include "vllm-model.replicas" (dict "root" . "apiVersion" "apps/v1" "kind" "Deployment")) -}}
apiVersion: apps/v1
kind: Deployment
metadata: {{- include "vllm-model.metadata" (dict "root" . "annotations" $replicas.annotations) | nindent 2 }}
spec:
  {{- if hasKey $replicas "replicas" }}
  replicas: {{ $replicas.replicas }}
  {{- end }}
  revisionHistoryLimit: {{ int .Values.availability.revisionHistoryLimit }}
  progressDeadlineSeconds: {{ include "vllm-model.progressDeadlineSeconds" . }}
  selector:
    matchLabels: {{- include "vllm-model.servingLabels" . | nindent 6 }}
  strategy: {{- include "vllm-model.strategy" . | nindent 4 }}
  template: {{- include "vllm-model.podTemplate" (dict "root" . "role" "server") | nindent 4 }}
{{- end -}}
{{- end }}

{{/*
vllm-model.strategy: rolling needs a free GPU for the pod that comes first; recreate serves nothing while the new one loads.
*/}}
{{- define "vllm-model.strategy" -}}
{{- $strategy := .Values.availability.strategy -}}
{{- if eq $strategy.type "recreate" -}}
type: Recreate
{{- else -}}
type: RollingUpdate
rollingUpdate:
  maxSurge: {{ $strategy.maxSurge }}
  maxUnavailable: {{ $strategy.maxUnavailable }}
{{- end -}}
{{- end }}

{{/*
vllm-model.rollout: Argo Rollouts. The default steps need a traffic router in workload.canary: ten pods cannot give 5 percent.
*/}}
{{- define "vllm-model.rollout" -}}
{{- if eq (include "vllm-model.kind" .) "Rollout" -}}
{{- $replicas := fromYaml (include "vllm-model.replicas" (dict "root" . "apiVersion" "argoproj.io/v1alpha1" "kind" "Rollout")) -}}
{{- $steps := list (dict "setWeight" 5) (dict "pause" (dict "duration" "10m")) (dict "setWeight" 25) (dict "pause" (dict "duration" "10m")) -}}
{{- $strategy := .Values.availability.strategy -}}
apiVersion: argoproj.io/v1alpha1
kind: Rollout
metadata: {{- include "vllm-model.metadata" (dict "root" . "annotations" $replicas.annotations) | nindent 2 }}
spec:
  {{- if hasKey $replicas "replicas" }}
  replicas: {{ $replicas.replicas }}
  {{- end }}
  revisionHistoryLimit: {{ int .Values.availability.revisionHistoryLimit }}
  progressDeadlineSeconds: {{ include "vllm-model.progressDeadlineSeconds" . }}
  selector:
    matchLabels: {{- include "vllm-model.servingLabels" . | nindent 6 }}
  strategy:
    canary: {{- toYaml (merge (deepCopy .Values.workload.canary) (dict "maxSurge" $strategy.maxSurge "maxUnavailable" $strategy.maxUnavailable "steps" $steps)) | nindent 6 }}
  template: {{- include "vllm-model.podTemplate" (dict "root" . "role" "server") | nindent 4 }}
{{- end -}}
{{- end }}

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

{{/*
vllm-model.inference-service: KServe in standard (raw) deployment mode, where it makes a plain Deployment of the pod template.
KServe names and scales the Deployment itself.
*/}}
{{- define "vllm-model.inference-service" -}}
{{- if eq (include "vllm-model.kind" .) "InferenceService" -}}
{{- $fixed := eq .Values.autoscaling.type "none" -}}
{{- $template := fromYaml (include "vllm-model.podTemplate" (dict "root" . "role" "server" "container" "kserve-container")) -}}
apiVersion: serving.kserve.io/v1beta1
kind: InferenceService
metadata: {{- include "vllm-model.metadata" (dict "root" . "annotations" (dict "serving.kserve.io/deploymentMode" "RawDeployment" "serving.kserve.io/autoscalerClass" (ternary "none" "external" $fixed))) | nindent 2 }}
spec:
  predictor:
    minReplicas: {{ ternary .Values.replicas .Values.autoscaling.minReplicas $fixed | int }}
    maxReplicas: {{ ternary .Values.replicas .Values.autoscaling.maxReplicas $fixed | int }}
    deploymentStrategy: {{- include "vllm-model.strategy" . | nindent 6 }}
    labels: {{- toYaml $template.metadata.labels | nindent 6 }}
    {{- with $template.metadata.annotations }}
    annotations: {{- toYaml . | nindent 6 }}
    {{- end }}
    {{- toYaml $template.spec | nindent 4 }}
{{- end -}}
{{- end }}

{{/*
vllm-model.image-pre-pull: a DaemonSet that holds the engine's image on every node of the pool: 10 to 25 GB are minutes that a
scale-up would wait for. It asks for no GPU.
*/}}
{{- define "vllm-model.image-pre-pull" -}}
{{- if .Values.availability.imagePrePull -}}
{{- $labels := merge (dict "vllm-model/role" "image-pre-pull") (fromYaml (include "vllm-model.selectorLabels" .)) -}}
apiVersion: apps/v1
kind: DaemonSet
metadata: {{- include "vllm-model.metadata" (dict "root" . "name" (printf "%s-image" (include "vllm-model.fullname" .))) | nindent 2 }}
spec:
  selector:
    matchLabels: {{- toYaml $labels | nindent 6 }}
  template:
    metadata:
      labels: {{- toYaml $labels | nindent 8 }}
    spec:
      enableServiceLinks: false
      automountServiceAccountToken: false
      terminationGracePeriodSeconds: 1
      {{- with include "vllm-model.imagePullSecrets" . }}
      {{- . | nindent 6 }}
      {{- end }}
      securityContext: {{- toYaml .Values.podSecurityContext | nindent 8 }}
      {{- with .Values.scheduling.nodeSelector }}
      nodeSelector: {{- toYaml . | nindent 8 }}
      {{- end }}
      tolerations: {{- include "vllm-model.tolerations" . | nindent 8 }}
      {{- with include "vllm-model.affinity" . }}
      affinity: {{- . | nindent 8 }}
      {{- end }}
      containers:
        - name: hold
          image: {{ include "vllm-model.image" (dict "root" . "image" .Values.engine.image) }}
          imagePullPolicy: {{ .Values.engine.image.pullPolicy }}
          command: [sleep, infinity]
          resources:
            requests: {cpu: 1m, memory: 8Mi}
          securityContext: {{- toYaml .Values.securityContext | nindent 12 }}
{{- end -}}
{{- end }}
