{{/*
llm-platform.tenants: every tenant by name, with tenantDefaults under what it says itself. A YAML map.
*/}}
{{- define "llm-platform.tenants" -}}
{{- $root := . -}}
{{- $tenants := dict -}}
{{- range $name, $said := .Values.tenants -}}
{{- $tenant := deepCopy $root.Values.tenantDefaults -}}
{{- include "llm-platform.overlay" (dict "base" $tenant "over" $said) -}}
{{- if not $tenant.namespace.name -}}{{- $_ := set $tenant.namespace "name" $name -}}{{- end -}}
{{- range $key := list "quota" "defaultRequests" -}}
{{- $_ := set $tenant $key (fromJson (include "vllm-model.stated" (index $tenant $key))) -}}
{{- end -}}
{{- $_ := set $tenants $name $tenant -}}
{{- end -}}
{{- toYaml $tenants -}}
{{- end }}

{{/*
llm-platform.grants: what each tenant may ask for, as a YAML map of tenant -> {all, names, routes}:
  all     whether it may ask for everything
  names   served names
  routes  routes all of whose names it may ask for: only there may it send a body that the gateway cannot read
Inputs: dict "tenants" (the map above), "backends" and "routes" (llm-platform.gateway.backends and .routes).
*/}}
{{- define "llm-platform.grants" -}}
{{- $backends := dict -}}
{{- range $backend := .backends -}}{{- $_ := set $backends $backend.name $backend.names -}}{{- end -}}
{{- $serves := deepCopy $backends -}}
{{- range $route, $models := .routes.groups -}}
{{- $names := list -}}
{{- range $model := $models -}}{{- $names = concat $names (get $backends $model) -}}{{- end -}}
{{- $_ := set $serves $route ($names | uniq) -}}
{{- end -}}
{{- $grants := dict -}}
{{- range $tenant, $knobs := .tenants -}}
{{- $names := list -}}
{{- range $asked := $knobs.models -}}
{{- $names = concat $names (ternary (get $backends $asked) (list $asked) (hasKey $backends $asked)) -}}
{{- end -}}
{{- $names = $names | uniq -}}
{{- $whole := list -}}
{{- range $route, $served := $serves -}}
{{- $missing := list -}}
{{- range $name := $served -}}{{- if not (has $name $names) -}}{{- $missing = append $missing $name -}}{{- end -}}{{- end -}}
{{- if not $missing -}}{{- $whole = append $whole $route -}}{{- end -}}
{{- end -}}
{{- $_ := set $grants $tenant (dict "all" (has "*" $knobs.models) "names" (without $names "*") "routes" $whole) -}}
{{- end -}}
{{- toYaml $grants -}}
{{- end }}
