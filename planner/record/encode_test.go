package record

import (
	"fmt"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"weir/planner/terraform"
	"weir/policy"
	"weir/store"
	"weir/store/storetest"
)

// A pull request of 500 projects was once too large for its record.
func TestManyProjectsFitIntoOneRecord(t *testing.T) {
	s := storetest.Memory()
	d, err := Open(t.Context(), s, "acme/app", 1)
	if err != nil {
		t.Fatal(err)
	}
	hex := func(n, i int) string { return fmt.Sprintf("%0*x", n, 0x9e3779b97f4a7c15*uint64(i+1)) }
	d.Posted = make([]policy.Posted, mostPosted)
	for i := range d.Posted {
		d.Posted[i] = policy.Posted{Head: hex(40, i), Digests: map[string]string{}, At: time.Unix(int64(i), 0).UTC()}
	}
	for i := range 500 {
		id := fmt.Sprintf("environments/production/eu-west-1/service-%03d", i)
		d.Projects = append(d.Projects, ProjectRecord{
			ID: id, Dir: id, Workspace: "default", State: Planned, Run: hex(26, i), PlanRun: hex(26, i), PlanDigest: hex(64, i), ChangeDigest: hex(64, i+500),
			PlanHead: hex(40, 1), PlanBase: hex(40, 2), PlanMerge: hex(40, 3), Backend: "s3",
		})
		for j, p := range d.Posted {
			p.Digests[id] = hex(64, i+1000*j)
		}
	}
	if err := d.Save(t.Context()); err != nil {
		t.Fatal(err)
	}
	got, known, err := ReadPull(t.Context(), s, "acme/app", 1)
	if err != nil || !known {
		t.Fatal(known, err)
	}
	if diff := cmp.Diff(d.Record, got); diff != "" {
		t.Errorf("(-saved +read):\n%s", diff)
	}
}

func TestPutRunsOfLargePlans(t *testing.T) {
	s := &storetest.Faulty{Store: storetest.Memory()}
	var runs []*Run
	for i := range 120 {
		r := &Run{ID: fmt.Sprintf("run-%03d", i), Summary: &terraform.Summary{}}
		for j := range 600 {
			r.Summary.Changes = append(r.Summary.Changes, terraform.Change{Address: fmt.Sprintf("module.a.terraform_data.%x", (i+1)*(j+7)*2654435761)})
		}
		runs = append(runs, r)
	}
	claim := store.Key{Partition: "leases", Sort: "job"}
	if err := s.Commit(t.Context(), store.Write{Key: claim, Body: []byte("mine")}); err != nil {
		t.Fatal(err)
	}
	held, err := s.Get(t.Context(), claim)
	if err != nil {
		t.Fatal(err)
	}
	fence := store.Write{Op: store.Check, Key: claim, Expect: held[0].Version}
	if err := PutRuns(t.Context(), s, fence, runs); err != nil {
		t.Fatal(err)
	}
	got, err := ReadRuns(t.Context(), s, []string{"run-000", "run-119"})
	if err != nil || len(got) != 2 || len(got["run-119"].Summary.Changes) != 600 {
		t.Errorf("%d runs, %v", len(got), err)
	}

	// Others have the job: nothing of what they stored is written over.
	if err := s.Commit(t.Context(), store.Write{Key: claim, Expect: fence.Expect, Body: []byte("theirs")}); err != nil {
		t.Fatal(err)
	}
	late := &Run{ID: "run-000"}
	if err := PutRuns(t.Context(), s, fence, []*Run{late}); !store.IsConflict(err) {
		t.Errorf("by who has lost the job: %v, want a conflict", err)
	}
	if got, err := ReadRuns(t.Context(), s, []string{"run-000"}); err != nil || got["run-000"].Summary == nil {
		t.Errorf("written over by who has lost the job: %v, %v", got, err)
	}
	if store.MaxWrites < 100 {
		t.Error("this test is too small")
	}
}
