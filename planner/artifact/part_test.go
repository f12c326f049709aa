package artifact

import (
	"bytes"
	"context"
	"os"
	"path/filepath"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestParts(t *testing.T) {
	ctx, dir := context.Background(), t.TempDir()
	parts, other := Parts{opened(t, dir)}, Parts{opened(t, dir)}
	runs := func() []string {
		t.Helper()
		runs, err := other.Runs(ctx)
		if err != nil {
			t.Fatal(err)
		}
		return runs
	}
	get := func(run string, part int, known string) (string, string) {
		t.Helper()
		data, version, err := other.Get(ctx, run, part, known)
		if err != nil {
			t.Fatal(err)
		}
		return string(data), version
	}
	if data, version := get("RUN1", 0, ""); data != "" || version != "" || runs() != nil {
		t.Errorf("in an empty bucket: %q, %q, %q", data, version, runs())
	}
	// RUN1 is a prefix of RUN10 and no more than that (I6).
	for _, part := range []struct {
		run  string
		part int
		data string
	}{{"RUN1", 0, "a secret"}, {"RUN1", 1, "more"}, {"RUN10", 0, "another"}, {"RUN1", 0, "a secret, longer"}} {
		if err := parts.Put(ctx, part.run, part.part, []byte(part.data)); err != nil {
			t.Fatal(err)
		}
	}
	if diff := cmp.Diff([]string{"RUN1", "RUN10"}, runs()); diff != "" {
		t.Error(diff)
	}
	data, version := get("RUN1", 0, "")
	if data != "a secret, longer" || version == "" {
		t.Errorf("got %q, %q", data, version)
	}
	if data, again := get("RUN1", 0, version); data != "" || again != version {
		t.Errorf("unchanged: %q, %q, want nothing", data, again)
	}
	if err := parts.Put(ctx, "RUN1", 0, []byte("a secret, longer still")); err != nil {
		t.Fatal(err)
	}
	if data, again := get("RUN1", 0, version); data != "a secret, longer still" || again == version {
		t.Errorf("changed: %q, %q", data, again)
	}
	// The pull request's own artifacts, and those of nobody, are no parts.
	for _, s := range []Scope{acme, {Repo: "live/RUN1"}} {
		if _, err := parts.Artifacts.Put(ctx, s, []byte("plan")); err != nil {
			t.Fatal(err)
		}
		if err := parts.Artifacts.Remove(ctx, s); err != nil {
			t.Fatal(err)
		}
	}
	if err := other.Remove(ctx, "RUN1"); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]string{"RUN10"}, runs()); diff != "" {
		t.Error(diff)
	}
	if err := other.Remove(ctx, "RUN1"); err != nil {
		t.Errorf("removed again: %v", err)
	}
	for _, bad := range []string{"", "../x", "a/b", "a-b", "!live", "a*"} {
		if err := parts.Put(ctx, bad, 0, nil); err == nil {
			t.Errorf("put a part of run %q", bad)
		}
		if err := parts.Remove(ctx, bad); err == nil {
			t.Errorf("removed run %q", bad)
		}
	}
}

func TestI8_PartsAreSealed(t *testing.T) {
	ctx, dir := context.Background(), t.TempDir()
	parts := Parts{opened(t, dir)}
	at := func(name string) string { return filepath.Join(dir, "artifacts", "!live", name) }
	for run, data := range map[string]string{"RUN1": "the password is hunter2", "RUN2": "other text"} {
		if err := parts.Put(ctx, run, 0, []byte(data)); err != nil {
			t.Fatal(err)
		}
	}
	stored, err := os.ReadFile(at("RUN1-0000"))
	if err != nil {
		t.Fatal(err)
	}
	info, err := os.Stat(at("RUN1-0000"))
	if err != nil {
		t.Fatal(err)
	}
	if bytes.Contains(stored, []byte("hunter2")) || info.Mode().Perm() != 0o600 {
		t.Errorf("mode %v, stored %q", info.Mode(), stored)
	}
	// Neither another run nor another number opens it.
	for _, name := range []string{"RUN2-0000", "RUN1-0001"} {
		if err := os.WriteFile(at(name), stored, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	for run, part := range map[string]int{"RUN2": 0, "RUN1": 1} {
		if data, _, err := parts.Get(ctx, run, part, ""); err == nil {
			t.Errorf("run %s, part %d: %q, want an error", run, part, data)
		}
	}
}
