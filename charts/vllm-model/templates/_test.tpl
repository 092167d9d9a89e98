{{/*
vllm-model.test: the pod of `helm test`. It runs files/helm_test.py in the engine's image, which the pool's nodes have already:
it prefers a node of this model's pods and tolerates their taints, but asks for no GPU (NVIDIA_VISIBLE_DEVICES void: the image
itself asks the runtime for all of them).
Reads .Files: in the umbrella the root-shaped dict carries the subchart's (.Subcharts "vllm-model" .Files).
*/}}
{{- define "vllm-model.test" -}}
{{- if .Values.test.enabled -}}
{{- $name := include "vllm-model.fullname" . -}}
{{- $image := ternary .Values.test.image .Values.engine.image (not (empty .Values.test.image.repository)) -}}
apiVersion: v1
kind: Pod
metadata: {{- include "vllm-model.metadata" (dict "root" . "name" (printf "%s-test" $name) "labels" (dict "vllm-model/role" "test") "annotations" (dict "helm.sh/hook" "test" "helm.sh/hook-delete-policy" "before-hook-creation")) | nindent 2 }}
spec:
  restartPolicy: Never
  activeDeadlineSeconds: {{ add (int .Values.test.waitSeconds) (mul 3 (int .Values.test.timeoutSeconds)) }}
  enableServiceLinks: false
  automountServiceAccountToken: false
  serviceAccountName: {{ include "vllm-model.serviceAccountName" . | quote }}
  {{- with include "vllm-model.imagePullSecrets" . }}
  {{- . | nindent 2 }}
  {{- end }}
  securityContext: {{- toYaml .Values.podSecurityContext | nindent 4 }}
  tolerations: {{- include "vllm-model.tolerations" . | nindent 4 }}
  affinity:
    podAffinity:
      preferredDuringSchedulingIgnoredDuringExecution:
        - weight: 100
          podAffinityTerm:
            topologyKey: kubernetes.io/hostname
            labelSelector:
              matchLabels: {{- include "vllm-model.servingLabels" . | nindent 16 }}
  containers:
    - name: test
      image: {{ include "vllm-model.image" (dict "root" . "image" $image) | quote }}
      imagePullPolicy: {{ $image.pullPolicy }}
      command: [python3, -c]
      args:
        - {{ .Files.Get "files/helm_test.py" | quote }}
      env: {{- include "vllm-model.testEnv" . | nindent 8 }}
      resources:
        requests: {cpu: 50m, memory: 64Mi}
      securityContext: {{- toYaml .Values.securityContext | nindent 8 }}
{{- end -}}
{{- end }}

{{/*
vllm-model.testEnv: what helm_test.py reads. A pooling model has no chat.
*/}}
{{- define "vllm-model.testEnv" -}}
{{- $pooling := eq (.Values.engine.flags.runner | default "auto") "pooling" -}}
- {name: URL, value: {{ printf "%s://%s:%d" (include "vllm-model.scheme" .) (include "vllm-model.fullname" .) (int .Values.service.port) | quote }}}
- {name: MODEL, value: {{ include "vllm-model.servedName" . | quote }}}
- {name: TASK, value: {{ .Values.test.task | default (ternary "embedding" "chat" $pooling) }}}
- {name: WAIT_SECONDS, value: {{ .Values.test.waitSeconds | toString | quote }}}
- {name: TIMEOUT_SECONDS, value: {{ .Values.test.timeoutSeconds | toString | quote }}}
- {name: NVIDIA_VISIBLE_DEVICES, value: void}
{{- with .Values.auth.apiKeySecret }}
{{- if .name }}
- {name: API_KEY, valueFrom: {secretKeyRef: {name: {{ .name | quote }}, key: {{ .key | quote }}}}}
{{- end }}
{{- end }}
{{- end }}
