"""A Gateway for the umbrella's InferencePools, made of its parts, as no controller of one can be built here.

Envoy takes the requests and asks two servers about each, by its external processing filter, as Istio's, GKE's and
others' Gateways do: the payload processor, which puts the model of the body into a header, and the endpoint picker of
the pool that the route with that header leads to, which names a pod. Routes, pools and pickers are read from the
cluster, as a controller would read what the chart has made.
"""

import json
from collections.abc import Sequence
from typing import Any
from zlib import crc32

import yaml

from scripts.bench.operators import MANIFESTS, apply_crds_first, ensure_image, rolled_out
from scripts.cluster import Cluster, Image
from scripts.cluster.images import with_libraries
from scripts.cluster.libraries import MERGED_LINKS
from scripts.gateway.programs import envoy
from scripts.kubernetes_modules import crd_files

ENVOY_IMAGE = "localhost/envoy:1.40.0"
EVERY = "0.0.0.0"  # noqa: S104 (of a pod)
PICKER_IMAGE = "localhost/endpoint-picker"
PICKER_API = "inference.networking.x-k8s.io/v1alpha1"
"""Group of an EndpointPickerConfig before the picker moved to llm-d, where the chart's default image is from."""

Object = dict[str, Any]


def install_definitions(cluster: Cluster) -> None:
    """Hands the cluster InferencePool, HTTPRoute and what belongs to them."""
    files = [path for module in ("gateway-api", "inference-extension") for path in crd_files(module)]
    documents = [each for path in files for each in yaml.load_all(path.read_text(), yaml.CSafeLoader)]
    apply_crds_first(cluster, [each for each in documents if each and each["kind"] == "CustomResourceDefinition"])


def picker_image(cluster: Cluster) -> dict[str, str]:
    """Makes the endpoint picker available. Gives the values of its image."""
    repository, _, tag = ensure_image(cluster, PICKER_IMAGE, "endpoint-picker", "/app/epp").rpartition(":")
    return {"repository": repository, "tag": tag}


def install_gateway(cluster: Cluster, namespace: str) -> None:
    """Installs Envoy with the routes of a namespace, and the payload processor; waits until they serve."""
    if not cluster.has_image(ENVOY_IMAGE):
        files = with_libraries({"/usr/local/bin/envoy": envoy()})
        cluster.import_image(
            Image(ENVOY_IMAGE, ("/usr/local/bin/envoy",), files, links=MERGED_LINKS, user="65532:65532")
        )
    pools = {pool["metadata"]["name"]: pool for pool in cluster.get("inferencepools", "--namespace", namespace)}
    config = json.dumps(bootstrap(cluster.get("httproutes", "--namespace", namespace), pools, namespace))
    filled = {
        "THE_NAMESPACE": namespace,
        "ENVOY_IMAGE": ENVOY_IMAGE,
        "PROCESSOR_IMAGE": ensure_image(cluster, "localhost/payload-processor", "payload-processor", "/bbr"),
        "CONFIG": json.dumps(config),
        "CHECKSUM": f'"{crc32(config.encode())}"',
    }
    text = (MANIFESTS / "inference.yaml").read_text()
    for name, value in filled.items():
        text = text.replace(name, value)
    cluster.apply(list(yaml.load_all(text, yaml.CSafeLoader)))
    rolled_out(cluster, namespace, "payload-processor", "envoy")


def bootstrap(routes: Sequence[Object], pools: dict[str, Object], namespace: str) -> Object:
    """Envoy's configuration: routes by the headers of the HTTPRoutes, each to the pod that the pool's picker names."""
    matched = [each for route in routes for rule in route["spec"]["rules"] for each in envoy_routes(rule)]
    unknown = {"match": {"prefix": "/"}, "direct_response": {"status": 404}, "typed_per_filter_config": no_picker()}
    manager = {
        "@type": extension("filters.network.http_connection_manager.v3.HttpConnectionManager"),
        "stat_prefix": "http",
        "stream_idle_timeout": "300s",
        "access_log": [failures_log()],
        "route_config": {
            "virtual_hosts": [{"name": "all", "domains": ["*"], "routes": [*matched, unknown]}],
        },
        "http_filters": [
            external_processor("payload-processor", "SKIP"),
            external_processor("endpoint-picker", "SEND"),
            {"name": "router", "typed_config": {"@type": extension("filters.http.router.v3.Router")}},
        ],
    }
    listener = {
        "name": "http",
        "address": address(EVERY, 8080),
        "filter_chains": [{"filters": [{"name": "http", "typed_config": manager}]}],
    }
    clusters = [
        chosen_by_header(),
        grpc_cluster("payload-processor", f"payload-processor.{namespace}.svc.cluster.local", 9004),
        *(picker_cluster(pool, namespace) for pool in pools.values()),
    ]
    return {
        "admin": {"address": address(EVERY, 9901)},
        "static_resources": {"listeners": [listener], "clusters": clusters},
    }


