"""API keys: made, hashed, kept in a Secret, taken away."""

import base64
import hashlib
import json
import subprocess
from typing import Any

import pytest
from typer.testing import CliRunner

from scripts import tenants
from scripts.console import UserError


class Cluster:
    """A cluster with one Secret."""

    def __init__(self) -> None:
        self.secret: dict[str, Any] | None = None
        self.fails = ""

    def kubectl(self, _context: str, *arguments: str, text: str | None = None) -> subprocess.CompletedProcess[str]:
        if self.fails:
            return subprocess.CompletedProcess(arguments, 1, "", self.fails)
        if arguments[0] == "apply":
            assert text is not None
            self.secret = json.loads(text)
            return subprocess.CompletedProcess(arguments, 0, "", "")
        if self.secret is None:
            return subprocess.CompletedProcess(arguments, 0, "", "")
        data = {key: base64.b64encode(value.encode()).decode() for key, value in self.secret["stringData"].items()}
        return subprocess.CompletedProcess(arguments, 0, json.dumps({"data": data}), "")

    @property
    def map(self) -> str:
        assert self.secret is not None
        return str(self.secret["stringData"]["keys.map"])


@pytest.fixture
def cluster(monkeypatch: pytest.MonkeyPatch) -> Cluster:
    made = Cluster()
    monkeypatch.setattr(tenants, "kubectl", made.kubectl)
    return made


def run(*arguments: str) -> str:
    result = CliRunner().invoke(tenants.app, ["key", *arguments])
    if result.exception and not isinstance(result.exception, SystemExit):
        raise result.exception
    return result.output


def test_a_key_is_printed_once_and_only_its_hash_is_kept(cluster: Cluster) -> None:
    key = run("create", "team-a").strip()
    assert cluster.map == f"{hashlib.sha256(key.encode()).hexdigest()} team-a\n"
    assert key not in json.dumps(cluster.secret)


@pytest.mark.usefixtures("cluster")
def test_keys_are_random_and_name_their_tenant() -> None:
    first, second = run("create", "team-a").strip(), run("create", "team-a").strip()
    assert first != second
    assert first.startswith("llm-team-a-")
    assert len(first) >= len("llm-team-a-") + 43


def test_a_new_key_leaves_the_others(cluster: Cluster) -> None:
    for tenant in ("team-b", "team-a", "team-a"):
        run("create", tenant)
    assert [entry.tenant for entry in tenants.parse(cluster.map)] == ["team-a", "team-a", "team-b"]


def test_offline_prints_the_key_and_the_line_for_the_secret() -> None:
    key, line = run("create", "team-a", "--offline").splitlines()
    assert line == f"{hashlib.sha256(key.encode()).hexdigest()} team-a"


def test_one_key_is_taken_away_by_the_beginning_of_its_hash(cluster: Cluster) -> None:
    first, second = run("create", "team-a").strip(), run("create", "team-a").strip()
    run("revoke", tenants.digest(first)[:12])
    assert cluster.map == f"{tenants.digest(second)} team-a\n"


def test_all_keys_of_a_tenant_are_taken_away_by_its_name(cluster: Cluster) -> None:
    for tenant in ("team-a", "team-a", "team-b"):
        run("create", tenant)
    run("revoke", "team-a")
    assert [entry.tenant for entry in tenants.parse(cluster.map)] == ["team-b"]


@pytest.mark.parametrize("beginning", ["team-z", "0", ""])
def test_what_fits_no_key_takes_none_away(cluster: Cluster, beginning: str) -> None:
    run("create", "team-a")
    before = cluster.map
    with pytest.raises(UserError):
        run("revoke", beginning)
    assert cluster.map == before


@pytest.mark.usefixtures("cluster")
def test_the_list_shows_no_key_and_no_whole_hash() -> None:
    key = run("create", "team-a").strip()
    shown = run("list")
    assert tenants.digest(key)[:12] in shown
    assert tenants.digest(key) not in shown


@pytest.mark.parametrize("tenant", ["Team", "a b", "", "a-"])
def test_what_is_no_name_of_a_tenant_is_refused(cluster: Cluster, tenant: str) -> None:
    with pytest.raises(UserError):
        run("create", tenant)
    assert cluster.secret is None


def test_a_key_in_the_map_instead_of_its_hash_is_refused() -> None:
    with pytest.raises(UserError, match="line 2"):
        tenants.parse(f"{'0' * 64} team-a\nllm-team-a-secret team-a\n")


def test_comments_and_empty_lines_are_let_through() -> None:
    assert tenants.parse(f"# keys\n\n{'0' * 64} team-a\n") == [tenants.Entry("0" * 64, "team-a")]


def test_a_cluster_that_does_not_answer_makes_no_key(cluster: Cluster) -> None:
    cluster.fails = "connection refused"
    with pytest.raises(UserError, match="connection refused"):
        run("create", "team-a")
