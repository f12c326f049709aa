// Package origin says which differences of a pull request's plan the pull
// request did not bring itself: what had drifted before, what was merged earlier
// and never applied, what a version or a data source moved.
package origin

import (
	"context"
	"encoding/json"
	"slices"

	"weir/drift/evidence"
	"weir/drift/finding"
	"weir/drift/kind"
	"weir/planner/checkout"
	"weir/planner/project"
	"weir/planner/record"
	"weir/store"
)

// Max is how many origins are told of one plan.
const Max = 100

// Origins finds origins, by the same evidence and the same rules as drift
// checks. All fields of its Gatherer are needed.
type Origins struct{ evidence.Gatherer }

// Of fills in the run's Origins: where what a plan would do comes from that the
// pull request does not ask for, by address. What nothing is known of is not
// among them: a project that weir has never applied has nothing to be compared
// with. Where the store or Git cannot be asked, what Terraform itself calls drift
// is left beside the error. Of a plan that differs it fills in Modules and
// Blocks, too, for the ledger.
func (o Origins) Of(ctx context.Context, co *checkout.Checkout, p project.Project, r *record.Run) error {
	if r.Summary == nil {
		return nil
	}
	own := &evidence.Own{Pull: r.Pull, Merge: co.Merge, Files: co.Changed}
	at := evidence.Place{Repo: r.Repo, Root: co.Root, Head: co.Base, Own: own}
	e, err := o.Gatherer.Of(ctx, at, p, evidence.Plan{Summary: *r.Summary, Terraform: r.Terraform, Providers: r.Providers})
	if err != nil {
		e = kind.Evidence{Summary: *r.Summary, Own: r.Pull}
	}
	r.Origins, r.Modules = origins(e), e.Now.Modules
	if len(e.Since) > 0 {
		r.Blocks = e.Since[0].Blocks
	}
	bound(r)
	return err
}

// maxBytes is how much of a run's record all this may take, of which its
// summary takes a half at most.
const maxBytes = store.MaxBody / 8

// bound leaves out what is too much: first what serves the ledger alone, which
// takes it for not known.
func bound(r *record.Run) {
	size := func(v any) int {
		body, err := json.Marshal(v)
		if err != nil {
			return maxBytes + 1
		}
		return len(body)
	}
	if size(r.Blocks) > maxBytes/4 {
		r.Blocks = nil
	}
	if size(r.Modules) > maxBytes/4 {
		r.Modules = nil
	}
	for len(r.Origins) > 0 && size(r.Origins) > maxBytes/2 {
		r.Origins = r.Origins[:len(r.Origins)/2]
	}
}

func origins(e kind.Evidence) []record.Origin {
	found, _ := kind.Classify(e)
	var all []record.Origin
	for _, f := range found {
		if isOwn(f, e) {
			continue
		}
		i := slices.IndexFunc(all, func(o record.Origin) bool {
			return o.Address == f.Address && o.Kind == string(f.Kind) && o.Why == f.Why
		})
		if i < 0 {
			i = len(all)
			all = append(all, record.Origin{Address: f.Address, Kind: string(f.Kind), Why: f.Why, Pull: f.Pull})
		}
		if f.Attribute != "" {
			all[i].Attributes = append(all[i].Attributes, f.Attribute)
		}
	}
	return all[:min(len(all), Max)]
}

// isOwn says whether a difference is the pull request's own, or may be.
func isOwn(f finding.Finding, e kind.Evidence) bool {
	switch f.Kind {
	case finding.Changed, finding.Deleted, finding.Unmerged:
		return false
	case finding.Merged:
		return f.Pull == e.Own
	}
	return f.Pull == e.Own || e.Applied == nil
}
