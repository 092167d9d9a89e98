"""The dashboard of the gateway: what comes in, what waits, what fails, whose it is.

HAProxy has no histograms: its times are means of the last 1024 requests of each model and pod, and are shown as such.
"""

from typing import Any

from scripts.dashboards.panels import Panel, Rows, board, variable

GATEWAY = 'namespace="$namespace",pod=~"$pod"'
"""Matchers of the gateway's pods."""

MODELS = f'{GATEWAY},proxy=~"(model|hold)-($model)"'
"""The pods of a model, and where requests wait while there are none."""

RUNNING = f'{GATEWAY},proxy=~"model-($model)"'
HELD = f'{GATEWAY},proxy=~"hold-($model)"'

RULES = 'namespace="$namespace"'
"""Matchers of what the recording rules of the release made."""


def by_model(expression: str, function: str = "sum") -> str:
    """Adds up over pods, with the name of the model as a label instead of HAProxy's name of the backend."""
    return f'{function} by (model) (label_replace({expression}, "model", "$1", "proxy", "(?:model|hold)-(.+)"))'


def rate(metric: str, matchers: str) -> str:
    """The rate of a counter."""
    return f"rate({metric}{{{matchers}}}[$__rate_interval])"


def answers(by: str, matchers: str = f'{GATEWAY},proxy="api"') -> str:
    """Answers a second at the front door."""
    return f"sum by ({by}) ({rate('haproxy_frontend_http_responses_total', matchers)})"


