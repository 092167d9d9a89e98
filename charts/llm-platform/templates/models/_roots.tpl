{{/*
The models of the umbrella. Each entry of `models` becomes a root of its own, as if it were a release of vllm-model with
the entry's name, and goes through the templates of that chart. So objects and selectors are those of the single
release, and a model can move out of the umbrella without touching an immutable selector.
*/}}

{{/*
llm-platform.roots: the roots of all models that are on.
A root holds what YAML cannot carry (Capabilities, Files), so it is handed out in a dict instead of as text. It is computed
once a render and kept beside the umbrella's own root: with a hundred models, five times over would be most of the time.
Inputs: dict "root" the umbrella's root, "into" an empty dict that receives name -> root.
*/}}
{{- define "llm-platform.roots" -}}
{{- $platform := .root -}}
{{- if not (hasKey $platform "modelRoots") -}}
{{- include "llm-platform.dropNulls" $platform -}}
{{- $roots := dict -}}
{{- $defaults := toJson (index $platform.Subcharts "vllm-model").Values -}}
{{- range $name, $entry := $platform.Values.models -}}
{{- if or (not (hasKey $entry "enabled")) $entry.enabled -}}
{{- include "llm-platform.root" (dict "root" $platform "name" $name "entry" $entry "defaults" $defaults "into" $roots) -}}
{{- end -}}
{{- end -}}
{{- $_ := set $platform "modelRoots" $roots -}}
{{- end -}}
{{- range $name, $root := $platform.modelRoots -}}{{- $_ := set $.into $name $root -}}{{- end -}}
{{- end }}

{{/*
llm-platform.dropNulls: takes entries that are null out of the maps whose keys are the user's, in place. A second -f takes an
entry of the first away by null, and Helm hands that on, as the chart has no default for it; a whole map that is null it takes
away itself. Whatever looks at one of these maps has asked for the roots or the facts (llm-platform.gateway.facts) before, so
none of it meets a null.
Inputs: the umbrella's root.
*/}}
{{- define "llm-platform.dropNulls" -}}
{{- $cost := .Values.monitoring.cost -}}
{{- range $key, $parent := dict "models" .Values "tenants" .Values "externalModels" .Values.gateway
  "prices" $cost "gpuResources" $cost "namespaceBudgetsPerHour" $cost -}}
{{- $map := get $parent $key | default dict -}}
{{- $_ := set $parent $key $map -}}
{{- range $name, $entry := $map -}}
{{- if kindIs "invalid" $entry -}}{{- $_ := unset $map $name -}}{{- end -}}
{{- end -}}
{{- end -}}
{{- end }}

{{/*
llm-platform.root: the root of one model: the defaults of vllm-model, `vllm-model` of the umbrella (Helm has laid it
over them already), what the platform knows, and the entry on top.
Inputs: dict "root", "name", "entry", "into" as above; "defaults" those of every model as JSON: reading it anew for each model is a
deep copy at a tenth of the time that deepCopy takes.
*/}}
{{- define "llm-platform.root" -}}
{{- $subchart := index .root.Subcharts "vllm-model" -}}
{{- $values := fromJson .defaults -}}
{{- $_ := set $values "enabled" true -}}
{{- $platform := dict "partOf" .root.Release.Name "bringsApis" (include "llm-platform.brings" .root | fromYamlArray) -}}
{{- $_ := set $values "global" (merge $platform (.root.Values.global | default dict)) -}}
{{- $namespace := .entry.namespace | default .root.Release.Namespace -}}
{{- include "llm-platform.fillDefaults" (dict "root" .root "values" $values) -}}
{{- include "llm-platform.overlay" (dict "base" $values "over" (omit .entry "namespace" "gateway" "enabled")) -}}
{{- include "llm-platform.fillShutdown" (dict "root" .root "values" $values) -}}
{{- $release := merge (dict "Name" .name "Namespace" $namespace) .root.Release -}}
{{- $_ := set .into .name (dict
  "Values" $values
  "Release" $release
  "Chart" $subchart.Chart
  "Files" $subchart.Files
  "Capabilities" .root.Capabilities
  "Template" .root.Template) -}}
{{- end }}

{{/*
llm-platform.overlay: lays one tree over another, in place. Sprig's merge functions take false, 0 and "" for "not said"
in one or the other version; here every value that is said wins. Null does what Helm makes it do in a values file: it takes
a default away, and stays where there is none.
Inputs: dict "base" the tree to change, "over" the tree on top.
*/}}
{{- define "llm-platform.overlay" -}}
{{- $base := .base -}}
{{- range $key, $value := .over -}}
{{- if and (kindIs "invalid" $value) (hasKey $base $key) -}}
{{- $_ := unset $base $key -}}
{{- else if and (kindIs "map" $value) (kindIs "map" (get $base $key)) -}}
{{- include "llm-platform.overlay" (dict "base" (get $base $key) "over" $value) -}}
{{- else -}}
{{- $_ := set $base $key $value -}}
{{- end -}}
{{- end -}}
{{- end }}
