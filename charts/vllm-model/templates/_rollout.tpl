{{/*
A Rollout of Argo Rollouts: the canary, the two Services that a traffic router splits over, and what a new version is judged by.
*/}}

{{/*
vllm-model.rollout: the default steps need a traffic router in workload.canary: ten pods cannot give 5 percent.
*/}}
{{- define "vllm-model.rollout" -}}
{{- if eq (include "vllm-model.kind" .) "Rollout" -}}
{{- $replicas := fromYaml (include "vllm-model.replicas" (dict "root" . "apiVersion" "argoproj.io/v1alpha1" "kind" "Rollout")) -}}
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
    canary: {{- include "vllm-model.canary" . | nindent 6 }}
  template: {{- include "vllm-model.podTemplate" (dict "root" . "role" "server") | nindent 4 }}
{{- end -}}
{{- end }}

{{/*
vllm-model.canary: what workload.canary says, over the chart's own steps, Services and analysis. Key by key:
Sprig's merge would take maxSurge 0 for "not said".
The analysis runs from the first weight on until the last step, so that it judges the new version while it has traffic.
*/}}
{{- define "vllm-model.canary" -}}
{{- $strategy := .Values.availability.strategy -}}
{{- $own := dict
  "maxSurge" $strategy.maxSurge
  "maxUnavailable" $strategy.maxUnavailable
  "steps" (list (dict "setWeight" 5) (dict "pause" (dict "duration" "10m")) (dict "setWeight" 25) (dict "pause" (dict "duration" "10m"))) -}}
{{- if include "vllm-model.hasCanaryServices" . -}}
{{- $own = merge $own (dict "stableService" (include "vllm-model.stableName" .) "canaryService" (include "vllm-model.canaryName" .)) -}}
{{- end -}}
{{- if and .Values.workload.analysis.enabled (not .Values.workload.canary.analysis) -}}
{{- $hash := dict "name" "hash" "valueFrom" (dict "podTemplateHashValue" "Latest") -}}
{{- $own = merge $own (dict "analysis" (dict "startingStep" 1 "templates" (list (dict "templateName" (include "vllm-model.canaryName" .))) "args" (list $hash))) -}}
{{- end -}}
{{- range $key, $said := .Values.workload.canary -}}{{- $_ := set $own $key $said -}}{{- end -}}
{{- toYaml $own -}}
{{- end }}

{{- define "vllm-model.stableName" -}}
{{ include "vllm-model.fullname" . | trunc 56 | trimSuffix "-" }}-stable
{{- end }}

{{- define "vllm-model.canaryName" -}}
{{ include "vllm-model.fullname" . | trunc 56 | trimSuffix "-" }}-canary
{{- end }}

{{/*
vllm-model.hasCanaryServices: "true" where the chart makes the two Services: in a Rollout that names none of its own.
*/}}
{{- define "vllm-model.hasCanaryServices" -}}
{{- $canary := .Values.workload.canary -}}
{{- if and (eq (include "vllm-model.kind" .) "Rollout") (not (or $canary.canaryService $canary.stableService $canary.pingPong)) -}}true{{- end -}}
{{- end }}

{{/*
vllm-model.service-stable, vllm-model.service-canary: the controller narrows their selectors to the pods of one version.
*/}}
{{- define "vllm-model.service-stable" -}}
{{- if include "vllm-model.hasCanaryServices" . -}}
{{ include "vllm-model.canaryService" (dict "root" . "name" (include "vllm-model.stableName" .)) }}
{{- end -}}
{{- end }}

{{- define "vllm-model.service-canary" -}}
{{- if include "vllm-model.hasCanaryServices" . -}}
{{ include "vllm-model.canaryService" (dict "root" . "name" (include "vllm-model.canaryName" .)) }}
{{- end -}}
{{- end }}

{{- define "vllm-model.canaryService" -}}
apiVersion: v1
kind: Service
metadata: {{- include "vllm-model.metadata" (dict "root" .root "name" .name) | nindent 2 }}
spec:
  type: ClusterIP
  selector: {{- include "vllm-model.servingLabels" .root | nindent 4 }}
  ports:
    - {name: http, port: {{ int .root.Values.service.port }}, targetPort: http, protocol: TCP, appProtocol: {{ include "vllm-model.scheme" .root }}}
{{- end }}

{{/*
vllm-model.analysis-template: p95 of the first token and the share of server errors, of the new version's pods alone. No answer in the
window is no verdict: the measurement passes, as a version that nobody asks has done nothing wrong.
*/}}
{{- define "vllm-model.analysis-template" -}}
{{- $analysis := .Values.workload.analysis -}}
{{- if and (eq (include "vllm-model.kind" .) "Rollout") $analysis.enabled -}}
{{- $pods := printf "namespace=%q,pod=~\"%s-{{args.hash}}-.*\"%s" .Release.Namespace (include "vllm-model.fullname" .) (include "vllm-model.extraMatchers" .) -}}
{{- $window := printf "[%ds]" (int $analysis.windowSeconds) -}}
apiVersion: argoproj.io/v1alpha1
kind: AnalysisTemplate
metadata: {{- include "vllm-model.metadata" (dict "root" . "name" (include "vllm-model.canaryName" .)) | nindent 2 }}
spec:
  args:
    - name: hash
  metrics:
    {{- include "vllm-model.analysisMetric" (dict "root" . "name" "time-to-first-token" "limit" $analysis.timeToFirstTokenSeconds
      "query" (printf "histogram_quantile(0.95, sum by (le) (rate(vllm:time_to_first_token_seconds_bucket{%s}%s)))" $pods $window)) | nindent 4 }}
    {{- include "vllm-model.analysisMetric" (dict "root" . "name" "errors" "limit" (divf $analysis.errorPercent 100)
      "query" (printf "sum(rate(http_requests_total{%[1]s,handler=~\"/v1/.*\",status=\"5xx\"}%[2]s)) / sum(rate(http_requests_total{%[1]s,handler=~\"/v1/.*\"}%[2]s))" $pods $window)) | nindent 4 }}
{{- end -}}
{{- end }}

{{- define "vllm-model.analysisMetric" -}}
{{- $analysis := .root.Values.workload.analysis -}}
- name: {{ .name }}
  initialDelay: {{ int $analysis.windowSeconds }}s
  interval: {{ int $analysis.intervalSeconds }}s
  failureLimit: {{ int $analysis.failureLimit }}
  successCondition: len(result) == 0 || isNaN(result[0]) || result[0] <= {{ .limit }}
  provider:
    prometheus:
      address: {{ .root.Values.autoscaling.prometheus.serverAddress | quote }}
      query: {{ .query | quote }}
{{- end }}
