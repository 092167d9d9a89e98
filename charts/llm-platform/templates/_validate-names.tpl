{{/*
Rules of the names that the gateway tells models apart by. Inputs of each: the facts (llm-platform.gateway.facts).
*/}}

{{/*
llm-platform.modelPath: where a model of the gateway stands in the values. Inputs: list of the facts and its name.
*/}}
{{- define "llm-platform.modelPath" -}}
{{ ternary "models" "gateway.externalModels" (hasKey (index . 0).roots (index . 1)) }}.{{ index . 1 }}
{{- end }}

{{- define "llm-platform.problems.names" -}}
{{- if regexMatch "^[0-9]" .root.Release.Name }}
{{- include "llm-platform.problem" (list
  (printf "The release is called %s, and so begin the names of the gateway's Services: the API refuses one that starts with a digit." .root.Release.Name)
  (printf "Please give the release another name: helm install llm-%s ..." .root.Release.Name)) }}
{{- end }}
{{- range $name, $external := .gateway.externalModels }}
{{- if hasKey $.root.Values.models $name }}
{{- include "llm-platform.problem" (list
  (printf "gateway.externalModels.%s has the name of an entry of models: names of backends, of paths and of demand would be the same." $name)
  (printf "Please rename it; where its objects keep their names: gateway.externalModels.<other name>: {service: %s, ...}" $name)) }}
{{- end }}
{{- end }}
{{- $own := dict }}
{{- range $backend := .backends }}{{ $_ := set $own $backend.name true }}{{ end }}
{{- range $backend := .backends }}
{{- include "llm-platform.problems.served" (dict "facts" $ "backend" $backend) }}
{{- range $name := $backend.names }}
{{- if and (hasKey $own $name) (ne $name $backend.name) }}
{{- include "llm-platform.problem" (list
  (printf "%s serves the name %q, which is also the entry of another model: /models/%s/v1 would be two models." (include "llm-platform.modelPath" (list $ $backend.name)) $name $name)
  (printf "Please rename the entry %s, or take the name out of what %s serves." (include "llm-platform.modelPath" (list $ $name)) (include "llm-platform.modelPath" (list $ $backend.name)))) }}
{{- end }}
{{- end }}
{{- end }}
{{- if eq (include "llm-platform.gateway.isHaproxy" .root) "true" }}{{ include "llm-platform.problems.demand" . }}{{ end }}
{{- end }}

{{/*
llm-platform.problems.served: names of one model that the gateway cannot route, in one problem: what to set is the whole list. The
engine takes the names of adapters from the keys of model.adapters, all others from servedNames. Inputs: dict "facts", "backend".
*/}}
{{- define "llm-platform.problems.served" -}}
{{- $path := include "llm-platform.modelPath" (list .facts .backend.name) }}
{{- $model := dig .backend.name "Values" "model" dict .facts.roots }}
{{- $adapters := $model.adapters | default dict }}
{{- $bad := list }}
{{- $served := list }}
{{- $renames := list }}
{{- range $name := without .backend.names "" }}
{{- $good := regexReplaceAll "[^A-Za-z0-9._:/@+-]+" $name "-" | trimAll "-._:/@+" | default $.backend.name }}
{{- $isGood := regexMatch "^[A-Za-z0-9][A-Za-z0-9._:/@+-]*$" $name }}
{{- if not $isGood }}{{ $bad = append $bad (quote $name) }}{{ end }}
{{- if and (not $isGood) (hasKey $adapters $name) }}{{ $renames = append $renames (printf "the key %q of %s.model.adapters to %s" $name $path $good) }}{{ end }}
{{- if not (hasKey $adapters $name) }}{{ $served = append $served (ternary $name $good $isGood) }}{{ end }}
{{- end }}
{{- if $bad }}
{{- $fixes := list }}
{{- if gt (len $bad) (len $renames) }}
{{- $fixes = append $fixes (printf "set %s.%s: %s" $path (ternary "model.servedNames" "servedNames" (hasKey .facts.roots .backend.name)) (toJson ($served | uniq))) }}
{{- end }}
{{- with $renames }}{{ $fixes = append $fixes (printf "rename %s" (join ", " .)) }}{{ end }}
{{- include "llm-platform.problem" (list
  (printf "%s serves %s, which the gateway cannot route: names begin with a letter or digit, and only letters, digits and . _ : / @ + - may be in them." $path (join ", " $bad))
  (printf "Please %s." (join ", and " $fixes))) }}
{{- end }}
{{- end }}

{{/*
llm-platform.problems.demand: the scaler asks /demand/<name of the model's objects>, which tells nothing of a namespace: of two
models with one name the first would answer, and the other would never wake.
*/}}
{{- define "llm-platform.problems.demand" -}}
{{- $first := dict }}
{{- range $backend := .backends }}
{{- $path := include "llm-platform.modelPath" (list $ $backend.name) }}
{{- with get $first $backend.demand }}
{{- $same := and (eq .namespace $backend.namespace) (hasKey $.roots .name) (hasKey $.roots $backend.name) }}
{{- $fix := printf "Please set %s.fullnameOverride: %s-%s." $path $backend.demand $backend.namespace }}
{{- if not (hasKey $.roots $backend.name) }}
{{- $fix = printf "Please give the model of %s a fullnameOverride in its own release, and name it in %s.service; if it is the same model, serve all names by one entry." $path $path }}
{{- end }}
{{- if not $same }}
{{- include "llm-platform.problem" (list
  (printf "%s and %s are both %q to the scaler, which asks /demand/%s: one would scale on the other's requests, or never wake." (include "llm-platform.modelPath" (list $ .name)) $path $backend.demand $backend.demand)
  $fix) }}
{{- end }}
{{- end }}
{{- $_ := set $first $backend.demand $backend }}
{{- end }}
{{- end }}
