package schedule

import (
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/robfig/cron/v3"
)

func at(t *testing.T, text string) time.Time {
	t.Helper()
	v, err := time.Parse(time.RFC3339, text)
	if err != nil {
		t.Fatal(err)
	}
	return v.UTC()
}

func TestNext(t *testing.T) {
	for _, test := range []struct {
		name, cron, zone, after string
		want                    []string
	}{
		{"weekdays", "0 5 * * 1-5", "", "2026-03-06T04:00:00Z", []string{"2026-03-06T05:00:00Z", "2026-03-09T05:00:00Z"}},
		{"strictly after", "0 5 * * *", "UTC", "2026-03-06T05:00:00Z", []string{"2026-03-07T05:00:00Z"}},
		{"winter and summer time", "0 5 * * *", "Europe/Berlin", "2026-03-28T00:00:00Z", []string{"2026-03-28T04:00:00Z", "2026-03-29T03:00:00Z"}},
		{
			"a time that is skipped comes with the skip", "30 2 * * *", "Europe/Berlin", "2026-03-28T00:00:00Z",
			[]string{"2026-03-28T01:30:00Z", "2026-03-29T01:00:00Z", "2026-03-30T00:30:00Z"},
		},
		{
			"all that is skipped comes once", "*/15 2,3 * * *", "Europe/Berlin", "2026-03-29T00:59:00Z",
			[]string{"2026-03-29T01:00:00Z", "2026-03-29T01:15:00Z", "2026-03-29T01:30:00Z"},
		},
		{
			"a time that comes twice counts the first time", "30 2 * * *", "Europe/Berlin", "2026-10-24T12:00:00Z",
			[]string{"2026-10-25T00:30:00Z", "2026-10-26T01:30:00Z"},
		},
		{"seen between the two", "30 2 * * *", "Europe/Berlin", "2026-10-25T01:00:00Z", []string{"2026-10-26T01:30:00Z"}},
		{"midnight is skipped", "0 0 * * *", "America/Santiago", "2026-09-05T12:00:00Z", []string{"2026-09-06T04:00:00Z", "2026-09-07T03:00:00Z"}},
		{"half an hour is skipped", "15 2 * * *", "Australia/Lord_Howe", "2026-10-03T12:00:00Z", []string{"2026-10-03T15:30:00Z", "2026-10-04T15:15:00Z"}},
		{"a whole day is skipped", "0 12 30 12 *", "Pacific/Apia", "2011-12-29T23:00:00Z", []string{"2011-12-30T10:00:00Z", "2012-12-29T22:00:00Z"}},
		{"leap years", "0 0 29 2 *", "", "2026-01-01T00:00:00Z", []string{"2028-02-29T00:00:00Z", "2032-02-29T00:00:00Z"}},
		{"off", Off, "", "2026-01-01T00:00:00Z", []string{"0001-01-01T00:00:00Z"}},
		{"never", "0 0 31 2 *", "", "2026-01-01T00:00:00Z", []string{"0001-01-01T00:00:00Z"}},
	} {
		after := at(t, test.after)
		var got []string
		for range test.want {
			next, err := Next(test.cron, test.zone, after)
			if err != nil {
				t.Fatalf("%s: %v", test.name, err)
			}
			got, after = append(got, next.Format(time.RFC3339)), next
		}
		if diff := cmp.Diff(test.want, got); diff != "" {
			t.Errorf("%s (-want +got):\n%s", test.name, diff)
		}
	}
}

