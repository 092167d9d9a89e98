{{/*
How the gateway is reached, and what it reaches.
*/}}

{{/*
llm-platform.gateway.services: one for clients, one for the scaler. The second is of its own because the first may be a
load balancer, and asks only pods that are ready.
*/}}
{{- define "llm-platform.gateway.services" -}}
{{- $gateway := .Values.gateway -}}
{{- $selector := include "llm-platform.selectorLabels" (dict "root" . "component" "gateway") -}}
apiVersion: v1
kind: Service
metadata: {{- include "llm-platform.metadata" (dict "root" . "component" "gateway" "name" (include "llm-platform.gateway.name" .) "annotations" (include "llm-platform.gateway.serviceAnnotations" . | fromYaml)) | nindent 2 }}
spec:
  type: {{ $gateway.service.type }}
  selector: {{- $selector | nindent 4 }}
  {{- with $gateway.service.loadBalancerSourceRanges }}
  loadBalancerSourceRanges: {{- toYaml . | nindent 4 }}
  {{- end }}
  ports:
    - {name: api, port: {{ int $gateway.service.port }}, targetPort: api}
---
apiVersion: v1
kind: Service
metadata: {{- include "llm-platform.metadata" (dict "root" . "component" "gateway" "name" (include "llm-platform.gateway.internalName" .)) | nindent 2 }}
spec:
  selector: {{- $selector | nindent 4 }}
  ports:
    - {name: demand, port: {{ int $gateway.ports.demand }}, targetPort: demand}
{{- end }}

{{/*
llm-platform.gateway.serviceAnnotations: the user's, and what ingress controllers look for on a Service.
*/}}
{{- define "llm-platform.gateway.serviceAnnotations" -}}
{{- $annotations := deepCopy (.Values.gateway.service.annotations | default dict) -}}
{{- if .Values.gateway.ingress.enabled -}}
{{- if eq .Values.gateway.ingress.controller "gce" -}}
{{- $annotations = merge $annotations (dict
  "cloud.google.com/neg" `{"ingress": true}`
  "cloud.google.com/backend-config" (printf `{"default": "%s"}` (include "llm-platform.gateway.name" .))) -}}
{{- end -}}
{{- if .Values.gateway.tls.secret -}}
{{- $tls := dict "controller" .Values.gateway.ingress.controller "namespace" .Release.Namespace "name" (include "llm-platform.gateway.name" .) "port" "api" -}}
{{- $annotations = merge $annotations (fromYaml (include "vllm-model.tlsOfService" $tls)) -}}
{{- end -}}
{{- end -}}
{{- toYaml $annotations -}}
{{- end }}

{{/*
llm-platform.gateway.networkPolicy: clients reach the API port; KEDA and Prometheus theirs; out go DNS and the models.
*/}}
{{- define "llm-platform.gateway.networkPolicy" -}}
{{- $gateway := .gateway -}}
{{- $policy := $gateway.networkPolicy -}}
{{- $operators := list -}}
{{- range $namespace := append ($policy.namespaces | default list) .root.Release.Namespace | uniq -}}
{{- $operators = append $operators (dict "namespaceSelector" (dict "matchLabels" (dict "kubernetes.io/metadata.name" $namespace))) -}}
{{- end -}}
apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata: {{- include "llm-platform.metadata" (dict "root" .root "component" "gateway" "name" (include "llm-platform.gateway.name" .root)) | nindent 2 }}
spec:
  podSelector:
    matchLabels: {{- include "llm-platform.selectorLabels" (dict "root" .root "component" "gateway") | nindent 6 }}
  policyTypes: [Ingress, Egress]
  ingress:
    - ports:
        - {port: {{ int $gateway.ports.api }}, protocol: TCP}
      {{- with $policy.from }}
      from: {{- toYaml . | nindent 8 }}
      {{- end }}
    - ports:
        - {port: {{ int $gateway.ports.demand }}, protocol: TCP}
        - {port: {{ int $gateway.ports.metrics }}, protocol: TCP}
      from: {{- toYaml $operators | nindent 8 }}
  egress:
    # DNS, also by a cache on the node.
    - ports:
        - {port: 53, protocol: UDP}
        - {port: 53, protocol: TCP}
    {{- range $backend := .backends }}
    - to:
        - namespaceSelector: {matchLabels: {kubernetes.io/metadata.name: {{ $backend.namespace | quote }}}}
          podSelector:
            matchLabels: {{- toYaml $backend.podLabels | nindent 14 }}
      ports:
        - {port: {{ int $backend.podPort }}, protocol: TCP}
    {{- end }}
    {{- if and $gateway.tracing.enabled $gateway.tracing.endpoint }}
    {{- $port := regexFind `:[0-9]+` (regexFind `//[^/]+` $gateway.tracing.endpoint) | trimPrefix ":" }}
    - ports:
        - {port: {{ $port | default (ternary 443 80 (hasPrefix "https:" $gateway.tracing.endpoint)) | int }}, protocol: TCP}
    {{- end }}
    {{- with $policy.egress }}
    {{- toYaml . | nindent 4 }}
    {{- end }}
{{- end }}
