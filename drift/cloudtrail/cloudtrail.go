// Package cloudtrail says who changed what a drift check found, from the event
// history of AWS CloudTrail: the write events of the last 90 days, by the name
// of a resource.
//
// It is asked after a check and never fails one: an answer is a person or a
// program, or a sentence for people why it is not known. Of what a call was
// sent nothing is kept but the names of its parameters and a few identifiers.
//
// How sure an answer is follows from rules that are the same for everybody:
//
//   - certain: a successful call that is known to change that attribute names
//     the resource, it is the only one since the last apply that could have,
//     and everything since then was read;
//   - likely: such a call, but another could have been it too, or it is not
//     plain that it was about this part of the resource or this attribute; or
//     a call that only its name or its parameters speak for, if it is alone;
//   - possible: one of several of the latter, or any other call of the same
//     service that changed the resource.
//
// Of calls that fit equally the newest is told: it is what left the resource as
// it is.
package cloudtrail

import (
	"cmp"
	"context"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/config"
	"github.com/aws/smithy-go/logging"

	"weir/drift/finding"
)

const (
	// history is how far back events can be looked up: LookupEvents, AWS
	// CloudTrail API Reference. What is asked is a little less, since a time
	// outside of it is refused and a question may wait for its turn.
	history = 90 * 24 * time.Hour
	margin  = 10 * time.Minute
	// patience is how long one question may take unless Options say otherwise.
	patience = time.Minute
	// maxLookups is how many names of one resource are asked for.
	maxLookups = 3
)

// Options say where and as whom CloudTrail is asked. The zero value is fine.
type Options struct {
	Region   string        // for resources that do not say theirs; "": as AWS's own tools find it
	Endpoint string        // URL in place of AWS's own, for CloudTrail and STS
	Role     string        // ARN of a role to take for resources of other accounts; {account} in it stands for theirs. "": they are not asked for
	Own      []string      // patterns of ARNs and access key ids that weir changes resources with, beyond its own; * is any run of characters
	Caller   Caller        // who weir is; nil: STS is asked
	Patience time.Duration // for one question; 0: a minute
	Log      *slog.Logger  // nil: none
}

// Question is about the findings of one check.
type Question struct {
	Findings  []finding.Finding   // the most important first: time may run out
	Resources map[string]Resource // by address
	Region    string              // of resources that do not say theirs; "": the one of Options
	Account   string              // likewise; "": weir's own
	Since     time.Time           // when the last apply ended; zero: as long as CloudTrail remembers
	Until     time.Time           // when the check looked; zero: now
}

// Answers are about the findings of a Question. Every finding that was asked
// about is either in By or in Unknown; those of other kinds than changed
// outside, deleted outside and unexplained are in neither, nor are outputs.
type Answers struct {
	By      map[finding.Key]finding.By
	Unknown map[finding.Key]string // why it is not known, a sentence for people
	Trouble []string               // what keeps weir from knowing and somebody could mend, a sentence each, each once

	failed []string // sentences about all errors, each once
}

// note takes an error down in words, and says whether they are new.
func (a *Answers) note(err error) (why string, isNew bool) {
	why, mend := words(err)
	if slices.Contains(a.failed, why) {
		return why, false
	}
	a.failed = append(a.failed, why)
	if mend {
		a.Trouble = append(a.Trouble, why)
	}
	return why, true
}

// Trail asks CloudTrail. There is to be one in a process, since it keeps to
// what CloudTrail allows an account. It may be used by many goroutines at once.
type Trail struct {
	cfg     aws.Config
	options Options
	pace    pace
	cache   cache

	mu       sync.Mutex
	accounts map[string]*account // "" is weir's own
	denied   map[place]denial
	unsure   time.Time // until when nobody asks again who weir is
}

