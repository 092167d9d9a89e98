{{/*
vllm-model.probes: startup, readiness and liveness of the container that serves.
All three ask /health: vLLM has no other. It answers 200 while the engine drains and 503 only once the engine is dead, so
readiness cannot see a drain (the preStop sleep does that work) and liveness never kills a busy engine.
The kubelet starts readiness and liveness only after the startup probe has passed: a loading pod is never killed by them.
*/}}
{{- define "vllm-model.probes" -}}
{{- $probes := .Values.probes -}}
{{- $scheme := include "vllm-model.scheme" . | upper -}}
startupProbe:
  httpGet: {path: /health, port: http, scheme: {{ $scheme }}}
  initialDelaySeconds: {{ int $probes.startup.initialDelaySeconds }}
  periodSeconds: {{ int $probes.startup.periodSeconds }}
  timeoutSeconds: {{ int $probes.startup.timeoutSeconds }}
  failureThreshold: {{ include "vllm-model.startup.failureThreshold" (dict
    "neededSeconds" (include "vllm-model.startupBudgetSeconds" .)
    "initialDelaySeconds" $probes.startup.initialDelaySeconds
    "periodSeconds" $probes.startup.periodSeconds) }}
readinessProbe:
  httpGet: {path: /health, port: http, scheme: {{ $scheme }}}
  periodSeconds: {{ int $probes.readiness.periodSeconds }}
  timeoutSeconds: {{ int $probes.readiness.timeoutSeconds }}
  failureThreshold: {{ int $probes.readiness.failureThreshold }}
{{- if $probes.liveness.enabled }}
livenessProbe:
  httpGet: {path: /health, port: http, scheme: {{ $scheme }}}
  periodSeconds: {{ int $probes.liveness.periodSeconds }}
  timeoutSeconds: {{ int $probes.liveness.timeoutSeconds }}
  failureThreshold: {{ int $probes.liveness.failureThreshold }}
  terminationGracePeriodSeconds: {{ int $probes.liveness.terminationGracePeriodSeconds }}
{{- end }}
{{- end }}
