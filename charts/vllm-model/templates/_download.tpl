{{/*
Fetching weights before the engine starts. The same container runs as an init container of each pod or in one Job.
It resumes a partial download, fetches nothing when the marker is there, and sets the marker last.
*/}}

{{/*
vllm-model.downloadContainer: the container. Hugging Face: files/hub_download.py in the engine's own image,
which has huggingface_hub. Buckets: rclone. Reads .Files: in the umbrella the root-shaped dict carries the subchart's.
*/}}
{{- define "vllm-model.downloadContainer" -}}
{{- $weights := .Values.weights -}}
{{- $hub := eq $weights.source "huggingface" -}}
{{- $image := ternary .Values.engine.image $weights.copyImage $hub -}}
name: download
image: {{ include "vllm-model.image" (dict "root" . "image" $image) | quote }}
imagePullPolicy: {{ $image.pullPolicy }}
{{- if $hub }}
command: [python3, -c]
args:
  - {{ .Files.Get "files/hub_download.py" | quote }}
{{- else }}
command: [/bin/sh, -euc]
args:
  - {{ include "vllm-model.bucketScript" . | quote }}
{{- end }}
env: {{- include "vllm-model.env" (dict "base" (fromYaml (include "vllm-model.downloadEnv" .))) | nindent 2 }}
resources: {{- toYaml $weights.downloadResources | nindent 2 }}
securityContext: {{- toYaml .Values.securityContext | nindent 2 }}
volumeMounts: {{- include "vllm-model.cacheMounts" . | nindent 2 }}
{{- end }}

{{- define "vllm-model.downloadEnv" -}}
HOME: {value: /tmp}
MARKER: {value: {{ include "vllm-model.downloadMarker" . | quote }}}
{{- if eq .Values.weights.source "huggingface" }}
MODEL: {value: {{ .Values.model.id | quote }}}
REVISION: {value: {{ .Values.model.revision | quote }}}
{{ include "vllm-model.hubEnv" . }}
{{- else }}
{{- $bucket := fromYaml (include "vllm-model.bucket" .) }}
SOURCE: {value: {{ printf "bucket:%s" $bucket.path | quote }}}
TARGET: {value: {{ include "vllm-model.modelReference" . | quote }}}
{{- include "vllm-model.rcloneEnv" . }}
{{- with include "vllm-model.bucketEnv" . }}
{{ trim . }}
{{- end }}
{{- end }}
{{- end }}

{{/*
vllm-model.rcloneEnv: rclone's remote `bucket`, without a configuration file.
*/}}
{{- define "vllm-model.rcloneEnv" -}}
{{- if eq .Values.weights.source "s3" }}
RCLONE_CONFIG_BUCKET_TYPE: {value: s3}
RCLONE_CONFIG_BUCKET_ENV_AUTH: {value: "true"}
RCLONE_CONFIG_BUCKET_PROVIDER: {value: {{ ternary "Other" "AWS" (not (empty .Values.weights.s3.endpoint)) }}}
{{- with .Values.weights.s3.region }}
RCLONE_CONFIG_BUCKET_REGION: {value: {{ . | quote }}}
{{- end }}
{{- with .Values.weights.s3.endpoint }}
RCLONE_CONFIG_BUCKET_ENDPOINT: {value: {{ . | quote }}}
{{- end }}
{{- else }}
RCLONE_CONFIG_BUCKET_TYPE: {value: google cloud storage}
RCLONE_CONFIG_BUCKET_ENV_AUTH: {value: "true"}
RCLONE_CONFIG_BUCKET_BUCKET_POLICY_ONLY: {value: "true"}
{{- end }}
{{- end }}

{{- define "vllm-model.bucketScript" -}}
if [ -e "$MARKER" ]; then echo "weights are whole: $TARGET"; exit 0; fi
rclone copy "$SOURCE" "$TARGET" --transfers 8 --multi-thread-streams 4 --stats 30s --stats-one-line -v
touch "$MARKER"
{{- end }}

{{/*
vllm-model.waitContainer: holds an engine back until the download Job is done. It runs in the engine's image, which the node
pulls anyway. The Job's own failure shows on the Job; this one says what it waits for.
*/}}
{{- define "vllm-model.waitContainer" -}}
name: wait-for-weights
image: {{ include "vllm-model.image" (dict "root" . "image" .Values.engine.image) | quote }}
imagePullPolicy: {{ .Values.engine.image.pullPolicy }}
command: [python3, -c]
args:
  - |
    import os, pathlib, time
    marker = pathlib.Path(os.environ["MARKER"])
    while not marker.exists():
        print("waiting for", marker, "of job", os.environ["JOB"], flush=True)
        time.sleep(5)
env:
  - {name: MARKER, value: {{ include "vllm-model.downloadMarker" . | quote }}}
  - {name: JOB, value: {{ include "vllm-model.downloadJobName" . | quote }}}
resources:
  requests: {cpu: 10m, memory: 64Mi}
securityContext: {{- toYaml .Values.securityContext | nindent 2 }}
volumeMounts: {{- include "vllm-model.cacheMounts" . | nindent 2 }}
{{- end }}
