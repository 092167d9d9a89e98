"""The dashboard of one model, for any model: its variables choose which."""

from typing import Any

from scripts.dashboards.panels import Panel, Rows, board, variable

PODS = "^(.+?)(?:-[a-z0-9]+-[a-z0-9]{5}|-[0-9]+)$"
"""Takes the name of the workload out of a pod's name (Deployment and Rollout, or the leader of a group)."""

ENGINE = 'model_name="$model",namespace="$namespace",pod=~"$pod"'
"""Matchers of the engine's own series."""

REPLICAS = 'namespace="$namespace",pod=~"$workload-([a-z0-9]+-[a-z0-9]{5}|[0-9]+)"'
"""Matchers of what others say about the pods, also while none of them is scraped."""

GPUS = 'exported_namespace="$namespace",exported_pod=~"$pod"'
GPUS_HONOURED = 'namespace="$namespace",pod=~"$pod"'
"""The DCGM exporter's pod labels, where its ServiceMonitor honours them and where it does not."""


def quantiles(metric: str, *values: float) -> list[tuple[str, str]]:
    """Queries for quantiles of one of the engine's histograms (its name without ``_bucket``)."""
    rate = f"sum by (le) (rate({metric}_bucket{{{ENGINE}}}[$__rate_interval]))"
    return [(f"p{value * 100:g}", f"histogram_quantile({value}, {rate})") for value in values]


def counted(metric: str, by: str, matchers: str = ENGINE) -> str:
    """The rate of a counter by a label."""
    return f"sum by ({by}) (rate({metric}{{{matchers}}}[$__rate_interval]))"


def gpu(function: str, metric: str) -> str:
    """A DCGM metric by pod, under either form of its labels."""
    return f"{function} by (exported_pod) ({metric}{{{GPUS}}}) or {function} by (pod) ({metric}{{{GPUS_HONOURED}}})"


WANTED = (
    'sum(kube_deployment_spec_replicas{namespace="$namespace",deployment="$workload"}) '
    'or sum(kube_statefulset_replicas{namespace="$namespace",statefulset="$workload"}) '
    'or sum(rollout_info_replicas_desired{name="$workload"})'
)
READY = f'sum(kube_pod_status_ready{{{REPLICAS},condition="true"}})'
HTTP = 'namespace="$namespace",pod=~"$pod",handler=~"/v1/.*"'

