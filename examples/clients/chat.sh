#!/usr/bin/env bash
# Streams one answer from a model behind the gateway, or from a model's own Service, as raw server-sent events.
#
#   OPENAI_BASE_URL=http://localhost:8000/v1 OPENAI_API_KEY=... MODEL=... ./chat.sh "Why is the sky blue?"
#
# Without MODEL it prints which models the key may use. Needs curl and jq.
set -euo pipefail

base=${OPENAI_BASE_URL:-http://localhost:8000/v1}
common=(
  --no-buffer --silent --show-error --fail-with-body
  --header "Authorization: Bearer ${OPENAI_API_KEY:-}"
  # 429 and 503 are tried again, after Retry-After where there is one. The gateway may hold a request for minutes.
  --retry 5 --max-time 900
)

if [[ -z ${MODEL:-} ]]; then
  curl "${common[@]}" "$base/models" | jq --raw-output '.data[].id'
  exit
fi

# jq writes the body: a question with quotes in it stays valid JSON.
body=$(jq --null-input --arg model "$MODEL" --arg question "${*:-Why is the sky blue?}" '{
  model: $model,
  messages: [{role: "user", content: $question}],
  max_tokens: 256,
  stream: true
}')
curl "${common[@]}" --header "Content-Type: application/json" --data "$body" "$base/chat/completions"
