"""Short words for tests of the umbrella: render it with stubs for its operators, and see what these were given."""

import base64
import gzip
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from scripts.platform_chart import stubbed
from scripts.render import Object, Render, render

Values = dict[str, Any]

QUIET: Values = {
    "gateway": {"enabled": False},
    "gpu-operator": {"enabled": False},
    "keda": {"enabled": False},
    "kube-prometheus-stack": {"enabled": False},
    "priorityClasses": {"create": False},
}
"""Nothing but models: no gateway, no operators, and so nothing that the platform would tell a model."""

TINY: Values = {"model": {"id": "org/tiny"}, "weights": {"sizeGiB": 15}}

TINY_SCALED: Values = {**TINY, "autoscaling": {"type": "keda"}, "auth": {"apiKeySecret": {"name": "key"}}}
"""A model with most of the objects that it can have."""


def platform(*values: Mapping[str, Any] | Path, **options: Any) -> Render:
    """Renders the umbrella as release ``llm`` in namespace ``llm``."""
    return render(stubbed(), list(values), **{"release": "llm", "namespace": "llm", **options})


def given(made: Render, operator: str) -> Values:
    """The values that a dependency was given."""
    values: Values = json.loads(made.one("ConfigMap", f"stub-{operator}")["data"]["values.json"])
    return values


def of_model(made: Render, name: str) -> list[Object]:
    """The objects of one model."""
    label = "app.kubernetes.io/instance"
    return [body for body in made.objects if (body["metadata"].get("labels") or {}).get(label) == name]


def haproxy_config(made: Render) -> str:
    """The gateway's configuration."""
    text: str = made.one("ConfigMap", "llm-gateway")["data"]["haproxy.cfg"]
    return text


def stored_bytes(manifest: str, chart: Path, config: Mapping[str, Any]) -> int:
    """Size of the Secret in which Helm keeps a release, in bytes; tests/cluster/test_platform.py holds it against Helm.

    Args:
        manifest: all that is rendered.
        chart: the chart's folder. Its own files are kept, those of the charts that it depends on are not.
        config: the values that were given.
    """
    files = [path for path in chart.rglob("*") if path.is_file() and "charts" not in path.relative_to(chart).parts]
    kept = [
        {"name": str(path.relative_to(chart)), "data": base64.b64encode(path.read_bytes()).decode()} for path in files
    ]
    release = {"manifest": manifest, "chart": kept, "config": config}
    return len(base64.b64encode(gzip.compress(json.dumps(release).encode(), 9)))
