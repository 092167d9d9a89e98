{{/*
Where the weights come from, who brings them, and where the engine finds them.
*/}}

{{/*
vllm-model.downloader: who fetches weights into the cache.
  engine         the engine itself while it starts (Hugging Face)
  initContainer  a container before it
  job            one Job a release, into a claim that every replica mounts
  none           nobody: the weights lie in a claim, an image or a folder, or the engine streams them from a bucket
*/}}
{{- define "vllm-model.downloader" -}}
{{- $weights := .Values.weights -}}
{{- $copies := or (and (eq $weights.source "s3") (eq $weights.s3.mode "copy")) (and (eq $weights.source "gcs") (eq $weights.gcs.mode "copy")) -}}
{{- if eq $weights.source "huggingface" -}}
{{ $weights.downloader }}
{{- else if $copies -}}
{{ ternary "job" "initContainer" (eq $weights.downloader "job") }}
{{- else -}}
none
{{- end -}}
{{- end }}

{{/*
vllm-model.bucket: the bucket in use (s3 or gcs), as YAML of uri, path (bucket/folder) and mode.
*/}}
{{- define "vllm-model.bucket" -}}
{{- $bucket := get .Values.weights .Values.weights.source -}}
uri: {{ $bucket.uri | quote }}
path: {{ regexReplaceAll "^[a-z0-9]+://" $bucket.uri "" | trimSuffix "/" | quote }}
mode: {{ $bucket.mode }}
{{- end }}

{{/*
vllm-model.modelReference: the first argument of the engine: an id, a path in the pod, or a bucket.
*/}}
{{- define "vllm-model.modelReference" -}}
{{- $weights := .Values.weights -}}
{{- if eq $weights.source "huggingface" -}}
{{ .Values.model.id }}
{{- else if has $weights.source (list "s3" "gcs") -}}
{{- $bucket := fromYaml (include "vllm-model.bucket" .) -}}
{{- if eq $bucket.mode "stream" -}}{{ $bucket.uri }}{{- else -}}{{ $weights.cache.mountPath }}/models/{{ $bucket.path }}{{- end -}}
{{- else if eq $weights.source "engineImage" -}}
{{ $weights.engineImage.path }}
{{- else if eq $weights.source "hostPath" -}}
/weights
{{- else -}}
{{- printf "/weights/%s" (get $weights $weights.source).path | trimSuffix "/" -}}
{{- end -}}
{{- end }}

{{/*
vllm-model.downloadMarker: the file that says "the weights are whole". Its name carries what was fetched, so a new revision
is a new download, and a partial one is never taken for whole.
*/}}
{{- define "vllm-model.downloadMarker" -}}
{{- $what := printf "%s|%s|%s" .Values.weights.source .Values.model.id .Values.model.revision -}}
{{- if has .Values.weights.source (list "s3" "gcs") -}}{{- $what = include "vllm-model.modelReference" . -}}{{- end -}}
{{ .Values.weights.cache.mountPath }}/.complete-{{ sha256sum $what | trunc 16 }}
{{- end }}

{{/*
vllm-model.weightsVolumes: volumes of the weights and of the cache.
*/}}
{{- define "vllm-model.weightsVolumes" -}}
{{- $weights := .Values.weights -}}
- name: cache
{{- if eq $weights.cache.type "claim" }}
  persistentVolumeClaim: {claimName: {{ include "vllm-model.cacheClaimName" . | quote }}}
{{- else if $weights.cache.sizeGiB }}
  emptyDir: {sizeLimit: {{ $weights.cache.sizeGiB }}Gi}
{{- else }}
  emptyDir: {}
{{- end }}
{{- if eq $weights.source "claim" }}
- name: weights
  persistentVolumeClaim: {claimName: {{ $weights.claim.name | quote }}, readOnly: true}
{{- else if eq $weights.source "image" }}
- name: weights
  image: {reference: {{ $weights.image.reference | quote }}, pullPolicy: {{ $weights.image.pullPolicy }}}
{{- else if eq $weights.source "hostPath" }}
- name: weights
  hostPath: {path: {{ $weights.hostPath.path | quote }}, type: Directory}
{{- end }}
{{- if and (eq $weights.source "gcs") $weights.gcs.credentialsSecret }}
- name: gcs-credentials
  secret: {secretName: {{ $weights.gcs.credentialsSecret | quote }}}
{{- end }}
{{- end }}

{{/*
vllm-model.cacheMounts: the cache and the bucket's credentials; containers that download mount nothing else.
*/}}
{{- define "vllm-model.cacheMounts" -}}
- {name: cache, mountPath: {{ .Values.weights.cache.mountPath | quote }}}
- {name: tmp, mountPath: /tmp}
{{- if and (eq .Values.weights.source "gcs") .Values.weights.gcs.credentialsSecret }}
- {name: gcs-credentials, mountPath: /etc/gcs, readOnly: true}
{{- end }}
{{- end }}

{{/*
vllm-model.hubEnv: what a download from the Hugging Face hub needs. HF_TOKEN is the name; HUGGING_FACE_HUB_TOKEN is deprecated.
*/}}
{{- define "vllm-model.hubEnv" -}}
{{- $hub := .Values.weights.huggingface -}}
HF_HOME: {value: {{ printf "%s/huggingface" .Values.weights.cache.mountPath | quote }}}
HF_HUB_DISABLE_TELEMETRY: {value: "1"}
{{- with $hub.endpoint }}
HF_ENDPOINT: {value: {{ . | quote }}}
{{- end }}
{{- with $hub.tokenSecret.name }}
HF_TOKEN: {valueFrom: {secretKeyRef: {name: {{ . | quote }}, key: {{ $hub.tokenSecret.key | quote }}}}}
{{- end }}
{{- end }}

{{/*
vllm-model.bucketEnv: credentials and address of the bucket, under the names that the AWS and Google SDKs read (the engine's
streamer and rclone use them too). Without a Secret the identity of the ServiceAccount is used.
*/}}
{{- define "vllm-model.bucketEnv" -}}
{{- $weights := .Values.weights -}}
{{- if eq $weights.source "s3" -}}
{{- with $weights.s3.region }}
AWS_REGION: {value: {{ . | quote }}}
{{- end }}
{{- with $weights.s3.endpoint }}
AWS_ENDPOINT_URL: {value: {{ . | quote }}}
RUNAI_STREAMER_S3_USE_VIRTUAL_ADDRESSING: {value: "0"}
{{- end }}
{{- with $weights.s3.credentialsSecret }}
AWS_ACCESS_KEY_ID: {valueFrom: {secretKeyRef: {name: {{ . | quote }}, key: AWS_ACCESS_KEY_ID}}}
AWS_SECRET_ACCESS_KEY: {valueFrom: {secretKeyRef: {name: {{ . | quote }}, key: AWS_SECRET_ACCESS_KEY}}}
{{- end }}
{{- else if and (eq $weights.source "gcs") $weights.gcs.credentialsSecret -}}
GOOGLE_APPLICATION_CREDENTIALS: {value: /etc/gcs/key.json}
{{- end -}}
{{- end }}
