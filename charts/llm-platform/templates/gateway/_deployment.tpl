{{/*
The pods of the gateway.
*/}}

{{/*
llm-platform.gateway.deployment. Inputs: the facts, and "checksum" of the configuration: a change of it is a rolling update.
*/}}
{{- define "llm-platform.gateway.deployment" -}}
{{- $gateway := .gateway -}}
{{- $selector := include "llm-platform.selectorLabels" (dict "root" .root "component" "gateway") -}}
{{- $mounts := fromYaml (include "llm-platform.gateway.secretMounts" $gateway) -}}
apiVersion: apps/v1
kind: Deployment
metadata: {{- include "llm-platform.metadata" (dict "root" .root "component" "gateway" "name" (include "llm-platform.gateway.name" .root)) | nindent 2 }}
spec:
  {{- if not $gateway.autoscaling.enabled }}
  replicas: {{ int $gateway.replicas }}
  {{- end }}
  selector:
    matchLabels: {{- $selector | nindent 6 }}
  strategy:
    rollingUpdate: {maxSurge: 1, maxUnavailable: 0}
  template:
    metadata:
      labels: {{- toYaml (merge (dict) (fromYaml $selector) $gateway.podLabels) | nindent 8 }}
      annotations: {{- toYaml (merge (dict "checksum/config" .checksum) $gateway.podAnnotations) | nindent 8 }}
    spec:
      automountServiceAccountToken: false
      enableServiceLinks: false
      # The preStop hook waits for the drain; this is what it may take at most.
      terminationGracePeriodSeconds: {{ add (int $gateway.shutdown.endpointSeconds) (int $gateway.shutdown.drainSeconds) 15 }}
      {{- if $mounts }}
      # The reloader signals HAProxy in the other container; both run as the same user.
      shareProcessNamespace: true
      {{- end }}
      securityContext:
        runAsNonRoot: true
        runAsUser: 99
        runAsGroup: 99
        fsGroup: 99
        seccompProfile: {type: RuntimeDefault}
      {{- with $gateway.imagePullSecrets }}
      imagePullSecrets: {{- toYaml . | nindent 8 }}
      {{- end }}
      {{- with $gateway.priorityClassName }}
      priorityClassName: {{ . }}
      {{- end }}
      {{- with $gateway.nodeSelector }}
      nodeSelector: {{- toYaml . | nindent 8 }}
      {{- end }}
      {{- with $gateway.tolerations }}
      tolerations: {{- toYaml . | nindent 8 }}
      {{- end }}
      affinity: {{- $gateway.affinity | default (fromYaml (include "llm-platform.gateway.affinity" .)) | toYaml | nindent 8 }}
      topologySpreadConstraints:
        {{- range $key := list "topology.kubernetes.io/zone" "kubernetes.io/hostname" }}
        - topologyKey: {{ $key }}
          maxSkew: 1
          whenUnsatisfiable: ScheduleAnyway
          matchLabelKeys: [pod-template-hash]
          labelSelector:
            matchLabels: {{- $selector | nindent 14 }}
        {{- end }}
      containers:
        - {{- include "llm-platform.gateway.container" . | nindent 10 }}
        {{- if $mounts }}
        - {{- include "llm-platform.gateway.reloader" $gateway | nindent 10 }}
        {{- end }}
      volumes:
        - name: config
          configMap: {name: {{ include "llm-platform.gateway.name" .root }}, defaultMode: 0555}
        - name: run
          emptyDir: {medium: Memory, sizeLimit: 8Mi}
        {{- range $name, $secret := $mounts }}
        - name: {{ $name }}
          secret: {{- toYaml $secret | nindent 12 }}
        {{- end }}
{{- end }}

{{- define "llm-platform.gateway.affinity" -}}
nodeAffinity:
  preferredDuringSchedulingIgnoredDuringExecution:
    - weight: 100
      preference:
        matchExpressions:
          - {key: nvidia.com/gpu.present, operator: NotIn, values: ["true"]}
{{- end }}

{{/*
llm-platform.resources: requests and limits of a container, without those that are empty.
*/}}
{{- define "llm-platform.resources" -}}
{{- $resources := dict -}}
{{- with .requests -}}{{- $_ := set $resources "requests" . -}}{{- end -}}
{{- with .limits -}}{{- $_ := set $resources "limits" . -}}{{- end -}}
{{- toYaml $resources -}}
{{- end }}

{{- define "llm-platform.gateway.image" -}}
{{ .repository }}{{ if .digest }}@{{ .digest }}{{ else }}:{{ .tag }}{{ end }}
{{- end }}

