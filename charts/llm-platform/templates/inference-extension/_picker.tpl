{{/*
Fleets: each model is an InferencePool whose endpoint picker knows queue, KV cache and cached prefixes of every replica, behind a
Gateway of the Gateway API. The picker runs beside the model, in its namespace.
Inputs of each: dict "root" the umbrella's root, "model" the model's root, "names" what it serves.
*/}}

{{/*
llm-platform.hasPickers: "true" where models have endpoint pickers. Inputs: the umbrella's root.
*/}}
{{- define "llm-platform.hasPickers" -}}
{{- if and .Values.gateway.enabled (eq .Values.gateway.type "inference-extension") -}}true{{- end -}}
{{- end }}

{{- define "llm-platform.picker.name" -}}{{ include "vllm-model.fullname" .model }}-epp{{- end }}

{{- define "llm-platform.picker.selectorLabels" -}}
{{ include "llm-platform.selectorLabels" (dict "root" .root "component" "endpoint-picker") }}
llm-platform/model: {{ include "vllm-model.fullname" .model | quote }}
{{- end }}

{{/*
llm-platform.picker.metadata: metadata of an object of a picker. Inputs: as above, and "object" its name (default: the picker's), "labels" more of them.
*/}}
{{- define "llm-platform.picker.metadata" -}}
{{ include "llm-platform.metadata" (dict "root" .root "component" "endpoint-picker" "namespace" .model.Release.Namespace
  "name" (.object | default (include "llm-platform.picker.name" .))
  "labels" (merge (dict "llm-platform/model" (include "vllm-model.fullname" .model)) (.labels | default dict))) }}
{{- end }}

{{- define "llm-platform.picker.pool" -}}
apiVersion: inference.networking.k8s.io/v1
kind: InferencePool
metadata: {{- include "llm-platform.picker.metadata" (merge (dict "object" (include "vllm-model.fullname" .model)) .) | nindent 2 }}
spec:
  selector:
    matchLabels: {{- include "vllm-model.servingLabels" .model | nindent 6 }}
  targetPorts:
    - number: {{ int .model.Values.engine.port }}
  endpointPickerRef:
    name: {{ include "llm-platform.picker.name" . }}
    port: {number: 9002}
    failureMode: {{ .root.Values.gateway.inferenceExtension.failureMode }}
{{- end }}

{{/*
llm-platform.picker.config: what pods are chosen by. With flow control a request waits in the picker, also for a model at zero, for
as long as that may take to start.
*/}}
{{- define "llm-platform.picker.config" -}}
{{- $picker := .root.Values.gateway.inferenceExtension.endpointPicker -}}
{{- if $picker.config -}}
{{ toYaml $picker.config }}
{{- else -}}
apiVersion: llm-d.ai/v1alpha1
kind: EndpointPickerConfig
{{- if $picker.flowControl }}
featureGates: [flowControl]
flowControl:
  defaultRequestTTL: {{ add 60 (include "vllm-model.startupBudgetSeconds" .model | int) }}s
{{- end }}
plugins:
  - type: queue-scorer
  - type: kv-cache-utilization-scorer
  - type: prefix-cache-scorer
schedulingProfiles:
  - name: default
    plugins:
      - {pluginRef: queue-scorer, weight: {{ int $picker.scorers.queue }}}
      - {pluginRef: kv-cache-utilization-scorer, weight: {{ int $picker.scorers.kvCacheUtilization }}}
      - {pluginRef: prefix-cache-scorer, weight: {{ int $picker.scorers.prefixCache }}}
{{- end -}}
{{- end }}

{{/*
llm-platform.picker.podMonitor: queues, chosen pods and what waits for a model at zero.
*/}}
{{- define "llm-platform.picker.podMonitor" -}}
{{- $monitor := .root.Values.gateway.podMonitor -}}
apiVersion: monitoring.coreos.com/v1
kind: PodMonitor
metadata: {{- include "llm-platform.picker.metadata" (merge (dict "labels" $monitor.labels) .) | nindent 2 }}
spec:
  selector:
    matchLabels: {{- include "llm-platform.picker.selectorLabels" . | nindent 6 }}
  podMetricsEndpoints:
    - {port: metrics, interval: {{ $monitor.interval | quote }}}
{{- end }}