def failures_log() -> Object:
    """A line on standard output for each answer of 500 and above, with Envoy's own word for what happened."""
    least = {"default_value": 500, "runtime_key": "least"}
    return {
        "name": "failures",
        "filter": {"status_code_filter": {"comparison": {"op": "GE", "value": least}}},
        "typed_config": {
            "@type": extension("access_loggers.stream.v3.StdoutAccessLog"),
            "log_format": {
                "text_format_source": {
                    "inline_string": "%START_TIME% %RESPONSE_CODE% %RESPONSE_CODE_DETAILS% %UPSTREAM_HOST%\n"
                }
            },
        },
    }


def envoy_routes(rule: Object) -> list[Object]:
    """One rule of an HTTPRoute: a route of Envoy for each of its matches."""
    (backend,) = rule["backendRefs"]
    assert backend["kind"] == "InferencePool"
    service = {"envoy_grpc": {"cluster_name": picker_of(backend["name"])}}
    own = {"@type": extension("filters.http.ext_proc.v3.ExtProcPerRoute"), "overrides": {"grpc_service": service}}
    return [
        {
            "match": {
                "prefix": "/",
                "headers": [
                    {"name": header["name"], "string_match": {"exact": header["value"]}} for header in match["headers"]
                ],
            },
            "route": {"cluster": "endpoints", "timeout": rule["timeouts"]["request"]},
            "typed_per_filter_config": {"endpoint-picker": own},
        }
        for match in rule["matches"]
    ]


def no_picker() -> Object:
    """For what no pool serves."""
    return {"endpoint-picker": {"@type": extension("filters.http.ext_proc.v3.ExtProcPerRoute"), "disabled": True}}


def external_processor(name: str, responses: str) -> Object:
    """A filter that shows every request, and the answers if it is to SEND them, to a server, piece by piece."""
    body = "FULL_DUPLEX_STREAMED" if responses == "SEND" else "NONE"
    return {
        "name": name,
        "typed_config": {
            "@type": extension("filters.http.ext_proc.v3.ExternalProcessor"),
            "grpc_service": {"envoy_grpc": {"cluster_name": "payload-processor"}},
            "message_timeout": "300s",
            "processing_mode": {
                "request_header_mode": "SEND",
                "request_body_mode": "FULL_DUPLEX_STREAMED",
                "request_trailer_mode": "SEND",
                "response_header_mode": responses,
                "response_body_mode": body,
                "response_trailer_mode": responses,
            },
        },
    }


def chosen_by_header() -> Object:
    """The pods, each by the address that a picker has put into the header."""
    return {
        "name": "endpoints",
        "type": "ORIGINAL_DST",
        "lb_policy": "CLUSTER_PROVIDED",
        "connect_timeout": "5s",
        "original_dst_lb_config": {"use_http_header": True, "http_header_name": "x-gateway-destination-endpoint"},
    }


def picker_of(pool: str) -> str:
    """Envoy's name of a pool's picker."""
    return f"picker-{pool}"


def picker_cluster(pool: Object, namespace: str) -> Object:
    """The picker of a pool, which serves with a certificate that it made itself."""
    reference = pool["spec"]["endpointPickerRef"]
    host = f"{reference['name']}.{namespace}.svc.cluster.local"
    made = grpc_cluster(picker_of(pool["metadata"]["name"]), host, reference["port"]["number"])
    tls = {"@type": extension("transport_sockets.tls.v3.UpstreamTlsContext")}
    return {**made, "transport_socket": {"name": "tls", "typed_config": tls}}


def grpc_cluster(name: str, host: str, port: int) -> Object:
    """A server that speaks gRPC."""
    options = {
        "@type": extension("upstreams.http.v3.HttpProtocolOptions"),
        "explicit_http_config": {"http2_protocol_options": {}},
    }
    endpoint = {"endpoint": {"address": address(host, port)}}
    return {
        "name": name,
        "type": "STRICT_DNS",
        "connect_timeout": "5s",
        "typed_extension_protocol_options": {"envoy.extensions.upstreams.http.v3.HttpProtocolOptions": options},
        "load_assignment": {"cluster_name": name, "endpoints": [{"lb_endpoints": [endpoint]}]},
    }


def address(host: str, port: int) -> Object:
    """A TCP address in Envoy's words."""
    return {"socket_address": {"address": host, "port_value": port}}


def extension(name: str) -> str:
    """The type of a part of Envoy's configuration."""
    return f"type.googleapis.com/envoy.extensions.{name}"
