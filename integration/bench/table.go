package main

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"time"
)

// row is one line of the table.
type row struct {
	what     string
	budget   string
	measured string
	floor    string // what it is a ratio to, of the same run; "" for none
	ratio    string
	verdict  verdict
}

type verdict string

const (
	ok   verdict = "ok"
	over verdict = "**over**"
	told verdict = "–" // there is no budget for it
)

// within judges a measurement.
func within(good bool) verdict {
	if good {
		return ok
	}
	return over
}

func (r row) cells() []string {
	return []string{r.what, cmp.Or(r.budget, "–"), r.measured, cmp.Or(r.floor, "–"), cmp.Or(r.ratio, "–"), string(r.verdict)}
}

// table prints rows as Markdown that is as readable as it stands.
func table(rows []row) string {
	all := [][]string{{"what", "budget", "measured", "floor", "ratio", ""}}
	for _, r := range rows {
		all = append(all, r.cells())
	}
	width := make([]int, len(all[0]))
	for _, cells := range all {
		for i, c := range cells {
			width[i] = max(width[i], len([]rune(c)))
		}
	}
	var out strings.Builder
	line := func(cells []string) {
		for i, c := range cells {
			fmt.Fprintf(&out, "| %-*s ", width[i], c)
		}
		out.WriteString("|\n")
	}
	line(all[0])
	for _, w := range width {
		out.WriteString("|" + strings.Repeat("-", w+2))
	}
	out.WriteString("|\n")
	for _, cells := range all[1:] {
		line(cells)
	}
	return out.String()
}

// against is the row of a time whose budget is a ratio to a floor. Ratios are
// taken within a round, as near in time as can be, and all are medians.
func against(what string, most float64, measured, floor []time.Duration) row {
	ratio := median(ratios(measured, floor))
	return row{
		what: what, budget: fmt.Sprintf("≤ %.2f × floor", most), measured: seconds(median(measured)), floor: seconds(median(floor)),
		ratio: fmt.Sprintf("%.2f", ratio), verdict: within(ratio <= most),
	}
}

// more is the row of a time that may be longer than a floor by a fixed time.
// Differences are taken within a round.
func more(what string, most time.Duration, measured, floor []time.Duration) row {
	differences := make([]time.Duration, len(measured))
	for i := range measured {
		differences[i] = measured[i] - floor[i]
	}
	longer := median(differences)
	return row{
		what: what, budget: "≤ floor + " + seconds(most), measured: fmt.Sprintf("%s (%+.2f s)", seconds(median(measured)), longer.Seconds()),
		floor: seconds(median(floor)), ratio: fmt.Sprintf("%.2f", median(ratios(measured, floor))), verdict: within(longer <= most),
	}
}

func ratios(measured, floor []time.Duration) []float64 {
	all := make([]float64, len(measured))
	for i := range measured {
		all[i] = measured[i].Seconds() / floor[i].Seconds()
	}
	return all
}

// atMost is the row of a time with a fixed budget.
func atMost(what string, most time.Duration, measured []time.Duration) row {
	m := median(measured)
	return row{what: what, budget: "≤ " + seconds(most), measured: seconds(m), verdict: within(m <= most)}
}

func seconds(d time.Duration) string {
	switch {
	case d < 10*time.Millisecond:
		return fmt.Sprintf("%.2f ms", float64(d)/float64(time.Millisecond))
	case d < time.Second:
		return fmt.Sprintf("%.0f ms", float64(d)/float64(time.Millisecond))
	}
	return fmt.Sprintf("%.2f s", d.Seconds())
}

func megabytes(bytes int64) string { return fmt.Sprintf("%.1f MB", float64(bytes)/(1<<20)) }

func median[T cmp.Ordered](all []T) T { return percentile(all, 50) }

// percentile is the smallest value that p percent of all do not exceed.
func percentile[T cmp.Ordered](all []T, p int) T {
	sorted := slices.Sorted(slices.Values(all))
	return sorted[max(0, (len(sorted)*p+99)/100-1)]
}
