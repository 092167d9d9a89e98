{{/*
What the platform knows and a model would have to be told otherwise. These are defaults: they fill what is empty after
`vllm-model`, and what an entry says wins over them.
*/}}

{{/*
llm-platform.fillDefaults: the addresses of the platform's own parts, and monitoring where its stack is on.
Inputs: dict "root" the umbrella's root, "values" the model's values (changed in place).
*/}}
{{- define "llm-platform.fillDefaults" -}}
{{- $autoscaling := .values.autoscaling -}}
{{- if and (eq (include "llm-platform.gateway.isHaproxy" .root) "true") (not $autoscaling.wake.gateway.service) -}}
{{- $_ := set $autoscaling.wake "gateway" (dict
  "service" (include "llm-platform.gateway.internalName" .root)
  "namespace" .root.Release.Namespace
  "port" (int .root.Values.gateway.ports.demand)
  "podLabels" (fromYaml (include "llm-platform.selectorLabels" (dict "root" .root "component" "gateway")))) -}}
{{- end -}}
{{- if and (index .root.Values "kube-prometheus-stack").enabled (not $autoscaling.prometheus.serverAddress) -}}
{{- $_ := set $autoscaling.prometheus "serverAddress" (include "llm-platform.prometheusAddress" .root) -}}
{{- end -}}
{{- if include "llm-platform.monitored" .root -}}
{{- range $part := list "podMonitor" "rules" -}}
{{- $_ := set (get $.values.monitoring $part) "enabled" true -}}
{{- end -}}
{{- $scrapers := .values.networkPolicy.ingress.monitoringNamespaces | default list -}}
{{- $_ := set .values.networkPolicy.ingress "monitoringNamespaces" (append $scrapers .root.Release.Namespace | uniq) -}}
{{- end -}}
{{- if include "llm-platform.hasPickers" .root -}}{{- include "llm-platform.letPickersIn" . -}}{{- end -}}
{{- end }}

{{/*
llm-platform.letPickersIn: the endpoint picker, which reads a pod's metrics, and the proxies of the Gateway. Those are in the Gateway's
namespace, Envoy Gateway's in its own. Inputs: as above.
*/}}
{{- define "llm-platform.letPickersIn" -}}
{{- $extension := .root.Values.gateway.inferenceExtension -}}
{{- $ingress := .values.networkPolicy.ingress -}}
{{- $picker := fromYaml (include "llm-platform.selectorLabels" (dict "root" .root "component" "endpoint-picker")) -}}
{{- $_ := set $ingress "from" (append ($ingress.from | default list) (dict "podSelector" (dict "matchLabels" $picker))) -}}
{{- $proxies := list ($extension.gatewayRef.namespace | default .root.Release.Namespace) -}}
{{- if eq $extension.provider "envoy-ai-gateway" -}}{{- $proxies = append $proxies "envoy-gateway-system" -}}{{- end -}}
{{- $_ := set $ingress "namespaces" (concat ($ingress.namespaces | default list) $proxies | uniq) -}}
{{- end }}

{{/*
llm-platform.monitored: "true" where somebody takes up PodMonitors, rules and dashboards.
*/}}
{{- define "llm-platform.monitored" -}}
{{- $stack := (index .Values "kube-prometheus-stack").enabled -}}
{{- if ternary $stack .Values.monitoring.enabled (kindIs "invalid" .Values.monitoring.enabled) -}}true{{- end -}}
{{- end }}

{{/*
llm-platform.fillShutdown: behind a gateway that resolves names, a pod is forgotten when the DNS record has aged: TTL 30 + 5.
Not on nodes whose notice is too short for it; there the model's own default holds, and docs/gateway.md says what is lost.
*/}}
{{- define "llm-platform.fillShutdown" -}}
{{- $shutdown := .values.shutdown -}}
{{- $short := and .values.spot.enabled (lt (int .values.spot.noticeSeconds) 90) -}}
{{- if and (eq (include "llm-platform.gateway.isHaproxy" .root) "true") (kindIs "invalid" $shutdown.endpointSeconds) (not $short) -}}
{{- $_ := set $shutdown "endpointSeconds" (add (int .root.Values.gateway.dns.ttlSeconds) 5) -}}
{{- end -}}
{{- end }}

{{/*
llm-platform.gateway.isHaproxy: the engine that holds requests, counts demand and resolves names itself.
*/}}
{{- define "llm-platform.gateway.isHaproxy" -}}
{{- and .Values.gateway.enabled (eq .Values.gateway.type "haproxy") -}}
{{- end }}

{{/*
llm-platform.prometheusAddress: the Prometheus of this release's stack. The operator keeps a Service of this fixed name in
the namespace of every Prometheus, whatever the stack's own names are.
*/}}
{{- define "llm-platform.prometheusAddress" -}}
http://prometheus-operated.{{ index .Values "kube-prometheus-stack" "namespaceOverride" | default .Release.Namespace }}.svc:9090
{{- end }}

{{/*
llm-platform.brings: API groups whose CRDs come with this release, as a YAML list.
*/}}
{{- define "llm-platform.brings" -}}
{{- $groups := list -}}
{{- if and .Values.keda.enabled (or .Values.keda.crds.install (.Files.Glob "crds/*.yaml")) -}}{{- $groups = append $groups "keda.sh" -}}{{- end -}}
{{- if (index .Values "kube-prometheus-stack").enabled -}}{{- $groups = append $groups "monitoring.coreos.com" -}}{{- end -}}
{{- toYaml $groups -}}
{{- end }}