ROWS: Rows = (
    (
        "Now",
        (
            Panel("Replicas ready", [("", READY)], width=3, single=True),
            Panel("Replicas wanted", [("", WANTED)], width=3, single=True),
            Panel("Running", [("", f"sum(vllm:num_requests_running{{{ENGINE}}})")], width=3, single=True),
            Panel("Waiting", [("", f"sum(vllm:num_requests_waiting{{{ENGINE}}})")], width=3, single=True),
            Panel("First token, p95", quantiles("vllm:time_to_first_token_seconds", 0.95), "s", width=3, single=True),
            Panel(
                "Tokens a second",
                [("", f"sum(rate(vllm:generation_tokens_total{{{ENGINE}}}[$__rate_interval]))")],
                width=3,
                single=True,
            ),
            Panel(
                "KV cache, fullest",
                [("", f"max(vllm:kv_cache_usage_perc{{{ENGINE}}})")],
                "percentunit",
                width=3,
                single=True,
            ),
            Panel(
                "Server errors",
                [
                    (
                        "",
                        f'sum(rate(http_requests_total{{{HTTP},status="5xx"}}[$__rate_interval])) '
                        f"/ sum(rate(http_requests_total{{{HTTP}}}[$__rate_interval]))",
                    )
                ],
                "percentunit",
                "Share of the answers. No data: no server error in this time.",
                width=3,
                single=True,
            ),
        ),
    ),
    (
        "What users feel",
        (
            Panel(
                "Time to first token",
                quantiles("vllm:time_to_first_token_seconds", 0.5, 0.95, 0.99),
                "s",
                "Waiting, then reading the prompt. Rises with the queue and with long prompts.",
            ),
            Panel(
                "Time between tokens",
                quantiles("vllm:inter_token_latency_seconds", 0.5, 0.95, 0.99),
                "s",
                "The speed of a stream. Rises with the batch: more requests at once, each slower.",
            ),
            Panel("Whole request", quantiles("vllm:e2e_request_latency_seconds", 0.5, 0.95, 0.99), "s"),
            Panel("Time in the queue", quantiles("vllm:request_queue_time_seconds", 0.5, 0.95, 0.99), "s"),
            Panel("Reading the prompt", quantiles("vllm:request_prefill_time_seconds", 0.5, 0.95, 0.99), "s"),
            Panel("Writing the answer", quantiles("vllm:request_decode_time_seconds", 0.5, 0.95, 0.99), "s"),
        ),
    ),
    (
        "Load",
        (
            Panel("Requests running", [("{{pod}}", f"sum by (pod) (vllm:num_requests_running{{{ENGINE}}})")]),
            Panel(
                "Requests waiting",
                [("{{reason}}", f"sum by (reason) (vllm:num_requests_waiting_by_reason{{{ENGINE}}})")],
                description="At the engine. Requests that wait in a gateway are not counted here.",
            ),
            Panel(
                "Requests finished",
                [("{{finished_reason}}", counted("vllm:request_success_total", "finished_reason"))],
                "reqps",
            ),
            Panel(
                "Tokens",
                [
                    ("read", f"sum(rate(vllm:prompt_tokens_total{{{ENGINE}}}[$__rate_interval]))"),
                    ("read from cache", f"sum(rate(vllm:prompt_tokens_cached_total{{{ENGINE}}}[$__rate_interval]))"),
                    ("written", f"sum(rate(vllm:generation_tokens_total{{{ENGINE}}}[$__rate_interval]))"),
                ],
                "short",
                "A second, all replicas.",
            ),
            Panel("Length of prompts", quantiles("vllm:request_prompt_tokens", 0.5, 0.95)),
            Panel("Length of answers", quantiles("vllm:request_generation_tokens", 0.5, 0.95)),
        ),
    ),
    (
        "Memory of the engine",
        (
            Panel(
                "KV cache in use",
                [("{{pod}}", f"avg by (pod) (vllm:kv_cache_usage_perc{{{ENGINE}}})")],
                "percentunit",
                "At 1 requests are preempted: put back and computed again.",
            ),
            Panel(
                "Prefix cache hits",
                [
                    (
                        "hit rate",
                        f"sum(rate(vllm:prefix_cache_hits_total{{{ENGINE}}}[$__rate_interval])) "
                        f"/ sum(rate(vllm:prefix_cache_queries_total{{{ENGINE}}}[$__rate_interval]))",
                    )
                ],
                "percentunit",
                "Share of the prompts' tokens that needed no computing. Drops when requests of one conversation "
                "land on different replicas.",
            ),
            Panel("Preemptions", [("{{pod}}", counted("vllm:num_preemptions_total", "pod"))], "cps"),
        ),
    ),
    (
        "Errors",
        (
            Panel("HTTP answers", [("{{status}}", counted("http_requests_total", "status", HTTP))], "reqps"),
            Panel(
                "Refused at the door",
                [("{{reason}}", counted("vllm:admission_rejections_total", "reason"))],
                "reqps",
                "503 by maxNumQueuedReqs or maxNumQueuedTokens.",
            ),
            Panel(
                "Restarts",
                [("{{pod}}", f"sum by (pod) (increase(kube_pod_container_status_restarts_total{{{REPLICAS}}}[1h]))")],
                description="In an hour.",
            ),
        ),
    ),
    (
        "Replicas",
        (
            Panel("Wanted and ready", [("wanted", WANTED), ("ready", READY)], width=12),
            Panel(
                "Pending",
                [("pending", f'sum(kube_pod_status_phase{{{REPLICAS},phase="Pending"}})')],
                description="No free GPU, an image that is being pulled, or a claim that is not bound.",
                width=12,
            ),
        ),
    ),
    (
        "GPUs (needs the DCGM exporter)",
        (
            Panel(
                "Utilisation",
                [("{{pod}}{{exported_pod}}", gpu("avg", "DCGM_FI_DEV_GPU_UTIL"))],
                "percent",
                "Share of time in which any kernel ran: says little about load.",
            ),
            Panel("Memory in use", [("{{pod}}{{exported_pod}}", gpu("sum", "DCGM_FI_DEV_FB_USED"))], "decmbytes"),
            Panel("Power", [("{{pod}}{{exported_pod}}", gpu("sum", "DCGM_FI_DEV_POWER_USAGE"))], "watt"),
        ),
    ),
)


def build() -> dict[str, Any]:
    """The dashboard of one model, for any model: the variables choose it."""
    series = "vllm:num_requests_running"
    chosen = 'namespace="$namespace",pod=~"$workload-([a-z0-9]+-[a-z0-9]{5}|[0-9]+)"'
    variables = [
        variable("namespace", "Namespace", f"label_values({series}, namespace)"),
        variable("workload", "Workload", f'label_values({series}{{namespace="$namespace"}}, pod)', f"/{PODS}/"),
        variable("model", "Model", f"label_values({series}{{{chosen}}}, model_name)"),
        variable("pod", "Replica", f"label_values({series}{{{chosen}}}, pod)").multi(True).include_all(True),
    ]
    return board("vLLM / model", "vllm-model", ["vllm"], variables, ROWS)
