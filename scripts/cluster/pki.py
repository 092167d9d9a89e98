"""Keys, certificates and kubeconfigs of a cluster.

Everything is made anew for each cluster and lives in its state folder, readable by its owner only.
"""

import base64
import datetime
import ipaddress
from dataclasses import dataclass
from pathlib import Path

import yaml
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from scripts.cluster.settings import API_SERVICE_IP, CLUSTER_DOMAIN, NODE, Settings

LIFETIME = datetime.timedelta(days=365)
CLOCK_SKEW = datetime.timedelta(minutes=5)


@dataclass(frozen=True)
class Authority:
    """A certificate authority: its certificate and the key that signs."""

    certificate: x509.Certificate
    key: ec.EllipticCurvePrivateKey


def write_pki(settings: Settings) -> None:
    """Writes every key, certificate and kubeconfig of a new cluster."""
    folder = settings.pki
    folder.mkdir(parents=True, mode=0o700)
    ca, front_proxy_ca = make_authority(folder, "ca"), make_authority(folder, "front-proxy-ca")
    service = "kubernetes.default.svc"
    names = ["localhost", "kubernetes", "kubernetes.default", service, f"{service}.{CLUSTER_DOMAIN}"]
    addresses = ["127.0.0.1", API_SERVICE_IP, settings.node_ip]
    issue(folder, "apiserver", ca, "kube-apiserver", names=names, addresses=addresses)
    issue(folder, "front-proxy", front_proxy_ca, "front-proxy")
    issue(folder, "kubelet-client", ca, "kube-apiserver-kubelet-client", group="system:masters")
    issue(folder, "admin", ca, "admin", group="system:masters")
    issue(folder, "controller-manager", ca, "system:kube-controller-manager")
    issue(folder, "scheduler", ca, "system:kube-scheduler")
    issue(folder, "proxy", ca, "system:kube-proxy")
    node = f"system:node:{NODE}"
    issue(folder, "node", ca, node, group="system:nodes", names=[NODE], addresses=[settings.node_ip])
    write_service_account_keys(folder)
    for user in ("admin", "controller-manager", "scheduler", "proxy", "node"):
        write_kubeconfig(settings, folder / f"{user}.kubeconfig", user)
    write_kubeconfig(settings, settings.kubeconfig, "admin")


def make_authority(folder: Path, name: str) -> Authority:
    """A self-signed authority, written as ``NAME.crt`` and ``NAME.key``."""
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    usage = key_usage(key_cert_sign=True)
    builder = start(subject, subject, key).add_extension(x509.BasicConstraints(ca=True, path_length=None), True)
    certificate = builder.add_extension(usage, True).sign(key, hashes.SHA256())
    write(folder, name, certificate, key)
    return Authority(certificate, key)


def issue(
    folder: Path,
    file: str,
    authority: Authority,
    name: str,
    *,
    group: str = "",
    names: list[str] | None = None,
    addresses: list[str] | None = None,
) -> None:
    """A certificate for server and client use, written as ``FILE.crt`` and ``FILE.key``.

    Args:
        name: common name; Kubernetes takes it as the user.
        group: organisation; Kubernetes takes it as the group.
        names: DNS names that a server answers to.
        addresses: IP addresses that a server answers to.
    """
    key = ec.generate_private_key(ec.SECP256R1())
    attributes = [x509.NameAttribute(NameOID.ORGANIZATION_NAME, group)] if group else []
    subject = x509.Name([*attributes, x509.NameAttribute(NameOID.COMMON_NAME, name)])
    purposes = x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH, ExtendedKeyUsageOID.CLIENT_AUTH])
    builder = start(subject, authority.certificate.subject, key).add_extension(purposes, False)
    builder = builder.add_extension(key_usage(key_cert_sign=False), True)
    alternatives: list[x509.GeneralName] = [x509.DNSName(value) for value in names or []]
    alternatives += [x509.IPAddress(ipaddress.ip_address(value)) for value in addresses or []]
    if alternatives:
        builder = builder.add_extension(x509.SubjectAlternativeName(alternatives), False)
    write(folder, file, builder.sign(authority.key, hashes.SHA256()), key)


def start(subject: x509.Name, issuer: x509.Name, key: ec.EllipticCurvePrivateKey) -> x509.CertificateBuilder:
    """The part that all certificates share."""
    now = datetime.datetime.now(datetime.UTC)
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - CLOCK_SKEW)
        .not_valid_after(now + LIFETIME)
    )


def key_usage(*, key_cert_sign: bool) -> x509.KeyUsage:
    """Signatures, and for an authority the signing of certificates."""
    return x509.KeyUsage(
        digital_signature=True,
        key_encipherment=not key_cert_sign,
        key_cert_sign=key_cert_sign,
        crl_sign=False,
        content_commitment=False,
        data_encipherment=False,
        key_agreement=False,
        encipher_only=False,
        decipher_only=False,
    )


def private_pem(key: ec.EllipticCurvePrivateKey) -> bytes:
    """A key as PEM in the form that Go's TLS library reads."""
    plain = serialization.NoEncryption()
    return key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.TraditionalOpenSSL, plain)


def write(folder: Path, name: str, certificate: x509.Certificate, key: ec.EllipticCurvePrivateKey) -> None:
    """Writes a pair; the folder is readable by its owner only."""
    (folder / f"{name}.crt").write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
    (folder / f"{name}.key").write_bytes(private_pem(key))


def write_service_account_keys(folder: Path) -> None:
    """The pair that signs and checks the tokens of service accounts."""
    key = ec.generate_private_key(ec.SECP256R1())
    (folder / "sa.key").write_bytes(private_pem(key))
    public = serialization.PublicFormat.SubjectPublicKeyInfo
    (folder / "sa.pub").write_bytes(key.public_key().public_bytes(serialization.Encoding.PEM, public))


def write_kubeconfig(settings: Settings, path: Path, user: str) -> None:
    """A kubeconfig with everything in it, for a user whose certificate has been issued."""

    def data(file: str) -> str:
        return base64.b64encode((settings.pki / file).read_bytes()).decode()

    name = f"vllm-charts-{settings.name}"
    cluster = {"server": settings.server, "certificate-authority-data": data("ca.crt")}
    credentials = {"client-certificate-data": data(f"{user}.crt"), "client-key-data": data(f"{user}.key")}
    config = {
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [{"name": name, "cluster": cluster}],
        "users": [{"name": user, "user": credentials}],
        "contexts": [{"name": name, "context": {"cluster": name, "user": user}}],
        "current-context": name,
    }
    path.touch(mode=0o600)
    path.write_text(yaml.safe_dump(config, sort_keys=False))
