// Package meter holds the numbers of a running server: what it counts itself,
// and what it has to ask others for, at a bounded rate however often it is
// looked at.
package meter

import (
	"context"
	"net/http"
	"strconv"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"
)

// Meter is what /metrics shows.
type Meter struct {
	registry   *prometheus.Registry
	deliveries *prometheus.CounterVec
	jobs       *prometheus.CounterVec
	jobTime    *prometheus.HistogramVec
	calls      *prometheus.CounterVec
	callTime   prometheus.Histogram
}

// New makes the metrics. dead is nil without a dispatch queue, and then there is
// no weir_dispatch_dead.
func New(pending, dead *Count) *Meter {
	m := &Meter{
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
		gauge("weir_jobs_pending", "Jobs that are queued or running; -1 while the store cannot be read.", pending),
	)
	if dead != nil {
		m.registry.MustRegister(gauge("weir_dispatch_dead", "Messages in the dead-letter queue of dispatch; -1 while it cannot be read.", dead))
	}
	return m
}

// gauge shows a count, and -1 where there is none.
func gauge(name, help string, c *Count) prometheus.Collector {
	return prometheus.NewGaugeFunc(prometheus.GaugeOpts{Name: name, Help: help}, func() float64 {
		n, err := c.Get(context.Background())
		if err != nil {
			return -1
		}
		return float64(n)
	})
}

// Delivery counts a delivery and the status of its answer.
func (m *Meter) Delivery(event string, status int) {
	m.deliveries.WithLabelValues(event, strconv.Itoa(status)).Inc()
}

// Job counts an attempt at a job, which took so long and ended with err.
func (m *Meter) Job(kind string, err error, took time.Duration) {
	outcome := "done"
	if err != nil {
		outcome = "error"
	}
	m.jobs.WithLabelValues(kind, outcome).Inc()
	m.jobTime.WithLabelValues(kind).Observe(took.Seconds())
}

// Call counts a call to GitHub.
func (m *Meter) Call(method, route string, status int, took time.Duration) {
	m.calls.WithLabelValues(method, route, strconv.Itoa(status)).Inc()
	m.callTime.Observe(took.Seconds())
}

// Handler answers with all metrics, in Prometheus' format.
func (m *Meter) Handler() http.Handler {
	return promhttp.HandlerFor(m.registry, promhttp.HandlerOpts{})
}
