{{/*
The two containers of a gateway pod, and what they mount.
*/}}

{{/*
llm-platform.gateway.container: HAProxy in master-worker mode, so that it can reload.
*/}}
{{- define "llm-platform.gateway.container" -}}
{{- $gateway := .gateway -}}
name: haproxy
image: {{ include "vllm-model.image" (dict "root" .root "image" $gateway.image) | quote }}
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
  # A new pod asks DNS once a second which pods there are; until then it would refuse what it gets.
  initialDelaySeconds: 3
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
{{- $gateway := .gateway -}}
{{- $folders := list -}}
{{- range $name, $secret := fromYaml (include "llm-platform.gateway.secretMounts" $gateway) -}}
{{- $folders = append $folders (printf "/etc/llm-gateway/%s" $name) -}}
{{- end -}}
name: reloader
image: {{ include "vllm-model.image" (dict "root" .root "image" $gateway.image) | quote }}
imagePullPolicy: {{ $gateway.image.pullPolicy }}
command: {{ toJson (concat (list "sh" "/etc/llm-gateway/config/reload.sh" (int $gateway.reload.intervalSeconds | toString)) $folders) }}
resources: {{- include "llm-platform.resources" $gateway.reload.resources | nindent 2 }}
{{ include "llm-platform.gateway.containerSecurity" $gateway }}
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
