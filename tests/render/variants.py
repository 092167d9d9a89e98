"""Values that together reach every object and every branch of the chart: what whole-chart tests run over.

Each says only what differs from the least model, so a failure names the branch.
"""

from typing import Any

Values = dict[str, Any]

KEDA: Values = {"type": "keda", "prometheus": {"serverAddress": "http://prometheus.monitoring.svc:9090"}}
GATEWAY: Values = {"gateway": {"service": "llm-gateway-internal", "namespace": "llm"}}
SHARED: Values = {"type": "claim", "accessModes": ["ReadWriteMany"], "storageClassName": "efs-sc"}
GROUP: Values = {
    "parallelism": {"tensor": 8, "pipeline": 2, "nodes": 2},
    "weights": {"downloader": "job", "cache": SHARED},
    "availability": {"strategy": {"maxSurge": 0, "maxUnavailable": 1}},
}
EVERY_TRIGGER: Values = {
    "waitingRequests": {"enabled": True},
    "runningRequests": {"enabled": True},
    "requestsPerSecond": {"enabled": True},
    "timeToFirstToken": {"enabled": True},
    "kvCacheUsage": {"enabled": True},
    "tokensPerSecond": {"enabled": True},
    "gpuUtilization": {"enabled": True},
}

VARIANTS: dict[str, Values] = {
    "least": {},
    # Weights
    "token of a gated model": {"weights": {"huggingface": {"tokenSecret": {"name": "hf-token"}}}},
    "mirror of the hub": {"weights": {"huggingface": {"endpoint": "https://hub.example.com"}}},
    "cache with a limit": {"weights": {"cache": {"sizeGiB": 40}}},
    "cache claim": {"weights": {"cache": {"type": "claim"}}, "availability": {"strategy": {"type": "recreate"}}},
    "init container": {"weights": {"downloader": "initContainer"}},
    "download job": {"replicas": 3, "weights": {"downloader": "job", "cache": SHARED}},
    "existing cache claim": {
        "replicas": 2,
        "weights": {"downloader": "job", "cache": {**SHARED, "existingClaim": "w"}},
    },
    "weights in a claim": {"weights": {"source": "claim", "claim": {"name": "weights", "path": "llama"}}},
    "s3 streamed": {"weights": {"source": "s3", "s3": {"uri": "s3://bucket/llama", "region": "eu-central-1"}}},
    "s3 copied, with keys": {
        "weights": {
            "source": "s3",
            "s3": {
                "uri": "s3://bucket/llama",
                "mode": "copy",
                "endpoint": "http://minio.storage.svc:9000",
                "credentialsSecret": "minio",
            },
        }
    },
    "gcs streamed": {"weights": {"source": "gcs", "gcs": {"uri": "gs://bucket/llama"}}},
    "gcs copied by a job, with a key": {
        "weights": {
            "source": "gcs",
            "downloader": "job",
            "cache": SHARED,
            "gcs": {"uri": "gs://bucket/llama", "mode": "copy", "credentialsSecret": "gcs"},
        }
    },
    "weights in the engine's image": {"weights": {"source": "engineImage", "engineImage": {"path": "/models/llama"}}},
    "image volume": {
        "weights": {"source": "image", "image": {"reference": "registry.example.com/llama:1", "path": "m"}}
    },
    "host path": {"weights": {"source": "hostPath", "hostPath": {"path": "/models/llama"}}},
    # Engine
    "digest": {"engine": {"image": {"digest": "sha256:" + "0" * 64}, "version": "0.33.0"}},
    "old engine": {"engine": {"image": {"tag": "v0.17.1"}}},
    "many flags": {
        "engine": {
            "flags": {
                "maxModelLen": 131072,
                "enablePrefixCaching": True,
                "enableChunkedPrefill": False,
                "speculativeConfig": {"method": "ngram", "num_speculative_tokens": 3},
                "kvCacheDtype": "fp8",
            },
            "extraArgs": ["--seed=1"],
            "env": {"NCCL_DEBUG": "INFO", "SECRET": {"valueFrom": {"secretKeyRef": {"name": "s", "key": "k"}}}},
            "envFrom": [{"configMapRef": {"name": "more"}}],
        }
    },
    "chat template": {"model": {"chatTemplate": {"inline": "{{ messages }}"}}},
    "chat template of others": {"model": {"chatTemplate": {"configMap": "templates", "key": "llama.jinja"}}},
    "adapters": {"model": {"adapters": {"sql": {"source": "org/sql"}, "chat": {"source": "org/chat"}}}},
    "tracing": {"tracing": {"endpoint": "http://otel-collector.observability.svc:4317"}},
    "TLS of the engine": {
        "engine": {"flags": {"sslKeyfile": "/tls/tls.key", "sslCertfile": "/tls/tls.crt"}},
        "monitoring": {"podMonitor": {"enabled": True}},
    },
    "key": {"auth": {"apiKeySecret": {"name": "llm-api-key"}}},
    # Parallelism and devices
    "four GPUs": {"parallelism": {"tensor": 2, "pipeline": 2}},
    "data parallel": {"parallelism": {"data": 4, "expert": True}},
    "MIG": {"gpu": {"resourceName": "nvidia.com/mig-3g.40gb", "memoryGiB": 40, "runtimeClassName": "nvidia"}},
    "group": GROUP,
    "group of data parallel engines": {**GROUP, "parallelism": {"data": 16, "expert": True, "nodes": 2}},
    "group with RDMA": {**GROUP, "rdma": {"enabled": True, "resources": {"rdma/ib": 8}}},
    # Workloads
    "rollout": {"workload": {"kind": "Rollout"}},
    "rollout that is judged": {
        "workload": {"kind": "Rollout", "analysis": {"enabled": True}},
        "autoscaling": {"prometheus": {"serverAddress": "http://prometheus-operated.monitoring.svc:9090"}},
    },
    "inference service": {"workload": {"kind": "InferenceService"}},
    "recreate": {"availability": {"strategy": {"type": "recreate"}}},
    "spot": {"spot": {"enabled": True, "noticeSeconds": 30}},
    "three replicas": {"replicas": 3, "availability": {"priorityClassName": "llm", "imagePrePull": True}},
    "strict spread": {"replicas": 2, "availability": {"spread": {"zones": "required", "nodes": "required"}}},
    "placed": {
        "gpu": {"nodeLabels": {"nvidia.com/gpu.product": ["NVIDIA-L4"], "nvidia.com/gpu.present": []}},
        "scheduling": {
            "nodeSelector": {"pool": "gpu"},
            "tolerations": [{"key": "team", "operator": "Exists"}],
            "schedulerName": "volcano",
        },
    },
    # Scaling
    "keda": {"autoscaling": KEDA},
    "keda with every trigger": {
        "autoscaling": {
            **KEDA,
            "preset": "responsive",
            "triggers": {
                **EVERY_TRIGGER,
                "cron": {
                    "office": {
                        "timezone": "Europe/Berlin",
                        "start": "0 8 * * 1-5",
                        "end": "0 18 * * 1-5",
                        "replicas": 2,
                    }
                },
                "custom": [{"type": "cpu", "metricType": "Utilization", "metadata": {"value": "80"}}],
            },
            "prometheus": {
                **KEDA["prometheus"],
                "authentication": {"kind": "ClusterTriggerAuthentication", "name": "prometheus", "modes": "bearer"},
                "matchLabels": {"cluster": "eu-1"},
            },
        }
    },
    "keda that logs in": {
        "autoscaling": {**KEDA, "prometheus": {**KEDA["prometheus"], "authentication": {"name": "prometheus"}}}
    },
    "scaled to zero by a gateway": {"autoscaling": {**KEDA, "minReplicas": 0, "wake": GATEWAY}},
    "group scaled to zero": {**GROUP, "autoscaling": {**KEDA, "minReplicas": 0, "wake": GATEWAY}},
    "rollout scaled": {"workload": {"kind": "Rollout"}, "autoscaling": KEDA},
    "hpa": {"autoscaling": {"type": "hpa", "triggers": EVERY_TRIGGER}},
    # Reach
    **{
        f"ingress of {controller}{suffix}": {
            "ingress": {
                "enabled": True,
                "controller": controller,
                "className": "c",
                "hosts": ["llm.example.com"],
                "tlsSecret": "llm-tls",
            },
            **engine,
        }
        for controller in ("none", "nginx", "traefik", "haproxy", "haproxy-ingress", "alb", "gce")
        for suffix, engine in {"": {}, " to TLS": {"engine": {"flags": {"sslCertfile": "/tls/tls.pem"}}}}.items()
    },
    "route": {
        "route": {
            "enabled": True,
            "parentRefs": [{"name": "public", "namespace": "gateways"}],
            "hostnames": ["llm.example.com"],
        }
    },
    "open network": {"networkPolicy": {"enabled": False}},
    "callers": {
        "networkPolicy": {
            "ingress": {"namespaces": ["apps"], "from": [{"podSelector": {"matchLabels": {"app": "chat"}}}]},
            "egress": {"rules": [{"to": [{"ipBlock": {"cidr": "10.0.0.0/8"}}], "ports": [{"port": 443}]}]},
        }
    },
    # Watching
    "watched": {
        "monitoring": {
            "podMonitor": {"enabled": True, "labels": {"release": "prometheus"}},
            "rules": {"enabled": True},
            "dashboard": {"enabled": True},
        }
    },
    "watched and scaled to zero": {
        "monitoring": {"podMonitor": {"enabled": True}, "rules": {"enabled": True}, "dashboard": {"enabled": True}},
        "autoscaling": {**KEDA, "minReplicas": 0, "wake": GATEWAY},
    },
    "watched for idle replicas": {
        "monitoring": {"rules": {"enabled": True, "alerts": {"idleReplicas": {"enabled": True}}}}
    },
    # The rest
    "test in an image of its own": {"test": {"image": {"repository": "registry.example.com/python", "tag": "3.12"}}},
    "quota": {"resourceQuota": {"enabled": True}},
    "identity": {"serviceAccount": {"annotations": {"eks.amazonaws.com/role-arn": "arn:aws:iam::1:role/llm"}}},
    "given identity": {"serviceAccount": {"create": False, "name": "llm"}},
    "labels": {
        "commonLabels": {"team": "search"},
        "commonAnnotations": {"owner": "search"},
        "podLabels": {"tier": "gpu"},
    },
    "bare": {"test": {"enabled": False}, "service": {"headless": False}, "sharedMemory": {"enabled": False}},
    "extra": {
        "extraVolumes": [{"name": "more", "emptyDir": {}}],
        "extraVolumeMounts": [{"name": "more", "mountPath": "/more"}],
        "extraInitContainers": [{"name": "first", "image": "registry.example.com/first:1"}],
        "extraContainers": [{"name": "beside", "image": "registry.example.com/beside:1"}],
        "extraObjects": [
            {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "more"}, "data": {"a": "b"}},
            'apiVersion: v1\nkind: ConfigMap\nmetadata: {name: "{{ .Release.Name }}-text"}\n',
        ],
    },
}

NEEDS_PRIVILEGE = {"host path": "hostPath volumes", "group with RDMA": "IPC_LOCK"}
"""Variants that Pod Security level restricted refuses, and why."""