{{/*
llm-platform.picker.deployment: by default the picker sends traces to a collector that is not there, logs a line for each answer, and
shows its metrics to those only whom the API server says yes to, which no Prometheus is without rights of its own.
*/}}
{{- define "llm-platform.picker.deployment" -}}
{{- $picker := .root.Values.gateway.inferenceExtension.endpointPicker -}}
{{- $args := list
  "--pool-name" (include "vllm-model.fullname" .model) "--pool-namespace" .model.Release.Namespace
  "--pool-group" "inference.networking.k8s.io" "--config-file" "/config/config.yaml"
  "--grpc-health-port" "9003" "--zap-encoder" "json"
  "--tracing=false" "--metrics-endpoint-auth=false" "--v=1" -}}
{{- $shutdown := fromJson (include "vllm-model.shutdown" .model) -}}
{{- $several := gt (int $picker.replicas) 1 -}}
{{- if $several -}}{{- $args = append $args "--ha-enable-leader-election" -}}{{- end -}}
apiVersion: apps/v1
kind: Deployment
metadata: {{- include "llm-platform.picker.metadata" . | nindent 2 }}
spec:
  replicas: {{ int $picker.replicas }}
  selector:
    matchLabels: {{- include "llm-platform.picker.selectorLabels" . | nindent 6 }}
  template:
    metadata:
      labels: {{- include "llm-platform.picker.selectorLabels" . | nindent 8 }}
      annotations:
        checksum/config: {{ include "llm-platform.picker.config" . | sha256sum }}
    spec:
      serviceAccountName: {{ include "llm-platform.picker.name" . }}
      enableServiceLinks: false
      {{- with concat (.root.Values.gateway.imagePullSecrets | default list) ((.root.Values.global | default dict).imagePullSecrets | default list) }}
      imagePullSecrets: {{- toYaml . | nindent 8 }}
      {{- end }}
      # A stream goes through the picker until its last token: the picker leaves as slowly as its model's pods.
      terminationGracePeriodSeconds: {{ $shutdown.graceSeconds }}
      securityContext:
        runAsNonRoot: true
        runAsUser: 65532
        seccompProfile: {type: RuntimeDefault}
      affinity: {{- include "llm-platform.gateway.affinity" . | nindent 8 }}
      containers:
        - name: endpoint-picker
          image: {{ include "vllm-model.image" (dict "root" .root "image" $picker.image) | quote }}
          imagePullPolicy: {{ $picker.image.pullPolicy }}
          args: {{- toYaml $args | nindent 12 }}
          # On SIGTERM it takes no more requests; until every proxy has learnt that it leaves, it must.
          lifecycle: {preStop: {sleep: {seconds: {{ max 1 (int $shutdown.endpointSeconds) }}}}}
          ports:
            - {name: ext-proc, containerPort: 9002}
            - {name: health, containerPort: 9003}
            - {name: metrics, containerPort: 9090}
          livenessProbe:
            grpc: {port: 9003, service: {{ ternary "liveness" "inference-extension" $several }}}
            initialDelaySeconds: 5
            periodSeconds: 10
          readinessProbe:
            grpc: {port: 9003, service: {{ ternary "readiness" "inference-extension" $several }}}
            periodSeconds: 2
          resources: {{- include "llm-platform.resources" $picker.resources | nindent 12 }}
          securityContext:
            allowPrivilegeEscalation: false
            readOnlyRootFilesystem: true
            capabilities: {drop: [ALL]}
          volumeMounts:
            - {name: config, mountPath: /config, readOnly: true}
      volumes:
        - name: config
          configMap: {name: {{ include "llm-platform.picker.name" . }}}
{{- end }}
