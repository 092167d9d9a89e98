{{/*
Names of the umbrella's own objects. They start with the release's name and say what they belong to.
*/}}

{{/*
llm-platform.name: the release's name, cut so that the longest suffix of this chart and the hashes that controllers
add stay under 63 characters. A longer name keeps its head and gets a hash, or two long names would become one.
*/}}
{{- define "llm-platform.name" -}}
{{- if gt (len .Release.Name) 38 -}}
{{- printf "%s-%s" (trunc 29 .Release.Name | trimSuffix "-") (sha256sum .Release.Name | trunc 8) -}}
{{- else -}}
{{- .Release.Name -}}
{{- end -}}
{{- end }}

{{- define "llm-platform.gateway.name" -}}{{ include "llm-platform.name" . }}-gateway{{- end }}

{{/*
llm-platform.gateway.internalName: the Service for the scaler (demand) and nobody else. The public one may be a load
balancer, and a port that tells how busy each model is does not belong on it.
*/}}
{{- define "llm-platform.gateway.internalName" -}}{{ include "llm-platform.gateway.name" . }}-internal{{- end }}
