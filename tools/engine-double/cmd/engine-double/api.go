package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/http"
	"slices"
	"strings"
	"time"
)

// api is the OpenAI-compatible surface of the engine.
type api struct {
	settings settings
	engine   *engine
	metrics  *metrics
}

// completionRequest: the fields of /v1/completions and /v1/chat/completions that change the answer.
type completionRequest struct {
	Model               string          `json:"model"`
	Prompt              json.RawMessage `json:"prompt"`
	Messages            []message       `json:"messages"`
	Stream              bool            `json:"stream"`
	MaxTokens           *int            `json:"max_tokens"`
	MaxCompletionTokens *int            `json:"max_completion_tokens"`
	StreamOptions       struct {
		IncludeUsage bool `json:"include_usage"`
	} `json:"stream_options"`
}

type message struct {
	Role    string          `json:"role"`
	Content json.RawMessage `json:"content"`
}

func (a *api) routes() http.Handler {
	mux := http.NewServeMux()
	health := func(w http.ResponseWriter, _ *http.Request) {
		if a.engine.isDead() {
			w.WriteHeader(http.StatusServiceUnavailable)
		}
	}
	mux.HandleFunc("/health", health)
	mux.HandleFunc("/ping", health)
	mux.HandleFunc("GET /version", func(w http.ResponseWriter, _ *http.Request) {
		writeJSON(w, http.StatusOK, map[string]string{"version": "0.33.0+double"})
	})
	mux.HandleFunc("GET /load", func(w http.ResponseWriter, _ *http.Request) {
		writeJSON(w, http.StatusOK, map[string]int{"server_load": 0})
	})
	mux.Handle("GET /metrics", a.metrics.handler())
	mux.HandleFunc("GET /v1/models", a.listModels)
	mux.HandleFunc("POST /v1/chat/completions", a.counted(true))
	mux.HandleFunc("POST /v1/completions", a.counted(false))
	return a.guarded(mux)
}

// guarded asks for the key where the engine does: under /v1 and a few other prefixes, never for OPTIONS.
func (a *api) guarded(next http.Handler) http.Handler {
	guarded := []string{"/v1", "/v2", "/inference", "/cohere"}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		under := slices.ContainsFunc(guarded, func(prefix string) bool { return strings.HasPrefix(r.URL.Path, prefix) })
		key := strings.TrimPrefix(r.Header.Get("Authorization"), "Bearer ")
		if len(a.settings.apiKeys) > 0 && under && r.Method != http.MethodOptions && !slices.Contains(a.settings.apiKeys, key) {
			writeJSON(w, http.StatusUnauthorized, map[string]string{"error": "Unauthorized"})
			return
		}
		next.ServeHTTP(w, r)
	})
}

func (a *api) listModels(w http.ResponseWriter, _ *http.Request) {
	models := []map[string]any{}
	for _, name := range a.settings.models {
		models = append(models, map[string]any{
			"id": name, "object": "model", "created": time.Now().Unix(), "owned_by": "vllm",
			"root": a.settings.models[0], "parent": nil, "max_model_len": a.settings.maxModelLen,
		})
	}
	writeJSON(w, http.StatusOK, map[string]any{"object": "list", "data": models})
}

// counted answers a completion and counts it by the class of its status, as the engine's instrumentator does.
func (a *api) counted(chat bool) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		status := a.complete(w, r, chat)
		class := fmt.Sprintf("%dxx", status/100)
		a.metrics.requests.WithLabelValues(r.URL.Path, r.Method, class).Inc()
	}
}

func (a *api) complete(w http.ResponseWriter, r *http.Request, chat bool) int {
	var asked completionRequest
	if err := json.NewDecoder(r.Body).Decode(&asked); err != nil {
		return fail(w, http.StatusBadRequest, "BadRequestError", err.Error())
	}
	if !slices.Contains(a.settings.models, asked.Model) {
		return fail(w, http.StatusNotFound, "NotFoundError", fmt.Sprintf("The model `%s` does not exist.", asked.Model))
	}
	if rand.Float64() < a.settings.failureRate {
		return fail(w, http.StatusInternalServerError, "InternalServerError", "a failure that was asked for")
	}
	prompt := asked.prompt(chat)
	count, promptTokens := asked.maxTokens(), len(strings.Fields(prompt))+1
	if promptTokens+count > a.settings.maxModelLen {
		return fail(w, http.StatusBadRequest, "BadRequestError", fmt.Sprintf(
			"This model's maximum context length is %d tokens.", a.settings.maxModelLen))
	}
	request, turn, err := a.engine.admit(promptTokens, count)
	switch {
	case errors.Is(err, errQueue):
		return fail(w, http.StatusServiceUnavailable, "ServiceUnavailableError", err.Error())
	case err != nil: // what a draining engine answers: 500, not 503
		return fail(w, http.StatusInternalServerError, "InternalServerError", err.Error())
	}
	writer := newWriter(w, asked, chat, newAnswer(prompt, count))
	reason, err := a.engine.generate(r.Context(), request, turn, writer.token)
	return writer.end(request, reason, err)
}

func (c completionRequest) maxTokens() int {
	for _, given := range []*int{c.MaxCompletionTokens, c.MaxTokens} {
		if given != nil && *given > 0 {
			return *given
		}
	}
	return 16
}

// prompt: what the answer follows from: the last message of a chat, or the prompt as it stands.
func (c completionRequest) prompt(chat bool) string {
	raw := c.Prompt
	if chat && len(c.Messages) > 0 {
		raw = c.Messages[len(c.Messages)-1].Content
	}
	var text string
	if json.Unmarshal(raw, &text) == nil {
		return text
	}
	return string(raw)
}

func fail(w http.ResponseWriter, status int, kind, text string) int {
	writeJSON(w, status, map[string]any{"error": errorBody(status, kind, text)})
	return status
}

func errorBody(status int, kind, text string) map[string]any {
	return map[string]any{"message": text, "type": kind, "param": nil, "code": status}
}

func writeJSON(w http.ResponseWriter, status int, body any) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(body)
}
