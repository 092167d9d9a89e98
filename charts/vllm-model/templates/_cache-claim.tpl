{{/*
vllm-model.cache-claim: the claim for downloads and compile cache. Kept on uninstall unless told otherwise.
*/}}
{{- define "vllm-model.cache-claim" -}}
{{- $cache := .Values.weights.cache -}}
{{- if and (eq $cache.type "claim") (not $cache.existingClaim) -}}
apiVersion: v1
kind: PersistentVolumeClaim
metadata: {{- include "vllm-model.metadata" (dict "root" . "name" (include "vllm-model.cacheClaimName" .) "annotations" (ternary (dict "helm.sh/resource-policy" "keep") dict $cache.keep)) | nindent 2 }}
spec:
  accessModes: {{- toYaml $cache.accessModes | nindent 4 }}
  {{- with $cache.storageClassName }}
  storageClassName: {{ . | quote }}
  {{- end }}
  resources:
    requests:
      storage: {{ $cache.sizeGiB | default (addf (mulf 1.25 (include "vllm-model.weightsGiB" . | float64)) 10 | ceil | int) }}Gi
{{- end -}}
{{- end }}
