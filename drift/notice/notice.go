// Package notice tells other places than GitHub, such as a chat or somebody's
// own program, what became different in the drift of a repository: each place
// hears each change, and hears it again only after a crash.
package notice

import (
	"context"
	"errors"
	"fmt"
	"path"
	"strings"
	"time"

	"weir/drift/finding"
)

// Target is a place that wants to hear.
type Target struct {
	Name   string           // unique; what the place has heard is kept under it
	Repos  []string         // patterns of owner/name that it hears of, without regard to case; none: all
	Least  finding.Severity // findings that are less bad do not count; "": all count. A check that fails always does
	Sender Sender
}

// Sender sends to one place.
type Sender interface {
	// Send returns nil once the place has taken the notice. A *RefusedError
	// says that it does not, and that trying again soon does not help. After
	// any other error the same notice is sent again.
	Send(ctx context.Context, n Notice) error
}

// RefusedError is a place that does not take what it was sent.
type RefusedError struct {
	Reason string // for people; holds no secret
}

func (e *RefusedError) Error() string { return e.Reason }

// Refusal is a place that was not told, for a reason that somebody has to mend.
type Refusal struct {
	Target string
	Reason string
}

// Repo is the repository that is told of.
type Repo struct {
	Name   string    // owner/name
	Page   string    // URL of the page of drift; "" where there is none
	Commit string    // that was compared with what is deployed
	At     time.Time // of the check
}

// Project is what is known of one project now.
type Project struct {
	Check    finding.Check // the newest; one that was never begun changes nothing of what was heard
	Issue    int           // 0: none
	IssueURL string
}

// Notice is what one place is told at once: of one repository, what became
// different since it heard last. Times are in UTC.
type Notice struct {
	ID       string           `json:"id"`     // the same when the same notice is sent again
	Number   int              `json:"number"` // rises from notice to notice of a repository to one target: a lower one is older
	Target   string           `json:"target"`
	Repo     string           `json:"repo"`
	At       time.Time        `json:"at"` // of the check
	Page     string           `json:"page,omitempty"`
	Commit   string           `json:"commit"`
	Least    finding.Severity `json:"least,omitempty"` // of the target
	Projects []Change         `json:"projects"`        // the worst first, at most 20
	More     int              `json:"more"`            // projects that became different too, and are not listed
}

// What says what became of a project.
type What string

// What became of a project, as far as its target knew.
const (
	Differs   What = "differs"           // and it was in order, or could not be checked
	Otherwise What = "differs otherwise" // than it did before
	Failed    What = "check failed"      // nobody knows whether it differs
	InOrder   What = "in order"          // nothing that counts differs any more
	Gone      What = "gone"              // it is not in the repository any more
)

// Change is what became of one project.
type Change struct {
	Project   string           `json:"project"` // ID; "" of one that is gone and whose name was too long to be kept
	Dir       string           `json:"dir,omitempty"`
	Workspace string           `json:"workspace,omitempty"`
	What      What             `json:"what"`
	Severity  finding.Severity `json:"severity,omitempty"` // of the worst finding that counts
	Findings  []Count          `json:"findings,omitempty"` // that count
	Hidden    int              `json:"hidden,omitempty"`   // by rules of weir.yaml
	Below     int              `json:"below,omitempty"`    // less bad than what the target wants to hear
	Issue     *Issue           `json:"issue,omitempty"`
	Failure   string           `json:"failure,omitempty"` // the beginning of why the check failed
}

// Count is how many findings there are of a kind.
type Count struct {
	Kind  finding.Kind `json:"kind"`
	Count int          `json:"count"`
}

// Issue is the project's issue.
type Issue struct {
	Number int    `json:"number"`
	URL    string `json:"url,omitempty"`
}

// Check says what is wrong with targets, so that it is found at the start.
func Check(targets []Target) error {
	seen := map[string]bool{}
	for _, t := range targets {
		switch {
		case t.Name == "":
			return errors.New("a target of notices has no name")
		case seen[t.Name]:
			return fmt.Errorf("two targets of notices are called %q", t.Name)
		case t.Sender == nil:
			return fmt.Errorf("target %q of notices has no sender", t.Name)
		case t.Least != "" && rank[t.Least] == 0:
			return fmt.Errorf("target %q of notices: %q is none of low, medium, high", t.Name, t.Least)
		}
		for _, pattern := range t.Repos {
			if _, err := path.Match(pattern, "owner/name"); err != nil || strings.Count(pattern, "/") != 1 {
				return fmt.Errorf("target %q of notices: %q is no pattern such as acme/* or acme/infra", t.Name, pattern)
			}
		}
		seen[t.Name] = true
	}
	return nil
}

// hears says whether a target wants to hear of a repository. A pattern's * never
// reaches over the slash.
func (t Target) hears(repo string) bool {
	for _, pattern := range t.Repos {
		if ok, err := path.Match(strings.ToLower(pattern), strings.ToLower(repo)); ok && err == nil {
			return true
		}
	}
	return len(t.Repos) == 0
}

// rank orders severities.
var rank = map[finding.Severity]int{finding.Low: 1, finding.Medium: 2, finding.High: 3}
