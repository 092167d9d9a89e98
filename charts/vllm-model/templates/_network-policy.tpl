{{/*
Three policies, one for each kind of pod: the engine's, the download Job's, the test's. Each names both directions, so what is not
listed is denied. NetworkPolicy knows no host names: see _network-peers.tpl for how "the hub" and "the bucket" are written.
*/}}

{{/*
vllm-model.network-policy: the pods of the engine. In come callers and Prometheus, on the API's port only, and the peers of
a group on all ports (NCCL and the rendezvous choose their own). Out goes what the engine needs to start, and traces.
The kubelet's probes come from the node and pass; so does `kubectl port-forward`.
*/}}
{{- define "vllm-model.network-policy" -}}
{{- if .Values.networkPolicy.enabled -}}
{{- $rules := .Values.networkPolicy -}}
{{- $group := gt (int .Values.parallelism.nodes) 1 -}}
{{- $roles := list (dict "key" "vllm-model/role" "operator" "In" "values" (list "server" "worker")) -}}
{{- $pods := dict "matchLabels" (fromYaml (include "vllm-model.selectorLabels" .)) "matchExpressions" $roles -}}
{{- $peers := list (dict "podSelector" $pods) -}}
{{- $ingress := list -}}
{{- with concat (fromYamlArray (include "vllm-model.callers" .)) ($rules.ingress.from | default list) -}}
{{- $ingress = append $ingress (dict "from" . "ports" (list (dict "port" (int $.Values.engine.port) "protocol" "TCP"))) -}}
{{- end -}}
{{- $egress := concat (fromYamlArray (include "vllm-model.egressDns" .)) (fromYamlArray (include "vllm-model.egressTraces" .)) ($rules.egress.rules | default list) -}}
{{- if include "vllm-model.engineFetches" . -}}
{{- $egress = concat $egress (fromYamlArray (include "vllm-model.egressWeights" .)) -}}
{{- end -}}
{{- if $group -}}
{{- $ingress = append $ingress (dict "from" $peers) -}}
{{- $egress = append $egress (dict "to" $peers) -}}
{{- end -}}
{{- toJson (dict
  "apiVersion" "networking.k8s.io/v1"
  "kind" "NetworkPolicy"
  "metadata" (fromYaml (include "vllm-model.metadata" (dict "root" .)))
  "spec" (dict "podSelector" $pods "policyTypes" (list "Ingress" "Egress") "ingress" $ingress "egress" $egress)) -}}
{{- end -}}
{{- end }}

{{/*
vllm-model.network-policy-download: the Job that brings the weights: nobody calls it, and it reaches the source alone.
*/}}
{{- define "vllm-model.network-policy-download" -}}
{{- if and .Values.networkPolicy.enabled (eq (include "vllm-model.downloader" .) "job") -}}
apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata: {{- include "vllm-model.metadata" (dict "root" . "name" (printf "%s-download" (include "vllm-model.fullname" .))) | nindent 2 }}
spec:
  podSelector:
    matchLabels: {{- include "vllm-model.selectorLabels" . | nindent 6 }}
      vllm-model/role: download
  policyTypes: [Ingress, Egress]
  ingress: []
  egress: {{- toYaml (concat (fromYamlArray (include "vllm-model.egressDns" .)) (fromYamlArray (include "vllm-model.egressWeights" .)) (.Values.networkPolicy.egress.rules | default list)) | nindent 4 }}
{{- end -}}
{{- end }}

{{/*
vllm-model.network-policy-test: the pod of `helm test` reaches the API of this model and DNS.
*/}}
{{- define "vllm-model.network-policy-test" -}}
{{- if and .Values.networkPolicy.enabled .Values.test.enabled -}}
apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata: {{- include "vllm-model.metadata" (dict "root" . "name" (printf "%s-test" (include "vllm-model.fullname" .))) | nindent 2 }}
spec:
  podSelector:
    matchLabels: {{- include "vllm-model.selectorLabels" . | nindent 6 }}
      vllm-model/role: test
  policyTypes: [Ingress, Egress]
  ingress: []
  egress:
    {{- include "vllm-model.egressDns" . | nindent 4 }}
    - to:
        - podSelector:
            matchLabels: {{- include "vllm-model.servingLabels" . | nindent 14 }}
      ports:
        - {port: {{ int .Values.engine.port }}, protocol: TCP}
{{- end -}}
{{- end }}
