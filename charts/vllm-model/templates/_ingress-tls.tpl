{{/*
How an ingress controller is told that what it sends to (an engine with flags.sslCertfile, or the platform's gateway with tls.secret)
speaks TLS itself. Without it the controller sends plain HTTP to a TLS port, and every request fails. The certificate is one for
clients' names, and controllers reach pods by their addresses: none of them verifies it.
*/}}

{{/*
vllm-model.tlsOfIngress: annotations of the Ingress, as YAML. Inputs: the controller.
*/}}
{{- define "vllm-model.tlsOfIngress" -}}
{{- if eq . "nginx" }}
nginx.ingress.kubernetes.io/backend-protocol: HTTPS
{{- else if eq . "haproxy" }}
haproxy.org/server-ssl: "true"
{{- else if eq . "haproxy-ingress" }}
haproxy-ingress.github.io/backend-protocol: h1-ssl
{{- else if eq . "alb" }}
alb.ingress.kubernetes.io/backend-protocol: HTTPS
alb.ingress.kubernetes.io/healthcheck-protocol: HTTPS
{{- end }}
{{- end }}

{{/*
vllm-model.tlsOfService: annotations of the Service, where a controller looks there, as YAML.
Inputs: dict "controller", "namespace", "name" of the ServersTransport, "port" the name of the Service's port.
*/}}
{{- define "vllm-model.tlsOfService" -}}
{{- if eq .controller "traefik" }}
traefik.ingress.kubernetes.io/service.serversscheme: https
traefik.ingress.kubernetes.io/service.serverstransport: {{ .namespace }}-{{ .name }}@kubernetescrd
{{- else if eq .controller "gce" }}
cloud.google.com/app-protocols: '{{ dict .port "HTTPS" | toJson }}'
{{- end }}
{{- end }}

{{/*
vllm-model.serversTransport: Traefik verifies by default, against the pod's address, which no certificate has.
Inputs: the object's metadata as YAML.
*/}}
{{- define "vllm-model.serversTransport" -}}
apiVersion: traefik.io/v1alpha1
kind: ServersTransport
metadata: {{- . | nindent 2 }}
spec:
  insecureSkipVerify: true
{{- end }}

{{/*
vllm-model.ingress-servers-transport: the same for the engine of one model.
*/}}
{{- define "vllm-model.ingress-servers-transport" -}}
{{- if and .Values.ingress.enabled (eq .Values.ingress.controller "traefik") (eq (include "vllm-model.scheme" .) "https") -}}
{{ include "vllm-model.serversTransport" (include "vllm-model.metadata" (dict "root" .)) }}
{{- end -}}
{{- end }}
