"""The dashboard of cost: what GPUs that are held cost an hour, whose they are, and what is paid for and not used.

Prices are values (``monitoring.cost``); the recording rules multiply. Without a price there is no data.
"""

from typing import Any

from scripts.dashboards.panels import Panel, Rows, board, variable

NAMESPACES = 'namespace=~"$namespace"'
SPEND = f"sum(namespace:llm_spend_per_hour:sum{{{NAMESPACES}}})"
UNUSED = "sum(node:llm_spend_unused_per_hour:sum)"
TENANTS = "sum by (tenant) (rate(llm_gateway_requests_total[1h]))"

ROWS: Rows = (
    (
        "Now",
        (
            Panel("Spend an hour", [("", SPEND)], "currencyUSD", "GPUs that pods hold x price.", width=4, single=True),
            Panel("At this rate, a month", [("", f"{SPEND} * 730")], "currencyUSD", width=4, single=True),
            Panel(
                "Last 30 days",
                [("", f"sum(sum_over_time(namespace:llm_spend_per_hour:sum{{{NAMESPACES}}}[30d:1h]))")],
                "currencyUSD",
                "Summed by the hour, as far back as Prometheus keeps series.",
                width=4,
                single=True,
            ),
            Panel(
                "Of the budget",
                [("", "sum(namespace:llm_spend_per_hour:sum) / max(platform:llm_budget_per_hour:max)")],
                "percentunit",
                "All namespaces. No data: monitoring.cost.budgetPerHour is not set.",
                width=4,
                single=True,
            ),
            Panel(
                "Paid for and free",
                [("", UNUSED)],
                "currencyUSD",
                "GPUs on nodes that no pod holds, an hour.",
                width=4,
                single=True,
            ),
            Panel("GPUs held", [("", f"sum(namespace_pod_node:llm_gpus:sum{{{NAMESPACES}}})")], width=4, single=True),
        ),
    ),
    (
        "Spend an hour",
        (
            Panel(
                "By model",
                [("{{model}}", f"sum by (model) (model:llm_spend_per_hour:sum{{{NAMESPACES}}})")],
                "currencyUSD",
            ),
            Panel(
                "By namespace",
                [("{{namespace}}", f"sum by (namespace) (namespace:llm_spend_per_hour:sum{{{NAMESPACES}}})")],
                "currencyUSD",
                "Everything that holds a GPU, models of this platform or not.",
            ),
            Panel(
                "By tenant, namespaces of their own",
                [("{{tenant}}", "sum by (tenant) (tenant:llm_spend_per_hour:sum)")],
                "currencyUSD",
                "No data: no tenant has models in a namespace of its own.",
            ),
            Panel(
                "By tenant, models that are shared",
                [
                    (
                        "{{tenant}}",
                        f"{TENANTS} / scalar(sum({TENANTS})) * scalar(sum(platform:llm_spend_shared_per_hour:sum))",
                    )
                ],
                "currencyUSD",
                "Models outside the tenants' namespaces, split by requests of the last hour: an estimate.",
            ),
            Panel(
                "Against the budgets",
                [
                    ("spend", "sum(namespace:llm_spend_per_hour:sum)"),
                    ("budget", "max(platform:llm_budget_per_hour:max)"),
                ],
                "currencyUSD",
            ),
            Panel(
                "Of the budget, by namespace",
                [
                    (
                        "{{namespace}}",
                        "namespace:llm_spend_per_hour:sum / on (namespace) namespace:llm_budget_per_hour:max",
                    )
                ],
                "percentunit",
                "No data: monitoring.cost.namespaceBudgetsPerHour is empty.",
            ),
        ),
    ),
    (
        "What it is worth",
        (
            Panel(
                "A million tokens written",
                [
                    (
                        "{{model}}",
                        "sum by (model) (avg_over_time(model:llm_spend_per_hour:sum[1h])) / on (model) "
                        "sum by (model) (model:llm_generation_tokens:rate1h * 3600 / 1e6)",
                    )
                ],
                "currencyUSD",
                "Spend of an hour over tokens of an hour. Falls with load: an idle replica costs the same.",
            ),
            Panel(
                "Price of a GPU hour",
                [("{{node}}", "max by (node) (node:llm_gpu_price_per_hour:max)")],
                "currencyUSD",
                "From values, by the product that the node is labelled with.",
            ),
            Panel(
                "Paid for and free",
                [("{{node}}", "node:llm_spend_unused_per_hour:sum > 0")],
                "currencyUSD",
                "An hour. No data: none.",
            ),
        ),
    ),
)


def build() -> dict[str, Any]:
    """The dashboard, for all namespaces or some of them."""
    series = "namespace:llm_spend_per_hour:sum"
    namespaces = variable("namespace", "Namespace", f"label_values({series}, namespace)").multi(True).include_all(True)
    return board("LLM platform / cost", "llm-platform-cost", ["llm-platform"], [namespaces], ROWS)
