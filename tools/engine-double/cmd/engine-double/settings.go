package main

import (
	"fmt"
	"strconv"
	"strings"
	"time"
)

// settings: what the engine's flags say, and what only a double needs.
type settings struct {
	models          []string
	host            string
	port            int
	apiKeys         []string
	maxNumSeqs      int
	maxModelLen     int
	maxNumQueued    int // -1: no limit
	shutdownTimeout time.Duration

	nodes      int
	rank       int
	masterAddr string
	masterPort int
	headless   bool

	start       time.Duration // DOUBLE_START_SECONDS: from the start of the process to the first answer on /health
	neverReady  bool          // DOUBLE_NEVER_READY=1: never gets that far
	prefill     time.Duration // DOUBLE_PREFILL_SECONDS: from running to the first token
	tokenRate   float64       // DOUBLE_TOKENS_PER_SECOND: of one request
	failureRate float64       // DOUBLE_FAILURE_RATE: share of requests answered 500, 0 to 1
	teardown    time.Duration // DOUBLE_TEARDOWN_SECONDS: from the last stream to the end of the process
	kvTokens    float64       // DOUBLE_KV_CACHE_TOKENS: size of the KV cache
}

func (s settings) worker() bool { return s.headless || s.rank > 0 }

// parse reads a command line as the engine's argparse does: --name=value, --name value ..., --name, --no-name. Flags that
// change nothing a client could see are accepted and ignored.
func parse(arguments []string, env func(string) string) (settings, error) {
	values, positional, err := split(arguments)
	if err != nil {
		return settings{}, err
	}
	read := reader{values: values, env: env}
	parsed := settings{
		models:          values["served-model-name"],
		host:            read.text("host", "0.0.0.0"),
		port:            read.integer("port", 8000),
		apiKeys:         values["api-key"],
		maxNumSeqs:      read.integer("max-num-seqs", 256),
		maxModelLen:     read.integer("max-model-len", 8192),
		maxNumQueued:    read.integer("max-num-queued-reqs", -1),
		shutdownTimeout: time.Duration(read.integer("shutdown-timeout", 0)) * time.Second,
		nodes:           read.integer("nnodes", 1),
		rank:            read.integer("node-rank", 0),
		masterAddr:      read.text("master-addr", ""),
		masterPort:      read.integer("master-port", 29501),
		headless:        values["headless"] != nil,
		start:           read.duration("DOUBLE_START_SECONDS", 0),
		neverReady:      env("DOUBLE_NEVER_READY") == "1",
		prefill:         read.duration("DOUBLE_PREFILL_SECONDS", 0.02),
		tokenRate:       read.number("DOUBLE_TOKENS_PER_SECOND", 20),
		failureRate:     read.number("DOUBLE_FAILURE_RATE", 0),
		teardown:        read.duration("DOUBLE_TEARDOWN_SECONDS", 0.5),
		kvTokens:        read.number("DOUBLE_KV_CACHE_TOKENS", 100_000),
	}
	if len(parsed.models) == 0 {
		parsed.models = append(positional, "Qwen/Qwen3-0.6B")[:1]
	}
	if key := env("VLLM_API_KEY"); key != "" && len(parsed.apiKeys) == 0 {
		parsed.apiKeys = []string{key}
	}
	read.dataParallel(&parsed)
	return parsed, read.err
}

// split sorts a command line into flags with their values and the rest.
func split(arguments []string) (map[string][]string, []string, error) {
	values, positional, last := map[string][]string{}, []string{}, ""
	for index, argument := range arguments {
		switch {
		case index == 0 && argument == "serve":
		case strings.HasPrefix(argument, "--"):
			name, value, given := strings.Cut(strings.TrimPrefix(argument, "--"), "=")
			if name == "" {
				return nil, nil, fmt.Errorf("unrecognized arguments: %s", argument)
			}
			last = name
			values[name] = []string{}
			if given {
				values[name], last = []string{value}, ""
			}
		case strings.HasPrefix(argument, "-"):
			return nil, nil, fmt.Errorf("unrecognized arguments: %s", argument)
		case last != "":
			values[last] = append(values[last], argument)
		default:
			positional = append(positional, argument)
		}
	}
	return values, positional, nil
}

// reader turns texts into values and keeps the first error.
type reader struct {
	values map[string][]string
	env    func(string) string
	err    error
}

func (r *reader) text(name, otherwise string) string {
	if given := r.values[name]; len(given) > 0 {
		return given[len(given)-1]
	}
	return otherwise
}

func (r *reader) integer(name string, otherwise int) int {
	given := r.text(name, strconv.Itoa(otherwise))
	value, err := strconv.Atoi(given)
	if err != nil && r.err == nil {
		r.err = fmt.Errorf("argument --%s: invalid int value: '%s'", name, given)
	}
	return value
}

func (r *reader) number(name string, otherwise float64) float64 {
	given := r.env(name)
	if given == "" {
		return otherwise
	}
	value, err := strconv.ParseFloat(given, 64)
	if err != nil && r.err == nil {
		r.err = fmt.Errorf("%s: not a number: %q", name, given)
	}
	return value
}

func (r *reader) duration(name string, otherwise float64) time.Duration {
	return time.Duration(r.number(name, otherwise) * float64(time.Second))
}

// dataParallel: copies of the model over several pods find each other by an address of their own flags.
func (r *reader) dataParallel(parsed *settings) {
	address := r.text("data-parallel-address", "")
	size, local := r.integer("data-parallel-size", 1), r.integer("data-parallel-size-local", 1)
	if address == "" || local < 1 {
		return
	}
	parsed.nodes, parsed.masterAddr = size/local, address
	parsed.masterPort = r.integer("data-parallel-rpc-port", 29550)
	parsed.rank = r.integer("data-parallel-start-rank", 0) / local
}
