package policy

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
)

// Decide is the gate: the one function that lets an apply pass. It is open
// only if every requirement is met and there is something to apply.
func Decide(f Facts) Decision {
	d := Decision{Requirements: []Requirement{
		Base(f.Pull, f.Bases), planned(f), current(f), locked(f), approved(f), mergeable(f), requested(f),
	}}
	if f.Unknown != "" {
		d.Requirements = append([]Requirement{{Name: "configured", Reason: f.Unknown}}, d.Requirements...)
	}
	d.Nothing = !slices.ContainsFunc(f.asked(), func(p Project) bool {
		return p.Stage == Ready || p.Stage == Unplanned
	})
	d.Open = !d.Nothing && len(d.Missing()) == 0
	return d
}

// asked are the projects that are to be applied.
func (f Facts) asked() []Project {
	if f.Only == nil {
		return f.Projects
	}
	var only []Project
	for _, p := range f.Projects {
		if slices.Contains(f.Only, p.ID) {
			only = append(only, p)
		}
	}
	return only
}

func planned(f Facts) Requirement {
	r := Requirement{Name: "planned"}
	var bad []string
	for _, p := range f.asked() {
		if p.Stage != Unplanned {
			continue
		}
		why := p.Why
		if why == "" {
			why = "not planned yet"
		}
		bad = append(bad, p.ID+": "+why)
	}
	if len(f.asked()) == 0 {
		r.Reason = "there is no plan yet"
		return r
	}
	if len(bad) > 0 {
		r.Reason = "no usable plan for " + list(bad)
		return r
	}
	r.Met, r.Reason = true, "every project is planned"
	return r
}

func current(f Facts) Requirement {
	r := Requirement{Name: "current", Replan: true}
	var old, elsewhere, moved []string
	for _, p := range f.asked() {
		switch {
		case p.Stage != Ready && p.Stage != Unchanged:
		case p.PlanHead != f.Pull.Head:
			old = append(old, fmt.Sprintf("%s (planned at %s)", p.ID, Short(p.PlanHead)))
		case p.PlanRef != f.Pull.Base:
			elsewhere = append(elsewhere, fmt.Sprintf("%s (planned against %s)", p.ID, cmp.Or(p.PlanRef, "another branch")))
		case p.BaseTouched:
			moved = append(moved, p.ID)
		}
	}
	switch {
	case len(old) > 0:
		r.Reason = fmt.Sprintf("the head is now %s, but these plans are older: %s", Short(f.Pull.Head), list(old))
	case len(elsewhere) > 0:
		r.Reason = fmt.Sprintf("it is against %s now, and these plans are not: %s", f.Pull.Base, list(elsewhere))
	case len(moved) > 0:
		r.Reason = fmt.Sprintf("%s has changed files of %s since it was planned", f.Pull.Base, list(moved))
	default:
		r.Met, r.Replan, r.Reason = true, false, "the plans are for the newest commit"
	}
	return r
}

func locked(f Facts) Requirement {
	r := Requirement{Name: "locked", Replan: true}
	var lost []string
	for _, p := range f.asked() {
		switch {
		case p.Owner == f.Pull.Number || p.Stage == Done:
		case p.Owner == 0:
			lost = append(lost, p.ID+" (its lock was given back)")
		default:
			lost = append(lost, fmt.Sprintf("%s (owned by #%d)", p.ID, p.Owner))
		}
	}
	if len(lost) > 0 {
		r.Reason = "the lock is not held for " + list(lost)
		return r
	}
	r.Met, r.Replan, r.Reason = true, false, "the locks are held"
	return r
}

func approved(f Facts) Requirement {
	r := Requirement{Name: "approved"}
	latest := latestReviews(f.Reviews)

	var valid, objections, void []string
	for _, review := range latest {
		who := review.Author
		switch review.State {
		case "changes_requested":
			if f.Rights[who].CanWrite() {
				objections = append(objections, who)
			}
		case "approved":
			if why := voidReason(f, review); why != "" {
				void = append(void, why)
			} else {
				valid = append(valid, who)
			}
		}
	}
	if len(objections) > 0 {
		r.Reason = list(objections) + " requested changes"
		return r
	}
	if len(valid) == 0 {
		r.Reason = "an approval of somebody with write access who is not the author"
		if len(void) > 0 {
			r.Reason += "; " + strings.Join(void, "; ")
		}
		return r
	}
	for _, rule := range f.Rules {
		have := 0
		for _, who := range valid {
			if rule.Among == nil || slices.ContainsFunc(rule.Among, func(a string) bool { return strings.EqualFold(a, who) }) {
				have++
			}
		}
		if have < rule.Count {
			r.Reason = fmt.Sprintf("%s (so far %d)", rule.Text, have)
			return r
		}
	}
	r.Met, r.Reason = true, "approved by "+list(valid)
	return r
}

// latestReviews keeps, of each person, the last review that says something
// about approval. A comment, or a state that GitHub may invent later, leaves an
// earlier verdict standing. A dismissed review takes the place of whatever its
// author had said before, as it does at GitHub: an earlier approval does not
// come back, nor does an earlier request for changes.
func latestReviews(all []Review) []Review {
	var latest []Review
	for _, review := range all {
		if !slices.Contains([]string{"approved", "changes_requested", "dismissed"}, review.State) {
			continue
		}
		latest = slices.DeleteFunc(latest, func(l Review) bool { return strings.EqualFold(l.Author, review.Author) })
		latest = append(latest, review)
	}
	return latest
}

