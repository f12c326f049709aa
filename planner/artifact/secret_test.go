package artifact

import (
	"path/filepath"
	"testing"
)

func TestSeal(t *testing.T) {
	open := func(key string) *Artifacts {
		t.Helper()
		a, err := Open(t.Context(), Config{Bucket: "file://" + t.TempDir(), SealKey: "file://" + key})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = a.Close() })
		return a
	}
	key := filepath.Join(t.TempDir(), "key")
	sealed, err := open(key).Seal(t.Context(), []byte("a secret"))
	if err != nil {
		t.Fatal(err)
	}
	if plain, err := open(key).Unseal(t.Context(), sealed); err != nil || string(plain) != "a secret" {
		t.Errorf("another server with the same key reads %q, %v", plain, err)
	}
	if _, err := open(filepath.Join(t.TempDir(), "other")).Unseal(t.Context(), sealed); err == nil {
		t.Error("a server with another key can read it")
	}
}
