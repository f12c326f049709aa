package server

import (
	"context"
	"net/http"
	"strconv"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"
)

// metrics are what /metrics shows.
type metrics struct {
	registry   *prometheus.Registry
	deliveries *prometheus.CounterVec
	jobs       *prometheus.CounterVec
	jobTime    *prometheus.HistogramVec
	calls      *prometheus.CounterVec
	callTime   prometheus.Histogram
}

// newMetrics makes the metrics. pending is asked at each scrape, and so is dead,
// which is nil without a dispatch queue.
func newMetrics(pending func() float64, dead func(context.Context) (int, error)) *metrics {
	m := &metrics{
		registry: prometheus.NewRegistry(),
		deliveries: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "weir_deliveries_total", Help: "Webhook deliveries by event and status of the answer.",
		}, []string{"event", "status"}),
		jobs: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "weir_jobs_total", Help: "Jobs by kind and outcome of an attempt.",
		}, []string{"kind", "outcome"}),
		jobTime: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name: "weir_job_seconds", Help: "Time of one attempt at a job.", Buckets: prometheus.ExponentialBuckets(0.1, 2, 14),
		}, []string{"kind"}),
		calls: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "weir_github_calls_total", Help: "Calls to GitHub by method, route and status.",
		}, []string{"method", "route", "status"}),
		callTime: prometheus.NewHistogram(prometheus.HistogramOpts{
			Name: "weir_github_call_seconds", Help: "Time of one call to GitHub.", Buckets: prometheus.DefBuckets,
		}),
	}
	m.registry.MustRegister(m.deliveries, m.jobs, m.jobTime, m.calls, m.callTime,
		collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}),
		prometheus.NewGaugeFunc(prometheus.GaugeOpts{Name: "weir_jobs_pending", Help: "Jobs that are queued or running."}, pending),
	)
	if dead != nil {
		m.registry.MustRegister(prometheus.NewGaugeFunc(prometheus.GaugeOpts{
			Name: "weir_dispatch_dead", Help: "Messages in the dead-letter queue of dispatch; -1 while it cannot be read.",
		}, func() float64 {
			ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
			defer cancel()
			n, err := dead(ctx)
			if err != nil {
				return -1
			}
			return float64(n)
		}))
	}
	return m
}

func (m *metrics) call(method, route string, status int, took time.Duration) {
	m.calls.WithLabelValues(method, route, strconv.Itoa(status)).Inc()
	m.callTime.Observe(took.Seconds())
}

func (m *metrics) handler() http.Handler {
	return promhttp.HandlerFor(m.registry, promhttp.HandlerOpts{})
}
