// Command engine-double behaves as a vLLM server does where a Kubernetes chart, an autoscaler or a gateway can tell: its
// command line, endpoints, streams, metrics, queue, start and drain. It needs 10 MB instead of 4 GB and no weights, so a
// test can have thirty replicas or an hour of load on two cores.
//
// It is called as the engine is ("vllm serve MODEL --port=8000 ..."). What the engine's flags cannot say comes from
// DOUBLE_* variables, see settings.go. Its answers follow from the prompt alone, so a client can tell a right from a wrong
// one. A test compares it with a running engine: metric names, endpoints, drain.
package main

import (
	"fmt"
	"os"
	"os/signal"
	"syscall"
	"time"
)

func main() {
	settings, err := parse(os.Args[1:], os.Getenv)
	if err != nil {
		fmt.Fprintf(os.Stderr, "vllm serve: error: %v\n", err)
		os.Exit(2) // as argparse does
	}
	signals := make(chan os.Signal, 4)
	signal.Notify(signals, syscall.SIGTERM, syscall.SIGINT, syscall.SIGUSR1)

	group, err := joinGroup(settings)
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	if settings.worker() {
		os.Exit(work(group, signals))
	}
	if !started(settings, group, signals) {
		fmt.Fprintln(os.Stderr, "KeyboardInterrupt: terminated")
		os.Exit(1)
	}
	os.Exit(serve(settings, group, signals))
}

// started waits as long as the engine would load, and until every worker of the group is there. It is false if the
// process is told to end before.
func started(settings settings, group *group, signals <-chan os.Signal) bool {
	loaded := time.After(settings.start)
	complete := group.complete
	for loaded != nil || complete != nil {
		select {
		case <-loaded:
			loaded = nil
		case <-complete:
			complete = nil
		case told := <-signals:
			if told != syscall.SIGUSR1 {
				return false
			}
		}
	}
	return !settings.neverReady || waitForEnd(signals)
}

// waitForEnd stands for an engine that loads for ever.
func waitForEnd(signals <-chan os.Signal) bool {
	for told := range signals {
		if told != syscall.SIGUSR1 {
			break
		}
	}
	return false
}

func work(group *group, signals <-chan os.Signal) int {
	for {
		select {
		case <-group.broken:
			fmt.Fprintln(os.Stderr, "the leader is gone")
			return 1
		case told := <-signals:
			if told != syscall.SIGUSR1 {
				return 0
			}
		}
	}
}