// voidReason says why an approval does not count, or "" if it does.
func voidReason(f Facts, review Review) string {
	who := review.Author
	switch {
	case strings.EqualFold(who, f.Pull.Author):
		return who + " is the author"
	case f.Pull.AskedBy != "" && strings.EqualFold(who, f.Pull.AskedBy):
		return who + " asked weir for it"
	case review.Bot:
		return who + " is a bot"
	case !f.Rights[who].CanWrite():
		return who + " has no write access"
	}
	commit := Short(review.Commit)
	seen, ok := seenBy(review, f.Posted)
	if !ok {
		if !slices.ContainsFunc(f.Posted, func(p Posted) bool { return p.Head == review.Commit }) {
			return fmt.Sprintf("%s approved %s, for which no plan was shown that still counts", who, commit)
		}
		return fmt.Sprintf("%s approved %s before its plan was shown", who, commit)
	}
	diff := differ(seen.Digests, f)
	switch {
	case len(diff) == 0:
		return ""
	case review.Commit == f.Pull.Head:
		return fmt.Sprintf("%s approved %s, but it was planned again after that and now does something else in %s",
			who, commit, list(diff))
	}
	return fmt.Sprintf("%s approved %s; the head is now %s, which does something else in %s",
		who, commit, Short(f.Pull.Head), list(diff))
}

// seenBy finds the plan that the reviewer could see: the newest one of the
// reviewed commit that had been shown when the review was submitted.
func seenBy(review Review, posted []Posted) (Posted, bool) {
	for i := len(posted) - 1; i >= 0; i-- {
		p := posted[i]
		if p.Head != review.Commit || review.ID <= p.ReviewsBefore {
			continue
		}
		// GitHub's times are whole seconds, so a review of the same
		// second counts; ReviewsBefore keeps out those that came first.
		if !review.Submitted.IsZero() && review.Submitted.Before(p.At) {
			continue
		}
		return p, true
	}
	return Posted{}, false
}

// differ names the projects whose change is not the one that was seen. Those
// that have been applied since are left out: their change is done. A change
// that was seen and has gone counts too, whatever is asked for now. A change
// without a digest is equal to nothing.
func differ(seen map[string]string, f Facts) []string {
	var diff []string
	for _, p := range f.asked() {
		was, ok := seen[p.ID]
		if p.Stage != Done && (!ok || was != p.Digest || p.Stage == Ready && p.Digest == "") {
			diff = append(diff, p.ID)
		}
	}
	for id, digest := range seen {
		if digest != "" && !slices.ContainsFunc(f.Projects, func(p Project) bool { return p.ID == id }) {
			diff = append(diff, id)
		}
	}
	slices.Sort(diff)
	return diff
}

func mergeable(f Facts) Requirement {
	r := Requirement{Name: "mergeable"}
	p := f.Pull
	switch {
	case p.Unvouched != "":
		r.Reason = p.Unvouched
		return r
	case p.Merged:
		// Applying after a merge that came first is allowed: main already
		// says what the plan does, and leaving it unapplied helps nobody.
		r.Met, r.Reason = true, "it is merged"
		return r
	case !p.Open:
		r.Reason = "the pull request is closed"
		return r
	case p.Draft:
		r.Reason = "it is a draft: mark it ready for review"
		return r
	case p.MergeableState == "dirty" || p.Mergeable != nil && !*p.Mergeable:
		r.Reason = "it conflicts with " + p.Base
		return r
	}
	if p.MergeableState == "blocked" {
		if bad := blocking(f); len(bad) > 0 {
			r.Reason = "checks of others: " + list(bad)
			return r
		}
		r.Met, r.Reason = true, "no check of others is known to keep it from being merged"
		return r
	}
	r.Met, r.Reason = true, "it can be merged"
	if p.Mergeable == nil && p.MergeableState != "clean" {
		r.Reason = "no conflict is known"
	}
	return r
}

// blocking names the checks, other than weir's own, that keep the pull request
// from being merged. Weir's own never count, or its required check would block
// itself.
func blocking(f Facts) []string {
	var bad []string
	states := map[string]bool{}
	for _, c := range f.Checks {
		states[c.Name] = true
		if c.Own || c.Good() {
			continue
		}
		if f.Required == nil || slices.Contains(f.Required, c.Name) {
			bad = append(bad, fmt.Sprintf("%s is %s", c.Name, c.State))
		}
	}
	for _, name := range f.Required {
		if !states[name] && !strings.HasPrefix(name, "weir/") {
			bad = append(bad, name+" has not reported")
		}
	}
	slices.Sort(bad)
	return slices.Compact(bad)
}

func requested(f Facts) Requirement {
	r := Requirement{Name: "asked", Met: true}
	byPerson := f.Trigger == ByComment || f.Trigger == ByCheck
	if byPerson && !f.Rights[f.Actor].CanWrite() {
		return Requirement{Name: "asked", Reason: f.Actor + " has no write access"}
	}
	switch {
	case f.Mode != OnApproval && f.Mode != OnComment && f.Mode != OnMerge:
		// A mode that is not known, or not known yet, applies nothing.
		r.Met, r.Reason = false, "no plan has settled yet how this is applied"
	case f.Mode == OnMerge && !f.Pull.Merged:
		r.Met, r.Reason = false, "it is applied once the pull request is merged"
	case f.Mode == OnComment && !byPerson:
		r.Met, r.Reason = false, "somebody with write access has to comment `weir apply`"
	case byPerson:
		r.Reason = f.Actor + " asked for it"
	default:
		r.Reason = "it is applied as soon as everything else is met"
	}
	return r
}

// Short is the beginning of a commit id, as people know it.
func Short(commit string) string {
	if len(commit) > 7 {
		return commit[:7]
	}
	return commit
}

// list joins names for people and keeps sentences short.
func list(names []string) string {
	const most = 8
	if len(names) > most {
		return fmt.Sprintf("%s and %d more", strings.Join(names[:most], ", "), len(names)-most)
	}
	return strings.Join(names, ", ")
}
