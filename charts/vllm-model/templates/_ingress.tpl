{{/*
vllm-model.ingress: the paths of the API from outside, and no other: the engine's own key leaves /invocations, /tokenize and
/score open. Timeouts, body size and limits are annotations of the controller (_ingress-controllers.tpl); the user's win.
*/}}
{{- define "vllm-model.ingress" -}}
{{- $ingress := .Values.ingress -}}
{{- if $ingress.enabled -}}
{{- $service := dict "name" (include "vllm-model.fullname" .) "port" (dict "name" "http") -}}
{{- $tls := dict -}}
{{- if eq (include "vllm-model.scheme" .) "https" -}}{{- $tls = fromYaml (include "vllm-model.tlsOfIngress" $ingress.controller) -}}{{- end -}}
{{- $paths := list -}}
{{- range $ingress.paths -}}
{{- $paths = append $paths (dict "path" . "pathType" (ternary "Prefix" "Exact" (hasSuffix "/" .)) "backend" (dict "service" $service)) -}}
{{- end -}}
apiVersion: networking.k8s.io/v1
kind: Ingress
metadata: {{- include "vllm-model.metadata" (dict "root" . "annotations" (merge (dict) ($ingress.annotations | default dict) (fromYaml (include "vllm-model.ingressAnnotations" .)) $tls)) | nindent 2 }}
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
    {{- range $ingress.hosts }}
    - host: {{ . | quote }}
      http:
        paths: {{- toYaml $paths | nindent 10 }}
    {{- end }}
{{- end -}}
{{- end }}
