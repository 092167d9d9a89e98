#!/usr/bin/env bash
# Sends a measured load to a model and shows how its replicas follow.
#
#   NAMESPACE=llm-platform BASE_URL=http://llm-gateway MODEL=meta-llama/Llama-3.1-8B-Instruct DEPLOYMENT=llama \
#     examples/load-test/run.sh
#
# Further settings: MODEL_NAMESPACE (of DEPLOYMENT, if another), LOADS ("20 50" clients), REQUESTS_PER_CLIENT, INPUT_TOKENS, OUTPUT_TOKENS, TOKENIZER, TTFT_MS, TPOT_MS,
# IMAGE (an engine image of your own registry), GPUS (none are needed; the local cluster's engine asks for one).
# A model's own Service lets in only whom its NetworkPolicy names; the gateway lets in whoever has a key (Secret
# load-test-key).
set -euo pipefail

: "${NAMESPACE:?namespace of the Job}" "${BASE_URL:?address without /v1}" "${MODEL:?served name}"
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
k() { kubectl --namespace "$NAMESPACE" "$@"; }

settings=()
for name in BASE_URL MODEL LOADS REQUESTS_PER_CLIENT INPUT_TOKENS OUTPUT_TOKENS TOKENIZER TTFT_MS TPOT_MS READY_SECONDS; do
  [[ -n ${!name:-} ]] && settings+=("--from-literal=$name=${!name}")
done

k delete job load-test --ignore-not-found --wait
k create configmap load-test-settings "${settings[@]}" --dry-run=client --output=yaml | k apply --filename -
k create configmap load-test-script --from-file="$here/load-test.sh" --dry-run=client --output=yaml | k apply --filename -
container='"name": "load-test"'
[[ -n ${IMAGE:-} ]] && container+=", \"image\": \"$IMAGE\""
[[ -n ${GPUS:-} ]] && container+=", \"resources\": {\"limits\": {\"nvidia.com/gpu\": \"$GPUS\"}}"
k patch --local --filename "$here/job.yaml" --output=yaml \
  --patch "{\"spec\": {\"template\": {\"spec\": {\"containers\": [{$container}]}}}}" | k apply --filename -

watch_replicas() {
  local model_namespace=${MODEL_NAMESPACE:-$NAMESPACE} last="" now
  while sleep 5; do
    now=$(kubectl --namespace "$model_namespace" get deployment "$DEPLOYMENT" \
      --output=jsonpath='{.spec.replicas} wanted, {.status.readyReplicas} ready' 2>/dev/null || true)
    [[ $now != "$last" ]] && echo "$(date +%T)  $DEPLOYMENT: $now"
    last=$now
  done
}
if [[ -n ${DEPLOYMENT:-} ]]; then
  watch_replicas &
  watcher=$!
  trap 'kill "$watcher" 2>/dev/null || true' EXIT
fi

k wait --for=jsonpath='{.status.active}'=1 job/load-test --timeout=60s >/dev/null
pod_runs() { k wait --for=condition=Ready pod --selector=job-name=load-test --timeout="$1" >/dev/null 2>&1; }
if ! pod_runs 60s; then
  echo "The client's pod does not run yet:"
  k describe pod --selector=job-name=load-test | sed -n '/^Events:/,$p'
  pod_runs 900s || true
fi
k logs --follow job/load-test
k wait --for=condition=Complete job/load-test --timeout=30s
