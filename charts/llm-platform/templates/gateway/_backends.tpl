{{/*
What the gateway knows of each model, from `models` and gateway.externalModels alike.
*/}}

{{/*
llm-platform.gateway.backends: a JSON list, one entry a model, sorted by name:
  name            entry of `models` or externalModels; names the HAProxy backend
  demand          what the scaler asks for: /demand/<demand>, the name of the model's objects
  names           names that clients may put into `model`
  host, port      headless name of the pods and their port; where there is none, the Service, which balances by itself
  serviceHost, servicePort  a name that always resolves, for requests that wait
  slots           pods there may be at once
  holds           whether requests wait while it has no pod
  concurrency, maxQueue, queueSeconds, balance, weight  see gateway.modelDefaults
  apiKeySecret    Secret (name, key) with the engine's own key, or nothing
  namespace       where the pods are
  podLabels       what selects the pods, for network policies
Inputs: dict "root" the umbrella's root, "roots" the models' roots (llm-platform.roots).
*/}}
{{- define "llm-platform.gateway.backends" -}}
{{- $root := .root -}}
{{- $found := list -}}
{{- range $name, $model := .roots -}}
{{- $own := index $root.Values.models $name -}}
{{- $found = append $found (fromJson (include "llm-platform.gateway.modelBackend" (dict "root" $root "name" $name "model" $model "own" ($own.gateway | default dict)))) -}}
{{- end -}}
{{- range $name, $external := $root.Values.gateway.externalModels -}}
{{- $found = append $found (fromJson (include "llm-platform.gateway.externalBackend" (dict "root" $root "name" $name "external" $external))) -}}
{{- end -}}
{{- toJson $found -}}
{{- end }}

{{- define "llm-platform.gateway.modelBackend" -}}
{{- $values := .model.Values -}}
{{- $scaled := ne $values.autoscaling.type "none" -}}
{{- $domain := printf "%s.svc.%s" .model.Release.Namespace .root.Values.gateway.dns.clusterDomain -}}
{{- $sequences := mul (int ($values.engine.flags.maxNumSeqs | default 256)) (int ($values.parallelism.data | default 1)) -}}
{{- $knobs := fromJson (include "llm-platform.gateway.knobs" (dict "root" .root "own" .own "concurrency" $sequences)) -}}
{{- toJson (merge (dict
  "name" .name
  "demand" (include "vllm-model.fullname" .model)
  "names" (concat ($values.model.servedNames | default (list ($values.model.id | default ""))) (keys (fromJson (include "vllm-model.stated" $values.model.adapters)) | sortAlpha))
  "host" (printf "%s.%s" (ternary (include "vllm-model.headlessName" .model) (include "vllm-model.fullname" .model) $values.service.headless) $domain)
  "port" (int (ternary $values.engine.port $values.service.port $values.service.headless))
  "podPort" (int $values.engine.port)
  "serviceHost" (printf "%s.%s" (include "vllm-model.fullname" .model) $domain)
  "servicePort" (int $values.service.port)
  "slots" (add 2 (int (ternary $values.autoscaling.maxReplicas $values.replicas $scaled)))
  "holds" (and $scaled (eq (int $values.autoscaling.minReplicas) 0))
  "apiKeySecret" (ternary $values.auth.apiKeySecret dict (ne $values.auth.apiKeySecret.name ""))
  "namespace" .model.Release.Namespace
  "podLabels" (fromYaml (include "vllm-model.selectorLabels" .model))) $knobs) -}}
{{- end }}

{{- define "llm-platform.gateway.externalBackend" -}}
{{- $external := .external -}}
{{- $service := $external.service | default .name -}}
{{- $namespace := $external.namespace | default .root.Release.Namespace -}}
{{- $domain := printf "%s.svc.%s" $namespace .root.Values.gateway.dns.clusterDomain -}}
{{- $knobs := fromJson (include "llm-platform.gateway.knobs" (dict "root" .root "own" $external "concurrency" 256)) -}}
{{- toJson (merge (dict
  "name" .name
  "demand" $service
  "names" $external.servedNames
  "host" (printf "%s.%s" ($external.headlessService | default (printf "%s-pods" $service)) $domain)
  "port" (int ($external.port | default 8000))
  "podPort" (int ($external.port | default 8000))
  "serviceHost" (printf "%s.%s" $service $domain)
  "servicePort" (int ($external.servicePort | default $external.port | default 8000))
  "slots" (add 2 (int ($external.maxReplicas | default 4)))
  "holds" ($external.holds | default false)
  "apiKeySecret" ($external.apiKeySecret | default dict)
  "namespace" $namespace
  "podLabels" ($external.podLabels | default (dict "app.kubernetes.io/name" "vllm-model" "app.kubernetes.io/instance" $service))) $knobs) -}}
{{- end }}

{{/*
llm-platform.gateway.knobs: gateway.modelDefaults with what the model itself says on top.
Inputs: dict "root", "own" the model's own knobs, "concurrency" what a replica takes where nobody says.
*/}}
{{- define "llm-platform.gateway.knobs" -}}
{{- $knobs := deepCopy .root.Values.gateway.modelDefaults -}}
{{- include "llm-platform.overlay" (dict "base" $knobs "over" (pick .own "concurrencyPerReplica" "maxQueue" "queueSeconds" "balance" "weight")) -}}
{{- $_ := set $knobs "concurrency" (int ($knobs.concurrencyPerReplica | default .concurrency)) -}}
{{- toJson (omit $knobs "concurrencyPerReplica") -}}
{{- end }}

{{/*
llm-platform.gateway.routes: what a name leads to, as JSON:
  names   served name -> route: the one model that serves it, or a group of those that share it
  groups  route of a group -> its models' names
Inputs: the list of backends.
*/}}
{{- define "llm-platform.gateway.routes" -}}
{{- $servers := dict -}}
{{- range $backend := . -}}
{{- range $name := $backend.names -}}
{{- $_ := set $servers $name (append (get $servers $name | default list) $backend.name) -}}
{{- end -}}
{{- end -}}
{{- $names := dict -}}
{{- $groups := dict -}}
{{- range $name, $models := $servers -}}
{{- if eq (len $models) 1 -}}
{{- $_ := set $names $name (first $models) -}}
{{- else -}}
{{- $route := printf "any-of-%s" (join "-" $models | sha256sum | trunc 8) -}}
{{- $_ := set $names $name $route -}}
{{- $_ := set $groups $route $models -}}
{{- end -}}
{{- end -}}
{{- toJson (dict "names" $names "groups" $groups) -}}
{{- end }}

{{/*
llm-platform.gateway.share: a tenant's or server's number divided by the gateway's pods, rounded up: each pod counts
alone. Inputs: dict "root", "number".
*/}}
{{- define "llm-platform.gateway.share" -}}
{{- $gateway := .root.Values.gateway -}}
{{- $pods := int (ternary $gateway.autoscaling.minReplicas $gateway.replicas $gateway.autoscaling.enabled) -}}
{{- max 1 (divf .number (max 1 $pods) | ceil | int) -}}
{{- end }}