// Open prepares a Trail and asks AWS nothing yet. It fails if the
// configuration of AWS's own tools cannot be read.
func Open(ctx context.Context, o Options) (*Trail, error) {
	cfg, err := config.LoadDefaultConfig(ctx, func(l *config.LoadOptions) error {
		l.Region = o.Region
		l.Logger = logging.Nop{} // what matters comes back as an error
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("AWS configuration for CloudTrail: %w", err)
	}
	return newTrail(cfg, o), nil
}

func newTrail(cfg aws.Config, o Options) *Trail {
	if cfg.Region == "" {
		cfg.Region = "us-east-1"
	}
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	if o.Patience <= 0 {
		o.Patience = patience
	}
	// What may be tried again is decided here: the SDK's own attempts would
	// not keep to the pace.
	cfg.Retryer = func() aws.Retryer { return aws.NopRetryer{} }
	return &Trail{cfg: cfg, options: o, accounts: map[string]*account{}, denied: map[place]denial{}}
}

// Who answers a question, within the Patience of Options. What could not be
// asked in that time is not known.
func (t *Trail) Who(ctx context.Context, q Question) Answers {
	ctx, cancel := context.WithTimeout(ctx, t.options.Patience)
	defer cancel()
	now := time.Now()
	if q.Until.IsZero() || q.Until.After(now) {
		q.Until = now
	}
	w := window{applied: q.Since, from: q.Since, to: q.Until, whole: true}
	if oldest := now.Add(margin - history); w.from.Before(oldest) {
		w.from, w.whole = oldest, false
	}

	answers := Answers{By: map[finding.Key]finding.By{}, Unknown: map[finding.Key]string{}}
	for _, f := range q.Findings {
		if !asked(f) {
			continue
		}
		by, why := finding.By{}, ""
		switch r, ok := q.Resources[f.Address]; {
		case !ok || len(r.names()) == 0:
			why = "The state has no name for it that CloudTrail knows."
		case !w.from.Before(w.to): // CloudTrail takes no such time
			why = "It was applied while weir looked; the next check asks who has changed it since."
		default:
			by, why = t.one(ctx, f, q.place(r, t.cfg.Region), w, &answers)
		}
		if why != "" {
			answers.Unknown[f.Key()] = why
		} else {
			answers.By[f.Key()] = by
		}
	}
	return answers
}

// asked reports whether anybody did it: what the code or a version changed
// nobody has.
func asked(f finding.Finding) bool {
	return f.Type != "" && (f.Kind == finding.Changed || f.Kind == finding.Deleted || f.Kind == finding.Unknown)
}

// place fills in what a resource does not say itself.
func (q Question) place(r Resource, region string) Resource {
	r.Region = r.region(cmp.Or(q.Region, region))
	r.Account = cmp.Or(r.account(), q.Account)
	return r
}

// one answers for one finding: by, or why not.
func (t *Trail) one(ctx context.Context, f finding.Finding, r Resource, w window, answers *Answers) (finding.By, string) {
	var events []event
	failed := ""
	for _, name := range r.names() {
		found, err := t.events(ctx, place{account: r.Account, region: r.Region}, name, w)
		if err != nil {
			var isNew bool
			if failed, isNew = answers.note(err); isNew {
				t.options.Log.WarnContext(ctx, "asking CloudTrail", "region", r.Region, "error", err)
			}
			w.whole = false
			break
		}
		w.whole = w.whole && found.whole
		events = append(events, found.events...)
	}
	by, ok := judge(f, r, events, w.whole)
	switch {
	case ok:
		return by, ""
	case failed != "":
		return finding.By{}, failed
	}
	return finding.By{}, w.nothing(r.Region, len(events) > 0)
}

// nothing says that no event explains a finding, and what may be the reason.
func (w window) nothing(region string, others bool) string {
	why := fmt.Sprintf("CloudTrail in %s has no event since %s that explains it", region, w.from.UTC().Format("2006-01-02 15:04 UTC"))
	switch {
	case !w.applied.IsZero() && w.applied.Before(w.from):
		why += ", and remembers no more than 90 days: it was applied before, on " + w.applied.UTC().Format("2006-01-02")
	case w.applied.IsZero():
		why += ", and remembers no more than 90 days: when it was last applied weir does not know"
	case !w.whole && others:
		why += ", but not all of its events could be read"
	case time.Since(w.to) < late:
		why += ", but events show up there some minutes late"
	}
	return why + "."
}

// window is a stretch of time; whole says that it holds all since the last
// apply, which is zero where it is not known.
type window struct {
	applied  time.Time
	from, to time.Time
	whole    bool
}

// late is how long an event may take until it can be looked up: "How
// CloudTrail works" speaks of about 5 minutes on average, and of no limit.
const late = 15 * time.Minute

// place is where events are kept, and what their limit counts for.
type place struct{ account, region string }

func (p place) String() string { return strings.TrimPrefix(p.account+"/"+p.region, "/") }
