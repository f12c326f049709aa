package origin

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"weir/drift/evidence"
	"weir/drift/kind"
	"weir/planner/checkout"
	"weir/planner/project"
	"weir/planner/record"
	"weir/planner/terraform"
	"weir/planner/terraform/plan"
	"weir/store"
	"weir/store/storetest"
)

func update(address string, names ...string) plan.Change {
	c := plan.Change{Address: address, Type: "aws_sqs_queue", Provider: "registry.terraform.io/hashicorp/aws", Action: plan.Update}
	for _, name := range names {
		c.Attributes = append(c.Attributes, plan.Attribute{Name: name, Before: "1", After: "2", Constant: true})
	}
	return c
}

// TestOrigins holds what counts as a pull request's own. It is 9 throughout.
func TestOrigins(t *testing.T) {
	applied := &kind.Apply{Commit: "1111111", Pull: 3, State: kind.Landed}
	own := kind.Touch{Commit: "9999999", Pull: 9, Files: []string{"live/main.tf"}, Blocks: []string{"aws_sqs_queue.a#tags"}}
	other := kind.Touch{Commit: "4444444", Pull: 4, Files: []string{"live/main.tf"}, Blocks: []string{"aws_sqs_queue.a#name", "aws_sqs_queue.a#fifo"}}
	const merged = "#4 (4444444) changed the code, and it was not applied since"
	for name, c := range map[string]struct {
		e    kind.Evidence
		want []record.Origin
	}{
		"its own": {kind.Evidence{Applied: applied, Since: []kind.Touch{own}, Summary: plan.Summary{Changes: []plan.Change{update("aws_sqs_queue.a", "tags")}}}, nil},
		"both in one block": {
			kind.Evidence{Applied: applied, Since: []kind.Touch{own, other}, Summary: plan.Summary{Changes: []plan.Change{update("aws_sqs_queue.a", "fifo", "name", "tags")}}},
			[]record.Origin{{Address: "aws_sqs_queue.a", Attributes: []string{"fifo", "name"}, Kind: "merged, never applied", Why: merged, Pull: 4}},
		},
		"its own, and weir never applied it": {
			kind.Evidence{Since: []kind.Touch{own}, Summary: plan.Summary{Changes: []plan.Change{update("aws_sqs_queue.a", "tags")}}}, nil,
		},
		"nothing to compare with": {
			kind.Evidence{Since: []kind.Touch{own}, Summary: plan.Summary{Changes: []plan.Change{{Address: "aws_sqs_queue.b", Action: plan.Delete}}}}, nil,
		},
		"a provider that another moved": {
			kind.Evidence{
				Applied: &kind.Apply{Commit: "1111111", Pull: 3, State: kind.Landed, Versions: kind.Versions{Providers: map[string]string{"hashicorp/aws": "5.1.0"}}},
				Now:     kind.Versions{Providers: map[string]string{"hashicorp/aws": "5.2.0"}}, Since: []kind.Touch{own},
				Summary: plan.Summary{Changes: []plan.Change{{Address: "aws_sqs_queue.b", Provider: "registry.terraform.io/hashicorp/aws", Action: plan.Update, Attributes: []plan.Attribute{{Name: "tier", After: "2"}}}}},
			},
			[]record.Origin{{Address: "aws_sqs_queue.b", Attributes: []string{"tier"}, Kind: "version", Why: "provider aws moved from 5.1.0 to 5.2.0"}},
		},
		"a provider that it moved itself": {
			kind.Evidence{
				Applied: &kind.Apply{Commit: "1111111", Pull: 3, State: kind.Landed, Versions: kind.Versions{Providers: map[string]string{"hashicorp/aws": "5.1.0"}}},
				Now:     kind.Versions{Providers: map[string]string{"hashicorp/aws": "5.2.0"}},
				Since:   []kind.Touch{{Commit: "9999999", Pull: 9, Files: []string{"live/.terraform.lock.hcl", "live/main.tf"}, Blocks: []string{}}},
				Summary: plan.Summary{Changes: []plan.Change{{Address: "aws_sqs_queue.b", Provider: "registry.terraform.io/hashicorp/aws", Action: plan.Update, Attributes: []plan.Attribute{{Name: "tier", After: "2"}}}}},
			}, nil,
		},
		"drift that it would take back": {
			kind.Evidence{Applied: applied, Since: []kind.Touch{own}, Summary: plan.Summary{
				Drift:   []plan.Change{{Address: "aws_sqs_queue.a", Action: plan.Update, Attributes: []plan.Attribute{{Name: "fifo", Before: "2", After: "1"}}}},
				Changes: []plan.Change{update("aws_sqs_queue.a", "fifo", "tags")},
			}},
			[]record.Origin{{Address: "aws_sqs_queue.a", Attributes: []string{"fifo"}, Kind: "changed outside", Why: "something else than Terraform changed it since #3 (1111111) was applied"}},
		},
		"what another applied and never merged": {
			kind.Evidence{Applied: &kind.Apply{Commit: "1111111", Pull: 3, State: kind.Closed}, Since: []kind.Touch{own}, Summary: plan.Summary{Changes: []plan.Change{{Address: "aws_sqs_queue.b", Action: plan.Delete}}}},
			[]record.Origin{{Address: "aws_sqs_queue.b", Kind: "applied, never merged", Why: "#3 (1111111) was applied and then closed without being merged", Pull: 3}},
		},
	} {
		t.Run(name, func(t *testing.T) {
			c.e.Own = 9
			if diff := cmp.Diff(c.want, origins(c.e)); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}

// TestOwnIsNeverAnothers holds that what a pull request changed itself, or may
// have, is not told as another's, or with these words. It is 9 throughout.
func TestOwnIsNeverAnothers(t *testing.T) {
	applied := &kind.Apply{Commit: "1111111", Pull: 3, State: kind.Landed}
	closed := &kind.Apply{Commit: "1111111", Pull: 3, State: kind.Closed}
	own := kind.Touch{Commit: "9999999", Pull: 9, Files: []string{"live/main.tf"}, Blocks: []string{"aws_sqs_queue.a#policy"}}
	ownUnknown := kind.Touch{Commit: "9999999", Pull: 9, Files: []string{"live/main.tf", "live/policy.json"}, Blocks: nil}
	other := kind.Touch{Commit: "4444444", Pull: 4, Files: []string{"live/main.tf"}, Blocks: []string{"aws_sqs_queue.a#policy"}}
	long := func(s string) string { return "\"" + s + "…" }
	policy := func(before, after string) plan.Change {
		return plan.Change{
			Address: "aws_sqs_queue.a", Type: "aws_sqs_queue", Provider: "registry.terraform.io/hashicorp/aws", Action: plan.Update,
			Attributes: []plan.Attribute{{Name: "policy", Before: before, After: after, Constant: true}},
		}
	}
	drift := func(before, after string) plan.Change {
		c := policy(before, after)
		c.Attributes[0].Constant = false
		return c
	}
	for _, c := range []struct {
		name string
		e    kind.Evidence
	}{
		{"unknown own change, older known one", kind.Evidence{Applied: applied, Since: []kind.Touch{ownUnknown, other}, Summary: plan.Summary{Changes: []plan.Change{policy("1", "2")}}}},
		{"unknown own change, closed apply", kind.Evidence{Applied: closed, Since: []kind.Touch{ownUnknown}, Summary: plan.Summary{Changes: []plan.Change{policy("1", "2")}}}},
		{"own change of a long policy that had drifted", kind.Evidence{Applied: applied, Since: []kind.Touch{own}, Summary: plan.Summary{
			Drift: []plan.Change{drift(long("good"), long("drift"))}, Changes: []plan.Change{policy(long("drift"), long("new"))},
		}}},
		{"own change of a sensitive value that had drifted", kind.Evidence{Applied: applied, Since: []kind.Touch{own}, Summary: plan.Summary{
			Drift: []plan.Change{drift("(sensitive)", "(sensitive)")}, Changes: []plan.Change{policy("(sensitive)", "(sensitive)")},
		}}},
		{"own change of what was deleted outside", kind.Evidence{Applied: applied, Since: []kind.Touch{own}, Summary: plan.Summary{
			Drift:   []plan.Change{{Address: "aws_sqs_queue.a", Type: "aws_sqs_queue", Action: plan.Delete}},
			Changes: []plan.Change{{Address: "aws_sqs_queue.a", Type: "aws_sqs_queue", Action: plan.Create, Attributes: []plan.Attribute{{Name: "policy", After: "new", Constant: true}}}},
		}}},
		{"own rewiring to something merged earlier", kind.Evidence{
			Applied: applied,
			Since:   []kind.Touch{own, {Commit: "4444444", Pull: 4, Files: []string{"live/main.tf"}, Blocks: []string{"aws_sg.more"}}}, Summary: plan.Summary{
				Changes: []plan.Change{
					{Address: "aws_sg.more", Type: "aws_sg", Action: plan.Create, Attributes: []plan.Attribute{{Name: "id", After: "(known after apply)"}}},
					{Address: "aws_sqs_queue.a", Type: "aws_sqs_queue", Action: plan.Update, Attributes: []plan.Attribute{{Name: "policy", Before: "\"good\"", After: "(known after apply)", From: []string{"aws_sg.more.id", "aws_sg.more"}}}},
				},
			},
		}},
		{"own provider constraint, no lock file", kind.Evidence{
			Applied: &kind.Apply{Commit: "1111111", Pull: 3, State: kind.Landed, Versions: kind.Versions{Providers: map[string]string{"hashicorp/aws": "5.1.0"}}},
			Now:     kind.Versions{Providers: map[string]string{"acme/aws": "9.0.0"}}, Since: []kind.Touch{{Commit: "9999999", Pull: 9, Files: []string{"live/versions.tf"}, Blocks: []string{}}},
			Summary: plan.Summary{Changes: []plan.Change{{Address: "aws_sqs_queue.b", Provider: "registry.terraform.io/acme/aws", Action: plan.Update, Attributes: []plan.Attribute{{Name: "tier", After: "2"}}}}},
		}},
	} {
		t.Run(c.name, func(t *testing.T) {
			c.e.Own = 9
			for _, o := range origins(c.e) {
				if o.Address != "aws_sg.more" && !strings.HasSuffix(o.Why, "; this pull request changes it, too") {
					t.Errorf("told as another's: %+v", o)
				}
			}
		})
	}
}

// spoiled is a store that answers nothing.
type spoiled struct {
	store.Store
	err error
}

func (s spoiled) Get(context.Context, ...store.Key) ([]store.Record, error) { return nil, s.err }

// TestFaults holds that a store that does not answer leaves what Terraform
// itself calls drift.
func TestFaults(t *testing.T) {
	fault := errors.New("fault")
	db := spoiled{storetest.Memory(), fault}
	t.Cleanup(func() { _ = db.Close() })
	o := Origins{evidence.Gatherer{Store: db, Checkouts: &checkout.Repos{Dir: filepath.Join(t.TempDir(), "git"), Token: func(context.Context, string) (string, error) { return "", nil }}}}
	r := &record.Run{Repo: "acme/app", Pull: 9, Summary: &terraform.Summary{
		Update: 1, Changes: []plan.Change{update("aws_sqs_queue.a", "tags")},
		Drift: []plan.Change{{Address: "aws_sqs_queue.b", Action: plan.Delete}},
	}}
	err := o.Of(t.Context(), &checkout.Checkout{}, project.Project{Dir: "live"}, r)
	want := []record.Origin{{Address: "aws_sqs_queue.b", Kind: "deleted outside", Why: "something else than Terraform deleted it; the code does not ask for it either"}}
	if diff := cmp.Diff(want, r.Origins); diff != "" || !errors.Is(err, fault) {
		t.Errorf("%v (-want +got):\n%s", err, diff)
	}
}

// TestBound holds that a record takes all of it, however long its names are.
func TestBound(t *testing.T) {
	long := strings.Repeat("x", 5_000)
	r := &record.Run{Modules: map[string]string{}}
	for i := range 100 {
		r.Origins = append(r.Origins, record.Origin{Address: long, Kind: "data", Why: long})
		r.Blocks = append(r.Blocks, long)
		r.Modules[fmt.Sprint(i, long)] = "1"
	}
	bound(r)
	body, err := json.Marshal(r)
	if err != nil || len(body) > store.MaxBody/4 || len(r.Origins) == 0 || r.Blocks != nil || r.Modules != nil {
		t.Errorf("%d bytes, %d origins, %v", len(body), len(r.Origins), err)
	}
	few := &record.Run{Blocks: []string{}, Modules: map[string]string{"a": "1"}, Origins: []record.Origin{{Address: "a.b"}}}
	if bound(few); few.Blocks == nil || len(few.Modules) != 1 || len(few.Origins) != 1 {
		t.Errorf("left %+v", few)
	}
}
