{{/*
The Job that fetches the weights once for all replicas.
*/}}

{{/*
vllm-model.downloadJobName: Jobs are immutable, so the name carries a hash of all that the Job is made of: changed values
make a new Job instead of a failed upgrade, and unchanged ones never download again. Of its content, not of how it is written here.
*/}}
{{- define "vllm-model.downloadJobName" -}}
{{ include "vllm-model.fullname" . }}-{{ include "vllm-model.downloadPodTemplate" . | fromYaml | toJson | sha256sum | trunc 8 }}
{{- end }}

{{- define "vllm-model.downloadPodTemplate" -}}
metadata:
  labels: {{- toYaml (merge (dict "vllm-model/role" "download") (fromYaml (include "vllm-model.selectorLabels" .)) (.Values.podLabels | default dict)) | nindent 4 }}
spec: {{- include "vllm-model.downloadPodSpec" . | nindent 2 }}
{{- end }}

{{- define "vllm-model.downloadPodSpec" -}}
restartPolicy: OnFailure
enableServiceLinks: false
automountServiceAccountToken: false
serviceAccountName: {{ include "vllm-model.serviceAccountName" . | quote }}
{{- with include "vllm-model.imagePullSecrets" . }}
{{ . }}
{{- end }}
securityContext: {{- toYaml .Values.podSecurityContext | nindent 2 }}
{{- with fromJson (include "vllm-model.stated" .Values.scheduling.nodeSelector) }}
nodeSelector: {{- toYaml . | nindent 2 }}
{{- end }}
tolerations: {{- include "vllm-model.tolerations" . | nindent 2 }}
containers:
  - {{- include "vllm-model.downloadContainer" . | nindent 4 }}
volumes:
  - {name: tmp, emptyDir: {}}
  {{- include "vllm-model.weightsVolumes" . | nindent 2 }}
{{- end }}

{{/*
vllm-model.download-job: fetches the weights once for all replicas. No TTL: a controller that restores what is missing
(Argo CD self-heal) would start it again and again.
*/}}
{{- define "vllm-model.download-job" -}}
{{- if eq (include "vllm-model.downloader" .) "job" -}}
apiVersion: batch/v1
kind: Job
metadata: {{- include "vllm-model.metadata" (dict "root" . "name" (include "vllm-model.downloadJobName" .)) | nindent 2 }}
spec:
  backoffLimit: 6
  template: {{- include "vllm-model.downloadPodTemplate" . | nindent 4 }}
{{- end -}}
{{- end }}
