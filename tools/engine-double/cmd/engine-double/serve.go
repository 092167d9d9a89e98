package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"syscall"
	"time"

	"github.com/prometheus/client_golang/prometheus/promhttp"
)

func (m *metrics) handler() http.Handler {
	return promhttp.HandlerFor(m.registry, promhttp.HandlerOpts{})
}

// serve answers requests until the process is told to end, and returns its exit status.
func serve(settings settings, group *group, signals <-chan os.Signal) int {
	metrics := newMetrics(settings.models[0], settings)
	engine := newEngine(settings, metrics)
	server := &http.Server{
		Handler:     (&api{settings: settings, engine: engine, metrics: metrics}).routes(),
		IdleTimeout: 5 * time.Second, // VLLM_HTTP_TIMEOUT_KEEP_ALIVE
	}
	listener, err := net.Listen("tcp", fmt.Sprintf("%s:%d", settings.host, settings.port))
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	failed := make(chan error, 1)
	go func() { failed <- server.Serve(listener) }()
	fmt.Printf("Application startup complete. Serving %v on %s\n", settings.models, listener.Addr())
	for {
		select {
		case err := <-failed:
			fmt.Fprintln(os.Stderr, err)
			return 1
		case <-group.broken:
			fmt.Fprintln(os.Stderr, "EngineDeadError: a worker of the group is gone")
			engine.kill()
			time.Sleep(time.Second) // streams end with an error first
			return 0                // as vLLM does: the death of the engine is no failure of the API server
		case told := <-signals:
			if told == syscall.SIGUSR1 {
				engine.setHang(!engine.isHanging())
				continue
			}
			return leave(settings, engine, server)
		}
	}
}

// leave ends as vLLM does on SIGTERM. With a --shutdown-timeout the server goes on listening, /health stays 200, new
// requests are answered 500, and what is in flight ends or is cut when the time is up. With 0, the default, the listener
// closes at once, the engine core is killed, and clients in flight hear nothing more until they give up.
func leave(settings settings, engine *engine, server *http.Server) int {
	began := time.Now()
	empty := engine.drain()
	if settings.shutdownTimeout == 0 {
		engine.setHang(true)
		ended := make(chan error, 1)
		go func() { ended <- server.Shutdown(context.Background()) }()
		<-ended
		fmt.Printf("Shut down after %.1f s, requests in flight aborted\n", time.Since(began).Seconds())
		return 0
	}
	select {
	case <-empty:
		time.Sleep(settings.teardown)
	case <-time.After(settings.shutdownTimeout):
		fmt.Fprintln(os.Stderr, "the shutdown timeout is over: requests in flight are cut")
		engine.kill()
	}
	grace, cancel := context.WithTimeout(context.Background(), 2*time.Second)
	defer cancel()
	if err := server.Shutdown(grace); err != nil && !errors.Is(err, context.DeadlineExceeded) {
		fmt.Fprintln(os.Stderr, err)
	}
	fmt.Printf("Drained and shut down after %.1f s\n", time.Since(began).Seconds())
	return 0
}
