{{/*
Rules of names that two parts of the platform would both use: Helm checks none of them against another. Inputs of each: the
facts (llm-platform.gateway.facts).
*/}}

{{/*
llm-platform.problems.duplicates: two objects of one kind and name in one namespace. Helm stops half way, or the second takes the
first's place. Said once for the two that make them, however many objects they share.
*/}}
{{- define "llm-platform.problems.duplicates" -}}
{{- $taken := dict }}
{{- $said := dict }}
{{- range $claim := splitList "\n" (include "llm-platform.claims" . | trim) }}
{{- $parts := splitList " " $claim }}
{{- if lt (len $parts) 3 }}{{ continue }}{{ end }}
{{- $object := printf "%s %s" (index $parts 0) (index $parts 1) }}
{{- $path := index $parts 2 }}
{{- $first := get $taken $object }}
{{- $pair := printf "%s %s" $first $path }}
{{- if and $first (gt (len $parts) 3) (not (hasKey $said $pair)) }}
{{- $_ := set $said $pair true }}
{{- include "llm-platform.problem" (list
  (printf "%s and %s both make the %s %s: only one of them can be there." $first $path (index $parts 0) (index $parts 1))
  (printf "Please set %s: %s, or another name that is free." (index $parts 3) (index $parts 4))) }}
{{- end }}
{{- $_ := set $taken $object $path }}
{{- end }}
{{- $extension := .gateway.inferenceExtension }}
{{- if and (include "llm-platform.hasPickers" .root) (ne $extension.provider "envoy-ai-gateway") }}
{{- range $name, $model := .roots }}
{{- if $model.Values.route.enabled }}
{{- include "llm-platform.problem" (list
  (printf "models.%s.route and gateway.type inference-extension both make the HTTPRoute %s/%s: only one of them can be there." $name $model.Release.Namespace (include "vllm-model.fullname" $model))
  (printf "Please set models.%s.route.enabled: false." $name)) }}
{{- end }}
{{- end }}
{{- end }}
{{- end }}

{{/*
llm-platform.claims: what each part of the platform calls its objects, a line each: kind, namespace/name, the path of the part; for a
model also the knob that renames it, and a name. Only names that another part could come by: `llama` has a Service llama-pods,
and so has a model of that name, but both have a PodDisruptionBudget only where they have one Service too. Models come last, for it is
they that can be renamed.
*/}}
{{- define "llm-platform.claims" -}}
{{- $root := .root -}}
{{- $space := $root.Release.Namespace -}}
{{- $monitored := include "llm-platform.monitored" $root -}}
{{- if eq (include "llm-platform.gateway.isHaproxy" $root) "true" }}
{{- $name := include "llm-platform.gateway.name" $root }}
{{- range $kind := list "Service" "Deployment" "NetworkPolicy" }}
{{ $kind }} {{ $space }}/{{ $name }} gateway
{{- end }}
Service {{ $space }}/{{ include "llm-platform.gateway.internalName" $root }} gateway
{{- end }}
{{- if and $monitored $root.Values.monitoring.rules.enabled }}
PrometheusRule {{ $space }}/{{ include "llm-platform.name" $root }} monitoring.rules
{{- end }}
{{- range $name, $tenant := .tenants }}
{{- $path := printf "tenants.%s" $name }}
{{- if and $tenant.namespace.create $tenant.serviceAccount.create }}
ServiceAccount {{ $tenant.namespace.name }}/{{ $tenant.serviceAccount.name }} {{ $path }}
{{- end }}
{{- if and $tenant.namespace.create $tenant.networkPolicy.enabled }}
NetworkPolicy {{ $tenant.namespace.name }}/tenant {{ $path }}
{{- end }}
{{- if and $tenant.namespace.create $tenant.quota }}
ResourceQuota {{ $tenant.namespace.name }}/tenant {{ $path }}
{{- end }}
{{- end }}
{{- $picked := include "llm-platform.hasPickers" $root }}
{{- range $name, $model := .roots }}
{{- include "llm-platform.modelClaims" (dict "name" $name "model" $model "picked" $picked) }}
{{- end }}
{{- end }}

{{/*
llm-platform.modelClaims: the same of one model. Inputs: dict "name" its entry, "model" its root, "picked" whether it has an
endpoint picker.
*/}}
{{- define "llm-platform.modelClaims" -}}
{{- $values := .model.Values }}
{{- $name := include "vllm-model.fullname" .model }}
{{- $rules := $values.monitoring.rules.enabled }}
{{- $policies := $values.networkPolicy.enabled }}
{{- $objects := list (list "Service" $name) (list "Deployment" $name) }}
{{- if $values.service.headless }}{{ $objects = append $objects (list "Service" (include "vllm-model.headlessName" .model)) }}{{ end }}
{{- if include "vllm-model.hasCanaryServices" .model }}
{{- $objects = append $objects (list "Service" (include "vllm-model.stableName" .model)) }}
{{- $objects = append $objects (list "Service" (include "vllm-model.canaryName" .model)) }}
{{- end }}
{{- if $policies }}{{ $objects = append $objects (list "NetworkPolicy" $name) }}{{ end }}
{{- if and $policies $values.test.enabled }}{{ $objects = append $objects (list "NetworkPolicy" (printf "%s-test" $name)) }}{{ end }}
{{- if and $policies (eq (include "vllm-model.downloader" .model) "job") }}
{{- $objects = append $objects (list "NetworkPolicy" (printf "%s-download" $name)) }}
{{- end }}
{{- if $rules }}{{ $objects = append $objects (list "PrometheusRule" $name) }}{{ end }}
{{- if $values.resourceQuota.enabled }}{{ $objects = append $objects (list "ResourceQuota" $name) }}{{ end }}
{{- if $values.serviceAccount.create }}{{ $objects = append $objects (list "ServiceAccount" (include "vllm-model.serviceAccountName" .model)) }}{{ end }}
{{- if .picked }}
{{- range $kind := list "Service" "Deployment" "ServiceAccount" }}{{ $objects = append $objects (list $kind (printf "%s-epp" $name)) }}{{ end }}
{{- end }}
{{- $free := ternary (printf "%s-model" .name) .name (eq $name .name) }}
{{- range $object := $objects }}
{{- $knob := "fullnameOverride" }}
{{- $other := $free }}
{{- if and (eq (index $object 0) "ServiceAccount") $values.serviceAccount.name }}
{{- $knob = "serviceAccount.name" }}
{{- $other = $name }}
{{- end }}
{{ index $object 0 }} {{ $.model.Release.Namespace }}/{{ index $object 1 }} models.{{ $.name }} models.{{ $.name }}.{{ $knob }} {{ $other }}
{{- end }}
{{- end }}
