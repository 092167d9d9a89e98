"""``vllm-charts tenants``: API keys for the gateway.

The gateway's Secret holds a line ``<sha256 of the key> <tenant>`` for each key and never a key. A key is random, shown
once, and begins with ``llm-`` and its tenant's name, so that who finds one in a log knows whose it is. A tenant may
have several at once: make the new one, move the clients, take the old one away.
"""

import base64
import hashlib
import json
import re
import secrets
import subprocess
from dataclasses import dataclass
from typing import Annotated, Any

import typer
from rich.table import Table

from scripts.console import UserError, console
from scripts.tools import ensure

MAP = "keys.map"
"""The key of the Secret that the gateway reads."""

RANDOM_BYTES = 32

TENANT = re.compile(r"^[a-z0-9]([-a-z0-9]*[a-z0-9])?$")

app = typer.Typer()
keys = typer.Typer(no_args_is_help=True)
app.add_typer(keys, name="key", help="Make, list and take away keys.")

SecretName = Annotated[str, typer.Option("--secret", help="The gateway's Secret (gateway.auth.apiKeys.secret).")]
Namespace = Annotated[str, typer.Option("--namespace", "-n", help="Namespace of the platform's release.")]
Context = Annotated[str, typer.Option("--context", help="Context of the kubeconfig. Default: the current one.")]


@dataclass(frozen=True)
class Entry:
    """One key as the gateway knows it.

    Attributes:
        digest: SHA-256 of the key, 64 hexadecimal digits.
        tenant: whose it is.
    """

    digest: str
    tenant: str


def new_key(tenant: str) -> str:
    """A random key of 256 bits."""
    return f"llm-{tenant}-{secrets.token_urlsafe(RANDOM_BYTES)}"


def digest(key: str) -> str:
    """What stands for a key. A plain hash is enough: nobody guesses 256 random bits, salted or not."""
    return hashlib.sha256(key.encode()).hexdigest()


def parse(text: str) -> list[Entry]:
    """The entries of a keys.map.

    Raises:
        UserError: a line is not a hash and a tenant; a key instead of its hash, for instance.
    """
    found = []
    for number, line in enumerate(text.splitlines(), 1):
        words = line.split()
        if not words or words[0].startswith("#"):
            continue
        if len(words) != 2 or not re.fullmatch(r"[0-9a-f]{64}", words[0]) or not TENANT.match(words[1]):
            raise UserError(
                f"{MAP}, line {number} is not '<sha256> <tenant>'",
                why="the gateway looks up hashes; a key itself must never stand there",
                fix='printf %s "$KEY" | sha256sum',
            )
        found.append(Entry(*words))
    return found


def render(entries: list[Entry]) -> str:
    """The text of a keys.map, by tenant."""
    return "".join(f"{entry.digest} {entry.tenant}\n" for entry in sorted(entries, key=lambda e: (e.tenant, e.digest)))


def manifest(name: str, namespace: str, entries: list[Entry]) -> dict[str, Any]:
    """The Secret."""
    metadata = {"name": name, "namespace": namespace}
    return {"apiVersion": "v1", "kind": "Secret", "metadata": metadata, "stringData": {MAP: render(entries)}}


def kubectl(context: str, *arguments: str, text: str | None = None) -> subprocess.CompletedProcess[str]:
    command = [str(ensure("kubectl")), *(["--context", context] if context else []), *arguments]
    return subprocess.run(command, input=text, capture_output=True, text=True, check=False)


def read_secret(name: str, namespace: str, context: str) -> list[Entry]:
    """The entries that the cluster has; none if there is no Secret yet.

    Raises:
        UserError: the cluster does not answer, or the Secret holds something else.
    """
    done = kubectl(context, "get", "secret", name, "--namespace", namespace, "--output", "json", "--ignore-not-found")
    if done.returncode:
        raise UserError(f"cannot read the Secret {name}", why=done.stderr.strip(), fix="kubectl cluster-info")
    if not done.stdout.strip():
        return []
    data = json.loads(done.stdout).get("data", {}).get(MAP, "")
    return parse(base64.b64decode(data).decode())


def write_secret(name: str, namespace: str, context: str, entries: list[Entry]) -> None:
    """Makes or replaces the Secret.

    Raises:
        UserError: the cluster does not take it.
    """
    body = json.dumps(manifest(name, namespace, entries))
    done = kubectl(context, "apply", "--server-side", "--force-conflicts", "--filename", "-", text=body)
    if done.returncode:
        raise UserError(
            f"cannot write the Secret {name}",
            why=done.stderr.strip(),
            fix=f"kubectl create namespace {namespace}",
        )


@keys.command()
def create(
    tenant: Annotated[str, typer.Argument(help="The tenant, as it stands in `tenants` of the platform's values.")],
    secret: SecretName = "llm-gateway-keys",  # noqa: S107 - the name of a Secret, not a secret
    namespace: Namespace = "llm-platform",
    context: Context = "",
    offline: Annotated[
        bool, typer.Option("--offline", help="Change no cluster: print the line for keys.map after the key.")
    ] = False,
) -> None:
    """Make a key: printed once, its hash added to the gateway's Secret, which takes effect within about a minute."""
    if not TENANT.match(tenant):
        raise UserError(f"{tenant!r} is no name of a tenant", why="lower-case letters, digits and dashes", fix="team-a")
    key = new_key(tenant)
    entry = Entry(digest(key), tenant)
    if not offline:
        write_secret(secret, namespace, context, [*read_secret(secret, namespace, context), entry])
    print(key)
    if offline:
        print(render([entry]), end="")


@keys.command("list")
def list_keys(
    secret: SecretName = "llm-gateway-keys",  # noqa: S107
    namespace: Namespace = "llm-platform",
    context: Context = "",
) -> None:
    """Show tenants and the beginnings of their keys' hashes."""
    table = Table("tenant", "SHA-256 begins with")
    for entry in read_secret(secret, namespace, context):
        table.add_row(entry.tenant, entry.digest[:12])
    console.print(table)


@keys.command()
def revoke(
    beginning: Annotated[str, typer.Argument(help="Beginning of the key's hash, or a tenant for all of its keys.")],
    secret: SecretName = "llm-gateway-keys",  # noqa: S107
    namespace: Namespace = "llm-platform",
    context: Context = "",
) -> None:
    """Take keys away. The gateway refuses them within about a minute."""
    entries = read_secret(secret, namespace, context)
    gone = matching(entries, beginning)
    write_secret(secret, namespace, context, [entry for entry in entries if entry not in gone])
    console.print(f"{len(gone)} keys taken away from {', '.join(sorted({entry.tenant for entry in gone}))}")


def matching(entries: list[Entry], beginning: str) -> list[Entry]:
    """The entries of a tenant, or the one whose hash begins so.

    Raises:
        UserError: there is none, or the beginning fits several.
    """
    if of_tenant := [entry for entry in entries if entry.tenant == beginning]:
        return of_tenant
    found = [entry for entry in entries if len(beginning) >= 6 and entry.digest.startswith(beginning)]
    if len(found) != 1:
        raise UserError(
            f"{beginning!r} is no tenant, and the beginning of {len(found)} hashes",
            fix="vllm-charts tenants key list",
        )
    return found
