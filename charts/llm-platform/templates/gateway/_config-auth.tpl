{{/*
Who asks. Keys are compared as SHA-256 hashes: nothing the gateway holds or logs is a key. Engines never see one either.
*/}}
{{- define "llm-platform.gateway.config.auth" -}}
{{- $auth := .gateway.auth }}

# Who asks.
http-request set-var(txn.bearer) http_auth_bearer
{{- if $auth.clientCertificates.enabled }}
http-request set-var(txn.tenant) ssl_c_s_dn(cn),map(/etc/llm-gateway/config/clients.map) if { ssl_c_used 1 } { ssl_c_verify 0 }
{{- end }}
{{- if $auth.apiKeys.enabled }}
http-request set-var(txn.tenant) var(txn.bearer),sha2(256),hex,lower,map(/etc/llm-gateway/keys/keys.map) if { var(txn.bearer) -m found } !{ var(txn.tenant) -m found }
{{- end }}
{{- if $auth.jwt.enabled }}
{{ include "llm-platform.gateway.config.jwt" $auth.jwt }}
{{- end }}
{{- with $auth.anonymousTenant }}
http-request set-var(txn.tenant) str({{ . }}) unless { var(txn.tenant) -m found } || { var(txn.bearer) -m found }
{{- end }}
{{ include "llm-platform.gateway.error" (dict "status" 401 "code" "invalid_api_key"
  "message" (ternary "The token or key is missing, unknown or no longer valid. Send it as Authorization: Bearer ..." "The key is missing or unknown. Send it as Authorization: Bearer ..." $auth.jwt.enabled)
  "if" "!{ var(txn.tenant),map(/etc/llm-gateway/config/tenants.map) -m found }") }}
http-request del-header authorization
http-request set-header x-tenant %[var(txn.tenant)]
{{- end }}

{{/*
llm-platform.gateway.config.jwt: a signed token. Only the configured algorithm is taken: a token may not choose how it is
checked. It must end (exp), may begin later (nbf), and names the tenant in a claim.
*/}}
{{- define "llm-platform.gateway.config.jwt" -}}
acl is_jwt var(txn.bearer) -m reg ^[A-Za-z0-9_-]+[.][A-Za-z0-9_-]+[.][A-Za-z0-9_-]+$
acl is_signed var(txn.bearer),jwt_header_query('$.alg') -m str {{ .algorithm }}
acl is_genuine var(txn.bearer),jwt_verify("{{ .algorithm }}","/etc/llm-gateway/jwt/public.pem") eq 1
http-request set-var(txn.now) date
http-request set-var(txn.ends) var(txn.bearer),jwt_payload_query('$.exp','int') if is_jwt
http-request set-var(txn.begins) var(txn.bearer),jwt_payload_query('$.nbf','int') if is_jwt
acl is_current var(txn.ends),sub(txn.now) gt 0
acl is_early var(txn.begins),sub(txn.now) gt 0
{{- $conditions := "is_jwt is_signed is_genuine is_current !is_early" }}
{{- with .issuer }}
acl is_issued var(txn.bearer),jwt_payload_query('$.iss') -m str {{ . }}
{{- $conditions = printf "%s is_issued" $conditions }}
{{- end }}
{{- with .audience }}
acl is_for_us var(txn.bearer),jwt_payload_query('$.aud') -m str {{ . }}
acl is_for_us var(txn.bearer),jwt_payload_query('$.aud[0]') -m str {{ . }}
{{- $conditions = printf "%s is_for_us" $conditions }}
{{- end }}
http-request set-var(txn.tenant) var(txn.bearer),jwt_payload_query('$.{{ .tenantClaim }}') if {{ $conditions }} !{ var(txn.tenant) -m found }
{{- end }}
