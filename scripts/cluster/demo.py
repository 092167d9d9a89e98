"""``make demo``: one model, one ``helm install``, one streamed answer."""

import time
from pathlib import Path

from scripts.cluster.cluster import Cluster
from scripts.cluster.external import external_kubeconfig, report
from scripts.cluster.kubernetes import CommandError, Kubernetes
from scripts.cluster.processes import wait_until
from scripts.cluster.settings import Settings
from scripts.console import UserError, console, seconds, step
from scripts.paths import BIN, CHARTS, REPO

VALUES = "values/models/tiny-cpu.yaml"
NAMESPACE = "demo"
RELEASE = "tiny"
PORT = 8000
QUESTION = "Where does the scheduler place a pod?"


def run(settings: Settings, values: str) -> None:
    """Brings the cluster up, installs the chart with the values file, asks one question and prints what to try next.

    Raises:
        UserError: a step failed; says which and why.
    """
    began = time.monotonic()
    cluster = choose_cluster(settings, values)
    install(cluster, REPO / values)
    with cluster.port_forward(f"service/{RELEASE}", PORT, namespace=NAMESPACE) as url:
        ask(url)
    console.print(f"\nDone in {seconds(time.monotonic() - began)}. To play on:")
    for line in next_steps(cluster, values):
        console.print(f"  {line}")


def choose_cluster(settings: Settings, values: str) -> Kubernetes:
    """The cluster of KUBECONFIG if one is given, else the local one, started, with the engine."""
    kubeconfig = external_kubeconfig()
    if kubeconfig is None:
        local = Cluster(settings)
        local.up()
        local.ensure_engine()
        return local
    if values == VALUES:
        raise UserError(
            f"{VALUES} is for the local cluster: its image exists nowhere else",
            fix="name a model that fits your GPUs: make demo VALUES=values/models/qwen2.5-7b-instruct-awq-t4.yaml",
        )
    report(kubeconfig)
    return Kubernetes(kubeconfig)


def install(cluster: Kubernetes, values: Path) -> None:
    """Installs or upgrades the release and waits until it serves."""
    release = ["upgrade", "--install", RELEASE, str(CHARTS / "vllm-model"), "--values", str(values)]
    with step(
        f"helm install {RELEASE} charts/vllm-model -f {values.relative_to(REPO)} (the engine starts in 1 to 3 min)"
    ):
        try:
            cluster.helm(
                *release, "--namespace", NAMESPACE, "--create-namespace", "--wait", "--timeout=15m", seconds=920
            )
        except CommandError as error:
            raise UserError(
                f"the model did not become ready: {error.output.strip().splitlines()[0]}",
                why=what_pods_say(cluster),
                fix=f"KUBECONFIG={cluster.kubeconfig} {BIN}/kubectl -n {NAMESPACE} describe pods; then make demo again",
            ) from None


def what_pods_say(cluster: Kubernetes) -> str:
    """State of the pods and the end of the engine's log: what someone would look at first."""
    pods = cluster.kubectl("get", "pods", "--namespace", NAMESPACE, check=False)
    log = cluster.kubectl("logs", f"deployment/{RELEASE}", "--namespace", NAMESPACE, "--tail=15", check=False)
    return f"{pods}\n{log}"


def ask(url: str) -> None:
    """Streams one chat completion and prints it as it comes."""
    import openai  # takes a second to load: only when it is needed

    client = openai.OpenAI(base_url=f"{url}/v1", api_key="none-needed", max_retries=3)
    models = wait_until("the Service answers", lambda: client.models.list().data, seconds=60, pause=0.5)
    console.print(f"\n[bold]{models[0].id}[/] is asked: {QUESTION}")
    began, first, count = time.monotonic(), 0.0, 0
    stream = client.chat.completions.create(
        model=models[0].id, messages=[{"role": "user", "content": QUESTION}], max_tokens=48, stream=True
    )
    for chunk in stream:
        text = chunk.choices[0].delta.content if chunk.choices else None
        if text:
            first = first or time.monotonic() - began
            count += 1
            console.print(text, end="", markup=False)
    took = time.monotonic() - began
    console.print(f"\n[dim]{count} pieces streamed in {seconds(took)}, the first after {first * 1000:.0f} ms[/]")


def next_steps(cluster: Kubernetes, values: str) -> list[str]:
    """Commands that go on from here, ready to be copied."""
    body = f'{{"model": "{RELEASE}", "messages": [{{"role": "user", "content": "Hello"}}], "stream": true}}'
    return [
        f"export KUBECONFIG={cluster.kubeconfig} PATH={BIN}:$PATH",
        f"kubectl -n {NAMESPACE} get pods,services",
        f"kubectl -n {NAMESPACE} port-forward service/{RELEASE} {PORT} &",
        f"curl -N localhost:{PORT}/v1/chat/completions -H 'Content-Type: application/json' -d '{body}'",
        f"helm -n {NAMESPACE} test {RELEASE}",
        f"helm -n {NAMESPACE} upgrade {RELEASE} charts/vllm-model -f {values} --set replicas=2 --wait",
        f"helm -n {NAMESPACE} uninstall {RELEASE}",
        "make cluster-down",
    ]
