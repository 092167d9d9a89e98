{{/*
The namespace of a tenant and what guards it. Inputs of each: dict "root", "name" of the tenant, "tenant" its knobs.
*/}}

{{/*
llm-platform.tenant.metadata: metadata of an object of a tenant. Inputs: as above, and "object" its name, "annotations".
*/}}
{{- define "llm-platform.tenant.metadata" -}}
{{ include "llm-platform.metadata" (dict "root" .root "component" "tenant" "name" .object "namespace" .tenant.namespace.name
  "labels" (dict "llm-platform/tenant" .name) "annotations" (.annotations | default dict)) }}
{{- end }}

{{/*
llm-platform.tenant.namespace: kept on uninstall, with the claims and Secrets in it.
*/}}
{{- define "llm-platform.tenant.namespace" -}}
{{- $space := .tenant.namespace -}}
{{- $labels := dict "llm-platform/tenant" .name -}}
{{- range $mode := list "enforce" "audit" "warn" -}}
{{- $_ := set $labels (printf "pod-security.kubernetes.io/%s" $mode) $space.podSecurity -}}
{{- end -}}
apiVersion: v1
kind: Namespace
metadata: {{- include "llm-platform.metadata" (dict "root" .root "component" "tenant" "name" $space.name "namespace" false
  "labels" (merge (dict) $labels ($space.labels | default dict)) "annotations" (merge (dict "helm.sh/resource-policy" "keep") ($space.annotations | default dict))) | nindent 2 }}
{{- end }}

{{- define "llm-platform.tenant.serviceAccount" -}}
apiVersion: v1
kind: ServiceAccount
metadata: {{- include "llm-platform.tenant.metadata" (merge (dict "object" .tenant.serviceAccount.name "annotations" .tenant.serviceAccount.annotations) .) | nindent 2 }}
# Models ask the Kubernetes API for nothing.
automountServiceAccountToken: false
{{- end }}

{{- define "llm-platform.tenant.quota" -}}
apiVersion: v1
kind: ResourceQuota
metadata: {{- include "llm-platform.tenant.metadata" (merge (dict "object" "tenant") .) | nindent 2 }}
spec:
  hard: {{- toYaml .tenant.quota | nindent 4 }}
{{- end }}

{{/*
llm-platform.tenant.limitRange: under a quota of CPU or memory every container must name its requests; this names them for
those that do not. Requests only: a default limit would kill a model that loads.
*/}}
{{- define "llm-platform.tenant.limitRange" -}}
apiVersion: v1
kind: LimitRange
metadata: {{- include "llm-platform.tenant.metadata" (merge (dict "object" "tenant") .) | nindent 2 }}
spec:
  limits:
    - type: Container
      defaultRequest: {{- toYaml .tenant.defaultRequests | nindent 8 }}
{{- end }}

{{/*
llm-platform.tenant.access: who may see, and who may change, what runs in the namespace. A claim is protected by nothing but its
namespace - to mount one needs no right - so the tenant's claims live here.
*/}}
{{- define "llm-platform.tenant.access" -}}
{{- range $role := list "view" "edit" }}
{{- with get $.tenant.access $role }}
---
apiVersion: rbac.authorization.k8s.io/v1
kind: RoleBinding
metadata: {{- include "llm-platform.tenant.metadata" (merge (dict "object" (printf "tenant-%s" $role)) $) | nindent 2 }}
roleRef: {apiGroup: rbac.authorization.k8s.io, kind: ClusterRole, name: {{ $role }}}
subjects:
  {{- range $subject := . }}
  - kind: {{ $subject.kind }}
    name: {{ $subject.name | quote }}
    {{- if eq $subject.kind "ServiceAccount" }}
    namespace: {{ $subject.namespace | default $.tenant.namespace.name | quote }}
    {{- else }}
    apiGroup: rbac.authorization.k8s.io
    {{- end }}
  {{- end }}
{{- end }}
{{- end }}
{{- end }}

{{/*
llm-platform.tenant.networkPolicy: nothing in and nothing out but DNS, for every pod of the namespace. Policies add up: each
model's own policy opens what it needs (the gateway, Prometheus and its test in; the source of its weights out).
*/}}
{{- define "llm-platform.tenant.networkPolicy" -}}
{{- $policy := .tenant.networkPolicy -}}
apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata: {{- include "llm-platform.tenant.metadata" (merge (dict "object" "tenant") .) | nindent 2 }}
spec:
  podSelector: {}
  policyTypes: [Ingress, Egress]
  ingress: {{- toYaml $policy.ingress | nindent 4 }}
  egress:
    - ports:
        - {port: 53, protocol: UDP}
        - {port: 53, protocol: TCP}
      to:
        - namespaceSelector: {matchLabels: {kubernetes.io/metadata.name: kube-system}}
        # A DNS cache in the node's network, where no selector of pods finds it.
        - ipBlock: {cidr: 169.254.20.10/32}
    {{- with $policy.egress }}
    {{- toYaml . | nindent 4 }}
    {{- end }}
{{- end }}
