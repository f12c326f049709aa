package kind

import (
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/rogpeppe/go-internal/txtar"

	"weir/drift/finding"
	"weir/planner/terraform/plan"
)

var update = flag.Bool("update", false, "write the golden files")

func summary(t testing.TB, text []byte) plan.Summary {
	t.Helper()
	d := plan.NewDecoder()
	if _, err := d.Write(text); err != nil {
		t.Fatal(err)
	}
	p, err := d.Plan()
	if err != nil {
		t.Fatalf("read plan: %v", err)
	}
	return plan.Summarise(p, plan.Code{}, []byte("key"))
}

// Each testdata/*.txtar has a plan in the form of `terraform show -json`, as
// real providers make it, what else is known, and the kinds to find.
func TestClassify(t *testing.T) {
	names, err := filepath.Glob("testdata/*.txtar")
	if err != nil || len(names) == 0 {
		t.Fatalf("no test data: %v", err)
	}
	for _, name := range names {
		t.Run(strings.TrimSuffix(filepath.Base(name), ".txtar"), func(t *testing.T) {
			archive, err := txtar.ParseFile(name)
			if err != nil {
				t.Fatal(err)
			}
			var e Evidence
			if err := json.Unmarshal(archive.Files[0].Data, &e); err != nil {
				t.Fatal(err)
			}
			e.Summary = summary(t, archive.Files[1].Data)
			found, cut := Classify(e)
			if cut {
				t.Error("the findings are cut")
			}
			got := words(found)
			if strings.Contains(got, "hunter") {
				t.Errorf("a sensitive value is in a finding:\n%s", got)
			}
			if *update {
				archive.Files[2].Data = []byte(got)
				if err := os.WriteFile(name, txtar.Format(archive), 0o600); err != nil {
					t.Fatal(err)
				}
			}
			if diff := cmp.Diff(string(archive.Files[2].Data), got); diff != "" {
				t.Errorf("findings (-want +got):\n%s", diff)
			}
		})
	}
}

func words(found []finding.Finding) string {
	var out strings.Builder
	for _, f := range found {
		fmt.Fprintf(&out, "%s [%s] %s: %s", f.Address, f.Type, f.Attribute, strings.ToUpper(string(f.Kind)))
		if f.Action != "" {
			fmt.Fprintf(&out, ", %s", f.Action)
		}
		if f.Pull != 0 {
			fmt.Fprintf(&out, ", #%d", f.Pull)
		}
		fmt.Fprintf(&out, "\n    %s\n", f.Why)
		if f.Declared != "" || f.Deployed != "" {
			fmt.Fprintf(&out, "    declared %s, deployed %s\n", f.Declared, f.Deployed)
		}
	}
	return out.String()
}