{{/*
llm-platform.gateway.container: HAProxy in master-worker mode, so that it can reload.
*/}}
{{- define "llm-platform.gateway.container" -}}
{{- $gateway := .gateway -}}
name: haproxy
image: {{ include "llm-platform.gateway.image" $gateway.image | quote }}
imagePullPolicy: {{ $gateway.image.pullPolicy }}
command: [haproxy, -W, -db, -f, /etc/llm-gateway/config/haproxy.cfg, -p, /run/llm-gateway/haproxy.pid]
{{- $env := list }}
{{- range $backend := .backends }}
{{- if $backend.apiKeySecret.name }}
{{- $from := dict "secretKeyRef" (dict "name" $backend.apiKeySecret.name "key" ($backend.apiKeySecret.key | default "api-key")) }}
{{- $env = append $env (dict "name" (include "llm-platform.gateway.keyVariable" $backend) "valueFrom" $from) }}
{{- end }}
{{- end }}
{{- with $env }}
env: {{- toYaml . | nindent 2 }}
{{- end }}
ports:
  - {name: api, containerPort: {{ int $gateway.ports.api }}}
  - {name: demand, containerPort: {{ int $gateway.ports.demand }}}
  - {name: metrics, containerPort: {{ int $gateway.ports.metrics }}}
lifecycle:
  preStop:
    exec:
      command: [sh, /etc/llm-gateway/config/drain.sh, {{ int $gateway.shutdown.endpointSeconds | toString | quote }}]
readinessProbe:
  httpGet: {path: /healthz, port: metrics}
  periodSeconds: 5
  failureThreshold: 2
livenessProbe:
  httpGet: {path: /healthz, port: metrics}
  periodSeconds: 10
  timeoutSeconds: 5
  failureThreshold: 6
resources: {{- include "llm-platform.resources" $gateway.resources | nindent 2 }}
{{ include "llm-platform.gateway.containerSecurity" $gateway }}
{{- end }}

{{/*
llm-platform.gateway.reloader: watches the mounted Secrets. The kubelet brings a changed Secret within about a minute.
*/}}
{{- define "llm-platform.gateway.reloader" -}}
{{- $folders := list -}}
{{- range $name, $secret := fromYaml (include "llm-platform.gateway.secretMounts" .) -}}
{{- $folders = append $folders (printf "/etc/llm-gateway/%s" $name) -}}
{{- end -}}
name: reloader
image: {{ include "llm-platform.gateway.image" .image | quote }}
imagePullPolicy: {{ .image.pullPolicy }}
command: {{ toJson (concat (list "sh" "/etc/llm-gateway/config/reload.sh" (int .reload.intervalSeconds | toString)) $folders) }}
resources: {{- include "llm-platform.resources" .reload.resources | nindent 2 }}
{{ include "llm-platform.gateway.containerSecurity" . }}
{{- end }}

{{- define "llm-platform.gateway.containerSecurity" -}}
securityContext:
  allowPrivilegeEscalation: false
  readOnlyRootFilesystem: true
  capabilities: {drop: [ALL]}
volumeMounts:
  - {name: config, mountPath: /etc/llm-gateway/config, readOnly: true}
  - {name: run, mountPath: /run/llm-gateway}
  {{- range $name, $secret := fromYaml (include "llm-platform.gateway.secretMounts" .) }}
  - {name: {{ $name }}, mountPath: /etc/llm-gateway/{{ $name }}, readOnly: true}
  {{- end }}
{{- end }}

{{/*
llm-platform.gateway.secretMounts: Secrets by the folder they are mounted at. Keys and certificates never pass through values.
*/}}
{{- define "llm-platform.gateway.secretMounts" -}}
{{- $mounts := dict -}}
{{- if .auth.apiKeys.enabled -}}{{- $_ := set $mounts "keys" (dict "secretName" .auth.apiKeys.secret) -}}{{- end -}}
{{- if .auth.jwt.enabled -}}{{- $_ := set $mounts "jwt" (dict "secretName" .auth.jwt.secret) -}}{{- end -}}
{{- if .auth.clientCertificates.enabled -}}{{- $_ := set $mounts "client-ca" (dict "secretName" .auth.clientCertificates.caSecret) -}}{{- end -}}
{{- with .tls.secret -}}
{{- $_ := set $mounts "tls" (dict "secretName" . "items" (list (dict "key" "tls.crt" "path" "tls.pem") (dict "key" "tls.key" "path" "tls.pem.key"))) -}}
{{- end -}}
{{- if $mounts -}}{{- toYaml $mounts -}}{{- end -}}
{{- end }}
