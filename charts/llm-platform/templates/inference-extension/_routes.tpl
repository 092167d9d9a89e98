{{/*
From the Gateway to the pools. Inputs of each: as in _picker.tpl.
*/}}

{{/*
llm-platform.picker.route: requests by the header that carries the model of the body; what writes it is the Gateway's (a payload
processor, a policy). A rule holds at most eight matches.
*/}}
{{- define "llm-platform.picker.route" -}}
{{- $extension := .root.Values.gateway.inferenceExtension -}}
{{- $name := include "vllm-model.fullname" .model -}}
{{- $parent := dict "name" $extension.gatewayRef.name -}}
{{- with $extension.gatewayRef.namespace -}}{{- $_ := set $parent "namespace" . -}}{{- end -}}
{{- $matches := list -}}
{{- range $served := .names -}}
{{- $matches = append $matches (dict "headers" (list (dict "type" "Exact" "name" $extension.modelHeader "value" $served))) -}}
{{- end -}}
{{- $envoy := eq $extension.provider "envoy-ai-gateway" -}}
apiVersion: {{ ternary "aigateway.envoyproxy.io/v1beta1" "gateway.networking.k8s.io/v1" $envoy }}
kind: {{ ternary "AIGatewayRoute" "HTTPRoute" $envoy }}
metadata: {{- include "llm-platform.picker.metadata" (merge (dict "object" $name) .) | nindent 2 }}
spec:
  parentRefs: {{- toYaml (list $parent) | nindent 4 }}
  rules:
    {{- range chunk 8 $matches }}
    - matches: {{- toYaml . | nindent 8 }}
      {{- if ne $extension.provider "gke" }}
      timeouts: {request: {{ $extension.requestTimeout | quote }}}
      {{- end }}
      backendRefs:
        - {group: inference.networking.k8s.io, kind: InferencePool, name: {{ $name | quote }}}
    {{- end }}
{{- end }}

{{/*
llm-platform.picker.provider: what one Gateway needs beside the common objects.
  istio  the picker serves ext-proc with a certificate that it made itself
  gke    health checks and timeout of the load balancer's backend
*/}}
{{- define "llm-platform.picker.provider" -}}
{{- $provider := .root.Values.gateway.inferenceExtension.provider -}}
{{- $name := include "llm-platform.picker.name" . -}}
{{- $pool := include "vllm-model.fullname" .model -}}
{{- if eq $provider "istio" }}
---
apiVersion: networking.istio.io/v1
kind: DestinationRule
metadata: {{- include "llm-platform.picker.metadata" . | nindent 2 }}
spec:
  host: {{ $name }}.{{ .model.Release.Namespace }}.svc.{{ .root.Values.gateway.dns.clusterDomain }}
  trafficPolicy:
    tls: {mode: SIMPLE, insecureSkipVerify: true}
{{- else if eq $provider "gke" }}
---
apiVersion: networking.gke.io/v1
kind: HealthCheckPolicy
metadata: {{- include "llm-platform.picker.metadata" (merge (dict "object" $pool) .) | nindent 2 }}
spec:
  targetRef: {group: inference.networking.k8s.io, kind: InferencePool, name: {{ $pool | quote }}}
  default:
    config:
      type: HTTP
      httpHealthCheck: {requestPath: /health, port: {{ int .model.Values.engine.port }}}
---
apiVersion: networking.gke.io/v1
kind: GCPBackendPolicy
metadata: {{- include "llm-platform.picker.metadata" (merge (dict "object" $pool) .) | nindent 2 }}
spec:
  targetRef: {group: inference.networking.k8s.io, kind: InferencePool, name: {{ $pool | quote }}}
  default:
    timeoutSec: {{ int .root.Values.gateway.timeouts.idleSeconds }}
    logging: {enabled: true}
{{- end }}
{{- end }}
