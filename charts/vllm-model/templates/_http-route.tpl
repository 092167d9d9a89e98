{{/*
vllm-model.http-route: the same paths through a Gateway of the Gateway API. A rule holds at most eight matches and a route
sixteen rules, so paths go into rules of eight. timeouts.request counts the whole answer, a stream to its last token, unlike the
silence that most Ingress controllers count.
*/}}
{{- define "vllm-model.http-route" -}}
{{- $route := .Values.route -}}
{{- if $route.enabled -}}
{{- $matches := list -}}
{{- range $route.paths -}}
{{- $path := ternary (dict "type" "PathPrefix" "value" (trimSuffix "/" .)) (dict "type" "Exact" "value" .) (hasSuffix "/" .) -}}
{{- $matches = append $matches (dict "path" $path) -}}
{{- end -}}
apiVersion: gateway.networking.k8s.io/v1
kind: HTTPRoute
metadata: {{- include "vllm-model.metadata" (dict "root" . "annotations" $route.annotations) | nindent 2 }}
spec:
  parentRefs: {{- toYaml $route.parentRefs | nindent 4 }}
  {{- with $route.hostnames }}
  hostnames: {{- toYaml . | nindent 4 }}
  {{- end }}
  rules:
    {{- range chunk 8 $matches }}
    - matches: {{- toYaml . | nindent 8 }}
      timeouts: {request: {{ int $route.timeoutSeconds }}s}
      backendRefs:
        - {name: {{ include "vllm-model.fullname" $ | quote }}, port: {{ int $.Values.service.port }}}
    {{- end }}
{{- end -}}
{{- end }}
