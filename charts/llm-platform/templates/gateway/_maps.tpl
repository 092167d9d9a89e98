{{/*
Tables that HAProxy looks things up in; each is a file beside haproxy.cfg. One lookup costs the same for one model and
for a hundred, where a rule a model would not.
*/}}

{{/*
llm-platform.gateway.maps: the files as a YAML map of name -> content.
Inputs: the facts (llm-platform.gateway.facts).
*/}}
{{- define "llm-platform.gateway.maps" -}}
names.map: |
  # Name in a body -> route.
  {{- range $name, $route := .routes.names }}
  {{ $name }} {{ $route }}
  {{- end }}
routes.map: |
  # Name in the path or the header -> route: names as above, and the models' own.
  {{- range $name, $route := .routes.names }}
  {{ $name }} {{ $route }}
  {{- end }}
  {{- range $backend := .backends }}
  {{- if not (hasKey $.routes.names $backend.name) }}
  {{ $backend.name }} {{ $backend.name }}
  {{- end }}
  {{- end }}
serves.map: |
  # Route|name, if it serves that name: path and header must not say one model and the body another.
  {{- range $backend := .backends }}
  {{- range $name := $backend.names }}
  {{ $backend.name }}|{{ $name }} 1
  {{- end }}
  {{- end }}
  {{- range $route, $models := .routes.groups }}
  {{- range $name, $to := $.routes.names }}
  {{- if eq $to $route }}
  {{ $route }}|{{ $name }} 1
  {{- end }}
  {{- end }}
  {{- end }}
access.map: |
  # Tenant|name it may ask for; tenant|@route where it may ask for every name of that route; tenant|* for everything.
  {{- range $tenant, $grant := .grants }}
  {{- if $grant.all }}
  {{ $tenant }}|* 1
  {{- end }}
  {{- range $name := $grant.names }}
  {{ $tenant }}|{{ $name }} 1
  {{- end }}
  {{- range $route := $grant.routes }}
  {{ $tenant }}|@{{ $route }} 1
  {{- end }}
  {{- end }}
tenants.map: |
  {{- range $tenant, $knobs := .tenants }}
  {{ $tenant }} 1
  {{- end }}
clients.map: |
  # Common name of a client's certificate -> tenant.
  {{- range $tenant, $knobs := .tenants }}
  {{- range $name := $knobs.clientCertificates }}
  {{ $name }} {{ $tenant }}
  {{- end }}
  {{- end }}
{{- $windows := int .gateway.limits.windowSeconds }}
limit-requests.map: |
  # Requests a window that this pod lets through: the tenant's requests per second x window / pods.
  {{- range $tenant, $knobs := .tenants }}
  {{- with $knobs.limits.requestsPerSecond }}
  {{ $tenant }} {{ include "llm-platform.gateway.share" (dict "root" $.root "number" (mulf . $windows)) }}
  {{- end }}
  {{- end }}
limit-concurrency.map: |
  {{- range $tenant, $knobs := .tenants }}
  {{- with $knobs.limits.concurrentRequests }}
  {{ $tenant }} {{ include "llm-platform.gateway.share" (dict "root" $.root "number" .) }}
  {{- end }}
  {{- end }}
limit-tokens.map: |
  # Estimated tokens a minute.
  {{- range $tenant, $knobs := .tenants }}
  {{- with $knobs.limits.tokensPerMinute }}
  {{ $tenant }} {{ include "llm-platform.gateway.share" (dict "root" $.root "number" .) }}
  {{- end }}
  {{- end }}
{{- end }}
