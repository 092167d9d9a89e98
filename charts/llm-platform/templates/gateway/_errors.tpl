{{/*
Errors as the OpenAI API shapes them, so that every client library raises the class that it has for them.
*/}}

{{/*
llm-platform.gateway.error: answers with an error.
The code also stands in a header: it goes into the access log, and tells the gateway's errors from the engine's.
Inputs: dict "status", "code", "message" (HAProxy log-format; `%[...]` is filled in), "type" (default
invalid_request_error), "param" (optional), "retryAfter" (seconds, optional), "if" the condition (optional).
*/}}
{{- define "llm-platform.gateway.error" -}}
http-request return status {{ .status }} content-type application/json hdr x-gateway-error {{ .code }}
{{- with .retryAfter }} hdr retry-after {{ . }}{{ end }} lf-string '{{ include "llm-platform.gateway.errorBody" . }}'
{{- with .if }} if {{ . }}{{ end }}
{{- end }}

{{- define "llm-platform.gateway.errorBody" -}}
{"error":{"message":"{{ .message }}","type":"{{ .type | default "invalid_request_error" }}","param":{{ with .param }}"{{ . }}"{{ else }}null{{ end }},"code":"{{ .code }}"}}
{{- end }}

{{/*
llm-platform.gateway.ownErrors: what HAProxy itself answers, in the same shape.
*/}}
{{- define "llm-platform.gateway.ownErrors" -}}
{{- $errors := list
  (dict "status" 400 "code" "bad_request" "message" "The request is not valid HTTP.")
  (dict "status" 408 "code" "request_timeout" "message" "The request did not arrive in time.")
  (dict "status" 413 "code" "body_too_large" "message" "The body is too large.")
  (dict "status" 500 "code" "internal_error" "message" "The gateway failed." "type" "server_error")
  (dict "status" 502 "code" "bad_gateway" "message" "The server of the model closed the connection or answered what is not HTTP. Try again." "type" "server_error")
  (dict "status" 503 "code" "model_unavailable" "message" "No replica of the model can take the request now. Try again." "type" "server_error" "retryAfter" 5)
  (dict "status" 504 "code" "model_timeout" "message" "The model did not answer in time." "type" "server_error") -}}
{{- range $error := $errors }}
http-error status {{ $error.status }} content-type application/json hdr x-gateway-error {{ $error.code }}
{{- with $error.retryAfter }} hdr retry-after {{ . }}{{ end }} string '{{ include "llm-platform.gateway.errorBody" $error }}'
{{- end }}
{{- end }}
