package adopt

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"testing"

	"weir/planner/terraform"
)

// TestTryOutRestores holds that the files are as before, whatever fails.
func TestTryOutRestores(t *testing.T) {
	const code = "resource \"aws_s3_bucket\" \"a\" {\n}\n"
	root := t.TempDir()
	path := filepath.Join(root, "a", "main.tf")
	if err := errors.Join(os.Mkdir(filepath.Dir(path), 0o750), os.WriteFile(path, []byte(code), 0o600)); err != nil {
		t.Fatal(err)
	}
	p := Project{Root: root, Dir: "a", Plan: func(context.Context) (*terraform.Plan, string, error) {
		if data, err := os.ReadFile(path); err != nil || string(data) != "# edited\n" {
			t.Errorf("planned %q, %v", data, err)
		}
		return nil, "", errors.New("fault")
	}}
	for _, missing := range []bool{false, true} {
		files := map[string][]byte{"a/main.tf": []byte("# edited\n")}
		if missing {
			files["a/missing.tf"] = nil
		}
		if _, _, err := p.tryOut(t.Context(), files); err == nil {
			t.Error("no error")
		}
		if data, err := os.ReadFile(path); err != nil || string(data) != code {
			t.Errorf("left %q, %v", data, err)
		}
	}
}
