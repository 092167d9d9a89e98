{{/*
vllm-model.scaled-object: KEDA. It moves between 0 and 1 by itself and hands 1 to N to an HPA that it makes.
"No data never scales a running model down and never wakes a sleeping one" rests on three things (read in KEDA 2.20.2):
- ignoreNullValues is false, so an empty answer is an error and not a 0; with an error among its metrics an HPA never scales down.
- With minReplicas of one or more, fallback turns a signal that stays away into "as many as there are" (currentReplicasIfHigher).
- With minReplicas 0 there is no fallback: an active fallback counts as an active trigger and wakes the model, and one with
  replicas 0 lets KEDA scale to zero on an error. Without it KEDA changes nothing while a signal fails and no other is active.
At zero the pods' series are gone. A query then answers 0 only where the cluster says that no replica is wanted.
*/}}
{{- define "vllm-model.scaled-object" -}}
{{- if eq .Values.autoscaling.type "keda" -}}
{{- $scaling := .Values.autoscaling -}}
{{- $zero := eq (int $scaling.minReplicas) 0 -}}
{{- $cooldown := include "vllm-model.cooldownSeconds" . -}}
apiVersion: keda.sh/v1alpha1
kind: ScaledObject
metadata: {{- include "vllm-model.metadata" (dict "root" . "annotations" $scaling.keda.annotations) | nindent 2 }}
spec:
  scaleTargetRef: {{- include "vllm-model.scaleTarget" . | nindent 4 }}
  minReplicaCount: {{ int $scaling.minReplicas }}
  maxReplicaCount: {{ int $scaling.maxReplicas }}
  pollingInterval: {{ include "vllm-model.orElse" (list $scaling.keda.pollingInterval (ternary 2 15 $zero)) }}
  cooldownPeriod: {{ $cooldown }}
  initialCooldownPeriod: {{ include "vllm-model.orElse" (list $scaling.keda.initialCooldownPeriod $cooldown) }}
  {{- if not $zero }}
  fallback:
    failureThreshold: {{ int $scaling.keda.fallback.failureThreshold }}
    replicas: {{ include "vllm-model.orElse" (list $scaling.keda.fallback.replicas (int $scaling.minReplicas)) }}
    behavior: currentReplicasIfHigher
  {{- end }}
  advanced:
    # Switched off, scaling leaves the replicas as they are: the number is the chart's again and the upgrade says it.
    restoreToOriginalReplicaCount: false
    horizontalPodAutoscalerConfig:
      behavior: {{- include "vllm-model.scaleBehavior" . | nindent 8 }}
  triggers: {{- include "vllm-model.kedaTriggers" . | nindent 4 }}
{{- end -}}
{{- end }}

{{/*
vllm-model.cooldownSeconds: seconds without demand before the last replica goes. Shorter than a start, and a client that gives
up makes KEDA take the loading pod away, for ever.
*/}}
{{- define "vllm-model.cooldownSeconds" -}}
{{- $scaling := .Values.autoscaling -}}
{{- $floor := ternary (add (include "vllm-model.startupBudgetSeconds" . | int) 60) 0 (eq (int $scaling.minReplicas) 0) -}}
{{- include "vllm-model.orElse" (list $scaling.keda.cooldownPeriod (max 300 $floor)) -}}
{{- end }}

{{/*
vllm-model.kedaTriggers: demand first (the one that wakes), then metrics, hours, and the user's own.
*/}}
{{- define "vllm-model.kedaTriggers" -}}
{{- $root := . -}}
{{- if has "demand" (fromJsonArray (include "vllm-model.enabledTriggers" .)) }}
{{ include "vllm-model.demandTrigger" . }}
{{- end }}
{{- range fromYamlArray (include "vllm-model.metricTriggers" .) }}
{{ include "vllm-model.prometheusTrigger" (dict "root" $root "trigger" .) }}
{{- end }}
{{- range $name, $hours := fromJson (include "vllm-model.stated" .Values.autoscaling.triggers.cron) }}
- type: cron
  name: {{ $name | quote }}
  metadata:
    timezone: {{ $hours.timezone | quote }}
    start: {{ $hours.start | quote }}
    end: {{ $hours.end | quote }}
    desiredReplicas: {{ $hours.replicas | toString | quote }}
{{- end }}
{{- with .Values.autoscaling.triggers.custom }}
{{ toYaml . }}
{{- end }}
{{- end }}

{{/*
vllm-model.demandTrigger: running + queued + held requests, asked of every ready pod of the gateway and added up (average is
KEDA's default and would halve the demand at two gateways). The URL has no query string: KEDA drops it when it asks pods.
Activation is 0, so a single held request wakes the model.
*/}}
{{- define "vllm-model.demandTrigger" -}}
{{- $gateway := .Values.autoscaling.wake.gateway -}}
- type: metrics-api
  name: demand
  metricType: AverageValue
  metadata:
    url: {{ printf "http://%s.%s.svc:%d/demand/%s" $gateway.service ($gateway.namespace | default .Release.Namespace) (int $gateway.port) (include "vllm-model.fullname" .) | quote }}
    format: json
    valueLocation: demand
    targetValue: {{ .Values.autoscaling.triggers.demand.targetConcurrency | toString | quote }}
    activationTargetValue: "0"
    aggregateFromKubeServiceEndpoints: "true"
    aggregationType: sum
{{- end }}

{{/*
vllm-model.prometheusTrigger: one query. Sums are compared with threshold x replicas (AverageValue); a latency is no sum, it
moves the replicas in proportion (Value). Where KEDA polls every 2 s, the HPA reads what was polled instead of asking again.
Inputs: dict "root" the root, "trigger" an entry of vllm-model.metricTriggers.
*/}}
{{- define "vllm-model.prometheusTrigger" -}}
{{- $root := .root -}}
{{- $prometheus := $root.Values.autoscaling.prometheus -}}
{{- $zero := eq (int $root.Values.autoscaling.minReplicas) 0 -}}
{{- $query := include "vllm-model.query" (dict "root" $root "trigger" .trigger.name) -}}
{{- if $zero -}}
{{- $query = printf "%s or sum(%s == 0)" $query (include "vllm-model.wantedReplicas" $root) -}}
{{- end -}}
{{- $own := dict "serverAddress" $prometheus.serverAddress "query" $query "threshold" (toString .trigger.threshold) "activationThreshold" (toString .trigger.activationThreshold) "ignoreNullValues" "false" -}}
{{- with $prometheus.authentication.modes -}}{{- $_ := set $own "authModes" . -}}{{- end -}}
- type: prometheus
  name: {{ kebabcase .trigger.name }}
  metricType: {{ ternary "Value" "AverageValue" (eq .trigger.name "timeToFirstToken") }}
  {{- if $zero }}
  useCachedMetrics: true
  {{- end }}
  metadata: {{- toYaml (merge $own ($prometheus.parameters | default dict)) | nindent 4 }}
  {{- with $prometheus.authentication.name }}
  authenticationRef: {name: {{ . | quote }}, kind: {{ $prometheus.authentication.kind }}}
  {{- end }}
{{- end }}
