package main

import (
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"time"
)

// writer turns tokens into an answer: events of a stream as they come, or one document at the end.
type writer struct {
	http   http.ResponseWriter
	asked  completionRequest
	chat   bool
	answer answer
	id     string
	text   strings.Builder
	begun  bool
}

func newWriter(w http.ResponseWriter, asked completionRequest, chat bool, answer answer) *writer {
	prefix := map[bool]string{true: "chatcmpl", false: "cmpl"}[chat]
	return &writer{http: w, asked: asked, chat: chat, answer: answer, id: fmt.Sprintf("%s-%d", prefix, time.Now().UnixNano())}
}

// token takes the next token. An error means that the client has left.
func (w *writer) token(index int) error {
	token := w.answer.token(index)
	if !w.asked.Stream {
		w.text.WriteString(token)
		return nil
	}
	if !w.begun {
		w.begin()
		if w.chat {
			if err := w.event(w.chunk(map[string]any{"role": "assistant", "content": ""}, nil)); err != nil {
				return err
			}
		}
	}
	return w.event(w.chunk(w.piece(token), nil))
}

func (w *writer) begin() {
	w.begun = true
	w.http.Header().Set("Content-Type", "text/event-stream; charset=utf-8")
	w.http.WriteHeader(http.StatusOK)
}

// end finishes the answer and returns the status that the client saw.
func (w *writer) end(r *request, reason string, err error) int {
	switch {
	case reason == "abort":
		return 499 // nobody reads it
	case err != nil && !w.begun:
		return fail(w.http, http.StatusInternalServerError, "InternalServerError", err.Error())
	case err != nil: // a stream that cannot go on ends with an error event, as the engine's does
		_ = w.event(map[string]any{"error": errorBody(http.StatusInternalServerError, "InternalServerError", err.Error())})
		w.done()
		return http.StatusOK
	case w.asked.Stream:
		_ = w.event(w.chunk(w.piece(""), reason))
		if w.asked.StreamOptions.IncludeUsage {
			_ = w.event(w.envelope([]any{}, usage(r)))
		}
		w.done()
		return http.StatusOK
	}
	writeJSON(w.http, http.StatusOK, w.document(r, reason))
	return http.StatusOK
}

func (w *writer) piece(token string) map[string]any {
	if w.chat {
		return map[string]any{"content": token}
	}
	return map[string]any{"text": token}
}

// chunk is one event of a stream; reason is nil until the last.
func (w *writer) chunk(piece map[string]any, reason any) map[string]any {
	choice := map[string]any{"index": 0, "finish_reason": reason, "logprobs": nil}
	if w.chat {
		choice["delta"] = piece
	} else {
		choice["text"] = piece["text"]
	}
	return w.envelope([]any{choice}, nil)
}

func (w *writer) document(r *request, reason string) map[string]any {
	choice := map[string]any{"index": 0, "finish_reason": reason, "logprobs": nil}
	if w.chat {
		choice["message"] = map[string]any{"role": "assistant", "content": w.text.String()}
	} else {
		choice["text"] = w.text.String()
	}
	return w.envelope([]any{choice}, usage(r))
}

func (w *writer) envelope(choices []any, usage any) map[string]any {
	object := map[bool]string{true: "chat.completion", false: "text_completion"}[w.chat]
	if w.chat && w.asked.Stream {
		object = "chat.completion.chunk"
	}
	return map[string]any{
		"id": w.id, "object": object, "created": time.Now().Unix(), "model": w.asked.Model, "choices": choices, "usage": usage,
	}
}

func usage(r *request) map[string]int {
	return map[string]int{
		"prompt_tokens": r.promptTokens, "completion_tokens": r.generated, "total_tokens": r.promptTokens + r.generated,
	}
}

func (w *writer) event(body any) error {
	text, err := json.Marshal(body)
	if err != nil {
		return err
	}
	return w.write("data: " + string(text) + "\n\n")
}

func (w *writer) done() { _ = w.write("data: [DONE]\n\n") }

func (w *writer) write(text string) error {
	if _, err := w.http.Write([]byte(text)); err != nil {
		return err
	}
	w.http.(http.Flusher).Flush()
	return nil
}
