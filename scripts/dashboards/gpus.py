"""The dashboard of GPUs: who holds them, what they do, and what is wrong with them.

Series of the DCGM exporter carry the pod that holds the GPU as ``pod``, or as ``exported_pod`` where its ServiceMonitor
does not honour labels.
"""

from typing import Any

from scripts.dashboards.panels import Panel, Rows, board, variable

NODES = 'Hostname=~"$node"'


def dcgm(function: str, metric: str) -> str:
    """A metric of each GPU."""
    return f"{function} by (Hostname, gpu) ({metric}{{{NODES}}})"


HELD = 'sum by (namespace) (namespace_pod_node:llm_gpus:sum{node=~"$node"})'
THERE = 'sum(node:llm_gpus:sum{node=~"$node"})'

ROWS: Rows = (
    (
        "Now",
        (
            Panel("GPUs", [("", THERE)], description="On nodes of the cluster.", width=6, single=True),
            Panel("Held", [("", f"sum({HELD})")], description="By pods that have a node.", width=6, single=True),
            Panel(
                "Utilisation",
                [("", f"avg(DCGM_FI_DEV_GPU_UTIL{{{NODES}}})")],
                "percent",
                "Share of time in which any kernel ran.",
                width=6,
                single=True,
            ),
            Panel("Power", [("", f"sum(DCGM_FI_DEV_POWER_USAGE{{{NODES}}})")], "watt", width=6, single=True),
        ),
    ),
    (
        "Who holds them (kube-state-metrics)",
        (
            Panel("Held by namespace", [("{{namespace}}", HELD)]),
            Panel(
                "Held by model",
                [("{{model}}", "sum by (model) (model:llm_gpus:sum)")],
                description="Models of this platform, wherever they run.",
            ),
            Panel(
                "On nodes, and held",
                [("on nodes", THERE), ("held", f"sum({HELD})")],
                description="What lies between is paid for and free.",
            ),
            Panel(
                "Pending pods that want a GPU",
                [("{{namespace}}", "count by (namespace) (namespace_pod:llm_gpus_pending:sum)")],
                description="No data: none.",
            ),
            Panel("Free by node", [("{{node}}", 'node:llm_gpus_free:sum{node=~"$node"}')]),
        ),
    ),
    (
        "What they do (DCGM exporter)",
        (
            Panel(
                "Utilisation",
                [("{{Hostname}} {{gpu}}", dcgm("avg", "DCGM_FI_DEV_GPU_UTIL"))],
                "percent",
                "Share of time in which any kernel ran: a busy engine and an overloaded one are both at 100.",
            ),
            Panel("Memory in use", [("{{Hostname}} {{gpu}}", dcgm("max", "DCGM_FI_DEV_FB_USED"))], "decmbytes"),
            Panel(
                "Memory bandwidth in use",
                [("{{Hostname}} {{gpu}}", dcgm("avg", "DCGM_FI_DEV_MEM_COPY_UTIL"))],
                "percent",
                "Decoding is bound by it.",
            ),
            Panel("Power", [("{{Hostname}} {{gpu}}", dcgm("max", "DCGM_FI_DEV_POWER_USAGE"))], "watt"),
            Panel("Temperature", [("{{Hostname}} {{gpu}}", dcgm("max", "DCGM_FI_DEV_GPU_TEMP"))], "celsius"),
            Panel("Clock", [("{{Hostname}} {{gpu}}", dcgm("max", "DCGM_FI_DEV_SM_CLOCK"))], "rotmhz"),
        ),
    ),
    (
        "What is wrong (DCGM exporter)",
        (
            Panel(
                "Last XID error",
                [("{{Hostname}} {{gpu}}", dcgm("max", "DCGM_FI_DEV_XID_ERRORS"))],
                "none",
                "0: none. 48, 63, 64, 74, 79, 94 and 95 are the hardware's; 13, 31 and 43 mostly the program's.",
            ),
            Panel(
                "Rows of memory remapped",
                [("{{Hostname}} {{gpu}}", dcgm("max", "DCGM_FI_DEV_UNCORRECTABLE_REMAPPED_ROWS"))],
                description="For errors that could not be corrected. Grows on a GPU that wears out.",
            ),
            Panel(
                "Remapping failed",
                [("{{Hostname}} {{gpu}}", dcgm("max", "DCGM_FI_DEV_ROW_REMAP_FAILURE"))],
                description="1: replace the GPU.",
            ),
        ),
    ),
)


def build() -> dict[str, Any]:
    """The dashboard, for all nodes or some of them."""
    nodes = variable("node", "Node", "label_values(node:llm_gpus:sum, node)").multi(True).include_all(True)
    return board("LLM platform / GPUs", "llm-platform-gpus", ["llm-platform"], [nodes], ROWS)
