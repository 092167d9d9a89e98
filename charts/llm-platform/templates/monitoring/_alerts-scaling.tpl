{{/*
Alerts of autoscaling, for every scaler of the cluster: a scaler that fails is the platform's matter, whosever model it is.
KEDA's namespaces are `exported_namespace` where its ServiceMonitor does not honour labels. See _alerts-gateway.tpl for the form.
*/}}

{{- define "llm-platform.alert.scalerFailing" -}}
expr: sum by (exported_namespace, namespace, scaledObject) (rate(keda_scaled_object_errors_total[5m])) > 0
summary: A scaler fails
description: '{{ "KEDA cannot read a trigger of {{ $labels.scaledObject }} in {{ or $labels.exported_namespace $labels.namespace }}" }}: replicas stay as they are, and a model at zero does not wake.'
{{- end }}

{{- define "llm-platform.alert.kedaDown" -}}
{{- if .root.Values.keda.enabled -}}
expr: absent(keda_build_info)
summary: KEDA is down
description: Prometheus gets no metrics of KEDA. Nothing wakes or sleeps, and HPAs that KEDA feeds keep the replicas they have.
labels: {namespace: {{ .root.Release.Namespace | quote }}}
{{- end -}}
{{- end }}

{{/*
At 0 replicas the HPA says the same on purpose.
*/}}
{{- define "llm-platform.alert.hpaInactive" -}}
expr: max by (namespace, horizontalpodautoscaler) (kube_horizontalpodautoscaler_status_condition{condition="ScalingActive",status="false"}) == 1 and on (namespace, horizontalpodautoscaler) max by (namespace, horizontalpodautoscaler) (kube_horizontalpodautoscaler_status_current_replicas) > 0
summary: An HPA gets no metric
description: '{{ "HPA {{ $labels.horizontalpodautoscaler }} in {{ $labels.namespace }}" }} cannot compute replicas: they stay as they are.'
{{- end }}