ROWS: Rows = (
    (
        "Now",
        (
            Panel("Pods", [("", f"count(haproxy_process_uptime_seconds{{{GATEWAY}}})")], width=4, single=True),
            Panel("Requests a second", [("", f"sum({answers('code')})")], "reqps", width=4, single=True),
            Panel(
                "Running",
                [("", f"sum(haproxy_backend_current_sessions{{{RUNNING}}})")],
                description="And queued, at all models.",
                width=4,
                single=True,
            ),
            Panel("Queued", [("", f"sum(haproxy_backend_current_queue{{{RUNNING}}})")], width=4, single=True),
            Panel(
                "Held for models that wake",
                [("", f"sum(haproxy_backend_current_sessions{{{HELD}}})")],
                description="No data: no model of this gateway sleeps.",
                width=4,
                single=True,
            ),
            Panel(
                "Budget burnt, 1 h",
                [("", f"max(model:llm_gateway_budget_burn:rate1h{{{RULES}}})")],
                "none",
                "Times the pace at which the error budget lasts a month, worst model. At 14.4 it is gone in two days.",
                width=4,
                single=True,
            ),
        ),
    ),
    (
        "Requests",
        (
            Panel("Answers", [("{{code}}", answers("code"))], "reqps", "All of them, refusals too."),
            Panel(
                "By model",
                [("{{model}}", by_model(rate("haproxy_backend_http_requests_total", MODELS)))],
                "reqps",
                "Requests that were let through to a model.",
            ),
            Panel(
                "By tenant",
                [("{{tenant}}", f"sum by (tenant) ({rate('llm_gateway_requests_total', GATEWAY)})")],
                "reqps",
                "Requests that were let through.",
            ),
            Panel(
                "Refused for a limit",
                [("{{tenant}}", f"sum by (tenant) ({rate('llm_gateway_limited_requests_total', GATEWAY)})")],
                "reqps",
                "429: requests a second, requests at once, or tokens a minute.",
            ),
            Panel(
                "Running by tenant",
                [("{{tenant}}", f"sum by (tenant) (llm_gateway_running_requests{{{GATEWAY}}})")],
            ),
            Panel(
                "Tokens by tenant (estimate)",
                [("{{tenant}}", f"sum by (tenant) ({rate('llm_gateway_estimated_tokens_total', GATEWAY)}) * 60")],
                description="A minute, from the size of requests and max_tokens. No data: no limit of tokens.",
            ),
        ),
    ),
    (
        "Queue and time",
        (
            Panel(
                "Running and queued",
                [("{{model}}", by_model(f"haproxy_backend_current_sessions{{{RUNNING}}}"))],
                description="Demand, with what is held: what the scaler reads.",
            ),
            Panel("Queued", [("{{model}}", by_model(f"haproxy_backend_current_queue{{{RUNNING}}}"))]),
            Panel("Held", [("{{model}}", by_model(f"haproxy_backend_current_sessions{{{HELD}}}"))]),
            Panel(
                "Time in the queue",
                [("{{model}}", by_model(f"haproxy_backend_queue_time_average_seconds{{{RUNNING}}}", "max"))],
                "s",
                "Mean of the last 1024 requests, at the slowest gateway pod.",
            ),
            Panel(
                "Time to the first byte",
                [("{{model}}", by_model(f"haproxy_backend_response_time_average_seconds{{{RUNNING}}}", "max"))],
                "s",
                "Mean of the last 1024 requests, at the slowest gateway pod: of a stream, its headers.",
            ),
            Panel(
                "Whole request",
                [("{{model}}", by_model(f"haproxy_backend_total_time_average_seconds{{{RUNNING}}}", "max"))],
                "s",
                "Mean of the last 1024 requests, at the slowest gateway pod.",
            ),
        ),
    ),
    (
        "Errors",
        (
            Panel(
                "Error budget burnt",
                [
                    ("{{model}} 1 h", f"model:llm_gateway_budget_burn:rate1h{{{RULES}}}"),
                    ("{{model}} 6 h", f"model:llm_gateway_budget_burn:rate6h{{{RULES}}}"),
                ],
                "none",
                "1: the budget lasts exactly a month. 14.4: two days. 6: five days.",
            ),
            Panel(
                "Server errors",
                [
                    (
                        "{{model}}",
                        by_model(rate("haproxy_backend_http_responses_total", f'{MODELS},code="5xx"')),
                    )
                ],
                "reqps",
            ),
            Panel(
                "Pods that the gateway uses",
                [("{{model}}", by_model(f"haproxy_backend_active_servers{{{RUNNING}}}", "min"))],
                description="At the gateway pod that sees the fewest. 0: asleep, or not to be reached.",
            ),
            Panel(
                "Tried again",
                [("{{model}}", by_model(rate("haproxy_backend_retry_warnings_total", RUNNING)))],
                "cps",
                "On another pod, before the first byte of an answer.",
            ),
            Panel(
                "Connections that failed",
                [("{{model}}", by_model(rate("haproxy_backend_connection_errors_total", RUNNING)))],
                "cps",
            ),
            Panel(
                "Clients that left",
                [("{{model}}", by_model(rate("haproxy_backend_client_aborts_total", MODELS)))],
                "cps",
                "Before the answer was whole.",
            ),
        ),
    ),
    (
        "Gateway pods",
        (
            Panel(
                "Connections",
                [
                    (
                        "{{pod}}",
                        f"max by (pod) (haproxy_process_current_connections{{{GATEWAY}}}) "
                        f"/ max by (pod) (haproxy_process_max_connections{{{GATEWAY}}})",
                    )
                ],
                "percentunit",
                "Of gateway.maxConnections. At 1, new connections wait in the kernel.",
            ),
            Panel(
                "Bytes out",
                [("{{pod}}", f"sum by (pod) ({rate('haproxy_frontend_bytes_out_total', GATEWAY)})")],
                "Bps",
            ),
            Panel(
                "Since the start or the last reload",
                [("{{pod}}", f"max by (pod) (haproxy_process_uptime_seconds{{{GATEWAY}}})")],
                "s",
                "A changed Secret makes HAProxy reload. Counters of tenants begin anew.",
            ),
        ),
    ),
)


def build() -> dict[str, Any]:
    """The dashboard, for any gateway of the charts."""
    series = 'haproxy_frontend_http_requests_total{proxy="api"}'
    backends = 'haproxy_backend_status{namespace="$namespace",proxy=~"model-.+"}'
    variables = [
        variable("namespace", "Namespace", f"label_values({series}, namespace)"),
        variable("pod", "Gateway pod", 'label_values(haproxy_process_uptime_seconds{namespace="$namespace"}, pod)')
        .multi(True)
        .include_all(True),
        variable("model", "Model", f"label_values({backends}, proxy)", "/^model-(.+)$/").multi(True).include_all(True),
    ]
    return board("LLM platform / gateway", "llm-platform-gateway", ["llm-platform"], variables, ROWS)
