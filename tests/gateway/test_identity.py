"""JWT and client certificates as the other ways to say who asks."""

import base64
import datetime
import json
import ssl
import time
from pathlib import Path
from typing import Any

import httpx
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, hmac, serialization
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature
from cryptography.x509.oid import NameOID

from tests.gateway.conftest import TWO_TENANTS, MakeWorld, World, code, merged

RSA_KEY = rsa.generate_private_key(65537, 2048)
EC_KEY = ec.generate_private_key(ec.SECP256R1())


def public(key: Any) -> str:
    spki = serialization.PublicFormat.SubjectPublicKeyInfo
    return str(key.public_key().public_bytes(serialization.Encoding.PEM, spki).decode())


def encode(data: bytes) -> bytes:
    return base64.urlsafe_b64encode(data).rstrip(b"=")


def token(algorithm: str = "RS256", key: Any = RSA_KEY, **claims: Any) -> str:
    """A signed token of team-a, good for a minute, with claims changed or (None) left out."""
    said = {"tenant": "team-a", "iss": "https://login", "aud": "llm", "exp": int(time.time()) + 60} | claims
    body = {name: value for name, value in said.items() if value is not None}
    text = b".".join(encode(json.dumps(part).encode()) for part in ({"alg": algorithm, "typ": "JWT"}, body))
    return (text + b"." + encode(sign(algorithm, key, text))).decode()


def sign(algorithm: str, key: Any, text: bytes) -> bytes:
    if algorithm == "none":
        return b""
    if algorithm == "HS256":
        mac = hmac.HMAC(key, hashes.SHA256())
        mac.update(text)
        return mac.finalize()
    if algorithm == "ES256":
        r, s = decode_dss_signature(key.sign(text, ec.ECDSA(hashes.SHA256())))
        return r.to_bytes(32, "big") + s.to_bytes(32, "big")
    return bytes(key.sign(text, padding.PKCS1v15(), hashes.SHA256()))


def jwt_world(make_world: MakeWorld, *, algorithm: str = "RS256", key: Any = RSA_KEY, **auth: Any) -> World:
    jwt = {"enabled": True, "algorithm": algorithm, "issuer": "https://login", "audience": "llm"}
    values = merged(TWO_TENANTS, {"gateway": {"auth": {"jwt": jwt, **auth}}})
    world = make_world(values, jwt={"public.pem": public(key)})
    world.pods("tiny")
    return world


@pytest.fixture
def signed(make_world: MakeWorld) -> World:
    return jwt_world(make_world)


def test_a_token_names_its_tenant(signed: World) -> None:
    assert signed.ask(key=token()).status_code == 200
    assert code(signed.ask("large", key=token())) == (403, "model_not_allowed")
    assert signed.ask(key=token(aud=["other", "llm"][::-1])).status_code == 200


def test_keys_work_beside_tokens(signed: World) -> None:
    assert signed.ask(key="key-a").status_code == 200


def test_a_token_by_elliptic_curve(make_world: MakeWorld) -> None:
    world = jwt_world(make_world, algorithm="ES256", key=EC_KEY, apiKeys={"enabled": False})
    assert world.ask(key=token("ES256", EC_KEY)).status_code == 200
    assert code(world.ask(key=token())) == (401, "invalid_api_key")


def refused() -> dict[str, str]:
    other = rsa.generate_private_key(65537, 2048)
    now = int(time.time())
    good = token()
    head, _, tail = good.split(".")
    forged = encode(json.dumps({"tenant": "team-b", "iss": "https://login", "aud": "llm", "exp": now + 60}).encode())
    return {
        "expired": token(exp=now - 5),
        "without an end": token(exp=None),
        "not yet valid": token(nbf=now + 600),
        "of another issuer": token(iss="https://evil"),
        "for somebody else": token(aud="other"),
        "without a tenant": token(tenant=None),
        "of a tenant that is not there": token(tenant="team-z"),
        "signed by another key": token(key=other),
        "with its body exchanged": f"{head}.{forged.decode()}.{tail}",
        "not signed": token("none"),
        "signed with the public key as a password": token("HS256", public(RSA_KEY).encode()),
    }


def test_tokens_that_are_refused(signed: World) -> None:
    wrong = {name: signed.ask(key=text).status_code for name, text in refused().items()}
    assert set(wrong.values()) == {401}, wrong


def certificate(name: str, issuer: Any = None, issuer_key: Any = None, *, authority: bool = False) -> tuple[Any, Any]:
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    now = datetime.datetime.now(datetime.UTC)
    builder = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer.subject if issuer else subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(hours=1))
        .not_valid_after(now + datetime.timedelta(hours=1))
        .add_extension(x509.BasicConstraints(ca=authority, path_length=None), critical=True)
    )
    return builder.sign(issuer_key or key, hashes.SHA256()), key


def pem(item: Any) -> str:
    if isinstance(item, x509.Certificate):
        return item.public_bytes(serialization.Encoding.PEM).decode()
    return str(
        item.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        ).decode()
    )


def test_a_client_certificate_names_its_tenant(make_world: MakeWorld, tmp_path: Path) -> None:
    authority, authority_key = certificate("clients", authority=True)
    values = merged(
        TWO_TENANTS,
        {
            "gateway": {
                "tls": {"secret": "tls"},
                "auth": {"apiKeys": {"enabled": False}, "clientCertificates": {"enabled": True}},
            },
            "tenants": {"team-a": {"clientCertificates": ["app-a"]}},
        },
    )
    server, server_key = certificate("gateway")
    secrets = {
        "tls": {"tls.pem": pem(server), "tls.pem.key": pem(server_key)},
        "client-ca": {"ca.crt": pem(authority)},
    }
    world = make_world(values, **secrets)
    world.pods("tiny")

    def status(name: str | None, *, stranger: bool = False) -> int:
        context = ssl.create_default_context()
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
        if name:
            own, key = certificate(name) if stranger else certificate(name, authority, authority_key)
            path = tmp_path / "client.pem"
            path.write_text(pem(own) + pem(key))
            context.load_cert_chain(path)
        try:
            return httpx.post(f"{world.url}/v1/completions", json={"model": "tiny"}, verify=context).status_code
        except httpx.HTTPError:
            return 0

    assert status("app-a") == 200
    assert status("app-b") == 401
    assert status(None) == 401
    assert status("app-a", stranger=True) == 0


def test_anonymous_requests_have_the_tenant_that_was_named_for_them(make_world: MakeWorld) -> None:
    values = merged(TWO_TENANTS, {"gateway": {"auth": {"anonymousTenant": "team-a"}}})
    world = make_world(values)
    world.pods("tiny")
    assert world.ask(key=None).status_code == 200
    assert code(world.ask("large", key=None)) == (403, "model_not_allowed")
    assert code(world.ask(key="wrong")) == (401, "invalid_api_key")
