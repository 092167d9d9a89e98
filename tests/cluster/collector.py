"""An OTLP receiver in a pod: it takes spans over gRPC (4317) and HTTP in JSON (4318), and its log says which came.

It runs on the engine's image, which has OpenTelemetry's messages, and asks for a GPU because the node gives the
engine's environment to those alone.
"""

import json
from dataclasses import dataclass
from typing import Any

from scripts.cluster import Cluster
from scripts.cluster.images import engine_reference

NAME = "otel-collector"

PROGRAM = """
import concurrent.futures, http.server, json, threading
import grpc
from opentelemetry.proto.collector.trace.v1 import trace_service_pb2 as messages, trace_service_pb2_grpc as service

def say(attributes, trace, span, parent, name):
    [who] = [value for key, value in attributes if key == "service.name"]
    print(json.dumps({"service": who, "trace": trace, "span": span, "parent": parent, "name": name}), flush=True)

class OverGrpc(service.TraceServiceServicer):
    def Export(self, request, context):
        for resource in request.resource_spans:
            own = [(each.key, each.value.string_value) for each in resource.resource.attributes]
            for scope in resource.scope_spans:
                for span in scope.spans:
                    say(own, span.trace_id.hex(), span.span_id.hex(), span.parent_span_id.hex(), span.name)
        return messages.ExportTraceServiceResponse()

class OverHttp(http.server.BaseHTTPRequestHandler):
    def chunks(self):
        while size := int(self.rfile.readline(), 16):
            yield self.rfile.read(size)
            self.rfile.readline()
        self.rfile.readline()

    def do_POST(self):
        body = json.loads(b"".join(self.chunks()))
        for resource in body["resourceSpans"]:
            own = [(each["key"], each["value"]["stringValue"]) for each in resource["resource"]["attributes"]]
            for scope in resource["scopeSpans"]:
                for span in scope["spans"]:
                    say(own, span["traceId"], span["spanId"], span.get("parentSpanId", ""), span["name"])
        self.send_response(200)
        self.send_header("content-length", "2")
        self.end_headers()
        self.wfile.write(b"{}")

    def log_message(self, *args):
        pass

server = grpc.server(concurrent.futures.ThreadPoolExecutor(4))
service.add_TraceServiceServicer_to_server(OverGrpc(), server)
server.add_insecure_port("[::]:4317")
server.start()
http.server.ThreadingHTTPServer(("", 4318), OverHttp).serve_forever()
"""


@dataclass(frozen=True)
class Span:
    """A span that came: ids in hexadecimal, ``parent`` "" for a root."""

    service: str
    trace: str
    span: str
    parent: str
    name: str


def manifests(namespace: str) -> list[dict[str, Any]]:
    """The pod and its Service."""
    metadata = {"name": NAME, "namespace": namespace, "labels": {"app": NAME}}
    container = {
        "name": "collector",
        "image": engine_reference(),
        "command": ["/opt/vllm/bin/python", "-c", PROGRAM],
        "readinessProbe": {"tcpSocket": {"port": 4318}, "periodSeconds": 1},
        "resources": {"requests": {"cpu": "20m", "memory": "64Mi"}, "limits": {"nvidia.com/gpu": 1}},
    }
    ports = [{"name": name, "port": port} for name, port in (("grpc", 4317), ("http", 4318))]
    return [
        {"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": {"containers": [container]}},
        {
            "apiVersion": "v1",
            "kind": "Service",
            "metadata": {"name": NAME, "namespace": namespace},
            "spec": {"selector": {"app": NAME}, "ports": ports},
        },
    ]


def spans(cluster: Cluster, namespace: str) -> list[Span]:
    """What has come so far."""
    return [Span(**json.loads(line)) for line in cluster.kubectl("logs", NAME, "--namespace", namespace).splitlines()]
