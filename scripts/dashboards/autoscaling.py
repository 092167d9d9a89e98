"""The dashboard of autoscaling: what is wanted, what is there, what the scalers read, and what stops them.

KEDA's ServiceMonitor does not honour labels, so the namespace of its objects may be called ``exported_namespace``.
"""

from typing import Any

from scripts.dashboards.panels import Panel, Rows, board, variable

HPA = 'namespace=~"$namespace",horizontalpodautoscaler=~"(keda-hpa-)?($model)"'
"""Matchers of the HPA, KEDA's or the chart's own."""

MODEL = '"model", "$1", "horizontalpodautoscaler", "(?:keda-hpa-)?(.+)"'


def keda(function: str, metric: str, by: str, *, rate: bool = False) -> str:
    """One of KEDA's metrics by some of its labels, under either name of its namespace."""
    parts = []
    for label in ("exported_namespace", "namespace"):
        series = f'{metric}{{{label}=~"$namespace",scaledObject=~"$model"}}'
        parts.append(f"{function} by ({by}) ({f'rate({series}[$__rate_interval])' if rate else series})")
    return " or ".join(parts)


def hpa(metric: str, more: str = "") -> str:
    """One of the HPA's numbers by model."""
    return f"max by (namespace, model) (label_replace({metric}{{{HPA}{more}}}, {MODEL}))"


WANTED = hpa("kube_horizontalpodautoscaler_status_desired_replicas")
MAXIMUM = hpa("kube_horizontalpodautoscaler_spec_max_replicas")

DEPLOYED = 'namespace=~"$namespace",deployment=~"$model"'

ROWS: Rows = (
    (
        "Now",
        (
            Panel("Models that are scaled", [("", f"count({WANTED})")], width=6, single=True),
            Panel("Replicas wanted", [("", f"sum({WANTED})")], width=6, single=True),
            Panel(
                "At their maximum",
                [("", f"count({WANTED} >= {MAXIMUM})")],
                description="No data: none.",
                width=6,
                single=True,
            ),
            Panel(
                "Scalers that fail",
                [("", f"count(({keda('sum', 'keda_scaled_object_errors_total', 'scaledObject', rate=True)}) > 0)")],
                description="No data: none.",
                width=6,
                single=True,
            ),
        ),
    ),
    (
        "Replicas",
        (
            Panel(
                "Wanted",
                [("{{namespace}}/{{model}}", WANTED)],
                description="By the scaler, 0 aside: there KEDA decides.",
            ),
            Panel(
                "There",
                [
                    (
                        "{{namespace}}/{{deployment}}",
                        f"max by (namespace, deployment) (kube_deployment_spec_replicas{{{DEPLOYED}}})",
                    )
                ],
                description="What the Deployment is told.",
            ),
            Panel(
                "Ready",
                [
                    (
                        "{{namespace}}/{{deployment}}",
                        f"max by (namespace, deployment) (kube_deployment_status_replicas_available{{{DEPLOYED}}})",
                    )
                ],
                description="Below what is there: replicas load, or wait for a GPU.",
            ),
            Panel(
                "Wanted of the maximum",
                [("{{namespace}}/{{model}}", f"{WANTED} / {MAXIMUM}")],
                "percentunit",
                "At 1 the load above it waits. Raise maxReplicas, or let the gateway refuse.",
            ),
            Panel(
                "Asleep",
                [("{{namespace}}/{{deployment}}", f"kube_deployment_spec_replicas{{{DEPLOYED}}} == 0")],
                description="Models at zero. No data: none.",
            ),
            Panel(
                "Held at the gateway",
                [
                    (
                        "{{model}}",
                        'sum by (model) (label_replace(haproxy_backend_current_sessions{proxy=~"hold-($model)"}, '
                        '"model", "$1", "proxy", "hold-(.+)"))',
                    )
                ],
                description="Requests that wait for a model to wake. No data: no model sleeps.",
            ),
        ),
    ),
    (
        "Scalers (needs KEDA's metrics)",
        (
            Panel(
                "What each trigger reads",
                [("{{scaledObject}} {{scaler}}", keda("max", "keda_scaler_metrics_value", "scaledObject, scaler"))],
            ),
            Panel(
                "Errors",
                [("{{scaledObject}}", keda("sum", "keda_scaled_object_errors_total", "scaledObject", rate=True))],
                "cps",
                "While a scaler fails, replicas stay as they are.",
            ),
            Panel(
                "Errors by trigger",
                [
                    (
                        "{{scaledObject}} {{scaler}}",
                        keda("sum", "keda_scaler_detail_errors_total", "scaledObject, scaler", rate=True),
                    )
                ],
                "cps",
            ),
            Panel(
                "Time to read a trigger",
                [
                    (
                        "{{scaledObject}} {{scaler}}",
                        keda("max", "keda_scaler_metrics_latency_seconds", "scaledObject, scaler"),
                    )
                ],
                "s",
            ),
            Panel(
                "Active",
                [("{{scaledObject}} {{scaler}}", keda("max", "keda_scaler_active", "scaledObject, scaler"))],
                description="1: this trigger keeps the model awake.",
            ),
            Panel(
                "Paused",
                [("{{scaledObject}}", keda("max", "keda_scaled_object_paused", "scaledObject"))],
                description="By the annotation autoscaling.keda.sh/paused.",
            ),
        ),
    ),
    (
        "HPA",
        (
            Panel(
                "Cannot scale",
                [
                    (
                        "{{namespace}}/{{model}}",
                        hpa(
                            "kube_horizontalpodautoscaler_status_condition", ',condition="ScalingActive",status="false"'
                        ),
                    )
                ],
                description="1: the HPA gets no metric, or its target is at 0.",
                width=12,
            ),
            Panel(
                "Pending replicas",
                [
                    (
                        "{{namespace}}",
                        'sum by (namespace) (kube_pod_status_phase{namespace=~"$namespace",phase="Pending",'
                        'pod=~"($model)-.+"})',
                    )
                ],
                description="Wanted, and without a node or an image yet.",
                width=12,
            ),
        ),
    ),
)


def build() -> dict[str, Any]:
    """The dashboard, for all models of all namespaces, or some of them."""
    series = "kube_horizontalpodautoscaler_spec_max_replicas"
    chosen = f'{series}{{namespace=~"$namespace"}}'
    variables = [
        variable("namespace", "Namespace", f"label_values({series}, namespace)").multi(True).include_all(True),
        variable("model", "Model", f"label_values({chosen}, horizontalpodautoscaler)", "/^(?:keda-hpa-)?(.+)$/")
        .multi(True)
        .include_all(True),
    ]
    return board("LLM platform / autoscaling", "llm-platform-autoscaling", ["llm-platform"], variables, ROWS)
