package schedule

import (
	"errors"
	"fmt"
	"strings"
	"sync"
	"time"
	_ "time/tzdata" // a server may run where no time zones are installed

	"github.com/robfig/cron/v3"
)

// Off is the expression of a group that is never checked by itself.
const Off = "off"

// timing is when the checks of a group are, before they are spread.
type timing struct {
	wall cron.Schedule // of times as the zone's clocks show them
	zone *time.Location
}

// Check says what is wrong with a cron expression of five fields and the IANA
// name of a time zone, "" for UTC. Off is right.
func Check(expression, zone string) error {
	t, err := parse(expression, zone)
	if err == nil && t != nil && t.next(time.Now()).IsZero() {
		err = fmt.Errorf("schedule %q never comes", expression)
	}
	return err
}

// Next returns the first time after a moment at which an expression comes,
// before it is spread; zero for Off, and where there is none within five years.
//
// A time that the zone's clocks skip comes at the moment of the skip, together
// with all others that it skips; one that they show twice comes the first time.
func Next(expression, zone string, after time.Time) (time.Time, error) {
	t, err := parse(expression, zone)
	if err != nil || t == nil {
		return time.Time{}, err
	}
	return t.next(after), nil
}

// parse returns nil for a schedule that is off.
func parse(expression, zone string) (*timing, error) {
	if expression == "" || expression == Off {
		return nil, nil
	}
	// The parser would also take descriptors such as @daily, and a time zone
	// before the fields.
	if len(strings.Fields(expression)) != 5 || strings.ContainsAny(expression, "=?\n") {
		return nil, fmt.Errorf("schedule %q is not five fields of cron", expression)
	}
	wall, err := cron.ParseStandard(expression)
	if err != nil {
		return nil, fmt.Errorf("schedule %q is not understood: %w", expression, err)
	}
	location, err := load(zone)
	if err != nil {
		return nil, err
	}
	return &timing{wall: wall, zone: location}, nil
}

// zones holds what was loaded, by name: Go reads a zone anew each time. Names
// that are none are not kept, so that it is bounded.
var zones sync.Map

func load(name string) (*time.Location, error) {
	if known, ok := zones.Load(name); ok {
		if zone, ok := known.(*time.Location); ok {
			return zone, nil
		}
	}
	err := errors.New("it depends on the machine")
	zone := time.UTC
	if name != "Local" {
		zone, err = time.LoadLocation(name)
	}
	if err != nil {
		return nil, fmt.Errorf("time zone %q: %w", name, err)
	}
	zones.Store(name, zone)
	return zone, nil
}

// next returns the first time of the schedule after a moment, in UTC.
//
// The expression is worked out on the times that the zone's clocks show, as if
// no day were longer than another, and each of these is then looked up in real
// time. moment never goes back from one of them to the next, so the first that
// comes later is the one.
func (t timing) next(after time.Time) time.Time {
	wall := clock(after, t.zone)
	for {
		wall = t.wall.Next(wall)
		if wall.IsZero() {
			return time.Time{}
		}
		if at := moment(wall, t.zone); at.After(after) {
			return at.UTC()
		}
	}
}

// clock returns what the clocks of a zone show, as a time in UTC.
func clock(at time.Time, zone *time.Location) time.Time {
	_, offset := at.In(zone).Zone()
	return at.UTC().Add(time.Duration(offset) * time.Second)
}

// moment returns when the clocks of a zone show a time: first, where they show
// it twice; when they skip it, where they never do.
func moment(wall time.Time, zone *time.Location) time.Time {
	at := time.Date(wall.Year(), wall.Month(), wall.Day(), wall.Hour(), wall.Minute(), wall.Second(), wall.Nanosecond(), zone)
	start, end := at.ZoneBounds()
	switch shown := clock(at, zone); {
	case shown.After(wall): // skipped; Date has reckoned as before the skip
		return start
	case shown.Before(wall): // and here as after it
		return end
	case start.IsZero():
		return at
	}
	_, offset := start.Add(-1).Zone()
	if first := wall.Add(-time.Duration(offset) * time.Second); first.Before(start) {
		return first
	}
	return at
}
