package policy

import (
	"fmt"
	"slices"
	"testing"

	"pgregory.net/rapid"
)

// anyFacts are facts with which the gate is open but for the reviews, plans and
// rules, which are anything.
func anyFacts(t *rapid.T) Facts {
	f := open()
	f.Posted, f.Reviews = nil, nil
	id := int64(0)
	for i := range rapid.IntRange(0, 8).Draw(t, "events") {
		if rapid.Bool().Draw(t, "plan") {
			f.Posted = append(f.Posted, Posted{
				Head: rapid.SampledFrom([]string{head1, head2}).Draw(t, "head"), At: at(i), ReviewsBefore: id,
				Digests: map[string]string{"prod": rapid.SampledFrom([]string{"d1", "d2"}).Draw(t, "digest"), "dev": ""},
			})
			continue
		}
		id++
		f.Reviews = append(f.Reviews, anyReview(t, id, i, "approved", "changes_requested", "commented", "dismissed"))
	}
	if rapid.Bool().Draw(t, "rule") {
		f.Rules = []Rule{{Text: "rule", Count: rapid.IntRange(1, 2).Draw(t, "count")}}
	}
	return f
}

func anyReview(t *rapid.T, id int64, minute int, states ...string) Review {
	return Review{
		ID: id, Author: rapid.SampledFrom([]string{"alice", "bob", "carol", "eve"}).Draw(t, "who"),
		Bot:    rapid.IntRange(0, 9).Draw(t, "bot") == 0,
		Commit: rapid.SampledFrom([]string{head1, head2}).Draw(t, "commit"), Submitted: at(minute),
		State: rapid.SampledFrom(states).Draw(t, "state"),
	}
}

// TestI3_NoOtherDigestPasses: whatever reviews and plans there are, an open
// gate means that somebody with write access, who is not the author, approved
// a commit for which exactly the present changes had been shown before.
func TestI3_NoOtherDigestPasses(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		f := anyFacts(t)
		if !Decide(f).Open {
			return
		}
		for _, r := range f.Reviews {
			if r.State != "approved" || r.Bot || r.Author != "bob" && r.Author != "carol" {
				continue
			}
			shown := ""
			for _, p := range f.Posted {
				if p.Head == r.Commit && !p.At.After(r.Submitted) && p.ReviewsBefore < r.ID {
					shown = p.Digests["prod"]
				}
			}
			if shown == "d1" {
				return
			}
		}
		t.Fatalf("open without a valid approval: %s", fmt.Sprintf("%+v", f))
	})
}

// TestI3_OnlyApprovalsOpen: a review that is no approval, wherever it comes in
// between, never opens the gate. A dismissed one can, but only by ending what
// its own author objected to.
func TestI3_OnlyApprovalsOpen(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		f := anyFacts(t)
		if Decide(f).Open {
			return
		}
		where := rapid.IntRange(0, len(f.Reviews)).Draw(t, "where")
		added := anyReview(t, 99, where, "changes_requested", "commented", "dismissed", "pending", "", "abstained")
		before := f.Reviews
		f.Reviews = slices.Insert(slices.Clone(before), where, added)
		if !Decide(f).Open {
			return
		}
		said := ""
		for _, r := range before {
			if r.Author == added.Author && (r.State == "approved" || r.State == "changes_requested" || r.State == "dismissed") {
				said = r.State
			}
		}
		if added.State != "dismissed" || said != "changes_requested" {
			t.Fatalf("opened by %+v", added)
		}
	})
}

// TestI3_WithdrawalNeverOpens: neither dismissing an approval nor the loss of
// all approvals of a person opens the gate.
func TestI3_WithdrawalNeverOpens(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		f := anyFacts(t)
		if Decide(f).Open {
			return
		}
		all := f.Reviews
		for i, r := range all {
			if r.State != "approved" {
				continue
			}
			f.Reviews = slices.Clone(all)
			f.Reviews[i].State = "dismissed"
			if Decide(f).Open {
				t.Fatalf("opened by dismissing %+v", r)
			}
			f.Reviews = slices.DeleteFunc(slices.Clone(all), func(o Review) bool { return o.Author == r.Author && o.State == "approved" })
			if Decide(f).Open {
				t.Fatalf("opened without the approvals of %s", r.Author)
			}
		}
	})
}
