{{/*
vllm-model.notes: what a reader of these values should know and might not, as a YAML list of sentences. Nothing here is an error.
*/}}
{{- define "vllm-model.notes" -}}
{{- $notes := list -}}
{{- $scaling := .Values.autoscaling -}}
{{- if not .Values.auth.apiKeySecret.name -}}
{{- $notes = append $notes "No API key: whoever reaches the Service may ask. Set auth.apiKeySecret.name." -}}
{{- end -}}
{{- $downloads := has (include "vllm-model.downloader" .) (list "engine" "initContainer") -}}
{{- if and $downloads (eq .Values.weights.cache.type "emptyDir") -}}
{{- $notes = append $notes "Every new pod downloads the weights again: weights.cache.type is emptyDir. A claim keeps them." -}}
{{- end -}}
{{- if and (eq $scaling.type "none") (eq (int .Values.replicas) 1) -}}
{{- $notes = append $notes "One replica: a node that is drained or lost is an outage for as long as a start takes. Set replicas: 2." -}}
{{- end -}}
{{- if and (eq $scaling.type "keda") (eq (int $scaling.minReplicas) 0) -}}
{{- $notes = append $notes (printf "One replica starts now, to prove that the model loads; without requests it sleeps after %s s. `helm test` needs it awake." (include "vllm-model.cooldownSeconds" .)) -}}
{{- end -}}
{{- if eq (include "vllm-model.kind" .) "Rollout" -}}
{{- $notes = append $notes "Helm 4: upgrade with --server-side=false. Argo Rollouts writes to the Rollout and its two Services, and a server-side apply takes that for a conflict." -}}
{{- end -}}
{{- $exposed := or .Values.ingress.enabled .Values.route.enabled -}}
{{- if .Values.networkPolicy.enabled -}}
{{- $ingress := .Values.networkPolicy.ingress -}}
{{- if not (or $ingress.namespaces $ingress.from $scaling.wake.gateway.service) -}}
{{- $notes = append $notes (printf "Only Prometheus and `helm test` may call the pods%s. Let %s in by networkPolicy.ingress.namespaces." (ternary ", so your Ingress or Gateway is shut out" "" $exposed) (ternary "its namespace" "applications" $exposed)) -}}
{{- end -}}
{{- end -}}
{{- if .Values.ingress.enabled -}}
{{- with include "vllm-model.ingressGaps" . -}}{{- $notes = append $notes . -}}{{- end -}}
{{- end -}}
{{- $privileges := list -}}
{{- if eq .Values.weights.source "hostPath" -}}{{- $privileges = append $privileges "weights.source hostPath" -}}{{- end -}}
{{- if .Values.rdma.enabled -}}{{- $privileges = append $privileges "rdma" -}}{{- end -}}
{{- with $privileges -}}
{{- $notes = append $notes (printf "%s needs a namespace with Pod Security level privileged: kubectl label namespace %s pod-security.kubernetes.io/enforce=privileged" (join " and " .) $.Release.Namespace) -}}
{{- end -}}
{{- toYaml $notes -}}
{{- end }}
