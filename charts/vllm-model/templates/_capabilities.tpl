{{/*
What the cluster must know before an object of this release can be applied.
*/}}

{{/*
vllm-model.crdMissing: "true" where a cluster answered and does not know the kind. Offline renders (helm template, lint, GitOps
previews) have a fixed list of groups without kinds, so the absence of a kind there says nothing; a live cluster lists kinds.
What the release itself brings (global.bringsApis, set by the umbrella: keda.sh) is not missing: GitOps tools hand in the kinds of a
cluster, render before they install, and install CRDs first.
Inputs: dict "root" the root, "api" group/version/Kind.
*/}}
{{- define "vllm-model.crdMissing" -}}
{{- $apis := .root.Capabilities.APIVersions -}}
{{- $brought := dig "bringsApis" list (.root.Values.global | default dict) -}}
{{- if and ($apis.Has "apps/v1/Deployment") (not ($apis.Has .api)) (not (has (splitList "/" .api | first) $brought)) -}}true{{- end -}}
{{- end }}

{{/*
vllm-model.requiredApis: kinds that the values ask for, as a YAML list of api, knob, who brings it, and the way out.
*/}}
{{- define "vllm-model.requiredApis" -}}
{{- $kind := include "vllm-model.kind" . -}}
{{- if eq .Values.autoscaling.type "keda" }}
- api: keda.sh/v1alpha1/ScaledObject
  knob: "autoscaling.type: keda"
  needs: KEDA
  fix: |-
    Please install KEDA first: helm install keda keda --repo https://kedacore.github.io/charts --namespace keda --create-namespace
    or set autoscaling.type: hpa (Prometheus Adapter) or none.
{{- end }}
{{- range $knob, $object := dict "monitoring.podMonitor.enabled" "PodMonitor" "monitoring.rules.enabled" "PrometheusRule" }}
{{- if (get $.Values.monitoring (index (splitList "." $knob) 1)).enabled }}
- api: monitoring.coreos.com/v1/{{ $object }}
  knob: "{{ $knob }}: true"
  needs: the Prometheus operator
  fix: "Please install kube-prometheus-stack (or its CRDs) first, or set {{ $knob }}: false."
{{- end }}
{{- end }}
{{- if .Values.route.enabled }}
- api: gateway.networking.k8s.io/v1/HTTPRoute
  knob: "route.enabled: true"
  needs: Gateway API
  fix: "Please install the Gateway API CRDs (standard channel, v1.1 or newer) and a gateway, or use ingress.enabled instead."
{{- end }}
{{- if eq $kind "LeaderWorkerSet" }}
- api: leaderworkerset.x-k8s.io/v1/LeaderWorkerSet
  knob: "parallelism.nodes: {{ .Values.parallelism.nodes }}"
  needs: the LeaderWorkerSet controller
  fix: "Please install the LeaderWorkerSet controller first, or fit the model on one node (parallelism.nodes: 1)."
{{- else if eq $kind "Rollout" }}
- api: argoproj.io/v1alpha1/Rollout
  knob: "workload.kind: Rollout"
  needs: Argo Rollouts
  fix: "Please install Argo Rollouts first, or set workload.kind: Deployment."
{{- else if eq $kind "InferenceService" }}
- api: serving.kserve.io/v1beta1/InferenceService
  knob: "workload.kind: InferenceService"
  needs: KServe
  fix: "Please install KServe first, or set workload.kind: Deployment."
{{- end }}
{{- if .Values.ingress.enabled }}
{{- if eq .Values.ingress.controller "traefik" }}
- api: traefik.io/v1alpha1/Middleware
  knob: "ingress.controller: traefik"
  needs: Traefik 3
  fix: "Please install Traefik with its CRDs first, or set ingress.controller to the one that you run."
{{- else if eq .Values.ingress.controller "gce" }}
- api: cloud.google.com/v1/BackendConfig
  knob: "ingress.controller: gce"
  needs: GKE
  fix: "Please set ingress.controller to the one that you run: BackendConfig is known on GKE only."
{{- end }}
{{- end }}
{{- end }}

{{/*
vllm-model.capabilityProblems: a JSON list of messages, one for each kind that this cluster does not know; for the validator.
Offline nothing can be missing (vllm-model.crdMissing), so the list is not even read.
*/}}
{{- define "vllm-model.capabilityProblems" -}}
{{- $problems := list -}}
{{- if .Capabilities.APIVersions.Has "apps/v1/Deployment" -}}
{{- range fromYamlArray (include "vllm-model.requiredApis" .) -}}
{{- if include "vllm-model.crdMissing" (dict "root" $ "api" .api) -}}
{{- $kind := index (splitList "/" .api) 2 -}}
{{- $problems = append $problems (printf "%s needs %s: this cluster does not know the kind %s (%s).\n%s" .knob .needs $kind .api .fix) -}}
{{- end -}}
{{- end -}}
{{- end -}}
{{- toJson $problems -}}
{{- end }}
