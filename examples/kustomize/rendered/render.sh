#!/usr/bin/env bash
# Renders the model once into base/model.yaml, for teams that review and commit plain manifests:
#   examples/kustomize/rendered/render.sh
#   kustomize build examples/kustomize/rendered/overlays/prod
# Run it again when the chart or the values change, and look at the difference.
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
root=${ROOT:-$here/../../..}
helm template llama "$root/charts/vllm-model" --namespace llm --kube-version 1.35.0 --skip-tests \
  --values "$root/values/models/llama-3.1-8b-instruct-l4.yaml" >"$here/base/model.yaml"
