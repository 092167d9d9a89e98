{{/*
vllm-model.objectNames: every object that a model can have, in the order in which a reader wants to meet them.
<name>.yaml beside this file includes the one of that name; the umbrella renders them all for each of its models.
*/}}
{{- define "vllm-model.objectNames" -}}
- deployment
- rollout
- analysis-template
- leader-worker-set
- inference-service
- download-job
- cache-claim
- chat-template
- service
- service-headless
- service-stable
- service-canary
- service-account
- pod-disruption-budget
- scaled-object
- horizontal-pod-autoscaler
- ingress
- ingress-rate-limit
- ingress-connection-limit
- ingress-backend-config
- ingress-servers-transport
- http-route
- network-policy
- network-policy-download
- network-policy-test
- pod-monitor
- prometheus-rule
- dashboard
- resource-quota
- image-pre-pull
- extra-objects
- test
{{- end }}

{{/*
vllm-model.object: one object, or nothing where it is switched off.
Inputs: dict "name" the object's name in the list above, "root" the root.
Everything passes through YAML once here: a template that renders what is not YAML fails with its own name. One that puts its object
together as a dict hands it over as JSON, which is read ten times as fast.
*/}}
{{- define "vllm-model.object" -}}
{{- if .root.Values.enabled -}}
{{- $text := include (printf "vllm-model.%s" .name) .root -}}
{{- if trim $text -}}
{{- $object := dict -}}
{{- if hasPrefix "{" $text -}}{{- $object = fromJson $text -}}{{- else -}}{{- $object = fromYaml $text -}}{{- end -}}
{{- if hasKey $object "Error" -}}
{{- fail (printf "vllm-model.%s is not YAML: %s" .name $object.Error) -}}
{{- end -}}
{{- toYaml $object -}}
{{- end -}}
{{- end -}}
{{- end }}

{{/*
vllm-model.objects: all objects of one model as YAML documents; what the umbrella calls.
*/}}
{{- define "vllm-model.objects" -}}
{{- $root := . -}}
{{- include "vllm-model.validate" $root -}}
{{- range splitList "\n" (include "vllm-model.objectNames" $root) }}
{{- $name := trimPrefix "- " . }}
{{- if eq $name "extra-objects" }}
{{- include "vllm-model.extra-objects" $root }}
{{- else }}
{{- with include "vllm-model.object" (dict "name" $name "root" $root) }}
---
{{ . }}
{{- end }}
{{- end }}
{{- end }}
{{- end }}

{{/*
vllm-model.stated: a map of the values without its nulls. `adapters: {sql: null}` in a second -f takes an entry of the first
away; Helm itself drops only nulls for keys that the chart has a default for. As JSON.
*/}}
{{- define "vllm-model.stated" -}}
{{- $found := dict -}}
{{- range $key, $value := . -}}
{{- if not (kindIs "invalid" $value) -}}{{- $_ := set $found $key $value -}}{{- end -}}
{{- end -}}
{{- toJson $found -}}
{{- end }}
