package meter

import (
	"context"
	"errors"
	"fmt"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/prometheus/client_golang/prometheus/testutil/promlint"
	"pgregory.net/rapid"
)

// shown returns status and lines of /metrics that are about drift.
func shown(m *Meter) (int, []string) {
	w := httptest.NewRecorder()
	m.Handler().ServeHTTP(w, httptest.NewRequest("GET", "/metrics", nil))
	var lines []string
	for line := range strings.Lines(w.Body.String()) {
		if strings.HasPrefix(line, "weir_drift_") {
			lines = append(lines, strings.TrimSuffix(line, "\n"))
		}
	}
	return w.Code, lines
}

func withDrift(ask func(context.Context) ([]DriftProject, error)) *Meter {
	m := New(&Count{Ask: func(context.Context) (int, error) { return 0, nil }}, nil)
	m.Drift(&Cached[[]DriftProject]{Ask: ask, Keep: 30 * time.Second})
	return m
}

func projects() []DriftProject {
	at := time.Date(2027, 3, 1, 5, 0, 0, 500_000_000, time.UTC)
	return []DriftProject{
		{
			Repo: "acme/app", Project: "envs/prod", Hidden: 2, Checked: at, Since: at.Add(-48 * time.Hour),
			Findings: map[DriftFinding]int{{"changed outside", "high"}: 3, {"merged, never applied", "low"}: 1},
		},
		{Repo: "acme/app", Project: "envs/dev", Checked: at},
		{Repo: "acme/net", Project: "envs/prod", Failed: true, Checked: at, Since: at},
		{Repo: "acme/net", Project: `a "b"\c`},
		{Repo: "acme/net"},
		{Repo: "acme/broken", Failed: true},
	}
}

func TestDrift(t *testing.T) {
	t.Parallel()
	m := withDrift(func(context.Context) ([]DriftProject, error) { return projects(), nil })
	status, got := shown(m)
	want := []string{
		`weir_drift_check_failed{project="a \"b\"\\c",repo="acme/net"} 0`,
		`weir_drift_check_failed{project="envs/dev",repo="acme/app"} 0`,
		`weir_drift_check_failed{project="envs/prod",repo="acme/app"} 0`,
		`weir_drift_check_failed{project="envs/prod",repo="acme/net"} 1`,
		`weir_drift_findings{kind="changed outside",project="envs/prod",repo="acme/app",severity="high"} 3`,
		`weir_drift_findings{kind="merged, never applied",project="envs/prod",repo="acme/app",severity="low"} 1`,
		`weir_drift_hidden{project="a \"b\"\\c",repo="acme/net"} 0`,
		`weir_drift_hidden{project="envs/dev",repo="acme/app"} 0`,
		`weir_drift_hidden{project="envs/prod",repo="acme/app"} 2`,
		`weir_drift_hidden{project="envs/prod",repo="acme/net"} 0`,
		`weir_drift_last_check_timestamp_seconds{project="envs/dev",repo="acme/app"} 1.8038772005e+09`,
		`weir_drift_last_check_timestamp_seconds{project="envs/prod",repo="acme/app"} 1.8038772005e+09`,
		`weir_drift_last_check_timestamp_seconds{project="envs/prod",repo="acme/net"} 1.8038772005e+09`,
		`weir_drift_repository_failed{repo="acme/broken"} 1`,
		`weir_drift_repository_failed{repo="acme/net"} 0`,
		`weir_drift_since_timestamp_seconds{project="envs/prod",repo="acme/app"} 1.8037044005e+09`,
		`weir_drift_since_timestamp_seconds{project="envs/prod",repo="acme/net"} 1.8038772005e+09`,
		`weir_drift_up 1`,
	}
	slices.Sort(got)
	slices.Sort(want)
	if d := cmp.Diff(want, got); d != "" || status != 200 {
		t.Errorf("status %d (-want +got):\n%s", status, d)
	}
}

