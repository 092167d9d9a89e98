{{/*
Rules of the gateway. Inputs of each: the facts (llm-platform.gateway.facts).
*/}}

{{- define "llm-platform.problems.access" -}}
{{- $auth := .gateway.auth }}
{{- if not (or $auth.apiKeys.enabled $auth.jwt.enabled $auth.clientCertificates.enabled $auth.anonymousTenant) }}
{{- include "llm-platform.problem" (list
  "gateway.auth has no way in: every request would be 401."
  "Please set gateway.auth.apiKeys.enabled: true, or another way; for everybody without a key: gateway.auth.anonymousTenant: <a tenant>.") }}
{{- end }}
{{- with $auth.anonymousTenant }}
{{- if not (hasKey $.tenants .) }}
{{- include "llm-platform.problem" (list
  (printf "gateway.auth.anonymousTenant is %q, and there is no such tenant: every request without a key would be 401." .)
  (printf "Please set tenants.%s: {models: [\"*\"]}, or name another tenant." .)) }}
{{- end }}
{{- end }}
{{- if and $auth.clientCertificates.enabled (not .gateway.tls.secret) }}
{{- include "llm-platform.problem" (list
  "gateway.auth.clientCertificates needs TLS at the gateway: without it no certificate is ever sent."
  "Please set gateway.tls.secret: <Secret of type kubernetes.io/tls>.") }}
{{- end }}
{{- if and (eq .gateway.type "inference-extension") (not .gateway.inferenceExtension.gatewayRef.name) }}
{{- include "llm-platform.problem" (list
  "gateway.type inference-extension hangs routes on a Gateway of yours, and none is named."
  "Please set gateway.inferenceExtension.gatewayRef: {name: <Gateway>, namespace: <its namespace>}.") }}
{{- end }}
{{- end }}

{{/*
llm-platform.problems.outside: the ways in from outside that would lead nowhere. Where the gateway ends TLS itself, whoever stands
before it must speak TLS to it as well.
*/}}
{{- define "llm-platform.problems.outside" -}}
{{- $ingress := .gateway.ingress }}
{{- $route := .gateway.route }}
{{- if eq (include "llm-platform.gateway.isHaproxy" .root) "true" }}
{{- if and $ingress.enabled (not $ingress.hosts) }}
{{- include "llm-platform.problem" (list
  "gateway.ingress.hosts is empty: an Ingress without a host has no rules, and the API refuses it."
  "Please set gateway.ingress.hosts: [llm.example.com]") }}
{{- end }}
{{- if and $route.enabled (not $route.parentRefs) }}
{{- include "llm-platform.problem" (list
  "gateway.route.parentRefs is empty: an HTTPRoute without a Gateway is attached to nothing."
  "Please set gateway.route.parentRefs: [{name: <Gateway>, namespace: <its namespace>}]") }}
{{- end }}
{{- if and .gateway.tls.secret $route.enabled }}
{{- include "llm-platform.problem" (list
  "gateway.route leads to a gateway that speaks TLS (gateway.tls.secret), and an HTTPRoute sends plain HTTP: every request would fail."
  "Please set gateway.tls.secret: \"\" and let the Gateway end TLS; or set gateway.route.enabled: false and put an HTTPRoute of yours with a BackendTLSPolicy into extraObjects.") }}
{{- end }}
{{- if and .gateway.tls.secret $ingress.enabled (eq $ingress.controller "none") (not $ingress.annotations) (not .gateway.service.annotations) }}
{{- include "llm-platform.problem" (list
  "gateway.ingress leads to a gateway that speaks TLS (gateway.tls.secret), and nothing tells the ingress controller: it sends plain HTTP, and every request would fail."
  "Please set gateway.ingress.controller (nginx, traefik, haproxy, alb, gce), or put what your controller reads into gateway.ingress.annotations or gateway.service.annotations.") }}
{{- end }}
{{- end }}
{{- end }}

{{- define "llm-platform.problems.tracing" -}}
{{- $tracing := .gateway.tracing }}
{{- if and $tracing.endpoint (not $tracing.enabled) }}
{{- include "llm-platform.problem" (list
  "gateway.tracing.endpoint is set, and gateway.tracing.enabled is false: no span would be sent."
  "Please set gateway.tracing.enabled: true, or take the endpoint away.") }}
{{- end }}
{{- if regexMatch ":4317(/|$)" ($tracing.endpoint | default "") }}
{{- include "llm-platform.problem" (list
  (printf "gateway.tracing.endpoint is %s, and 4317 is the port of OTLP over gRPC: the gateway sends OTLP over HTTP." $tracing.endpoint)
  (printf "Please set gateway.tracing.endpoint: %s" (replace ":4317" ":4318" $tracing.endpoint))) }}
{{- end }}
{{- end }}

