package artifact

import (
	"bytes"
	"context"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestKeyFile(t *testing.T) {
	ctx := context.Background()
	for _, test := range []struct {
		name string
		mode os.FileMode
		size int
		want string // in the error; "": none
	}{
		{"good", 0o600, 32, ""},
		{"read only", 0o400, 32, ""},
		{"mounted for a group", 0o440, 32, ""},
		{"readable by everybody", 0o644, 32, "chmod 600"},
		{"writable by everybody", 0o602, 32, "chmod 600"},
		{"short", 0o600, 31, "holds 31 bytes"},
		{"empty", 0o600, 0, "holds 0 bytes"},
		{"long", 0o600, 33, "holds 33 bytes"},
	} {
		t.Run(test.name, func(t *testing.T) {
			dir := t.TempDir()
			path := filepath.Join(dir, "seal.key")
			secret := bytes.Repeat([]byte("S"), test.size)
			if err := os.WriteFile(path, secret, 0o600); err != nil {
				t.Fatal(err)
			}
			if err := os.Chmod(path, test.mode); err != nil {
				t.Fatal(err)
			}
			a, err := Open(ctx, Config{Bucket: "file://" + dir + "/b", SealKey: "file://" + path})
			if err == nil {
				_ = a.Close()
			}
			switch {
			case test.want == "" && err != nil:
				t.Error(err)
			case test.want != "" && (err == nil || !strings.Contains(err.Error(), test.want)):
				t.Errorf("error %v, want %q in it", err, test.want)
			case err != nil && strings.Contains(err.Error(), "SSS"):
				t.Errorf("the error shows the key: %v", err)
			}
			if b, _ := os.ReadFile(path); !bytes.Equal(b, secret) {
				t.Error("the key was changed")
			}
		})
	}
}

func TestKeyFileIsMade(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "deep", "seal.key")
	first, err := keyFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if info, err := os.Stat(path); err != nil || info.Mode().Perm() != 0o600 || info.Size() != keySize {
		t.Errorf("made %v, %v", info, err)
	}
	if again, err := keyFile(path); err != nil || again != first || first == [keySize]byte{} {
		t.Errorf("the second time %x, %v, want %x", again, err, first)
	}
	if err := makeKey(path); err == nil {
		t.Error("a second key replaced the first")
	}
}

func TestURLs(t *testing.T) {
	ctx, dir := context.Background(), t.TempDir()
	t.Chdir(dir)
	good := "file://" + dir + "/seal.key"
	for _, test := range []struct{ bucket, key, want string }{
		{"file://" + dir + "/a", good, ""},
		{"file://localhost" + dir + "/a", good, ""},
		{"file://./rel/b", good, ""},
		{"file://./rel/b", "file://./rel/key", ""},
		{"file://rel/b", good, "file://./rel/b"},
		{"file://./rel/b", "file://rel/key", "file://./rel/key"},
		{"file://", good, "names no path"},
		{"file:///", good, "names no path"},
		{"file:rel", good, "a path and nothing else"},
		{"file:///x?metadata=", good, "a path and nothing else"},
		{"file:///x#y", good, "write %23 for #"},
		{"file:///x?", good, "write %23 for #, %3F for ?"},
		{"file:///50%", good, "not a URL"},
		{"gs://bucket", good, `scheme "gs"`},
		{"rel/b", good, `scheme ""`},
		{"file://./b", "base64key://c2VjcmV0LXNlY3JldA==", `scheme "base64key"`},
		{"file://./b", "", `scheme ""`},
		{"://", good, "not a URL"},
	} {
		a, err := Open(ctx, Config{Bucket: test.bucket, SealKey: test.key})
		if err == nil {
			if err := a.Check(ctx); err != nil {
				t.Errorf("%s is not ready: %v", test.bucket, err)
			}
			_ = a.Close()
		}
		if (test.want == "") != (err == nil) || err != nil && !strings.Contains(err.Error(), test.want) {
			t.Errorf("%s, %s: error %v, want %q", test.bucket, test.key, err, test.want)
		}
		if err != nil && strings.Contains(err.Error(), "c2VjcmV0") {
			t.Errorf("the error shows the key: %v", err)
		}
	}
	for _, want := range []string{"a", "rel/b", "rel/key"} {
		if _, err := os.Stat(filepath.Join(dir, want)); err != nil {
			t.Error(err)
		}
	}
	if info, err := os.Stat("rel/b"); err != nil || info.Mode().Perm() != 0o700 {
		t.Errorf("bucket: %v, %v, want mode 0700", info.Mode(), err)
	}
}

// Any name of a directory will do, once it is escaped: what is in the bucket
// must then be found below it, and below nothing else.
func TestAnyNameOfADirectory(t *testing.T) {
	ctx := context.Background()
	for _, name := range []string{"a#b", "what?", "50%", "%41", "%2F", "two words", "a+b", "ü", "a:b", "a;b&c=d", "[x]", "@", "x?y#z"} {
		t.Run(name, func(t *testing.T) {
			top := t.TempDir()
			dir := filepath.Join(top, name)
			place := "file://" + (&url.URL{Path: dir}).EscapedPath()
			a, err := Open(ctx, Config{Bucket: place + "/artifacts", SealKey: place + "/seal.key"})
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { _ = a.Close() })
			if err := a.Check(ctx); err != nil {
				t.Error(err)
			}
			s := Scope{Repo: "acme/app", Pull: 1}
			digest, err := a.Put(ctx, s, []byte("plan"))
			if err != nil {
				t.Fatal(err)
			}
			if got, err := a.Get(ctx, s, digest); err != nil || string(got) != "plan" {
				t.Errorf("got %q, %v", got, err)
			}
			for _, want := range []string{"artifacts", "seal.key"} {
				if _, err := os.Stat(filepath.Join(dir, want)); err != nil {
					t.Error(err)
				}
			}
			if entries, err := os.ReadDir(top); err != nil || len(entries) != 1 {
				t.Errorf("made %v, %v, want only %q", entries, err, name)
			}
			if err := a.Remove(ctx, s); err != nil {
				t.Error(err)
			}
		})
	}
}
