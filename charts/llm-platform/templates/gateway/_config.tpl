{{/*
The configuration of HAProxy. It runs on 2.8 and on every 3.x; what only a newer one knows stands in `.if` blocks.
One concern a file: this one puts them together.
*/}}

{{/*
llm-platform.gateway.facts: everything that the configuration is made from, as a dict in `into`; computed once a render.
Inputs: dict "root" the umbrella's root, "into" an empty dict.
*/}}
{{- define "llm-platform.gateway.facts" -}}
{{- if not (hasKey .root "gatewayFacts") -}}
{{- $facts := dict -}}
{{- include "llm-platform.gateway.computeFacts" (dict "root" .root "into" $facts) -}}
{{- $_ := set .root "gatewayFacts" $facts -}}
{{- end -}}
{{- range $key, $value := .root.gatewayFacts -}}{{- $_ := set $.into $key $value -}}{{- end -}}
{{- end }}

{{- define "llm-platform.gateway.computeFacts" -}}
{{- $roots := dict -}}
{{- include "llm-platform.roots" (dict "root" .root "into" $roots) -}}
{{- $backends := fromJsonArray (include "llm-platform.gateway.backends" (dict "root" .root "roots" $roots)) -}}
{{- $routes := fromJson (include "llm-platform.gateway.routes" $backends) -}}
{{- $tenants := fromYaml (include "llm-platform.tenants" .root) -}}
{{- $grants := fromYaml (include "llm-platform.grants" (dict "tenants" $tenants "backends" $backends "routes" $routes)) -}}
{{- $limits := dict -}}
{{- range $tenant := $tenants -}}
{{- range $limit, $value := $tenant.limits -}}{{- if $value -}}{{- $_ := set $limits $limit true -}}{{- end -}}{{- end -}}
{{- end -}}
{{- range $key, $value := dict
  "root" .root "roots" $roots "gateway" .root.Values.gateway "backends" $backends "routes" $routes
  "tenants" $tenants "grants" $grants "limits" $limits -}}
{{- $_ := set $.into $key $value -}}
{{- end -}}
{{- end }}

{{- define "llm-platform.gateway.config" -}}
{{ include "llm-platform.gateway.config.global" . }}

{{ include "llm-platform.gateway.config.defaults" . }}

frontend api
{{ include "llm-platform.gateway.config.bind" . | indent 4 }}
{{ include "llm-platform.gateway.config.request" . | indent 4 }}
{{ include "llm-platform.gateway.config.auth" . | indent 4 }}
{{ include "llm-platform.gateway.config.model" . | indent 4 }}
{{ include "llm-platform.gateway.config.limits" . | indent 4 }}
{{ include "llm-platform.gateway.config.choice" . | indent 4 }}

{{ include "llm-platform.gateway.config.catalog" . }}

{{ include "llm-platform.gateway.config.internal" . }}

{{ include "llm-platform.gateway.config.counters" . }}
{{- range $backend := .backends }}

{{ include "llm-platform.gateway.config.backend" (dict "facts" $ "backend" $backend) }}
{{- end }}
{{ end }}

{{/*
llm-platform.gateway.bufferBytes: the buffer that a readable body fits into with its headers (32 KiB at most) and what
the gateway adds to them.
*/}}
{{- define "llm-platform.gateway.bufferBytes" -}}
{{ mul 1024 (add 64 (int .limits.readableBodyKiB)) }}
{{- end }}

{{/*
llm-platform.gateway.configData: the files of the ConfigMap, as a YAML map of name -> content.
*/}}
{{- define "llm-platform.gateway.configData" -}}
haproxy.cfg: | {{- regexReplaceAll "(?m)[ \t]+$" (include "llm-platform.gateway.config" .) "" | nindent 2 }}
{{- range $file := list "model-keys.lua" "server-state.lua" "spans.lua" "reload.sh" "drain.sh" }}
{{ $file }}: | {{- $.root.Files.Get (printf "files/gateway/%s" $file) | nindent 2 }}
{{- end }}
{{ include "llm-platform.gateway.maps" . }}
{{- end }}

{{/*
llm-platform.gateway.assertFits: refuses files that Kubernetes would refuse in the middle of an upgrade.
Inputs: dict "data" the files as YAML, "count" of models.
*/}}
{{- define "llm-platform.gateway.assertFits" -}}
{{- if gt (len .data) 1040000 -}}
{{- fail (printf "\n\nThe gateway's configuration for %d models has %d bytes, and a ConfigMap takes at most 1 MiB (1,048,576).\nPlease serve a part of the models by a second release of this chart, with a gateway of its own.\n" .count (len .data)) -}}
{{- end -}}
{{- end }}
