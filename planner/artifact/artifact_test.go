package artifact

import (
	"bytes"
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"testing"
	"testing/iotest"
)

var acme = Scope{Repo: "acme/app", Pull: 1}

// opened returns artifacts in dir, which also holds the key.
func opened(t *testing.T, dir string) *Artifacts {
	t.Helper()
	a, err := Open(context.Background(), Config{
		Bucket:  "file://" + dir + "/artifacts",
		SealKey: "file://" + dir + "/seal.key",
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = a.Close() })
	return a
}

func digestOf(data []byte) string {
	sum := sha256.Sum256(data)
	return hex.EncodeToString(sum[:])
}

// sizes around the borders of chunks.
var sizes = []int{0, 1, 100, chunkSize - 1, chunkSize, chunkSize + 1, 3 * chunkSize, 3*chunkSize + 7}

func content(n int) []byte {
	b := make([]byte, n)
	_, _ = rand.Read(b) // never fails
	return b
}

func TestRoundTrip(t *testing.T) {
	ctx, dir := context.Background(), t.TempDir()
	a := opened(t, dir)
	for _, n := range sizes {
		data := content(n)
		digest, err := a.Put(ctx, acme, data)
		if err != nil {
			t.Fatalf("put %d bytes: %v", n, err)
		}
		if want := digestOf(data); digest != want {
			t.Errorf("digest of %d bytes: %s, want %s", n, digest, want)
		}
		got, err := a.Get(ctx, acme, digest)
		if err != nil || !bytes.Equal(got, data) {
			t.Errorf("get %d bytes: %d bytes, %v", n, len(got), err)
		}

		in, out := filepath.Join(dir, "in"), filepath.Join(dir, "out")
		if err := os.WriteFile(in, data, 0o600); err != nil {
			t.Fatal(err)
		}
		if again, err := a.PutFile(ctx, acme, in); err != nil || again != digest {
			t.Errorf("put a file of %d bytes: %s, %v, want %s", n, again, err, digest)
		}
		if err := a.Fetch(ctx, acme, digest, out); err != nil {
			t.Fatalf("fetch %d bytes: %v", n, err)
		}
		if got, err := os.ReadFile(out); err != nil || !bytes.Equal(got, data) {
			t.Errorf("fetched %d bytes of %d, %v", len(got), n, err)
		}
		if info, err := os.Stat(out); err != nil || info.Mode().Perm() != 0o600 {
			t.Errorf("fetched file: %v, %v, want mode 0600", info.Mode(), err)
		}
	}
}

func TestReopenedWithSameKey(t *testing.T) {
	ctx, dir := context.Background(), t.TempDir()
	digest, err := opened(t, dir).Put(ctx, acme, []byte("plan"))
	if err != nil {
		t.Fatal(err)
	}
	if got, err := opened(t, dir).Get(ctx, acme, digest); err != nil || string(got) != "plan" {
		t.Errorf("got %q, %v", got, err)
	}
}

func TestNotFound(t *testing.T) {
	ctx, dir := context.Background(), t.TempDir()
	a := opened(t, dir)
	digest, err := a.Put(ctx, acme, []byte("x"))
	if err != nil {
		t.Fatal(err)
	}
	for name, s := range map[string]Scope{
		"another pull request": {"acme/app", 12},
		"another repository":   {"acme/app-infra", 1},
		"another case":         {"acme/App", 1},
	} {
		var missing *NotFoundError
		if _, err := a.Get(ctx, s, digest); !errors.As(err, &missing) {
			t.Errorf("%s: %v, want a NotFoundError", name, err)
		}
		out := filepath.Join(dir, "out")
		if err := os.WriteFile(out, []byte("an older plan"), 0o600); err != nil {
			t.Fatal(err)
		}
		if err := a.Fetch(ctx, s, digest, out); !errors.As(err, &missing) {
			t.Errorf("%s: %v, want a NotFoundError", name, err)
		}
		if _, err := os.Stat(out); !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("%s: a failed Fetch left the file that was there before", name)
		}
	}
}

