{{/*
How the pods of a model are reached inside the cluster. Both Services select the serving pods only: in a group of pods the
leader answers for all.
*/}}

{{/*
vllm-model.scheme: https where the engine itself ends TLS, else http. The key may stand in the file of the certificate.
*/}}
{{- define "vllm-model.scheme" -}}
{{- $flags := .Values.engine.flags -}}
{{- ternary "https" "http" (not (empty (or $flags.sslKeyfile $flags.sslCertfile))) -}}
{{- end }}

{{/*
vllm-model.service: the address that clients, the gateway's hold and `helm test` use.
Its port may differ from the engine's; it goes to the pods' port by name. On GKE it carries the name of the BackendConfig that
an Ingress of controller gce needs.
*/}}
{{- define "vllm-model.service" -}}
{{- $annotations := merge (dict) (.Values.service.annotations | default dict) -}}
{{- if and .Values.ingress.enabled (eq .Values.ingress.controller "gce") -}}
{{- $backend := dict "cloud.google.com/backend-config" (dict "default" (include "vllm-model.fullname" .) | toJson) "cloud.google.com/neg" `{"ingress":true}` -}}
{{- $annotations = merge $annotations $backend -}}
{{- end -}}
{{- if and .Values.ingress.enabled (eq (include "vllm-model.scheme" .) "https") -}}
{{- $tls := dict "controller" .Values.ingress.controller "namespace" .Release.Namespace "name" (include "vllm-model.fullname" .) "port" "http" -}}
{{- $annotations = merge $annotations (fromYaml (include "vllm-model.tlsOfService" $tls)) -}}
{{- end -}}
apiVersion: v1
kind: Service
metadata: {{- include "vllm-model.metadata" (dict "root" . "annotations" $annotations) | nindent 2 }}
spec:
  type: {{ .Values.service.type }}
  selector: {{- include "vllm-model.servingLabels" . | nindent 4 }}
  ports:
    - {name: http, port: {{ int .Values.service.port }}, targetPort: http, protocol: TCP, appProtocol: {{ include "vllm-model.scheme" . }}}
{{- end }}

{{/*
vllm-model.service-headless: one DNS record a ready pod, for gateways that balance over pods by themselves.
publishNotReadyAddresses stays false: a pod that loads for minutes must not be found. No port translation happens behind a
headless name, so the port is the engine's own.
*/}}
{{- define "vllm-model.service-headless" -}}
{{- if .Values.service.headless -}}
apiVersion: v1
kind: Service
metadata: {{- include "vllm-model.metadata" (dict "root" . "name" (include "vllm-model.headlessName" .)) | nindent 2 }}
spec:
  clusterIP: None
  publishNotReadyAddresses: false
  selector: {{- include "vllm-model.servingLabels" . | nindent 4 }}
  ports:
    - {name: http, port: {{ int .Values.engine.port }}, targetPort: http, protocol: TCP, appProtocol: {{ include "vllm-model.scheme" . }}}
{{- end -}}
{{- end }}