// TestNextAgainstClocks goes through days minute by minute and looks at what
// the clocks show, where Next reckons.
func TestNextAgainstClocks(t *testing.T) {
	for _, test := range []struct{ zone, from, to string }{
		{"Europe/Berlin", "2026-03-27T00:00:00Z", "2026-03-31T00:00:00Z"},
		{"Europe/Berlin", "2026-10-23T00:00:00Z", "2026-10-27T00:00:00Z"},
		{"America/New_York", "2026-03-07T00:00:00Z", "2026-03-10T00:00:00Z"},
		{"America/New_York", "2026-10-31T00:00:00Z", "2026-11-03T00:00:00Z"},
		{"America/Santiago", "2026-09-05T00:00:00Z", "2026-09-08T00:00:00Z"},
		{"America/Santiago", "2026-04-03T00:00:00Z", "2026-04-07T00:00:00Z"},
		{"Australia/Lord_Howe", "2026-04-03T00:00:00Z", "2026-04-06T00:00:00Z"},
		{"Australia/Lord_Howe", "2026-10-02T00:00:00Z", "2026-10-05T00:00:00Z"},
		{"Asia/Kathmandu", "2026-01-01T00:00:00Z", "2026-01-03T00:00:00Z"},
		{"Africa/Casablanca", "2026-02-13T00:00:00Z", "2026-02-17T00:00:00Z"},
	} {
		zone, err := load(test.zone)
		if err != nil {
			t.Fatal(err)
		}
		from, to := at(t, test.from), at(t, test.to)
		for _, expression := range []string{"30 2 * * *", "*/20 1,2 * * *", "0 * * * *", "0 0 * * *", "59 23 * * 0", "45 0-3 * * 1"} {
			fields, err := cron.ParseStandard(expression)
			if err != nil {
				t.Fatal(err)
			}
			comes := func(wall time.Time) bool { return fields.Next(wall.Add(-time.Minute)).Equal(wall) }

			shown := map[time.Time]bool{} // from a day before, for what is shown twice
			last := clock(from.Add(-24*time.Hour-time.Minute), zone)
			var want []time.Time
			for m := from.Add(-24 * time.Hour); m.Before(to); m = m.Add(time.Minute) {
				wall, fits := clock(m, zone), false
				for skipped := last.Add(time.Minute); skipped.Before(wall); skipped = skipped.Add(time.Minute) {
					fits = fits || comes(skipped)
				}
				if !shown[wall] {
					fits = fits || comes(wall)
				}
				shown[wall], last = true, wall
				if fits && m.After(from) {
					want = append(want, m)
				}
			}

			var got []time.Time
			for m := from; ; {
				if m, err = Next(expression, test.zone, m); err != nil {
					t.Fatal(err)
				}
				if !m.Before(to) {
					break
				}
				got = append(got, m)
			}
			if diff := cmp.Diff(want, got); diff != "" {
				t.Errorf("%s in %s from %s (-want +got):\n%s", expression, test.zone, test.from, diff)
			}
			// From any minute on the next one is the same as from the slot before.
			for m := from; m.Before(to); m = m.Add(7 * time.Minute) {
				i := slices.IndexFunc(want, func(w time.Time) bool { return w.After(m) })
				if i < 0 {
					break
				}
				if next, err := Next(expression, test.zone, m); err != nil || !next.Equal(want[i]) {
					t.Errorf("%s in %s after %s: %s, %v, want %s", expression, test.zone, m, next, err, want[i])
				}
			}
		}
	}
}

func TestCheck(t *testing.T) {
	for _, test := range []struct{ cron, zone, want string }{
		{"0 5 * * *", "", ""},
		{"0 5 * * MON-FRI", "America/Argentina/Buenos_Aires", ""},
		{Off, "", ""},
		{"", "", ""},
		{"@daily", "", `schedule "@daily" is not five fields of cron`},
		{"TZ=UTC 0 5 * *", "", `schedule "TZ=UTC 0 5 * *" is not five fields of cron`},
		{"0 5 * *", "", `schedule "0 5 * *" is not five fields of cron`},
		{"0 25 * * *", "", `schedule "0 25 * * *" is not understood: end of range (25) above maximum (23): 25`},
		{"0 0 31 2 *", "", `schedule "0 0 31 2 *" never comes`},
		{"0 5 * * *", "Local", `time zone "Local": it depends on the machine`},
		{"0 5 * * *", "Europe/Atlantis", `time zone "Europe/Atlantis": unknown time zone Europe/Atlantis`},
		{"0 5 * * *", "../../etc/passwd", `time zone "../../etc/passwd": time: invalid location name`},
	} {
		got := ""
		if err := Check(test.cron, test.zone); err != nil {
			got = err.Error()
		}
		if got != test.want {
			t.Errorf("Check(%q, %q): %q, want %q", test.cron, test.zone, got, test.want)
		}
	}
}
