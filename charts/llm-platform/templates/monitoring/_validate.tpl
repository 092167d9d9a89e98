{{- define "llm-platform.problems.monitoring" -}}
{{- $cost := .root.Values.monitoring.cost }}
{{- if and (or $cost.budgetPerHour $cost.namespaceBudgetsPerHour) (not (include "llm-platform.monitoring.isPriced" $cost)) }}
{{- include "llm-platform.problem" (list
  "monitoring.cost has a budget and no price: nothing can be held against it, and no alert would ever fire."
  "Please set monitoring.cost.pricePerGpuHour: 0.80 (what your cloud asks for one GPU and hour), or prices by product.") }}
{{- end }}
{{- end }}
