{{/*
The way in from outside.
*/}}

{{/*
llm-platform.gateway.ingress: everything goes to the gateway; it is the gateway that knows paths, keys and limits.
*/}}
{{- define "llm-platform.gateway.ingress" -}}
{{- $gateway := .Values.gateway -}}
{{- $ingress := $gateway.ingress -}}
{{- $name := include "llm-platform.gateway.name" . -}}
{{- $tls := dict -}}
{{- if $gateway.tls.secret -}}{{- $tls = fromYaml (include "vllm-model.tlsOfIngress" $ingress.controller) -}}{{- end -}}
apiVersion: networking.k8s.io/v1
kind: Ingress
metadata: {{- include "llm-platform.metadata" (dict "root" . "component" "gateway" "name" $name "annotations" (merge (dict) ($ingress.annotations | default dict) (fromYaml (include "llm-platform.gateway.ingressAnnotations" $gateway)) $tls)) | nindent 2 }}
spec:
  {{- with $ingress.className }}
  ingressClassName: {{ . | quote }}
  {{- end }}
  {{- with $ingress.tlsSecret }}
  tls:
    - secretName: {{ . | quote }}
      hosts: {{- toYaml $ingress.hosts | nindent 8 }}
  {{- end }}
  rules:
    {{- range $host := $ingress.hosts }}
    - host: {{ $host | quote }}
      http:
        paths:
          - path: /
            pathType: Prefix
            backend: {service: {name: {{ $name }}, port: {name: api}}}
    {{- end }}
{{- if eq $ingress.controller "gce" }}
---
apiVersion: cloud.google.com/v1
kind: BackendConfig
metadata: {{- include "llm-platform.metadata" (dict "root" . "component" "gateway" "name" $name) | nindent 2 }}
spec:
  timeoutSec: {{ include "llm-platform.gateway.silence" $gateway }}
  connectionDraining: {drainingTimeoutSec: {{ int $gateway.shutdown.drainSeconds }}}
  healthCheck: {type: {{ ternary "HTTPS" "HTTP" (ne ($gateway.tls.secret | default "") "") }}, requestPath: /healthz, port: {{ int $gateway.ports.api }}}
{{- end }}
{{- end }}

{{/*
llm-platform.gateway.silence: the longest that a request may go without a byte: an engine that thinks, or a model that wakes.
*/}}
{{- define "llm-platform.gateway.silence" -}}
{{ max (int .timeouts.idleSeconds) (int .hold.seconds) }}
{{- end }}

{{/*
llm-platform.gateway.ingressAnnotations: timeouts that let a model wake and a stream run, bodies as large as the gateway
takes, and no buffering, in the words of each controller. Traefik's defaults allow both.
*/}}
{{- define "llm-platform.gateway.ingressAnnotations" -}}
{{- $silence := include "llm-platform.gateway.silence" . -}}
{{- $controller := .ingress.controller -}}
{{- if eq $controller "nginx" }}
nginx.ingress.kubernetes.io/proxy-read-timeout: {{ $silence | quote }}
nginx.ingress.kubernetes.io/proxy-send-timeout: {{ $silence | quote }}
nginx.ingress.kubernetes.io/proxy-body-size: {{ int .limits.maxBodyMiB }}m
nginx.ingress.kubernetes.io/proxy-buffering: "off"
nginx.ingress.kubernetes.io/proxy-request-buffering: "off"
{{- else if eq $controller "haproxy" }}
haproxy.org/timeout-server: {{ $silence }}s
{{- else if eq $controller "alb" }}
alb.ingress.kubernetes.io/target-type: ip
alb.ingress.kubernetes.io/healthcheck-path: /healthz
alb.ingress.kubernetes.io/load-balancer-attributes: idle_timeout.timeout_seconds={{ min 4000 (int $silence) }}
alb.ingress.kubernetes.io/target-group-attributes: deregistration_delay.timeout_seconds={{ min 3600 (int .shutdown.drainSeconds) }}
{{- end }}
{{- end }}

{{/*
llm-platform.gateway.route: the same through a Gateway of the Gateway API. No timeout of the request: it would count a whole
stream, to its last token.
*/}}
{{- define "llm-platform.gateway.route" -}}
{{- $route := .Values.gateway.route -}}
apiVersion: gateway.networking.k8s.io/v1
kind: HTTPRoute
metadata: {{- include "llm-platform.metadata" (dict "root" . "component" "gateway" "name" (include "llm-platform.gateway.name" .) "annotations" $route.annotations) | nindent 2 }}
spec:
  parentRefs: {{- toYaml $route.parentRefs | nindent 4 }}
  {{- with $route.hostnames }}
  hostnames: {{- toYaml . | nindent 4 }}
  {{- end }}
  rules:
    - timeouts: {request: 0s}
      backendRefs:
        - {name: {{ include "llm-platform.gateway.name" . }}, port: {{ int .Values.gateway.service.port }}}
{{- end }}
