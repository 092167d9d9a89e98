{{/*
How one ingress controller is told about long, streamed answers and about limits. Nothing here buffers an answer: a buffered
stream arrives in lumps, or at the end. What a controller cannot do is left out and named by vllm-model.ingressGaps.
*/}}

{{/*
vllm-model.ingressAnnotations: annotations of the Ingress for ingress.controller, as YAML.
  nginx            ingress-nginx (retired in March 2026). Silence between two reads; buffering off.
  traefik          its timeouts are the entry point's and allow streams by default; limits are Middlewares of this release.
                   The buffering Middleware, the only one with a body size, also buffers the answer: never used.
  haproxy          haproxytech/kubernetes-ingress. Rate limit by client address.
  haproxy-ingress  jcmoraisjr/haproxy-ingress.
  alb              AWS Load Balancer Controller. Its idle timeout is 60 s by default; pods are targets, so a pod that leaves
                   is drained for as long as its streams may last.
  gce              GKE: a BackendConfig of this release, named on the Service.
*/}}
{{- define "vllm-model.ingressAnnotations" -}}
{{- $ingress := .Values.ingress -}}
{{- $seconds := int $ingress.timeoutSeconds -}}
{{- $rate := int $ingress.limits.requestsPerSecond -}}
{{- $connections := int $ingress.limits.connections -}}
{{- if eq $ingress.controller "nginx" }}
nginx.ingress.kubernetes.io/proxy-read-timeout: {{ $seconds | toString | quote }}
nginx.ingress.kubernetes.io/proxy-send-timeout: {{ $seconds | toString | quote }}
nginx.ingress.kubernetes.io/proxy-body-size: {{ int $ingress.maxBodyMiB }}m
nginx.ingress.kubernetes.io/proxy-buffering: "off"
{{- if $rate }}
nginx.ingress.kubernetes.io/limit-rps: {{ $rate | toString | quote }}
{{- end }}
{{- if $connections }}
nginx.ingress.kubernetes.io/limit-connections: {{ $connections | toString | quote }}
{{- end }}
{{- else if eq $ingress.controller "traefik" }}
{{- $middlewares := list }}
{{- range $suffix, $limit := dict "rate" $rate "connections" $connections }}
{{- if $limit }}{{ $middlewares = append $middlewares (printf "%s-%s-%s@kubernetescrd" $.Release.Namespace (include "vllm-model.fullname" $) $suffix) }}{{ end }}
{{- end }}
{{- with $middlewares }}
traefik.ingress.kubernetes.io/router.middlewares: {{ join "," . }}
{{- end }}
{{- else if eq $ingress.controller "haproxy" }}
haproxy.org/timeout-server: {{ $seconds }}s
{{- if $rate }}
haproxy.org/rate-limit-requests: {{ $rate | toString | quote }}
haproxy.org/rate-limit-period: 1s
haproxy.org/rate-limit-status-code: "429"
{{- end }}
{{- else if eq $ingress.controller "haproxy-ingress" }}
haproxy-ingress.github.io/timeout-server: {{ $seconds }}s
haproxy-ingress.github.io/timeout-client: {{ $seconds }}s
haproxy-ingress.github.io/proxy-body-size: {{ int $ingress.maxBodyMiB }}m
{{- if $rate }}
haproxy-ingress.github.io/limit-rps: {{ $rate | toString | quote }}
{{- end }}
{{- if $connections }}
haproxy-ingress.github.io/limit-connections: {{ $connections | toString | quote }}
{{- end }}
{{- else if eq $ingress.controller "alb" }}
alb.ingress.kubernetes.io/target-type: ip
alb.ingress.kubernetes.io/healthcheck-path: /health
alb.ingress.kubernetes.io/load-balancer-attributes: idle_timeout.timeout_seconds={{ $seconds }}
alb.ingress.kubernetes.io/target-group-attributes: load_balancing.algorithm.type=least_outstanding_requests,deregistration_delay.timeout_seconds={{ (fromJson (include "vllm-model.shutdown" .)).graceSeconds }}
{{- end }}
{{- end }}

{{/*
vllm-model.ingressGaps: what ingress.controller cannot do of what the values ask, in one sentence, or nothing.
*/}}
{{- define "vllm-model.ingressGaps" -}}
{{- get (dict
  "none" "ingress.controller is none: timeouts, body size and limits are those of your controller (many cut a stream after 60 s)."
  "nginx" "ingress-nginx is retired since March 2026 and gets no security fixes; route.enabled (Gateway API) is the way on."
  "traefik" "Traefik is given no body size (its buffering Middleware would buffer the stream); the engine refuses bodies over 32 MiB."
  "haproxy" "haproxytech's controller has no annotation for body size and connections of a client; set them in its ConfigMap."
  "alb" "An ALB limits neither rate nor body size: put AWS WAF before it. Its addresses must be let in: networkPolicy.ingress.from."
  "gce" "A Google load balancer limits rates by Cloud Armor only. Let its addresses in (networkPolicy.ingress.from): 35.191.0.0/16, 130.211.0.0/22."
) .Values.ingress.controller -}}
{{- end }}

{{/*
vllm-model.ingress-rate-limit: Traefik's limit of requests a second of one client.
*/}}
{{- define "vllm-model.ingress-rate-limit" -}}
{{- $rate := int .Values.ingress.limits.requestsPerSecond -}}
{{- if and .Values.ingress.enabled (eq .Values.ingress.controller "traefik") $rate -}}
apiVersion: traefik.io/v1alpha1
kind: Middleware
metadata: {{- include "vllm-model.metadata" (dict "root" . "name" (printf "%s-rate" (include "vllm-model.fullname" .))) | nindent 2 }}
spec:
  rateLimit: {average: {{ $rate }}, period: 1s, burst: {{ $rate }}}
{{- end -}}
{{- end }}

{{/*
vllm-model.ingress-connection-limit: Traefik's limit of requests in flight of one client.
*/}}
{{- define "vllm-model.ingress-connection-limit" -}}
{{- $connections := int .Values.ingress.limits.connections -}}
{{- if and .Values.ingress.enabled (eq .Values.ingress.controller "traefik") $connections -}}
apiVersion: traefik.io/v1alpha1
kind: Middleware
metadata: {{- include "vllm-model.metadata" (dict "root" . "name" (printf "%s-connections" (include "vllm-model.fullname" .))) | nindent 2 }}
spec:
  inFlightReq:
    amount: {{ $connections }}
    sourceCriterion: {ipStrategy: {depth: 0}}
{{- end -}}
{{- end }}

{{/*
vllm-model.ingress-backend-config: Google's load balancer. Its backend timeout of 30 s counts the whole answer.
*/}}
{{- define "vllm-model.ingress-backend-config" -}}
{{- if and .Values.ingress.enabled (eq .Values.ingress.controller "gce") -}}
apiVersion: cloud.google.com/v1
kind: BackendConfig
metadata: {{- include "vllm-model.metadata" (dict "root" .) | nindent 2 }}
spec:
  timeoutSec: {{ int .Values.ingress.timeoutSeconds }}
  connectionDraining: {drainingTimeoutSec: {{ (fromJson (include "vllm-model.shutdown" .)).graceSeconds }}}
  healthCheck: {type: {{ include "vllm-model.scheme" . | upper }}, requestPath: /health, port: {{ int .Values.engine.port }}}
{{- end -}}
{{- end }}
