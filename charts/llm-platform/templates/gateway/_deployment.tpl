{{/*
The pods of the gateway.
*/}}

{{/*
llm-platform.gateway.deployment. Inputs: the facts, and "checksum" of the configuration: a change of it is a rolling update.
*/}}
{{- define "llm-platform.gateway.deployment" -}}
{{- $gateway := .gateway -}}
{{- $selector := include "llm-platform.selectorLabels" (dict "root" .root "component" "gateway") -}}
{{- $mounts := fromYaml (include "llm-platform.gateway.secretMounts" $gateway) -}}
{{- $replicas := fromYaml (include "llm-platform.gateway.replicas" .root) -}}
apiVersion: apps/v1
kind: Deployment
metadata: {{- include "llm-platform.metadata" (dict "root" .root "component" "gateway" "name" (include "llm-platform.gateway.name" .root) "annotations" $replicas.annotations) | nindent 2 }}
spec:
  {{- if hasKey $replicas "replicas" }}
  replicas: {{ $replicas.replicas }}
  {{- end }}
  selector:
    matchLabels: {{- $selector | nindent 6 }}
  strategy:
    rollingUpdate: {maxSurge: 1, maxUnavailable: 0}
  template:
    metadata:
      labels: {{- include "vllm-model.stated" (merge (dict) (fromYaml $selector) ($gateway.podLabels | default dict)) | fromJson | toYaml | nindent 8 }}
      annotations: {{- include "vllm-model.stated" (merge (dict "checksum/config" .checksum) ($gateway.podAnnotations | default dict)) | fromJson | toYaml | nindent 8 }}
    spec:
      automountServiceAccountToken: false
      enableServiceLinks: false
      # The preStop hook waits for the drain; this is what it may take at most.
      terminationGracePeriodSeconds: {{ add (int $gateway.shutdown.endpointSeconds) (int $gateway.shutdown.drainSeconds) 15 }}
      {{- if $mounts }}
      # The reloader signals HAProxy in the other container; both run as the same user.
      shareProcessNamespace: true
      {{- end }}
      securityContext:
        runAsNonRoot: true
        runAsUser: 99
        runAsGroup: 99
        fsGroup: 99
        seccompProfile: {type: RuntimeDefault}
      {{- with concat ($gateway.imagePullSecrets | default list) ((.root.Values.global | default dict).imagePullSecrets | default list) }}
      imagePullSecrets: {{- toYaml . | nindent 8 }}
      {{- end }}
      {{- with $gateway.priorityClassName }}
      priorityClassName: {{ . | quote }}
      {{- end }}
      {{- with fromJson (include "vllm-model.stated" $gateway.nodeSelector) }}
      nodeSelector: {{- toYaml . | nindent 8 }}
      {{- end }}
      {{- with $gateway.tolerations }}
      tolerations: {{- toYaml . | nindent 8 }}
      {{- end }}
      affinity: {{- $gateway.affinity | default (fromYaml (include "llm-platform.gateway.affinity" .)) | toYaml | nindent 8 }}
      topologySpreadConstraints:
        {{- range $key := list "topology.kubernetes.io/zone" "kubernetes.io/hostname" }}
        - topologyKey: {{ $key }}
          maxSkew: 1
          whenUnsatisfiable: ScheduleAnyway
          matchLabelKeys: [pod-template-hash]
          labelSelector:
            matchLabels: {{- $selector | nindent 14 }}
        {{- end }}
      containers:
        - {{- include "llm-platform.gateway.container" . | nindent 10 }}
        {{- if $mounts }}
        - {{- include "llm-platform.gateway.reloader" . | nindent 10 }}
        {{- end }}
      volumes:
        - name: config
          configMap: {name: {{ include "llm-platform.gateway.name" .root }}, defaultMode: 0555}
        - name: run
          emptyDir: {medium: Memory, sizeLimit: 8Mi}
        {{- range $name, $secret := $mounts }}
        - name: {{ $name }}
          secret: {{- toYaml $secret | nindent 12 }}
        {{- end }}
{{- end }}

{{/*
llm-platform.gateway.replicas: spec.replicas and the annotation that remembers who wrote it, by the rule for models: a number that is
dropped when an autoscaler takes over would be 1 to the API, for a gateway that runs. Inputs: the umbrella's root.
*/}}
{{- define "llm-platform.gateway.replicas" -}}
{{- $values := dict
  "fullnameOverride" (include "llm-platform.gateway.name" .)
  "autoscaling" (dict "type" (ternary "hpa" "none" .Values.gateway.autoscaling.enabled))
  "replicas" .Values.gateway.replicas -}}
{{- include "vllm-model.replicas" (dict "root" (dict "Values" $values "Release" .Release) "apiVersion" "apps/v1" "kind" "Deployment") -}}
{{- end }}

{{- define "llm-platform.gateway.affinity" -}}
nodeAffinity:
  preferredDuringSchedulingIgnoredDuringExecution:
    - weight: 100
      preference:
        matchExpressions:
          - {key: nvidia.com/gpu.present, operator: NotIn, values: ["true"]}
{{- end }}

{{/*
llm-platform.resources: requests and limits of a container, without those that are empty.
*/}}
{{- define "llm-platform.resources" -}}
{{- $resources := dict -}}
{{- range $part := list "requests" "limits" -}}
{{- with fromJson (include "vllm-model.stated" (index $ $part)) -}}{{- $_ := set $resources $part . -}}{{- end -}}
{{- end -}}
{{- toYaml $resources -}}
{{- end }}
