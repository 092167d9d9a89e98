"""The engine's double behaves as vLLM does.

What is asserted here was read in vLLM 0.33 or measured on 0.32. A test of the cluster tier compares names and drain
with a running engine.
"""

import json
import signal
import subprocess
import time
import urllib.error
import urllib.request
from collections.abc import Callable

import pytest
from prometheus_client.parser import text_string_to_metric_families

from scripts.bench import double
from scripts.bench.traffic import Traffic
from scripts.paths import TESTS
from scripts.ports import free_port


def ask(engine: double.Double, path: str, body: dict[str, object] | None = None, key: str = "") -> tuple[int, str]:
    """Status and text of an answer."""
    data = json.dumps(body).encode() if body is not None else None
    headers = {"Authorization": f"Bearer {key}"} if key else {}
    request = urllib.request.Request(f"{engine.url}{path}", data=data, headers=headers)  # noqa: S310
    try:
        with urllib.request.urlopen(request, timeout=10) as answer:  # noqa: S310
            return answer.status, answer.read().decode()
    except urllib.error.HTTPError as error:
        return error.code, error.read().decode()


def chat(tokens: int = 4, model: str = "tiny") -> dict[str, object]:
    """A chat request."""
    return {"model": model, "max_tokens": tokens, "messages": [{"role": "user", "content": "hello"}]}


def gauge(of: double.Double, name: str, **labels: str) -> float:
    """The value of a series of /metrics."""
    for family in text_string_to_metric_families(ask(of, "/metrics")[1]):
        for sample in family.samples:
            if sample.name == name and labels.items() <= sample.labels.items():
                return sample.value
    raise LookupError(f"no series {name}{labels}")


def wait_for(condition: Callable[[], bool], seconds: float = 10) -> None:
    """Waits until a condition holds."""
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "not so within the time"
        time.sleep(0.02)


def test_models_are_listed_under_their_served_names() -> None:
    with double.running("--served-model-name", "tiny", "tiny-alias") as engine:
        status, text = ask(engine, "/v1/models")
        assert status == 200
        assert [model["id"] for model in json.loads(text)["data"]] == ["tiny", "tiny-alias"]
        assert ask(engine, "/v1/chat/completions", chat(model="other"))[0] == 404


def test_the_key_guards_v1_and_nothing_else() -> None:
    with double.running(VLLM_API_KEY="sesame") as engine:
        assert ask(engine, "/v1/models")[0] == 401
        assert ask(engine, "/v1/models", key="sesame")[0] == 200
        assert ask(engine, "/health")[0] == ask(engine, "/metrics")[0] == ask(engine, "/version")[0] == 200


def test_there_is_no_endpoint_that_knows_of_readiness() -> None:
    with double.running() as engine:
        assert [ask(engine, path)[0] for path in ("/ready", "/readyz", "/live")] == [404, 404, 404]


def test_metrics_carry_the_served_name_and_the_engine_index() -> None:
    with double.running() as engine:
        ask(engine, "/v1/chat/completions", chat())
        assert gauge(engine, "vllm:generation_tokens_total", model_name="tiny", engine="0") == 4
        assert gauge(engine, "vllm:request_success_total", finished_reason="length") == 1
        assert gauge(engine, "vllm:time_to_first_token_seconds_count") == 1


def test_every_series_of_the_engine_is_there_with_its_type_and_labels() -> None:
    listed = {}
    for line in (TESTS / "data" / "metrics.csv").read_text().splitlines():
        name, _, rest = line.partition(",")
        if name.startswith("vllm:"):
            kind, given, _ = rest.split(",")
            listed[name] = (kind, set(given.split()))
    with double.running("--max-num-seqs=1", "--max-num-queued-reqs=0", tokens_per_second=10) as engine:
        with Traffic(engine.url, "tiny") as traffic:
            traffic.tell("burst 3 5")
        text = ask(engine, "/metrics")[1]
    assert traffic.report().fates()["refused"] > 0
    shown = {}
    for family in text_string_to_metric_families(text):
        name = f"{family.name}_total" if family.type == "counter" else family.name
        if name.startswith("vllm:"):
            labels = {label for sample in family.samples for label in sample.labels} - {"le"}
            shown[name] = (family.type, labels)
    config = shown.pop("vllm:cache_config_info")
    assert "engine" in config[1]  # it carries every field of the cache's configuration beside it
    listed.pop("vllm:cache_config_info")
    assert shown == listed


def test_what_does_not_fit_into_the_batch_waits() -> None:
    with double.running("--max-num-seqs=4", tokens_per_second=100) as engine:
        with Traffic(engine.url, "tiny", answers="known") as traffic:
            traffic.tell("burst 10 100")
            wait_for(lambda: gauge(engine, "vllm:num_requests_waiting") == 6)
            assert gauge(engine, "vllm:num_requests_running") == 4
            assert gauge(engine, "vllm:num_requests_waiting_by_reason", reason="capacity") == 6
            assert gauge(engine, "vllm:kv_cache_usage_perc") > 0
        assert gauge(engine, "vllm:num_requests_running") == gauge(engine, "vllm:num_requests_waiting") == 0
    assert traffic.report().fates() == {"ok": 10}


def test_a_full_queue_is_answered_503() -> None:
    with (
        double.running("--max-num-seqs=1", "--max-num-queued-reqs=1", tokens_per_second=20) as engine,
        Traffic(engine.url, "tiny") as traffic,
    ):
        traffic.tell("burst 5 20")
    report = traffic.report()
    assert report.fates() == {"ok": 2, "refused": 3}
    assert {request.status for request in report.not_ok()} == {503}


