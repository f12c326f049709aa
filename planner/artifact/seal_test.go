package artifact

import (
	"bytes"
	"context"
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/google/go-cmp/cmp"
)

// stored returns the file of an artifact in dir.
func stored(dir string, s Scope, digest string) string {
	prefix, _ := s.prefix()
	return filepath.Join(dir, "artifacts", prefix, digest)
}

func TestI2_DamageIsNoticed(t *testing.T) {
	ctx := context.Background()
	data := content(2*chunkSize + 100)
	header := headerSize + 32 + 40 // the sealed key is 32 bytes and secretbox's overhead
	for name, damage := range map[string]func(b []byte) []byte{
		"empty":                 func([]byte) []byte { return nil },
		"only the header":       func(b []byte) []byte { return b[:headerSize] },
		"no chunks":             func(b []byte) []byte { return b[:header] },
		"the magic":             func(b []byte) []byte { b[0] ^= 1; return b },
		"the version":           func(b []byte) []byte { b[4]++; return b },
		"the length of the key": func(b []byte) []byte { b[6]++; return b },
		"the key":               func(b []byte) []byte { b[20] ^= 1; return b },
		"a bit of the content":  func(b []byte) []byte { b[header+chunkSize+500] ^= 1; return b },
		"the last byte":         func(b []byte) []byte { b[len(b)-1] ^= 1; return b },
		"cut in a chunk":        func(b []byte) []byte { return b[:len(b)-1] },
		"cut after a chunk":     func(b []byte) []byte { return b[:header+2*(chunkSize+tagSize)] },
		"more at the end":       func(b []byte) []byte { return append(b, 0) },
		"a chunk twice": func(b []byte) []byte {
			return append(b[:header+chunkSize+tagSize], b[header:]...)
		},
		"two chunks changed places": func(b []byte) []byte {
			n := chunkSize + tagSize
			first := bytes.Clone(b[header : header+n])
			copy(b[header:], b[header+n:header+2*n])
			copy(b[header+n:], first)
			return b
		},
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			a := opened(t, dir)
			digest, err := a.Put(ctx, acme, data)
			if err != nil {
				t.Fatal(err)
			}
			path := stored(dir, acme, digest)
			b, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			if err := os.WriteFile(path, damage(b), 0o600); err != nil {
				t.Fatal(err)
			}
			var damaged *DamagedError
			if _, err := a.Get(ctx, acme, digest); !errors.As(err, &damaged) {
				t.Errorf("get: %v, want a DamagedError", err)
			}
			if err := a.Fetch(ctx, acme, digest, filepath.Join(dir, "out")); !errors.As(err, &damaged) {
				t.Errorf("fetch: %v, want a DamagedError", err)
			}
			if left, _ := filepath.Glob(filepath.Join(dir, "*")); len(left) != 2 {
				t.Errorf("a failed Fetch left something: %q", left)
			}
			// Putting it again repairs it.
			if _, err := a.Put(ctx, acme, data); err != nil {
				t.Fatal(err)
			}
			if got, err := a.Get(ctx, acme, digest); err != nil || !bytes.Equal(got, data) {
				t.Errorf("after it was put again: %v", err)
			}
		})
	}
}

func TestI2_ArtifactsCannotBeSwapped(t *testing.T) {
	ctx, dir := context.Background(), t.TempDir()
	a := opened(t, dir)
	mine, err := a.Put(ctx, acme, []byte("destroy nothing"))
	if err != nil {
		t.Fatal(err)
	}
	other := Scope{"acme/app", 2}
	theirs, err := a.Put(ctx, acme, []byte("destroy everything"))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := a.Put(ctx, other, []byte("destroy nothing")); err != nil {
		t.Fatal(err)
	}
	for name, from := range map[string]string{
		"another artifact of the pull request":       stored(dir, acme, theirs),
		"the same content from another pull request": stored(dir, other, mine),
	} {
		b, err := os.ReadFile(from)
		if err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(stored(dir, acme, mine), b, 0o600); err != nil {
			t.Fatal(err)
		}
		var damaged *DamagedError
		if got, err := a.Get(ctx, acme, mine); !errors.As(err, &damaged) {
			t.Errorf("%s: %q, %v, want a DamagedError", name, got, err)
		}
	}
}

func TestI8_AnotherKeyOpensNothing(t *testing.T) {
	ctx, dir := context.Background(), t.TempDir()
	digest, err := opened(t, dir).Put(ctx, acme, []byte("plan"))
	if err != nil {
		t.Fatal(err)
	}
	if err := os.Remove(filepath.Join(dir, "seal.key")); err != nil {
		t.Fatal(err)
	}
	var damaged *DamagedError
	if got, err := opened(t, dir).Get(ctx, acme, digest); !errors.As(err, &damaged) {
		t.Errorf("got %q, %v, want a DamagedError", got, err)
	}
}

func TestBrokenConnectionIsNoDamage(t *testing.T) {
	var sealed bytes.Buffer
	key := make([]byte, dataKeySize)
	if err := seal(&sealed, bytes.NewReader(content(chunkSize)), key, key, "k"); err != nil {
		t.Fatal(err)
	}
	for _, n := range []int{0, 3, headerSize + 5, 1000} {
		r := io.MultiReader(bytes.NewReader(sealed.Bytes()[:n]), iotest.ErrReader(io.ErrUnexpectedEOF))
		err := open(io.Discard, r, "k", func([]byte) ([]byte, error) { return key, nil })
		var d *damage
		if err == nil || errors.As(err, &d) {
			t.Errorf("broken after %d bytes: %v, want an error that is no damage", n, err)
		}
	}
}

func FuzzOpen(f *testing.F) {
	key := make([]byte, dataKeySize)
	var sealed bytes.Buffer
	if err := seal(&sealed, strings.NewReader("content"), key, []byte("sealed"), "name"); err != nil {
		f.Fatal(err)
	}
	f.Add([]byte("content"), sealed.Bytes(), "name")
	f.Add([]byte(nil), []byte("weir\x01\x00\x00"), "")
	f.Fuzz(func(t *testing.T, data, noise []byte, name string) {
		var sealed, got bytes.Buffer
		if err := seal(&sealed, bytes.NewReader(data), key, []byte("sealed"), name); err != nil {
			t.Fatal(err)
		}
		unseal := func([]byte) ([]byte, error) { return key, nil }
		if err := open(&got, bytes.NewReader(sealed.Bytes()), name, unseal); err != nil {
			t.Fatalf("what was sealed does not open: %v", err)
		}
		if d := cmp.Diff(string(data), got.String()); d != "" {
			t.Fatal(d)
		}
		if err := open(io.Discard, bytes.NewReader(sealed.Bytes()), name+"x", unseal); err == nil {
			t.Fatal("opened under another name")
		}
		// Noise opens only if somebody who has the key made it; with this
		// key that is only the seed.
		if err := open(io.Discard, bytes.NewReader(noise), name, unseal); err == nil && name != "name" {
			t.Fatalf("noise opened under %q", name)
		}
	})
}
