package config

import (
	"errors"
	"fmt"
	"strings"
	"time"
	_ "time/tzdata" // a server may run where no time zones are installed

	"github.com/bmatcuk/doublestar/v4"
	"github.com/robfig/cron/v3"
)

// DriftRule says when projects are compared with what is deployed, and what of
// the differences is told.
type DriftRule struct {
	// Dirs lists patterns of directories of projects, from the root of the repository.
	Dirs []string `yaml:"dirs" jsonschema:"required,minItems=1,minLength=1"`
	// Schedule is when: minute, hour, day of the month, month and day of the week, as in cron. off: only on demand.
	// Without it the server's schedule counts.
	Schedule string `yaml:"schedule" jsonschema:"minLength=1"`
	// Timezone is the IANA name of the time zone that the schedule is read in, such as Europe/Berlin. It counts
	// for the server's schedule too.
	Timezone string `yaml:"timezone" jsonschema:"minLength=1,maxLength=100,default=UTC"`
	// Ignore lists differences that are known and not told for a while. They are counted, and never hide that something
	// would be destroyed.
	Ignore []IgnoreRule `yaml:"ignore" jsonschema:"minItems=1"`
	// Severity lists how bad differences are, before what weir thinks of them. The first entry that fits counts.
	Severity []SeverityRule `yaml:"severity" jsonschema:"minItems=1"`
	// Assignees lists the people that the issues are assigned to, by their GitHub login. Without it they are those of
	// CODEOWNERS.
	Assignees []string `yaml:"assignees" jsonschema:"minItems=1,pattern=^[A-Za-z0-9][A-Za-z0-9_-]*$" says:"is a GitHub login, without @"`
}

// Fits reports whether the rule is for projects in a directory.
func (r DriftRule) Fits(dir string) bool {
	for _, glob := range r.Dirs {
		if ok, err := doublestar.Match(glob, dir); ok && err == nil { // a broken pattern was refused by Parse
			return true
		}
	}
	return false
}

// Off is the schedule of what is only compared on demand.
const Off = "off"

// IgnoreRule names differences that are known.
type IgnoreRule struct {
	// Address is a pattern of addresses of resources, as Terraform writes them. * stands for any characters, dots and
	// brackets too; everything else stands for itself.
	Address string `yaml:"address" jsonschema:"required,minLength=1,maxLength=500"`
	// Attribute is a pattern of names of attributes at the top of the resource, with * as in address.
	Attribute string `yaml:"attribute" jsonschema:"pattern=^[A-Za-z0-9_*-]+$,maxLength=200,default=*" says:"is a name at the top of the resource: only letters, digits, _ and -, with * for any"`
	// Owner is who answers for it, as a GitHub login or ORG/TEAM.
	Owner string `yaml:"owner" jsonschema:"required,pattern=^[A-Za-z0-9][A-Za-z0-9_-]*(/[A-Za-z0-9_.-]+)?$,maxLength=200" says:"is a GitHub login or a team as ORG/TEAM, without @"`
	// Reason says why it may be so.
	Reason string `yaml:"reason" jsonschema:"required,pattern=[^\\s],maxLength=1000" says:"says why it may be so"`
	// Until is the last day that it counts, as YYYY-MM-DD in UTC.
	Until string `yaml:"until" jsonschema:"required,pattern=^[0-9]{4}-[0-9]{2}-[0-9]{2}$,format=date" says:"is a day as YYYY-MM-DD"`
}

// SeverityRule says how bad differences are.
type SeverityRule struct {
	// Types lists patterns of resource types, such as aws_iam_*. Without it all types are meant.
	Types []string `yaml:"types" jsonschema:"minItems=1,pattern=^[A-Za-z0-9_*?-]+$" says:"has only letters, digits, _ and -, with * and ? as wildcards"`
	// Attributes lists patterns of names of attributes at the top of the resource. Without it all are meant.
	Attributes []string `yaml:"attributes" jsonschema:"minItems=1,pattern=^[A-Za-z0-9_*?-]+$" says:"has only letters, digits, _ and -, with * and ? as wildcards"`
	// Severity is how bad they are.
	Severity string `yaml:"severity" jsonschema:"required,enum=high,enum=medium,enum=low"`
}

// checkDrift verifies a rule of drift at a path, and fills in what is not
// written.
func (d *decoder) checkDrift(rule DriftRule, at string) {
	d.checkPatterns(rule.Dirs, at+".dirs")
	if err := checkSchedule(rule.Schedule); err != nil {
		d.failAt(at+".schedule", "minute hour day month weekday, such as 0 5 * * 1-5", "%s.schedule %s %v", at, short(rule.Schedule), err)
	}
	if err := checkZone(rule.Timezone); err != nil {
		d.failAt(at+".timezone", "an IANA name, such as Europe/Berlin or UTC", "%s.timezone %s %v", at, short(rule.Timezone), err)
	}
	for i, ignore := range rule.Ignore {
		if ignore.Attribute == "" {
			rule.Ignore[i].Attribute = "*"
		}
		at := fmt.Sprintf("%s.ignore[%d]", at, i)
		if strings.TrimSpace(ignore.Address) != ignore.Address || strings.ContainsAny(ignore.Address, "\n\r\t") {
			d.failAt(at+".address", "", "%s.address %s begins or ends with a space, or has a line break or tab", at, short(ignore.Address))
		}
		if _, err := time.Parse(time.DateOnly, ignore.Until); err != nil && ignore.Until != "" {
			d.failAt(at+".until", "it is a day as YYYY-MM-DD", "%s.until %s is no day of the calendar", at, short(ignore.Until))
		}
	}
}

// checkSchedule accepts the five fields of cron in the form that the schedule
// of drift is run by, and off.
func checkSchedule(text string) error {
	if text == "" || text == Off {
		return nil
	}
	if len(strings.Fields(text)) != 5 || strings.ContainsAny(text, "=?\n") {
		return errors.New("is not five fields of cron")
	}
	schedule, err := cron.ParseStandard(text)
	if err != nil {
		return fmt.Errorf("is not understood: %w", err)
	}
	if schedule.Next(time.Date(2024, 1, 1, 0, 0, 0, 0, time.UTC)).IsZero() {
		return errors.New("never comes")
	}
	return nil
}

// checkZone accepts names of time zones. Local is another one on each server.
func checkZone(name string) error {
	err := errors.New("is another one on each server")
	if name != "Local" {
		if _, err = time.LoadLocation(name); err != nil {
			err = errors.New("is not a time zone")
		}
	}
	return err
}
