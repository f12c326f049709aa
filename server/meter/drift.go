package meter

import (
	"context"
	"strings"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// DriftProject is what the metrics tell of the drift of one project, or of a
// repository as a whole: then only Failed counts, that nothing of it can be
// checked.
type DriftProject struct {
	Repo    string // owner/name
	Project string // ID, unique within Repo; "": the repository

	Findings map[DriftFinding]int // how many there are that no rule hides
	Hidden   int                  // how many a rule hides
	Failed   bool                 // the last check could compare nothing
	Checked  time.Time            // when the last check began; zero: there was none
	Since    time.Time            // since when something differs; zero: nothing does
}

// DriftFinding is what findings are counted by, in the words of the page.
type DriftFinding struct{ Kind, Severity string }

// Names and labels follow Prometheus' documentation, page "Metric and label
// naming": one unit each, in its base form, as a suffix; a point in time is a
// Unix timestamp, as page "Instrumentation" advises over "time since".
var (
	driftUp = prometheus.NewDesc("weir_drift_up",
		"1 if what is known of drift could be read; otherwise 0, and no other metric of drift is there.", nil, nil)
	driftFindings = prometheus.NewDesc("weir_drift_findings",
		"Findings that no rule hides, by kind and severity; none where there is none.", []string{"repo", "project", "kind", "severity"}, nil)
	driftHidden = prometheus.NewDesc("weir_drift_hidden",
		"Findings that a rule of weir.yaml hides.", []string{"repo", "project"}, nil)
	driftFailed = prometheus.NewDesc("weir_drift_check_failed",
		"1 if the last check could compare nothing, otherwise 0.", []string{"repo", "project"}, nil)
	driftRepoFailed = prometheus.NewDesc("weir_drift_repository_failed",
		"1 if nothing of a repository can be checked, such as for a broken weir.yaml, otherwise 0.", []string{"repo"}, nil)
	driftChecked = prometheus.NewDesc("weir_drift_last_check_timestamp_seconds",
		"When the last check began.", []string{"repo", "project"}, nil)
	driftSince = prometheus.NewDesc("weir_drift_since_timestamp_seconds",
		"Since when something differs that no rule hides, or checks fail; none where neither is so.", []string{"repo", "project"}, nil)
)

// drift is a prometheus.Collector.
//
// While nothing can be read it yields weir_drift_up 0 and nothing else. The
// last known numbers would look like a check that found the same again, and
// zeros like one that found nothing; an error would take all other metrics
// along, which are needed just then. Prometheus' page "Writing exporters" has
// a metric "up" for that.
type drift struct{ known *Cached[[]DriftProject] }

// Drift shows the drift of all projects from now on. known is asked when
// somebody looks, so its Keep bounds how often the store is read. Servers that
// share a store show the same numbers each: sum them up by server, or take
// their maximum.
//
// It must be called at most once. A project that comes twice is shown once, as
// it comes first.
func (m *Meter) Drift(known *Cached[[]DriftProject]) { m.registry.MustRegister(drift{known}) }

func (drift) Describe(to chan<- *prometheus.Desc) {
	for _, d := range []*prometheus.Desc{driftUp, driftFindings, driftHidden, driftFailed, driftRepoFailed, driftChecked, driftSince} {
		to <- d
	}
}

func (d drift) Collect(to chan<- prometheus.Metric) {
	gauge := func(what *prometheus.Desc, value float64, labels ...string) {
		to <- prometheus.MustNewConstMetric(what, prometheus.GaugeValue, value, labels...)
	}
	all, err := d.known.Get(context.Background())
	if err != nil {
		gauge(driftUp, 0)
		return
	}
	gauge(driftUp, 1)
	seen := map[[2]string]bool{}
	for _, p := range all {
		repo, project := label(p.Repo), label(p.Project)
		if seen[[2]string{repo, project}] { // the same labels twice would spoil all metrics
			continue
		}
		seen[[2]string{repo, project}] = true
		failed := 0.0
		if p.Failed {
			failed = 1
		}
		if p.Project == "" {
			gauge(driftRepoFailed, failed, repo)
			continue
		}
		counts := map[DriftFinding]int{}
		for f, n := range p.Findings {
			counts[DriftFinding{label(f.Kind), label(f.Severity)}] += n
		}
		for f, n := range counts {
			gauge(driftFindings, float64(n), repo, project, f.Kind, f.Severity)
		}
		gauge(driftHidden, float64(p.Hidden), repo, project)
		gauge(driftFailed, failed, repo, project)
		if !p.Checked.IsZero() {
			gauge(driftChecked, seconds(p.Checked), repo, project)
		}
		if !p.Since.IsZero() {
			gauge(driftSince, seconds(p.Since), repo, project)
		}
	}
}

// label makes a value of a label: those are UTF-8, directories need not be.
func label(s string) string { return strings.ToValidUTF8(s, "\uFFFD") }

func seconds(t time.Time) float64 { return float64(t.UnixMilli()) / 1000 }