{{- define "llm-platform.problems.encryption" -}}
{{- if eq (include "llm-platform.gateway.isHaproxy" .root) "true" }}
{{- range $name, $model := .roots }}
{{- if eq (include "vllm-model.scheme" $model) "https" }}
{{- include "llm-platform.problem" (list
  (printf "models.%s.engine.flags.sslKeyfile makes the engine speak TLS, and the gateway speaks plain HTTP to the pods: every request would fail." $name)
  (printf "Please take models.%s.engine.flags.sslKeyfile and sslCertfile away, and end TLS at the gateway: gateway.tls.secret." $name)) }}
{{- end }}
{{- end }}
{{- end }}
{{- end }}

{{- define "llm-platform.problems.capacity" -}}
{{- $gateway := .gateway }}
{{- $needed := div (mul 2 (include "llm-platform.gateway.bufferBytes" $gateway | int) (int $gateway.maxConnections)) 1048576 }}
{{- $limit := include "llm-platform.mebibytes" (dig "limits" "memory" "" $gateway.resources) | int }}
{{- if and $limit (gt (int $needed) $limit) }}
{{- include "llm-platform.problem" (list
  (printf "gateway.resources.limits.memory is %v, and %d connections with two buffers of %d KiB each may take %d MiB: the pod would be killed under load." $gateway.resources.limits.memory (int $gateway.maxConnections) (div (include "llm-platform.gateway.bufferBytes" $gateway | int) 1024) $needed)
  (printf "Please set gateway.resources.limits.memory: %dMi, or lower gateway.maxConnections or gateway.limits.readableBodyKiB." (add 256 $needed))) }}
{{- end }}
{{- if and $gateway.autoscaling.enabled .limits }}
{{- include "llm-platform.problem" (list
  "gateway.autoscaling changes the number of pods, and tenants have limits: each pod counts alone and allows its share of a fixed number."
  "Please set gateway.autoscaling.enabled: false and gateway.replicas to what the peak needs, or take the limits away.") }}
{{- end }}
{{- range $name, $tenant := .tenants }}
{{- range $limit := list "concurrentRequests" "tokensPerMinute" }}
{{- $number := int (get $tenant.limits $limit) }}
{{- if and $number (lt $number (int $gateway.replicas)) }}
{{- include "llm-platform.problem" (list
  (printf "tenants.%s.limits.%s is %d, less than the %d pods of the gateway: each pod allows at least one, so the tenant would get %d." $name $limit $number (int $gateway.replicas) (int $gateway.replicas))
  (printf "Please set tenants.%s.limits.%s: %d or more, or gateway.replicas: %d." $name $limit (int $gateway.replicas) $number)) }}
{{- end }}
{{- end }}
{{- end }}
{{- if eq (include "llm-platform.gateway.isHaproxy" .root) "true" }}
{{- range $name, $model := .roots }}
{{- if and (eq $model.Values.autoscaling.type "keda") (eq (int $model.Values.autoscaling.minReplicas) 0) }}
{{- $budget := include "vllm-model.startupBudgetSeconds" $model | int }}
{{- if lt (int $gateway.hold.seconds) $budget }}
{{- include "llm-platform.problem" (list
  (printf "gateway.hold.seconds is %d, and model %s may take %d s to start: requests that wake it would end in 503 before it is up." (int $gateway.hold.seconds) $name $budget)
  (printf "Please set gateway.hold.seconds: %d, or models.%s.autoscaling.minReplicas: 1." (add 60 $budget) $name)) }}
{{- end }}
{{- end }}
{{- end }}
{{- end }}
{{- end }}

{{/*
llm-platform.mebibytes: a quantity of memory (2Gi, 2560Mi, 2G, bytes) in MiB; nothing for nothing.
*/}}
{{- define "llm-platform.mebibytes" -}}
{{- $number := regexFind "^[0-9.]+" (toString .) | float64 -}}
{{- $unit := regexFind "[A-Za-z]+$" (toString .) -}}
{{- $factors := dict "" 1 "k" 1000 "Ki" 1024 "M" 1000000 "Mi" 1048576 "G" 1000000000 "Gi" 1073741824 "T" 1000000000000 "Ti" 1099511627776 -}}
{{- divf (mulf $number (get $factors $unit | default 1)) 1048576 | int -}}
{{- end }}