func TestI6_RemoveIsExact(t *testing.T) {
	ctx := context.Background()
	a := opened(t, t.TempDir())
	others := []Scope{
		{"acme/app", 12},
		{"acme/app", 2},
		{"acme/app", 11},
		{"acme/app", 0},
		{"acme/app-infra", 1},
		{"acme/ap", 1},
		{"acme/App", 1},
		{"acme2/app", 1},
		{"cme/app", 1},
		{"acme/.app", 1},
		{"acme/app.attrs", 1},
		{"app/acme", 1},
	}
	data := []byte("the same content everywhere")
	for _, s := range append(others, acme) {
		if _, err := a.Put(ctx, s, data); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := a.Put(ctx, acme, []byte("a second one")); err != nil {
		t.Fatal(err)
	}
	for range 2 { // the second time there is nothing left
		if err := a.Remove(ctx, acme); err != nil {
			t.Fatal(err)
		}
	}
	for _, d := range []string{digestOf(data), digestOf([]byte("a second one"))} {
		var missing *NotFoundError
		if _, err := a.Get(ctx, acme, d); !errors.As(err, &missing) {
			t.Errorf("after Remove: %v, want a NotFoundError", err)
		}
	}
	for _, s := range others {
		if got, err := a.Get(ctx, s, digestOf(data)); err != nil || !bytes.Equal(got, data) {
			t.Errorf("%s was touched: %v", s, err)
		}
	}
}

func TestI6_ScopeIsNoPath(t *testing.T) {
	ctx, dir := context.Background(), t.TempDir()
	a := opened(t, dir)
	for _, s := range []Scope{
		{"", 1},
		{"acme", 1},
		{"acme/", 1},
		{"/app", 1},
		{"acme/app/x", 1},
		{"../app", 1},
		{"acme/..", 1},
		{"./app", 1},
		{"acme/app\x00", 1},
		{"acme/a pp", 1},
		{`acme\x/app`, 1},
		{"acme/app", -1},
		{"acme/app\n", 1},
		{"äcme/app", 1},
	} {
		if _, err := a.Put(ctx, s, []byte("x")); err == nil {
			t.Errorf("put in %q: no error", s)
		}
		if err := a.Remove(ctx, s); err == nil {
			t.Errorf("remove %q: no error", s)
		}
	}
	good := digestOf([]byte("x"))
	for _, d := range []string{"", "../" + good, good[1:], strings.ToUpper(good), good + ".attrs", good[:63] + "/"} {
		if _, err := a.Get(ctx, acme, d); err == nil {
			t.Errorf("get %q: no error", d)
		}
	}
	if n := len(files(t, dir+"/artifacts")); n != 0 {
		t.Errorf("%d files were written", n)
	}
}

// files returns every file below dir.
func files(t *testing.T, dir string) []string {
	t.Helper()
	var all []string
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err == nil && !d.IsDir() {
			all = append(all, path)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return all
}

func TestI8_NothingInPlainOnDisk(t *testing.T) {
	ctx, dir := context.Background(), t.TempDir()
	a := opened(t, dir)
	secret := []byte("AKIA-hunter2-do-not-leak")
	plan := bytes.Repeat(append([]byte("password = "), secret...), 10_000)
	in := filepath.Join(t.TempDir(), "plan")
	if err := os.WriteFile(in, plan, 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := a.PutFile(ctx, acme, in); err != nil {
		t.Fatal(err)
	}
	if _, err := a.Put(ctx, acme, secret); err != nil {
		t.Fatal(err)
	}
	stored := files(t, dir)
	if len(stored) != 3 {
		t.Errorf("stored %q, want two artifacts and the key: no sidecars, no temporary files", stored)
	}
	for _, path := range stored {
		b, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		if bytes.Contains(b, secret) || bytes.Contains(b, secret[:12]) {
			t.Errorf("%s holds the secret", path)
		}
		if info, _ := os.Stat(path); info.Mode().Perm() != 0o600 {
			t.Errorf("%s has mode %v, want 0600", path, info.Mode())
		}
	}
	if info, _ := os.Stat(dir + "/artifacts/acme"); info.Mode().Perm() != 0o700 {
		t.Errorf("a folder has mode %v, want 0700", info.Mode())
	}
}

func TestConcurrentPutOfTheSame(t *testing.T) {
	ctx, dir := context.Background(), t.TempDir()
	a, b := opened(t, dir), opened(t, dir)
	data := content(5 * chunkSize)
	var wg sync.WaitGroup
	for i := range 20 {
		wg.Go(func() {
			who := a
			if i%2 == 0 {
				who = b
			}
			digest, err := who.Put(ctx, acme, data)
			if err != nil {
				t.Errorf("put: %v", err)
				return
			}
			if got, err := who.Get(ctx, acme, digest); err != nil || !bytes.Equal(got, data) {
				t.Errorf("get: %v", err)
			}
		})
	}
	wg.Wait()
	if all := files(t, filepath.Join(dir, "artifacts")); len(all) != 1 {
		t.Errorf("left %q, want one file", all)
	}
}

func TestChangedWhileRead(t *testing.T) {
	ctx, dir := context.Background(), t.TempDir()
	a := opened(t, dir)
	if err := a.put(ctx, acme, digestOf([]byte("before")), strings.NewReader("after")); err == nil {
		t.Error("no error")
	}
	if err := a.put(ctx, acme, digestOf([]byte("x")), iotest.ErrReader(io.ErrClosedPipe)); !errors.Is(err, io.ErrClosedPipe) {
		t.Errorf("error %v, want the reader's", err)
	}
	if all := files(t, filepath.Join(dir, "artifacts")); len(all) != 0 {
		t.Errorf("left %q", all)
	}
}

func TestCancelledPutCommitsNothing(t *testing.T) {
	dir := t.TempDir()
	a := opened(t, dir)
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	if _, err := a.Put(ctx, acme, []byte("x")); !errors.Is(err, context.Canceled) {
		t.Errorf("error %v, want context.Canceled", err)
	}
	if all := files(t, filepath.Join(dir, "artifacts")); len(all) != 0 {
		t.Errorf("left %q", all)
	}
}

func TestMemoryIsBounded(t *testing.T) {
	ctx, dir := context.Background(), t.TempDir()
	a := opened(t, dir)
	in := filepath.Join(dir, "in")
	const size = 64 << 20
	if err := os.WriteFile(in, content(size), 0o600); err != nil {
		t.Fatal(err)
	}
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	digest, err := a.PutFile(ctx, acme, in)
	if err != nil {
		t.Fatal(err)
	}
	if err := a.Fetch(ctx, acme, digest, filepath.Join(dir, "out")); err != nil {
		t.Fatal(err)
	}
	runtime.ReadMemStats(&after)
	if used := after.TotalAlloc - before.TotalAlloc; used > 4<<20 {
		t.Errorf("storing and fetching %d MiB allocated %d MiB in all, want less than 4", size>>20, used>>20)
	}
}
