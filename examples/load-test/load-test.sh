#!/bin/sh
# Runs inside the Job: the same load with few and with many clients, by vLLM's own benchmark.
set -eu

: "${BASE_URL:?address of the gateway or of a model without /v1}" "${MODEL:?served name}"
LOADS=${LOADS:-20 50}
REQUESTS_PER_CLIENT=${REQUESTS_PER_CLIENT:-15}

for clients in $LOADS; do
  echo "== $clients clients, $((clients * REQUESTS_PER_CLIENT)) requests"
  vllm bench serve \
    --backend openai-chat --base-url "$BASE_URL" --endpoint /v1/chat/completions \
    --model "$MODEL" --tokenizer "${TOKENIZER:-$MODEL}" \
    --dataset-name random --random-input-len "${INPUT_TOKENS:-1000}" --random-output-len "${OUTPUT_TOKENS:-200}" \
    --ignore-eos --temperature 0 --seed "$clients" \
    --max-concurrency "$clients" --num-prompts "$((clients * REQUESTS_PER_CLIENT))" \
    --num-warmups 2 --ready-check-timeout-sec "${READY_SECONDS:-900}" \
    --percentile-metrics ttft,tpot,itl,e2el --metric-percentiles 50,95,99 \
    --goodput "ttft:${TTFT_MS:-2000}" "tpot:${TPOT_MS:-100}" \
    --disable-tqdm
done
