"""How healthy Argo CD thinks the custom resources are: its own checks and those of this repository, run as Lua."""

from typing import Any

import lupa
import pytest

from scripts.kubernetes_modules import module_dir
from scripts.kubernetes_yaml import load
from tests.gitops.argocd import ARGOCD

PREFIX = "resource.customizations.health."


def own(kind: str) -> str:
    data: dict[str, str] = load((ARGOCD / "argocd-cm" / "patch.yaml").read_text(encoding="utf-8"))["data"]
    return data[f"{PREFIX}{kind}"]


def built_in(kind: str) -> str:
    return (module_dir("argo-cd") / "resource_customizations" / kind / "health.lua").read_text(encoding="utf-8")


def health(script: str, body: dict[str, Any]) -> str:
    """What the script says of an object. Lists become tables that count from 1, as Argo CD hands them over."""
    lua = lupa.LuaRuntime(unpack_returned_tuples=True)
    lua.globals().obj = lua.table_from(body, recursive=True)
    return str(lua.execute(script)["status"])


def group(replicas: int | None, **conditions: str) -> dict[str, Any]:
    """A LeaderWorkerSet with the conditions given, such as Available="True"."""
    listed = [{"type": name, "status": status, "message": ""} for name, status in conditions.items()]
    return {"spec": {} if replicas is None else {"replicas": replicas}, "status": {"conditions": listed}}


@pytest.mark.parametrize(
    ("body", "wanted"),
    [
        (group(2, Available="True"), "Healthy"),
        (group(None, Available="True"), "Healthy"),
        (group(0), "Healthy"),
        (group(2, Available="True", UpdateInProgress="True"), "Progressing"),
        (group(2, Available="False", Progressing="True"), "Progressing"),
        ({"spec": {"replicas": 1}}, "Progressing"),
    ],
    ids=["available", "one-by-default", "scaled-to-zero", "updating", "starting", "no-status-yet"],
)
def test_a_group_is_healthy_when_it_is_available_and_not_updating(body: dict[str, Any], wanted: str) -> None:
    assert health(own("leaderworkerset.x-k8s.io_LeaderWorkerSet"), body) == wanted


def scaler(**conditions: str) -> dict[str, Any]:
    return {"status": {"conditions": [{"type": name, "status": status} for name, status in conditions.items()]}}


@pytest.mark.parametrize(
    ("body", "wanted"),
    [
        (scaler(Ready="True", Active="True"), "Healthy"),
        (scaler(Ready="True", Active="False"), "Healthy"),
        (scaler(Ready="False"), "Degraded"),
        (scaler(Ready="True", Fallback="True"), "Degraded"),
        ({}, "Progressing"),
    ],
    ids=["scaling", "asleep", "broken", "fallback", "new"],
)
def test_a_sleeping_model_is_healthy_and_a_failing_trigger_is_not(body: dict[str, Any], wanted: str) -> None:
    assert health(built_in("keda.sh/ScaledObject"), body) == wanted


@pytest.mark.parametrize(
    ("body", "wanted"),
    [({"status": {"health": {"status": "Degraded"}}}, "Degraded"), ({}, "Progressing")],
    ids=["known", "new"],
)
def test_an_application_is_as_healthy_as_what_it_holds(body: dict[str, Any], wanted: str) -> None:
    assert health(own("argoproj.io_Application"), body) == wanted
