package main

import (
	"context"
	"errors"
	"sync"
	"time"
)

var (
	errDraining = errors.New("cannot schedule new futures after shutdown")
	errQueue    = errors.New("the queue of waiting requests is full")
	errDead     = errors.New("EngineCore encountered an issue. See stack trace (above) for the root cause.")
)

// engine is the scheduler: at most maxNumSeqs requests run, the others wait in the order they came.
type engine struct {
	settings settings
	metrics  *metrics

	mutex    sync.Mutex
	running  int
	tokens   int             // of all running requests, prompts included: what fills the KV cache
	queue    []chan struct{} // closed when it is that request's turn
	draining bool
	inFlight sync.WaitGroup

	dead    chan struct{} // closed: the engine core is gone, no token comes any more
	killed  sync.Once
	hang    chan struct{} // closed while the engine core hangs: replaced when it goes on
	hanging bool
}

func newEngine(settings settings, metrics *metrics) *engine {
	return &engine{settings: settings, metrics: metrics, dead: make(chan struct{}), hang: make(chan struct{})}
}

// request is one request on its way through the engine, with the moments that the histograms are made of.
type request struct {
	promptTokens int
	maxTokens    int
	arrived      time.Time
	scheduled    time.Time
	first        time.Time
	last         time.Time
	generated    int
}

// admit lets a request in or says why not. The caller must call leave after it.
func (e *engine) admit(promptTokens, maxTokens int) (*request, <-chan struct{}, error) {
	e.mutex.Lock()
	defer e.mutex.Unlock()
	if e.draining {
		return nil, nil, errDraining
	}
	if limit := e.settings.maxNumQueued; limit >= 0 && len(e.queue) >= limit && e.running >= e.settings.maxNumSeqs {
		e.metrics.rejections.WithLabelValues(e.settings.models[0], "max_num_queued_reqs").Inc()
		return nil, nil, errQueue
	}
	turn := make(chan struct{})
	e.queue = append(e.queue, turn)
	e.inFlight.Add(1)
	e.schedule()
	return &request{promptTokens: promptTokens, maxTokens: maxTokens, arrived: time.Now()}, turn, nil
}

// schedule starts as many waiting requests as fit. Called with the mutex held.
func (e *engine) schedule() {
	for len(e.queue) > 0 && e.running < e.settings.maxNumSeqs {
		close(e.queue[0])
		e.queue = e.queue[1:]
		e.running++
	}
	e.metrics.show(e.running, len(e.queue), float64(e.tokens)/e.settings.kvTokens)
}

// leave takes a request out, wherever it was.
func (e *engine) leave(turn <-chan struct{}, held int) {
	e.mutex.Lock()
	defer e.mutex.Unlock()
	defer e.inFlight.Done()
	for index, waiting := range e.queue {
		if waiting == turn {
			e.queue = append(e.queue[:index], e.queue[index+1:]...)
			e.schedule()
			return
		}
	}
	e.running--
	e.tokens -= held
	e.schedule()
}

// generate runs one request: emit is called for each token as it is ready. It returns the reason why the request
// ended: "length" or "abort", or an error if the engine died.
func (e *engine) generate(ctx context.Context, r *request, turn <-chan struct{}, emit func(int) error) (reason string, err error) {
	held := 0
	defer func() {
		e.leave(turn, held)
		if err == nil {
			e.metrics.finished(r, reason)
		}
	}()
	select {
	case <-turn:
	case <-ctx.Done():
		return "abort", nil
	case <-e.dead:
		return "", errDead
	}
	r.scheduled = time.Now()
	held = e.hold(r.promptTokens)
	gap := time.Duration(float64(time.Second) / e.settings.tokenRate)
	due := r.scheduled.Add(e.settings.prefill)
	for index := range r.maxTokens {
		if reason, err := e.wait(ctx, due); reason != "" || err != nil {
			return reason, err
		}
		held += e.hold(1)
		e.metrics.token(r)
		if emit(index) != nil {
			return "abort", nil
		}
		due = due.Add(gap)
	}
	return "length", nil
}

func (e *engine) hold(tokens int) int {
	e.mutex.Lock()
	defer e.mutex.Unlock()
	e.tokens += tokens
	e.metrics.show(e.running, len(e.queue), float64(e.tokens)/e.settings.kvTokens)
	return tokens
}

// wait until a token is due, or the client has left, or the engine is dead. A hanging engine core lets nothing through.
func (e *engine) wait(ctx context.Context, due time.Time) (string, error) {
	timer := time.NewTimer(time.Until(due))
	defer timer.Stop()
	ready := timer.C
	for {
		select {
		case <-ctx.Done():
			return "abort", nil
		case <-e.dead:
			return "", errDead
		case <-ready:
			ready = nil
		}
		hanging, changed := e.hangs()
		if !hanging {
			return "", nil
		}
		select {
		case <-changed:
			again := make(chan time.Time, 1)
			again <- time.Now()
			ready = again
		case <-ctx.Done():
			return "abort", nil
		case <-e.dead:
			return "", errDead
		}
	}
}

func (e *engine) hangs() (bool, <-chan struct{}) {
	e.mutex.Lock()
	defer e.mutex.Unlock()
	return e.hanging, e.hang
}

func (e *engine) isHanging() bool {
	hanging, _ := e.hangs()
	return hanging
}

// setHang stops or continues the engine core as SIGSTOP and SIGCONT would: /health stays 200.
func (e *engine) setHang(hanging bool) {
	e.mutex.Lock()
	defer e.mutex.Unlock()
	e.hanging = hanging
	close(e.hang)
	e.hang = make(chan struct{})
}

// drain refuses new requests from now on and returns a channel that closes when those in flight have ended.
func (e *engine) drain() <-chan struct{} {
	e.mutex.Lock()
	e.draining = true
	e.mutex.Unlock()
	empty := make(chan struct{})
	go func() {
		e.inFlight.Wait()
		close(empty)
	}()
	return empty
}

func (e *engine) kill() { e.killed.Do(func() { close(e.dead) }) }

func (e *engine) isDead() bool {
	select {
	case <-e.dead:
		return true
	default:
		return false
	}
}
