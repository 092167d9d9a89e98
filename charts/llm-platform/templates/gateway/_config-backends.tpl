{{/*
Which pods take the request.
*/}}

{{/*
llm-platform.gateway.config.choice: from the route to a backend.
*/}}
{{- define "llm-platform.gateway.config.choice" }}

# Where it goes.
{{- $weights := dict -}}
{{- range $backend := .backends -}}{{- $_ := set $weights $backend.name (int $backend.weight) -}}{{- end }}
http-request set-var(txn.entry) var(txn.route)
{{- range $route, $models := .routes.groups }}
{{- include "llm-platform.gateway.config.group" (dict "route" $route "models" $models "weights" $weights) }}
{{- end }}
use_backend catalog if !on_work || !is_known
{{- range $backend := .backends }}
{{- if $backend.holds }}
use_backend hold-{{ $backend.name }} if { var(txn.entry) -m str {{ $backend.name }} } { nbsrv(model-{{ $backend.name }}) eq 0 }
{{- end }}
{{- end }}
use_backend model-%[var(txn.entry)]
{{- end }}

{{/*
llm-platform.gateway.config.group: several models serve one name: by weight, and past one that has no pod to the first that has.
Weight 0 is a version that was taken back: it gets nothing, also while no other has a pod. Who names a model itself, in
the path or the header, gets that one and no other.
*/}}
{{- define "llm-platform.gateway.config.group" -}}
{{- $total := 0 -}}
{{- range $model := .models -}}{{- $total = add $total (get $.weights $model) -}}{{- end }}
# {{ join " " .models }}: one of them, by weight.
http-request set-var(txn.dice) rand({{ max 1 $total }}) if { var(txn.route) -m str {{ .route }} }
{{- $from := 0 }}
{{- range $model := .models }}
http-request set-var(txn.entry) str({{ $model }}) if { var(txn.route) -m str {{ $.route }} } { var(txn.dice) -m int ge {{ $from }} }
{{- $from = add $from (get $.weights $model) }}
{{- end }}
{{- range $model := .models }}
{{- if get $.weights $model }}
http-request set-var(txn.other) str({{ $model }}) if { var(txn.route) -m str {{ $.route }} } !{ var(txn.other) -m found } { nbsrv(model-{{ $model }}) gt 0 }
{{- end }}
{{- end }}
{{- range $model := .models }}
http-request set-var(txn.entry) var(txn.other) if { var(txn.other) -m found } { var(txn.entry) -m str {{ $model }} } { nbsrv(model-{{ $model }}) eq 0 }
{{- end }}
{{- end }}

{{/*
llm-platform.gateway.config.backend: the pods of one model, and where requests wait while there are none.
Inputs: dict "facts", "backend" one of the list.
*/}}
{{- define "llm-platform.gateway.config.backend" -}}
{{- $backend := .backend -}}
{{- $gateway := .facts.gateway -}}
backend model-{{ $backend.name }}
    {{- include "llm-platform.gateway.config.balance" $backend | nindent 4 }}
    {{- include "llm-platform.gateway.config.toEngine" $backend | nindent 4 }}
    timeout queue {{ int $backend.queueSeconds }}s
    {{ include "llm-platform.gateway.error" (dict "status" 503 "code" "model_overloaded" "type" "server_error" "retryAfter" 5
      "message" "Too many requests wait for this model. Try again later." "if" (printf "{ queue(model-%s) ge %d }" $backend.name (int $backend.maxQueue))) }}
    option httpchk
    http-check send meth GET uri /health
    http-check expect status 200
    default-server check inter 2s fastinter 500ms downinter 500ms fall 3 rise 1 maxconn {{ include "llm-platform.gateway.share" (dict "root" .facts.root "number" $backend.concurrency) }} init-addr last,none resolvers cluster
    server-template pod 1-{{ int $backend.slots }} {{ $backend.host }}:{{ int $backend.port }}
    {{- if and (ne $backend.host $backend.serviceHost) (not $backend.holds) }}
    # DNS may say for as long as it caches a "no such name" (30 s) that there is no pod when there is one already. Until it
    # knows better, Kubernetes chooses; the check says whether there is anybody behind the Service.
    .if version_atleast(3.1)
    default-server init-state fully-down
    .endif
    server service {{ $backend.serviceHost }}:{{ int $backend.servicePort }} backup downinter 1s init-addr last,libc,none
    {{- end }}
{{- if $backend.holds }}

# No pod: the Service's address refuses the connection until there is one, and a try a second waits for that.
# Sessions here are demand, which wakes the model.
backend hold-{{ $backend.name }}
    {{- include "llm-platform.gateway.config.toEngine" $backend | nindent 4 }}
    {{ include "llm-platform.gateway.error" (dict "status" 503 "code" "model_starting" "type" "server_error" "retryAfter" 30
      "message" "The model is starting, and enough requests wait for it. Try again later." "if" (printf "{ be_conn(hold-%s) gt %d }" $backend.name (int $gateway.hold.maxRequests))) }}
    http-error status 503 content-type application/json hdr x-gateway-error model_not_started hdr retry-after 30 string '{{ include "llm-platform.gateway.errorBody" (dict "code" "model_not_started" "type" "server_error" "message" "The model was asleep and did not start in time. Try again.") }}'
    retries {{ int $gateway.hold.seconds }}
    retry-on conn-failure
    # Each try looks anew for a server: the Service, or, while DNS does not know even that, a port that refuses as well.
    option redispatch 1
    timeout connect 1s
    server service {{ $backend.serviceHost }}:{{ int $backend.servicePort }} init-addr last,libc,none resolvers cluster
    server unknown 127.0.0.1:1 backup
{{- end }}
{{- end }}

{{- define "llm-platform.gateway.config.balance" -}}
{{- if eq .balance "prefixHash" -}}
# Requests that begin alike: the system prompt and the first question, or the prompt. What follows in a conversation
# does not move it. Load over 1.25 of the mean goes to the next pod of the ring.
http-request set-var(txn.first) req.body,json_query('$.messages[0].content'),bytes(0,512)
http-request set-var(txn.second) req.body,json_query('$.messages[1].content'),bytes(0,512)
http-request set-var(txn.prefix) var(txn.first),concat(,txn.second,)
http-request set-var(txn.prefix) req.body,json_query('$.prompt'),bytes(0,512) unless { var(txn.prefix) -m found }
http-request set-var(txn.prefix) req.body,bytes(0,512) unless { var(txn.prefix) -m found }
balance hash var(txn.prefix)
hash-type consistent
hash-balance-factor 125
# The ring follows the pods' addresses; before 3.0 it can only follow the order in which they were found.
.if version_atleast(3.0)
default-server hash-key addr
.endif
{{- else -}}
balance leastconn
{{- end }}
{{- end }}

{{/*
llm-platform.gateway.config.toEngine: what the engine gets to see.
*/}}
{{- define "llm-platform.gateway.config.toEngine" -}}
# A response that is stored must not be made twice. And a try on another pod needs one: for it HAProxy copies the whole
# buffer of each request, which is half of what a request costs.
http-request disable-l7-retry if { path /v1/responses } || { nbsrv lt 2 }
{{- if .apiKeySecret.name }}
http-request set-header authorization "Bearer %[env({{ include "llm-platform.gateway.keyVariable" . }})]"
{{- end }}
{{- end }}

{{/*
llm-platform.gateway.keyVariable: the environment variable that holds an engine's own key.
*/}}
{{- define "llm-platform.gateway.keyVariable" -}}
ENGINE_KEY_{{ .name | upper | replace "-" "_" | replace "." "_" }}
{{- end }}
