{{/*
Rights of an endpoint picker. Inputs as in _picker.tpl.
*/}}

{{/*
llm-platform.picker.access: the picker reads pods and its pool, and elects a leader where there are several.
*/}}
{{- define "llm-platform.picker.access" -}}
{{- $name := include "llm-platform.picker.name" . -}}
apiVersion: v1
kind: ServiceAccount
metadata: {{- include "llm-platform.picker.metadata" . | nindent 2 }}
---
apiVersion: rbac.authorization.k8s.io/v1
kind: Role
metadata: {{- include "llm-platform.picker.metadata" . | nindent 2 }}
rules:
  - {apiGroups: [""], resources: [pods], verbs: [get, list, watch]}
  - {apiGroups: [inference.networking.k8s.io], resources: [inferencepools], verbs: [get, list, watch]}
  # Both groups: these kinds have moved from one to the other.
  - apiGroups: [llm-d.ai, inference.networking.x-k8s.io]
    resources: [inferenceobjectives, inferencemodelrewrites]
    verbs: [get, list, watch]
  {{- if gt (int .root.Values.gateway.inferenceExtension.endpointPicker.replicas) 1 }}
  - {apiGroups: [coordination.k8s.io], resources: [leases], verbs: [get, list, watch, create, update, patch]}
  - {apiGroups: [""], resources: [events], verbs: [create, patch]}
  {{- end }}
---
apiVersion: rbac.authorization.k8s.io/v1
kind: RoleBinding
metadata: {{- include "llm-platform.picker.metadata" . | nindent 2 }}
roleRef: {apiGroup: rbac.authorization.k8s.io, kind: Role, name: {{ $name }}}
subjects:
  - {kind: ServiceAccount, name: {{ $name }}, namespace: {{ .model.Release.Namespace | quote }}}
{{- end }}
