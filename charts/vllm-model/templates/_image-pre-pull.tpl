{{/*
vllm-model.image-pre-pull: a DaemonSet that holds the engine's image on every node of the pool: 10 to 25 GB are minutes that a
scale-up would wait for. It asks for no GPU.
*/}}
{{- define "vllm-model.image-pre-pull" -}}
{{- if .Values.availability.imagePrePull -}}
{{- $labels := merge (dict "vllm-model/role" "image-pre-pull") (fromYaml (include "vllm-model.selectorLabels" .)) -}}
apiVersion: apps/v1
kind: DaemonSet
metadata: {{- include "vllm-model.metadata" (dict "root" . "name" (printf "%s-image" (include "vllm-model.fullname" .))) | nindent 2 }}
spec:
  selector:
    matchLabels: {{- toYaml $labels | nindent 6 }}
  template:
    metadata:
      labels: {{- toYaml $labels | nindent 8 }}
    spec:
      enableServiceLinks: false
      automountServiceAccountToken: false
      terminationGracePeriodSeconds: 1
      {{- with include "vllm-model.imagePullSecrets" . }}
      {{- . | nindent 6 }}
      {{- end }}
      securityContext: {{- toYaml .Values.podSecurityContext | nindent 8 }}
      {{- with fromJson (include "vllm-model.stated" .Values.scheduling.nodeSelector) }}
      nodeSelector: {{- toYaml . | nindent 8 }}
      {{- end }}
      tolerations: {{- include "vllm-model.tolerations" . | nindent 8 }}
      {{- with include "vllm-model.affinity" . }}
      affinity: {{- . | nindent 8 }}
      {{- end }}
      containers:
        - name: hold
          image: {{ include "vllm-model.image" (dict "root" . "image" .Values.engine.image) | quote }}
          imagePullPolicy: {{ .Values.engine.image.pullPolicy }}
          command: [sleep, infinity]
          resources:
            requests: {cpu: 1m, memory: 8Mi}
          securityContext: {{- toYaml .Values.securityContext | nindent 12 }}
{{- end -}}
{{- end }}
