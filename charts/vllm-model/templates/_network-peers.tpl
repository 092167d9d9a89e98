{{/*
Who and where in the words of a NetworkPolicy: YAML lists of peers or of egress rules.
*/}}

{{/*
vllm-model.callers: who may call the API, as a list of peers: the test, the gateway, named namespaces, Prometheus.
*/}}
{{- define "vllm-model.callers" -}}
{{- if .Values.test.enabled }}
- podSelector:
    matchLabels: {{- include "vllm-model.selectorLabels" . | nindent 6 }}
      vllm-model/role: test
{{- end }}
{{- with .Values.autoscaling.wake.gateway }}
{{- if .service }}
- podSelector: {{- toYaml (ternary (dict "matchLabels" .podLabels) dict (not (empty .podLabels))) | nindent 4 }}
  {{- with .namespace }}
  namespaceSelector: {matchLabels: {kubernetes.io/metadata.name: {{ . | quote }}}}
  {{- end }}
{{- end }}
{{- end }}
{{- range concat (.Values.networkPolicy.ingress.namespaces | default list) (.Values.networkPolicy.ingress.monitoringNamespaces | default list) | uniq }}
- namespaceSelector: {matchLabels: {kubernetes.io/metadata.name: {{ . | quote }}}}
{{- end }}
{{- end }}

{{/*
vllm-model.egressDns: the cluster's DNS by its pods, and NodeLocal DNSCache by its address: it runs in the node's network, where
no selector of pods finds it.
*/}}
{{- define "vllm-model.egressDns" -}}
{{- $dns := .Values.networkPolicy.egress.dns -}}
- to:
    - namespaceSelector: {matchLabels: {kubernetes.io/metadata.name: {{ $dns.namespace | quote }}}}
      podSelector: {matchLabels: {{ toJson $dns.podLabels }}}
    - ipBlock: {cidr: 169.254.20.10/32}
  ports:
    - {port: 53, protocol: UDP}
    - {port: 53, protocol: TCP}
{{- end }}

{{/*
vllm-model.engineFetches: "true" where the pod of the engine itself reaches for weights: it downloads, an init container of it
does, or it streams from a bucket. Prefilled weights need no way out.
*/}}
{{- define "vllm-model.engineFetches" -}}
{{- $downloader := include "vllm-model.downloader" . -}}
{{- $streams := and (eq $downloader "none") (has .Values.weights.source (list "s3" "gcs")) -}}
{{- if or $streams (has $downloader (list "engine" "initContainer")) -}}true{{- end -}}
{{- end }}

{{/*
vllm-model.egressWeights: the way to the source of the weights. Public stores by 443 to all but private and link-local addresses: their
names resolve to whole clouds. A store of one's own by its endpoint. The cloud's identity endpoint only where no Secret has the keys.
*/}}
{{- define "vllm-model.egressWeights" -}}
{{- $weights := .Values.weights -}}
{{- $endpoint := ternary $weights.huggingface.endpoint $weights.s3.endpoint (eq $weights.source "huggingface") -}}
{{- if and $endpoint (ne $weights.source "gcs") }}
{{ include "vllm-model.egressEndpoint" (dict "root" . "url" $endpoint "namespace" "") }}
{{- else }}
- to:
    - ipBlock: {cidr: 0.0.0.0/0, except: [10.0.0.0/8, 100.64.0.0/10, 169.254.0.0/16, 172.16.0.0/12, 192.168.0.0/16]}
    - ipBlock: {cidr: "::/0", except: ["fc00::/7", "fe80::/10"]}
  ports:
    - {port: 443, protocol: TCP}
{{- end }}
{{- if and (eq $weights.source "s3") (not $weights.s3.credentialsSecret) }}
# Instance metadata and EKS Pod Identity.
- to:
    - ipBlock: {cidr: 169.254.169.254/32}
    - ipBlock: {cidr: 169.254.170.23/32}
    - ipBlock: {cidr: "fd00:ec2::23/128"}
  ports:
    - {port: 80, protocol: TCP}
{{- else if and (eq $weights.source "gcs") (not $weights.gcs.credentialsSecret) }}
# GKE's metadata server, and where it listens on nodes without Dataplane V2.
- to:
    - ipBlock: {cidr: 169.254.169.254/32}
  ports:
    - {port: 80, protocol: TCP}
- to:
    - ipBlock: {cidr: 169.254.169.252/32}
  ports:
    - {port: 988, protocol: TCP}
{{- end }}
{{- end }}

{{/*
vllm-model.egressTraces: the OTLP collector.
*/}}
{{- define "vllm-model.egressTraces" -}}
{{- with .Values.tracing.endpoint -}}
{{ include "vllm-model.egressEndpoint" (dict "root" $ "url" . "namespace" $.Values.tracing.namespace) }}
{{- end -}}
{{- end }}

{{/*
vllm-model.egressEndpoint: one rule for a URL. <service> is in the release's namespace, <service>.<namespace>.svc... in that one, on the
URL's port (where a Service's pods listen on another, add networkPolicy.egress.rules). Any other name: every address but link-local.
Inputs: dict "root" the root, "url", "namespace" (empty: read from the URL).
*/}}
{{- define "vllm-model.egressEndpoint" -}}
{{- $address := regexReplaceAll "^[a-zA-Z0-9+.-]+://" .url "" | splitList "/" | first -}}
{{- $host := regexReplaceAll ":[0-9]+$" $address "" -}}
{{- $port := regexFind "[0-9]+$" (regexFind ":[0-9]+$" $address) | default (ternary "443" "80" (hasPrefix "https" .url)) -}}
{{- $labels := splitList "." $host -}}
{{- $inCluster := and (ge (len $labels) 3) (eq (index (concat $labels (list "" "" "")) 2) "svc") -}}
- to:
    {{- if or .namespace $inCluster }}
    - namespaceSelector: {matchLabels: {kubernetes.io/metadata.name: {{ .namespace | default (index (append $labels "") 1) | quote }}}}
    {{- else if eq (len $labels) 1 }}
    - podSelector: {}
    {{- else }}
    {{- if eq (len $labels) 2 }}
    - namespaceSelector: {matchLabels: {kubernetes.io/metadata.name: {{ index $labels 1 | quote }}}}
    {{- end }}
    - ipBlock: {cidr: 0.0.0.0/0, except: [169.254.0.0/16]}
    - ipBlock: {cidr: "::/0", except: ["fe80::/10"]}
    {{- end }}
  ports:
    - {port: {{ $port }}, protocol: TCP}
{{- end }}
