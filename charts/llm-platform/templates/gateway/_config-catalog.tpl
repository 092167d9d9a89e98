{{/*
llm-platform.gateway.config.catalog: /v1/models: what this tenant may ask for and what would be answered now - pods that
are up, and models that sleep and are woken by a request. The same list tells who asked for something else what there is.
*/}}
{{- define "llm-platform.gateway.config.catalog" -}}
{{- $backends := dict -}}
{{- range $backend := .backends -}}{{- $_ := set $backends $backend.name $backend -}}{{- end -}}
backend catalog
    acl on_models path /v1/models
    acl on_model path_beg /v1/models/
    acl may_all var(txn.tenant),concat(|*),map(/etc/llm-gateway/config/access.map) -m found
    http-request set-var(txn.list) str()
    http-request set-var(txn.there) str()
    {{- range $name, $route := .routes.names }}
    {{- $models := get $.routes.groups $route | default (list $route) }}
    {{- $awake := list }}
    {{- $held := false }}
    {{- range $model := $models }}
    {{- $awake = append $awake (printf "{ nbsrv(model-%s) gt 0 }" $model) }}
    {{- $held = or $held (get $backends $model).holds }}
    {{- end }}
    # {{ $name }}
    http-request set-var(txn.shown) bool(true)
    http-request set-var(txn.shown) bool(false) unless may_all || { var(txn.tenant),concat(|{{ $name }}),map(/etc/llm-gateway/config/access.map) -m found }
    {{- if not $held }}
    {{- include "llm-platform.gateway.config.awake" $awake | nindent 4 }}
    {{- end }}
    http-request set-var-fmt(txn.there) '%[var(txn.there)], {{ $name }}' if { var(txn.shown) -m bool }
    http-request set-var-fmt(txn.list) '%[var(txn.list)],{"id":"{{ $name }}","object":"model","created":%[date],"owned_by":"llm-platform"}' if { var(txn.shown) -m bool } !on_model
    http-request set-var-fmt(txn.list) ',{"id":"{{ $name }}","object":"model","created":%[date],"owned_by":"llm-platform"}' if { var(txn.shown) -m bool } on_model { var(txn.name) -m str {{ $name }} }
    {{- end }}
    http-request return status 200 content-type application/json lf-string '{"object":"list","data":[%[var(txn.list),bytes(1)]]}' if on_models
    http-request return status 200 content-type application/json lf-string '%[var(txn.list),bytes(1)]' if on_model { var(txn.list) -m len gt 0 }
    {{ include "llm-platform.gateway.error" (dict "status" 404 "code" "model_not_found" "param" "model"
      "message" "There is no model %[var(txn.name),json(utf8s)] here. There are: %[var(txn.there),bytes(2)]." "if" "{ var(txn.there) -m len gt 0 }") }}
    {{ include "llm-platform.gateway.error" (dict "status" 404 "code" "model_not_found" "param" "model"
      "message" "There is no model %[var(txn.name),json(utf8s)] here, and no other that you may use now.") }}
{{- end }}

{{/*
llm-platform.gateway.config.awake: shows a name only while one of its models has a pod. HAProxy takes 64 words a line, which is not
enough for a name that ten models share. Inputs: the conditions, one a model.
*/}}
{{- define "llm-platform.gateway.config.awake" -}}
{{- if le (len .) 8 -}}
http-request set-var(txn.shown) bool(false) unless {{ join " || " . }}
{{- else -}}
http-request set-var(txn.awake) bool(false)
{{- range $some := chunk 8 . }}
http-request set-var(txn.awake) bool(true) if {{ join " || " $some }}
{{- end }}
http-request set-var(txn.shown) bool(false) unless { var(txn.awake) -m bool }
{{- end -}}
{{- end }}
