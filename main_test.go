package main

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"
)

func TestMain(m *testing.M) {
	testscript.Main(m, map[string]func(){"weir": main})
}

func TestScripts(t *testing.T) {
	testscript.Run(t, testscript.Params{
		Dir:                 filepath.Join("testdata", "script"),
		RequireExplicitExec: true,
		Setup: func(env *testscript.Env) error {
			env.Setenv("HOME", env.WorkDir)
			return nil
		},
		Condition: func(name string) (bool, error) {
			if name != "terraform" {
				return false, nil
			}
			for _, binary := range []string{"terraform", "tofu"} {
				if _, err := exec.LookPath(binary); err == nil {
					return true, nil
				}
			}
			if os.Getenv("CI") != "" {
				t.Error("CI needs terraform or tofu")
			}
			return false, nil
		},
	})
}

func TestExitCodes(t *testing.T) {
	for _, tt := range []struct {
		args []string
		want int
	}{
		{[]string{"version"}, fine},
		{[]string{"--help"}, fine},
		{[]string{"validate", filepath.Join("integration", "demo", "example")}, fine},
		{[]string{"validate", filepath.Join("testdata", "nowhere")}, failed},
		{nil, misused},
		{[]string{"serve"}, misused},
		{[]string{"server", "--config", "nowhere.yaml"}, misused},
	} {
		var out, errs strings.Builder
		if got := run(t.Context(), tt.args, nil, &out, &errs); got != tt.want {
			t.Errorf("%q: exit code %d, want %d\n%s%s", tt.args, got, tt.want, out.String(), errs.String())
		}
	}
}