def test_a_client_that_leaves_frees_its_place() -> None:
    with double.running("--max-num-seqs=2", tokens_per_second=5) as engine:
        with Traffic(engine.url, "tiny") as traffic:
            traffic.tell("burst 4 200")
            wait_for(lambda: gauge(engine, "vllm:num_requests_waiting") == 2)
            traffic.tell("leave")
        wait_for(lambda: gauge(engine, "vllm:num_requests_running") == gauge(engine, "vllm:num_requests_waiting") == 0)


def test_health_answers_only_once_the_engine_has_started() -> None:
    began = time.monotonic()
    with double.running(wait=False, start_seconds=0.5) as engine:
        assert not engine.answers()
        engine.wait_until_healthy()
        assert time.monotonic() - began > 0.5


def test_a_drain_lets_streams_end_and_answers_new_requests_500_while_health_stays_200() -> None:
    with double.running("--shutdown-timeout=20", tokens_per_second=50) as engine:
        with Traffic(engine.url, "tiny", answers="known") as traffic:
            traffic.tell("burst 4 100")
            traffic.wait_for("4 begun", lambda: traffic.status["running"].get("burst", 0) == 4)
            engine.terminate()
            wait_for(lambda: ask(engine, "/v1/chat/completions", chat())[0] == 500)
            assert ask(engine, "/health")[0] == 200
            assert "cannot schedule new futures after shutdown" in ask(engine, "/v1/chat/completions", chat())[1]
        assert traffic.report().fates() == {"ok": 4}
        assert engine.process.wait(10) == 0


def test_streams_longer_than_the_drain_end_with_a_clear_error() -> None:
    with double.running("--shutdown-timeout=1", tokens_per_second=5) as engine, Traffic(engine.url, "tiny") as traffic:
        traffic.tell("burst 3 200")
        traffic.wait_for("3 begun", lambda: traffic.status["running"].get("burst", 0) == 3)
        engine.terminate()
    assert traffic.report().fates() == {"error": 3}


def test_without_a_shutdown_timeout_streams_stop_and_the_process_waits_for_their_clients() -> None:
    with double.running(tokens_per_second=20) as engine:
        with Traffic(engine.url, "tiny", limit=3) as traffic:
            traffic.tell("burst 2 400")
            traffic.wait_for("2 begun", lambda: traffic.status["running"].get("burst", 0) == 2)
            engine.terminate()
            wait_for(lambda: not engine.answers())
            assert engine.process.poll() is None
        assert traffic.report().fates() == {"cut": 2}
        assert engine.process.wait(10) == 0


def test_a_hanging_engine_core_stops_tokens_but_not_health() -> None:
    with double.running(tokens_per_second=100) as engine:
        with Traffic(engine.url, "tiny", answers="known") as traffic:
            traffic.tell("burst 1 200")
            traffic.wait_for("it has begun", lambda: traffic.status["running"].get("burst", 0) == 1)
            engine.process.send_signal(signal.SIGUSR1)
            before = gauge(engine, "vllm:generation_tokens_total")
            time.sleep(0.5)  # time is what is tested: nothing must come out of it
            assert gauge(engine, "vllm:generation_tokens_total") <= before + 1
            assert ask(engine, "/health")[0] == 200
            engine.process.send_signal(signal.SIGUSR1)
        assert traffic.report().fates() == {"ok": 1}


def test_a_wrong_flag_ends_it_as_argparse_does() -> None:
    result = subprocess.run(double.command("--max-num-seqs=many"), capture_output=True, text=True)
    assert result.returncode == 2
    assert "argument --max-num-seqs: invalid int value: 'many'" in result.stderr


def test_being_told_to_end_while_it_starts_is_an_interrupt() -> None:
    with double.running(wait=False, start_seconds=30) as engine:
        time.sleep(0.3)  # it has no endpoint yet that could be asked
        engine.terminate()
        assert engine.process.wait(5) == 1


@pytest.mark.parametrize(("leader", "worker"), [
    (["--nnodes=2", "--node-rank=0"], ["--nnodes=2", "--node-rank=1", "--headless"]),
    (["--data-parallel-size=2", "--data-parallel-size-local=1"],
     ["--data-parallel-size=2", "--data-parallel-size-local=1", "--data-parallel-start-rank=1", "--headless"]),
], ids=["pipeline", "data"])  # fmt: skip
def test_a_group_serves_when_it_is_complete_and_dies_with_its_worker(leader: list[str], worker: list[str]) -> None:
    port = free_port()
    where = ["--master-addr=127.0.0.1", f"--master-port={port}", "--data-parallel-address=127.0.0.1"]
    where += [f"--data-parallel-rpc-port={port}"]
    if not leader[0].startswith("--data"):
        where = where[:2]
    with double.running(*leader, *where, wait=False) as engine:
        time.sleep(0.3)  # a leader that does not wait for its worker would answer by now
        assert not engine.answers()
        with double.running(*worker, *where, wait=False) as other:
            engine.wait_until_healthy()
            with Traffic(engine.url, "tiny") as traffic:
                traffic.tell("burst 2 2000")
                traffic.wait_for("begun", lambda: traffic.status["running"].get("burst", 0) == 2)
                other.process.kill()
            assert traffic.report().fates() == {"error": 2}
        assert engine.process.wait(5) == 0
