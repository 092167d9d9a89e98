{{/*
How an ingress controller is told that the gateway speaks TLS itself (gateway.tls.secret). Without it the controller sends plain HTTP
to a TLS port, and every request fails. The certificate is one for clients' names, and controllers reach pods by their
addresses: none of them verifies it.
*/}}

{{/*
llm-platform.gateway.ingressTls: annotations of the Ingress. Inputs: the gateway's values.
*/}}
{{- define "llm-platform.gateway.ingressTls" -}}
{{- if .tls.secret -}}
{{- if eq .ingress.controller "nginx" }}
nginx.ingress.kubernetes.io/backend-protocol: HTTPS
{{- else if eq .ingress.controller "haproxy" }}
haproxy.org/server-ssl: "true"
{{- else if eq .ingress.controller "alb" }}
alb.ingress.kubernetes.io/backend-protocol: HTTPS
alb.ingress.kubernetes.io/healthcheck-protocol: HTTPS
{{- end }}
{{- end -}}
{{- end }}

{{/*
llm-platform.gateway.serviceTls: annotations of the Service, where a controller looks there. Inputs: the umbrella's root.
*/}}
{{- define "llm-platform.gateway.serviceTls" -}}
{{- $gateway := .Values.gateway -}}
{{- if $gateway.tls.secret -}}
{{- if eq $gateway.ingress.controller "traefik" }}
traefik.ingress.kubernetes.io/service.serversscheme: https
traefik.ingress.kubernetes.io/service.serverstransport: {{ .Release.Namespace }}-{{ include "llm-platform.gateway.name" . }}@kubernetescrd
{{- else if eq $gateway.ingress.controller "gce" }}
cloud.google.com/app-protocols: '{"api":"HTTPS"}'
{{- end }}
{{- end -}}
{{- end }}

{{/*
llm-platform.gateway.serversTransport: Traefik verifies by default, against the pod's address, which no certificate has.
*/}}
{{- define "llm-platform.gateway.serversTransport" -}}
{{- if and .Values.gateway.tls.secret (eq .Values.gateway.ingress.controller "traefik") }}
---
apiVersion: traefik.io/v1alpha1
kind: ServersTransport
metadata: {{- include "llm-platform.metadata" (dict "root" . "component" "gateway" "name" (include "llm-platform.gateway.name" .)) | nindent 2 }}
spec:
  insecureSkipVerify: true
{{- end }}
{{- end }}
