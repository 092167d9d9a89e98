package main

import (
	"strconv"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// Buckets of vLLM's histograms.
var (
	firstTokenBuckets = []float64{
		0.001, 0.005, 0.01, 0.02, 0.04, 0.06, 0.08, 0.1, 0.25, 0.5, 0.75, 1, 2.5, 5, 7.5, 10, 20, 40, 80, 160, 640, 2560,
	}
	tokenBuckets = []float64{
		0.01, 0.025, 0.05, 0.075, 0.1, 0.15, 0.2, 0.3, 0.4, 0.5, 0.75, 1, 2.5, 5, 7.5, 10, 20, 40, 80,
	}
	latencyBuckets = []float64{
		0.3, 0.5, 0.8, 1, 1.5, 2, 2.5, 5, 10, 15, 20, 30, 40, 50, 60, 120, 240, 480, 960, 1920, 7680,
	}
	countBuckets = []float64{1, 2, 5, 10, 20, 50, 100, 200, 500, 1000, 2000, 5000, 10000}
)

// metrics are the engine's, under vLLM's names and labels.
type metrics struct {
	registry   *prometheus.Registry
	labels     []string
	running    prometheus.Gauge
	waiting    prometheus.Gauge
	capacity   prometheus.Gauge
	kvUsage    prometheus.Gauge
	prompts    prometheus.Counter
	generated  prometheus.Counter
	success    map[string]prometheus.Counter
	rejections *prometheus.CounterVec
	requests   *prometheus.CounterVec
	histograms map[string]prometheus.Observer
}

func newMetrics(model string, settings settings) *metrics {
	m := &metrics{
		registry:   prometheus.NewRegistry(),
		labels:     []string{model, "0"},
		success:    map[string]prometheus.Counter{},
		histograms: map[string]prometheus.Observer{},
	}
	m.running = m.gauge("num_requests_running", "Requests in the batch.")
	m.waiting = m.gauge("num_requests_waiting", "Requests that wait.")
	m.kvUsage = m.gauge("kv_cache_usage_perc", "Share of the KV cache in use, 0 to 1.")
	reasons := m.gaugeBy("num_requests_waiting_by_reason", "reason")
	m.capacity = reasons("capacity")
	reasons("deferred")
	asleep := m.gaugeBy("engine_sleep_state", "sleep_state")
	asleep("awake").Set(1)
	asleep("weights_offloaded")
	asleep("discard_all")
	m.prompts = m.counter("prompt_tokens_total")
	m.generated = m.counter("generation_tokens_total")
	for _, name := range []string{
		"num_preemptions_total", "prefix_cache_queries_total", "prefix_cache_hits_total", "prompt_tokens_cached_total",
		"external_prefix_cache_queries_total", "external_prefix_cache_hits_total", "mm_cache_queries_total", "mm_cache_hits_total",
	} {
		m.counter(name)
	}
	m.counterBy("prompt_tokens_by_source_total", "source", "local_compute", "local_cache_hit", "external_kv_transfer")
	m.counterBy("prompt_tokens_cached_by_source_total", "source", "device", "host", "p2p", "disk", "external_unspecified")
	m.success = m.counterBy("request_success_total", "finished_reason", "stop", "length", "abort", "error", "repetition")
	m.rejections = prometheus.NewCounterVec(
		prometheus.CounterOpts{Name: "vllm:admission_rejections_total", Help: "Requests refused."}, []string{"model_name", "reason"})
	m.requests = prometheus.NewCounterVec(
		prometheus.CounterOpts{Name: "http_requests_total", Help: "Answers by status."}, []string{"handler", "method", "status"})
	m.registry.MustRegister(m.rejections, m.requests)
	m.addHistograms()
	m.cacheConfig(settings)
	return m
}

func (m *metrics) addHistograms() {
	for name, buckets := range map[string][]float64{
		"time_to_first_token_seconds": firstTokenBuckets, "inter_token_latency_seconds": tokenBuckets,
		"request_time_per_output_token_seconds": tokenBuckets, "e2e_request_latency_seconds": latencyBuckets,
		"request_queue_time_seconds": latencyBuckets, "request_inference_time_seconds": latencyBuckets,
		"request_prefill_time_seconds": latencyBuckets, "request_decode_time_seconds": latencyBuckets,
		"request_prompt_tokens": countBuckets, "request_generation_tokens": countBuckets, "iteration_tokens_total": countBuckets,
		"request_max_num_generation_tokens": countBuckets, "request_params_max_tokens": countBuckets,
		"request_params_n": countBuckets, "request_prefill_kv_computed_tokens": countBuckets,
		"request_num_preemptions": countBuckets,
	} {
		vector := prometheus.NewHistogramVec(
			prometheus.HistogramOpts{Name: "vllm:" + name, Help: name, Buckets: buckets}, []string{"model_name", "engine"})
		m.registry.MustRegister(vector)
		m.histograms[name] = vector.WithLabelValues(m.labels...)
	}
}

func (m *metrics) gauge(name, help string) prometheus.Gauge {
	vector := prometheus.NewGaugeVec(prometheus.GaugeOpts{Name: "vllm:" + name, Help: help}, []string{"model_name", "engine"})
	m.registry.MustRegister(vector)
	return vector.WithLabelValues(m.labels...)
}

func (m *metrics) gaugeBy(name, label string) func(string) prometheus.Gauge {
	vector := prometheus.NewGaugeVec(
		prometheus.GaugeOpts{Name: "vllm:" + name, Help: name}, []string{"model_name", "engine", label})
	m.registry.MustRegister(vector)
	return func(value string) prometheus.Gauge {
		return vector.WithLabelValues(append(append([]string{}, m.labels...), value)...)
	}
}

func (m *metrics) counter(name string) prometheus.Counter {
	vector := prometheus.NewCounterVec(
		prometheus.CounterOpts{Name: "vllm:" + name, Help: name}, []string{"model_name", "engine"})
	m.registry.MustRegister(vector)
	return vector.WithLabelValues(m.labels...)
}

func (m *metrics) counterBy(name, label string, values ...string) map[string]prometheus.Counter {
	vector := prometheus.NewCounterVec(
		prometheus.CounterOpts{Name: "vllm:" + name, Help: name}, []string{"model_name", "engine", label})
	m.registry.MustRegister(vector)
	counters := map[string]prometheus.Counter{}
	for _, value := range values {
		counters[value] = vector.WithLabelValues(append(append([]string{}, m.labels...), value)...)
	}
	return counters
}

// cacheConfig: a gauge that is always 1 and carries the configuration in its labels.
func (m *metrics) cacheConfig(settings settings) {
	info := prometheus.NewGaugeVec(prometheus.GaugeOpts{Name: "vllm:cache_config_info", Help: "Cache configuration."},
		[]string{"engine", "block_size", "num_gpu_blocks", "kv_cache_size_tokens"})
	m.registry.MustRegister(info)
	tokens := int(settings.kvTokens)
	info.WithLabelValues("0", "16", strconv.Itoa(tokens/16), strconv.Itoa(tokens)).Set(1)
}

func (m *metrics) show(running, waiting int, kvUsage float64) {
	m.running.Set(float64(running))
	m.waiting.Set(float64(waiting))
	m.capacity.Set(float64(waiting))
	m.kvUsage.Set(min(kvUsage, 1))
}

// token counts one token of a request, and the time to it.
func (m *metrics) token(r *request) {
	now := time.Now()
	if r.generated == 0 {
		r.first = now
		m.prompts.Add(float64(r.promptTokens))
		m.observe("time_to_first_token_seconds", now.Sub(r.arrived).Seconds())
	} else {
		m.observe("inter_token_latency_seconds", now.Sub(r.last).Seconds())
	}
	r.generated++
	r.last = now
	m.generated.Inc()
	m.observe("iteration_tokens_total", 1)
}

// finished counts a request that ended, for whatever reason the engine names.
func (m *metrics) finished(r *request, reason string) {
	m.success[reason].Inc()
	if r.generated == 0 {
		return
	}
	decode := r.last.Sub(r.first).Seconds()
	m.observe("e2e_request_latency_seconds", r.last.Sub(r.arrived).Seconds())
	m.observe("request_queue_time_seconds", r.scheduled.Sub(r.arrived).Seconds())
	m.observe("request_inference_time_seconds", r.last.Sub(r.scheduled).Seconds())
	m.observe("request_prefill_time_seconds", r.first.Sub(r.scheduled).Seconds())
	m.observe("request_decode_time_seconds", decode)
	m.observe("request_prompt_tokens", float64(r.promptTokens))
	m.observe("request_prefill_kv_computed_tokens", float64(r.promptTokens))
	m.observe("request_generation_tokens", float64(r.generated))
	m.observe("request_max_num_generation_tokens", float64(r.maxTokens))
	m.observe("request_params_max_tokens", float64(r.maxTokens))
	m.observe("request_params_n", 1)
	m.observe("request_num_preemptions", 0)
	if r.generated > 1 {
		m.observe("request_time_per_output_token_seconds", decode/float64(r.generated-1))
	}
}

func (m *metrics) observe(name string, value float64) { m.histograms[name].Observe(value) }
