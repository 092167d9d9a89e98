{{/*
Rules of models, tenants and operators. Inputs of each: the facts (llm-platform.gateway.facts).
*/}}

{{/*
llm-platform.problems.models: the one knob that a model must have. The schema of a model says so where it is a release of its own; here
an entry may leave it to `vllm-model`.
*/}}
{{- define "llm-platform.problems.models" -}}
{{- range $name, $model := .roots }}
{{- if not $model.Values.model.id }}
{{- include "llm-platform.problem" (list
  (printf "models.%s.model.id is not set: the engine would be started for no model." $name)
  (printf "Please set models.%s.model.id: <Hugging Face id of the model>, or, to take the entry away, models.%s: null." $name $name)) }}
{{- end }}
{{- end }}
{{- end }}

{{- define "llm-platform.problems.tenants" -}}
{{- $known := list "*" }}
{{- range $backend := .backends }}{{ $known = concat $known (list $backend.name) $backend.names }}{{ end }}
{{- $spaces := dict }}
{{- range $name, $tenant := .tenants }}
{{- range $model := $tenant.models }}
{{- if not (has $model $known) }}
{{- include "llm-platform.problem" (list
  (printf "tenants.%s.models names %q, and there is no such model here: neither an entry of models or gateway.externalModels nor a name that one serves." $name $model)
  (printf "Please use one of: %s." (without $known "*" | uniq | sortAlpha | join ", " | default "none (models is empty)"))) }}
{{- end }}
{{- end }}
{{- $space := $tenant.namespace.name }}
{{- if $tenant.namespace.create }}
{{- with get $spaces $space }}
{{- include "llm-platform.problem" (list
  (printf "tenants.%s and tenants.%s both make the namespace %s." . $name $space)
  (printf "Please set tenants.%s.namespace.name to one of its own, or namespace.create: false." $name)) }}
{{- end }}
{{- $_ := set $spaces $space $name }}
{{- end }}
{{- include "llm-platform.problems.quota" (dict "facts" $ "name" $name "tenant" $tenant) }}
{{- end }}
{{- end }}

{{/*
llm-platform.problems.quota: what the models of a namespace may grow to, with the pods that a rolling update starts first,
against the GPUs that its quota allows. And what the quota names but Kubernetes never counts.
Inputs: dict "facts", "name" of the tenant, "tenant" its knobs.
*/}}
{{- define "llm-platform.problems.quota" -}}
{{- $tenant := .tenant }}
{{- range $key := keys $tenant.quota | sortAlpha }}
{{- if include "vllm-model.isUncounted" $key }}
{{- include "llm-platform.problem" (list
  (printf "tenants.%s.quota: the API server takes %s and counts nothing by it: extended resources are counted by requests. only." $.name $key)
  (printf "Please set tenants.%s.quota: {%s: %q} instead." $.name (replace "limits." "requests." $key) (get $tenant.quota $key | toString))) }}
{{- end }}
{{- end }}
{{- $sums := dict }}
{{- $parts := dict }}
{{- range $name, $model := .facts.roots }}
{{- if eq $model.Release.Namespace $tenant.namespace.name }}
{{- $values := $model.Values }}
{{- $replicas := int (ternary $values.replicas $values.autoscaling.maxReplicas (eq $values.autoscaling.type "none")) }}
{{- $surge := include "vllm-model.surgeReplicas" (dict "root" $model "replicas" $replicas) | int }}
{{- $gpus := mul (include "vllm-model.podGpus" $model | int) (int $values.parallelism.nodes) }}
{{- $key := printf "requests.%s" $values.gpu.resourceName }}
{{- $_ := set $sums $key (add (get $sums $key | default 0) (mul $gpus (add $replicas $surge))) }}
{{- $_ := set $parts $key (append (get $parts $key | default list) (printf "%s %d x (%d + %d)" $name $gpus $replicas $surge)) }}
{{- end }}
{{- end }}
{{- range $key, $sum := $sums }}
{{- $allowed := get $tenant.quota $key }}
{{- if and (hasKey $tenant.quota $key) (gt (int $sum) (int $allowed)) }}
{{- include "llm-platform.problem" (list
  (printf "tenants.%s.quota allows %s: %v, and its models may ask for %d (%s; GPUs x (most replicas + surge)): some pods would never start." $.name $key $allowed $sum (get $parts $key | join ", "))
  (printf "Please set tenants.%s.quota: {%s: %q}, or lower maxReplicas or availability.strategy.maxSurge of these models." $.name $key (toString $sum))) }}
{{- end }}
{{- end }}
{{- end }}

{{- define "llm-platform.problems.operators" -}}
{{- $values := .root.Values }}
{{- $apis := .root.Capabilities.APIVersions }}
{{- if and $values.keda.enabled (index $values "prometheus-adapter").enabled (dig "rules" "external" list (index $values "prometheus-adapter")) }}
{{- include "llm-platform.problem" (list
  "prometheus-adapter.rules.external beside keda.enabled: both would serve external.metrics.k8s.io, and the cluster can have only one."
  "Please put these metrics into KEDA triggers, or use rules.custom of the adapter, or set keda.enabled: false.") }}
{{- end }}
{{- $live := $apis.Has "apps/v1/Deployment" }}
{{- $brought := or $values.keda.crds.install (.root.Files.Glob "crds/*.yaml") }}
{{- if and $values.keda.enabled $live (not $brought) (not ($apis.Has "keda.sh/v1alpha1/ScaledObject")) }}
{{- include "llm-platform.problem" (list
  "keda.enabled, and neither the cluster nor this chart has KEDA's CRDs (keda.crds.install is false, and crds/ is empty): Helm could not map a ScaledObject."
  "Please run: vllm-charts deps fetch (fills charts/llm-platform/crds), then install again; or install KEDA in a release of its own first and set keda.enabled: false.") }}
{{- end }}
{{- if $values.keda.enabled }}
{{- $service := lookup "apiregistration.k8s.io/v1" "APIService" "" "v1beta1.external.metrics.k8s.io" }}
{{- $owner := dig "metadata" "annotations" "meta.helm.sh/release-name" "" ($service | default dict) }}
{{- if and $service (ne (printf "%s/%s" (dig "metadata" "annotations" "meta.helm.sh/release-namespace" "" $service) $owner) (printf "%s/%s" .root.Release.Namespace .root.Release.Name)) }}
{{- include "llm-platform.problem" (list
  (printf "keda.enabled, and the cluster's external.metrics.k8s.io belongs to somebody else already (release %q): a second KEDA, or a Prometheus Adapter with external rules, would take it over." $owner)
  "Please set keda.enabled: false to use the KEDA that is there.") }}
{{- end }}
{{- end }}
{{- end }}
