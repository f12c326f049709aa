package night

import (
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strings"
	"time"

	"weir/integration/bench/stage"
)

// took is the row of how long a night was, beside the floor; 0: there is none.
func (n night) took(what string, most float64, floor time.Duration) Row {
	each := n.wall / time.Duration(max(1, n.projects))
	r := Row{What: what, Measured: fmt.Sprintf("%.1f min (%s a project, %s of it weir's own processor time)",
		n.wall.Minutes(), short(each), short(n.own/time.Duration(max(1, n.projects))))}
	if floor > 0 {
		ratio := n.wall.Seconds() / floor.Seconds()
		r.Budget, r.Floor, r.Ratio = fmt.Sprintf("≤ %.2f × floor", most), fmt.Sprintf("%.1f min", floor.Minutes()), fmt.Sprintf("%.2f", ratio)
		r.Judged, r.Good = true, ratio <= most
	}
	return r
}

// exact is the row of what a night has come to, which does not depend on the
// machine.
func (n night) exact(what string) Row {
	return Row{
		What: what + ": checked; failed, twice, wrong", Budget: fmt.Sprintf("%d; 0, 0, 0", n.projects),
		Measured: fmt.Sprintf("%d; %d, %d, %d", n.checked, n.failed, n.again, n.wrong),
		Judged:   true, Good: n.checked == n.projects && n.failed+n.again+n.wrong == 0,
	}
}

// calls is the row of what was asked of GitHub.
func (n night) calls(what string) Row {
	var reads, writes, fetches int
	for _, c := range n.asked {
		switch {
		case strings.Contains(c.Route, ".git/"):
			if strings.HasSuffix(c.Route, "/info/refs") && c.Status == http.StatusOK {
				fetches++
			}
		case c.Method == http.MethodGet:
			reads++
		default:
			writes++
		}
	}
	return Row{What: what + ": GitHub calls", Measured: fmt.Sprintf("%d reads, %d writes, git fetches: %d", reads, writes, fetches)}
}

// list is all times, for who looks.
func list(all []sample) string {
	var texts []string
	for _, s := range all {
		texts = append(texts, short(s.took))
	}
	return strings.Join(texts, ", ")
}

// routes says how often what was called.
func (n night) routes() string {
	times := map[string]int{}
	for _, c := range n.asked {
		times[fmt.Sprintf("%s %s %d", c.Method, strings.TrimPrefix(c.Route, "/repos/{owner}/{repo}"), c.Status)]++
	}
	var all []string
	for _, route := range slices.Sorted(maps.Keys(times)) {
		all = append(all, fmt.Sprintf("%d × %s", times[route], route))
	}
	return strings.Join(all, ", ")
}

// commits is the row of what was written to the store.
func (n night) commits(what string) Row {
	return Row{What: what + ": transactions of the store", Measured: fmt.Sprintf("%d (%.2f a project)", n.transactions, float64(n.transactions)/float64(max(1, n.projects)))}
}

// memory is the row of what weir has used at most.
func memory(what string, idle, used stage.Usage) Row {
	grown := used.Peak - idle.RSS
	return Row{
		What: what + ": memory", Budget: "≤ idle + 25 MB", Measured: fmt.Sprintf("%s: peak idle %+.1f MB", used, float64(grown)/(1<<20)),
		Floor: fmt.Sprintf("%.1f MB (idle)", float64(idle.RSS)/(1<<20)), Ratio: fmt.Sprintf("%.2f", float64(used.Peak)/float64(idle.RSS)),
		Judged: true, Good: grown <= 25<<20,
	}
}

// during leaves out what had not ended before the last check began.
func (n night) during(all []sample) []sample {
	return slices.DeleteFunc(slices.Clone(all), func(s sample) bool { return s.ended.After(n.last) })
}

// disturbed is the row of what pull requests notice. Which of them is judged
// is chosen by pick.
func disturbed(what string, quiet, busy []sample, longest time.Duration, pick func([]sample) time.Duration) Row {
	r := Row{What: what, Budget: fmt.Sprintf("≤ quiet + %s (longest command of a check)", short(longest)), Judged: true}
	if len(quiet) == 0 || len(busy) == 0 {
		r.Measured, r.Judged = "none was planned before the night's end", false
		return r
	}
	before, now := middle(quiet), pick(busy)
	r.Measured = fmt.Sprintf("%s (%+.0f ms), worst %s, of %d", short(now), float64(now-before)/float64(time.Millisecond), short(worst(busy)), len(busy))
	if now == worst(busy) {
		r.Measured = fmt.Sprintf("worst %s (%+.0f ms), median %s, of %d", short(now), float64(now-before)/float64(time.Millisecond), short(middle(busy)), len(busy))
	}
	r.Floor = fmt.Sprintf("%s, worst %s (quiet)", short(before), short(worst(quiet)))
	r.Ratio = fmt.Sprintf("%.2f", now.Seconds()/before.Seconds())
	r.Good = now <= before+longest
	return r
}

func worst(all []sample) time.Duration { return took(all)[len(all)-1] }

func middle(all []sample) time.Duration { return took(all)[(len(all)-1)/2] }

// took are the times in order.
func took(all []sample) []time.Duration {
	times := make([]time.Duration, len(all))
	for i, s := range all {
		times[i] = s.took
	}
	slices.Sort(times)
	return times
}

// longest is the longest command of terraform's in a night; 0: there was none.
func (n night) longest() time.Duration {
	if len(n.commands) == 0 {
		return 0
	}
	return n.commands[len(n.commands)-1]
}

// typical is the one in the middle.
func (n night) typical() time.Duration {
	if len(n.commands) == 0 {
		return 0
	}
	return n.commands[(len(n.commands)-1)/2]
}

func short(d time.Duration) string {
	switch {
	case d < 10*time.Millisecond:
		return fmt.Sprintf("%.1f ms", float64(d)/float64(time.Millisecond))
	case d < time.Second:
		return fmt.Sprintf("%.0f ms", float64(d)/float64(time.Millisecond))
	}
	return fmt.Sprintf("%.2f s", d.Seconds())
}

func count(n int, what string) string {
	if n == 1 {
		return "1 " + what
	}
	return fmt.Sprintf("%d %ss", n, what)
}

func repositories(n int) string {
	if n == 1 {
		return "1 repository"
	}
	return fmt.Sprintf("%d repositories", n)
}
