{{/*
Which model is asked for, and whether the tenant may.
The body is read after the key was checked, so that nobody without one makes the gateway buffer anything.
*/}}
{{- define "llm-platform.gateway.config.model" -}}
{{- $gateway := .gateway -}}
{{- $readable := mul 1024 (int $gateway.limits.readableBodyKiB) }}

# What is asked for. A body without Content-Length has the size of what has arrived.
acl is_huge req.body_size gt {{ mul 1048576 (int $gateway.limits.maxBodyMiB) }}
acl is_large req.body_size gt {{ $readable }}
acl is_unsized req.hdr_cnt(content-length) eq 0
{{ include "llm-platform.gateway.error" (dict "status" 413 "code" "body_too_large"
  "message" (printf "The body is larger than %d MiB." (int $gateway.limits.maxBodyMiB)) "if" "on_work is_huge") }}
{{ include "llm-platform.gateway.error" (dict "status" 413 "code" "body_too_large_to_route"
  "message" (printf "The body is larger than %d KiB, too large to read the model from. Name it in the header %s, or in the path: /models/<name>/v1/..." (int $gateway.limits.readableBodyKiB) $gateway.modelHeader)
  "param" "model" "if" "on_work is_large !{ var(txn.asked) -m found }") }}
http-request wait-for-body time {{ int $gateway.timeouts.bodySeconds }}s if on_work
{{ include "llm-platform.gateway.error" (dict "status" 413 "code" "body_too_large_to_route"
  "message" (printf "The body has no Content-Length and is larger than %d KiB." (int $gateway.limits.readableBodyKiB)) "if" "on_work is_unsized is_large") }}
# Kept as a string once: each look at req.body would turn all of it into one anew.
http-request set-var(txn.body) req.body,concat() if on_work !is_large
http-request set-var(txn.named) var(txn.body),json_query('$.model') if { var(txn.body) -m found }
{{ include "llm-platform.gateway.error" (dict "status" 400 "code" "duplicate_model"
  "message" "The body has more than one key `model`." "param" "model" "if" "{ var(txn.body),lua.model_keys -m int gt 1 }") }}
http-request set-var(txn.name) var(txn.asked)
http-request set-var(txn.name) var(txn.named) if { var(txn.named) -m found }
http-request set-var(txn.name) path,regsub(^/v1/models/,),url_dec if on_model
{{ include "llm-platform.gateway.error" (dict "status" 400 "code" "model_required"
  "message" (printf "The request does not say which model: set `model` in the JSON body, the header %s, or the path /models/<name>/v1/..." $gateway.modelHeader)
  "param" "model" "if" "on_work !{ var(txn.name) -m len gt 0 }") }}

# Where that is.
http-request set-var(txn.route) var(txn.named),map(/etc/llm-gateway/config/names.map) if { var(txn.named) -m found }
http-request set-var(txn.route) var(txn.asked),map(/etc/llm-gateway/config/routes.map) if on_work { var(txn.asked) -m found }
http-request set-var(txn.route) var(txn.name),map(/etc/llm-gateway/config/names.map) if on_model
acl is_known var(txn.route) -m found
{{ include "llm-platform.gateway.error" (dict "status" 400 "code" "model_mismatch"
  "message" "Path or header say %[var(txn.asked),json(utf8s)], the body says %[var(txn.named),json(utf8s)], and these are not the same model."
  "param" "model" "if" "on_work is_known { var(txn.asked) -m found } { var(txn.named) -m found } !{ var(txn.route),concat(|,txn.named),map(/etc/llm-gateway/config/serves.map) -m found }") }}

# Whether this tenant may. A body that was not read may name any model of the route, so all of them must be allowed.
acl may_all var(txn.tenant),concat(|*),map(/etc/llm-gateway/config/access.map) -m found
acl may_name var(txn.tenant),concat(|,txn.named),map(/etc/llm-gateway/config/access.map) -m found
acl may_route var(txn.tenant),concat(|@,txn.route),map(/etc/llm-gateway/config/access.map) -m found
{{ include "llm-platform.gateway.error" (dict "status" 403 "code" "model_not_allowed" "type" "permission_error"
  "message" "Tenant %[var(txn.tenant),json(utf8s)] may not use the model %[var(txn.name),json(utf8s)]." "param" "model"
  "if" "on_work is_known !may_all !may_name !may_route") }}
{{ include "llm-platform.gateway.error" (dict "status" 403 "code" "model_not_allowed" "type" "permission_error"
  "message" "Tenant %[var(txn.tenant),json(utf8s)] may not use the model %[var(txn.name),json(utf8s)]." "param" "model"
  "if" "on_work is_known !may_all !may_route !{ var(txn.named) -m found }") }}
{{- end }}
