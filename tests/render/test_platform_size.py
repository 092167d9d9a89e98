"""Many models in one release: what a render costs, and whether Helm can still keep the release."""

import json
import os
import resource
import subprocess
from pathlib import Path

import pytest

from scripts.platform_chart import stubbed
from scripts.render import RenderError, helm_path
from tests.render.platform import TINY, TINY_SCALED, Values, platform, stored_bytes

OPERATORS_BYTES = 302_000
"""The release Secret of GPU Operator, KEDA and kube-prometheus-stack alone, measured at their pinned versions."""

SECRET_BYTES = 700_000
"""Where a release of 30 models must stay below; Kubernetes takes 1 MiB."""


def models(count: int, entry: Values = TINY) -> Values:
    return {"models": {f"model-{number}": entry for number in range(count)}}


def test_a_release_of_30_models_fits_its_secret_with_all_operators() -> None:
    values = models(30, TINY_SCALED)
    assert stored_bytes(platform(values).text, stubbed(), values) + OPERATORS_BYTES < SECRET_BYTES


def external(count: int, name: str = "") -> Values:
    """Models of other releases that share a name, or serve one of their own each."""
    names = [f"model-{number:03}" for number in range(count)]
    return {"gateway": {"externalModels": {each: {"servedNames": [name or each]} for each in names}}}


def config_bytes(values: Values) -> int:
    return sum(map(len, platform(values).one("ConfigMap", "llm-gateway")["data"].values()))


def test_the_configuration_grows_with_the_number_of_entries_that_share_a_name_and_no_faster() -> None:
    few, some, many = (config_bytes(external(count, "chat")) for count in (20, 40, 60))
    assert many - some == pytest.approx(some - few, rel=0.02)


def test_a_configuration_that_no_config_map_takes_is_refused() -> None:
    assert config_bytes(external(200)) < 1_000_000
    with pytest.raises(RenderError, match=r"1 MiB.*\n.*second release"):
        platform(external(800))


def cpu_seconds(count: int, folder: Path) -> float:
    """CPU time of one render: the time on the clock depends on what else the machine does."""
    path = folder / f"{count}.json"
    path.write_text(json.dumps(models(count)))
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    command: list[str | Path] = [helm_path("helm"), "template", "llm", stubbed(), "--values", path]
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL, env=os.environ | {"KUBECONFIG": os.devnull})
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def test_the_time_of_a_render_grows_with_the_number_of_models_and_no_faster(tmp_path: Path) -> None:
    base, few, many = (min(cpu_seconds(count, tmp_path) for _ in range(2)) for count in (0, 15, 45))
    assert many - base < 3 * 1.6 * (few - base)
