package checkout

import (
	"fmt"
	"net/http"
	"testing"
	"time"
)

// BenchmarkTwentyThousandFiles reports what a checkout costs beside terraform:
// with nothing there, for a new pull request with and without a worktree to
// take over, for a later commit, and for the same again; once on this machine
// and once with 50 ms between any question and its answer.
func BenchmarkTwentyThousandFiles(b *testing.B) {
	for _, away := range []time.Duration{0, 50 * time.Millisecond} {
		b.Run(fmt.Sprintf("away=%v", away), func(b *testing.B) {
			h := newHub(b, "token-of-bench")
			h.intercept(func(http.ResponseWriter, *http.Request) bool {
				<-time.After(away)
				return false
			})
			u := h.repo("acme/app")
			base := u.commit("main", "", manyFiles(20_000))
			sum := map[string]time.Duration{}
			for b.Loop() {
				r := newRepos(b, "token-of-bench")
				pull := 0
				timed := func(name string, pull int, head string) {
					start := time.Now()
					open(b, r, u.request(pull, head))
					sum[name] += time.Since(start)
				}
				change := func() string {
					pull++
					return u.commit("change", base, tree{"d5/s5/main.tf": fmt.Sprint(pull, time.Now())})
				}
				timed("cold-ms", 1, change())
				timed("new-pull-ms", 2, change())
				head := change()
				timed("later-commit-ms", 2, head)
				timed("same-ms", 2, head)
				if err := r.Remove(b.Context(), u.name, 1); err != nil {
					b.Fatal(err)
				}
				timed("new-pull-reusing-ms", 3, change())
			}
			for name, d := range sum {
				b.ReportMetric(float64(d.Milliseconds())/float64(b.N), name)
			}
		})
	}
}