// The names of all metrics are as Prometheus wants them.
func TestNames(t *testing.T) {
	t.Parallel()
	m := withDrift(func(context.Context) ([]DriftProject, error) { return projects(), nil })
	m.Delivery("push", 202)
	m.Job("drift", nil, time.Second)
	m.Call("GET", "/user", 200, time.Millisecond)
	families, err := m.registry.Gather()
	if err != nil {
		t.Fatal(err)
	}
	problems, err := promlint.NewWithMetricFamilies(families).Lint()
	if err != nil || len(problems) > 0 {
		t.Errorf("%v, %v", problems, err)
	}
}

// TestI9_DriftThatCannotBeReadIsSaidSo: neither old numbers nor zeros, and all
// other metrics are there.
func TestI9_DriftThatCannotBeReadIsSaidSo(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var err error
		asked := 0
		m := withDrift(func(context.Context) ([]DriftProject, error) { asked++; return projects(), err })
		m.Delivery("push", 202)
		look := func(up string, lines int) {
			t.Helper()
			status, got := shown(m)
			if status != 200 || len(got) != lines || !slices.Contains(got, "weir_drift_up "+up) {
				t.Errorf("status %d, %d lines, want %d and up %s: %q", status, len(got), lines, up, got)
			}
			w := httptest.NewRecorder()
			m.Handler().ServeHTTP(w, httptest.NewRequest("GET", "/metrics", nil))
			if !strings.Contains(w.Body.String(), `weir_deliveries_total{event="push",status="202"} 1`) {
				t.Error("other metrics are gone")
			}
		}
		look("1", 18)
		err = errors.New("away")
		look("1", 18) // it was read a moment ago
		pass(30 * time.Second)
		look("0", 1)
		err = nil
		pass(29 * time.Second)
		look("0", 1)
		pass(time.Second)
		look("1", 18)
		if asked != 3 {
			t.Errorf("asked %d times", asked)
		}
	})
}

// However many look, and however often, the store is read every 30 seconds.
func TestDriftIsReadSeldom(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		asked := 0
		m := withDrift(func(context.Context) ([]DriftProject, error) { asked++; pass(time.Second); return projects(), nil })
		for range 60 {
			var all sync.WaitGroup
			for range 10 {
				all.Go(func() {
					if _, got := shown(m); len(got) != 18 {
						t.Errorf("%d lines", len(got))
					}
				})
			}
			all.Wait()
			pass(time.Second)
		}
		if asked != 3 {
			t.Errorf("read %d times in a minute, want at 0, 30 and 60 seconds", asked)
		}
	})
}

// Whatever projects are called, and if one comes twice: /metrics answers, and
// names each once.
func TestAnyProjects(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		name := rapid.SampledFrom([]string{"", "a", "b", "\xff", "\xfe", "a\nb", `"`, "{", "é", "\uFFFD"})
		var all []DriftProject
		distinct := map[string]bool{}
		for range rapid.IntRange(0, 12).Draw(t, "projects") {
			p := DriftProject{Repo: name.Draw(t, "repo"), Project: name.Draw(t, "project"), Findings: map[DriftFinding]int{}}
			for range rapid.IntRange(0, 3).Draw(t, "findings") {
				p.Findings[DriftFinding{name.Draw(t, "kind"), name.Draw(t, "severity")}] = 1
			}
			all = append(all, p)
			distinct[fmt.Sprintf("%q %q", strings.ToValidUTF8(p.Repo, "\uFFFD"), strings.ToValidUTF8(p.Project, "\uFFFD"))] = true
		}
		status, got := shown(withDrift(func(context.Context) ([]DriftProject, error) { return all, nil }))
		hidden := 0
		for _, line := range got {
			if strings.HasPrefix(line, "weir_drift_hidden{") || strings.HasPrefix(line, "weir_drift_repository_failed{") {
				hidden++
			}
		}
		if status != 200 || hidden != len(distinct) {
			t.Fatalf("status %d, %d projects, want %d: %q", status, hidden, len(distinct), got)
		}
	})
}
