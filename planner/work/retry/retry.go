// Package retry says how often something is tried and what is waited for in
// between.
package retry

import "time"

// After this many errors of ours, or deaths of its worker, a job is given up.
// Where nobody could be told of that, it is tried on for about a day: what
// keeps people from being told is most often what kept the job from being done.
const (
	MaxErrors  = 6
	MaxUntold  = MaxErrors + 140
	MaxCrashes = 4
)

// pauses are the waits after each error of ours.
var pauses = [MaxErrors - 1]time.Duration{time.Second, 5 * time.Second, 30 * time.Second, 2 * time.Minute, 10 * time.Minute}

// longestLater bounds the wait that an error asks for.
const longestLater = time.Hour

// After returns the wait after the n-th error of a job, up to a fifth more or
// less, so that jobs which failed together do not come back together.
func After(n int, id string) time.Duration {
	spread := 0
	for _, c := range []byte(id) {
		spread += int(c)
	}
	return pauses[min(n, len(pauses))-1] * time.Duration(80+spread%41) / 100
}

// Later returns the wait for a moment that an error asks for, in bounds.
func Later(wait time.Duration) time.Duration {
	return min(max(wait, time.Second), longestLater)
}
