package bolt_test

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"

	"weir/store"
	"weir/store/bolt"
)

// child names, in the environment of a process that a test started, what it
// is to do instead of running tests.
const child = "WEIR_BOLT_TEST_CHILD"

func TestMain(m *testing.M) {
	switch os.Getenv(child) {
	case "":
		os.Exit(m.Run())
	case "write until killed":
		exit(writeUntilKilled(os.Args[1]))
	case "fill a small disk":
		exit(fillSmallDisk(os.Args[1]))
	}
}

func exit(err error) {
	if err != nil {
		fmt.Println("error:", err)
		os.Exit(1)
	}
	os.Exit(0)
}

func start(t *testing.T, what, path string) (*exec.Cmd, io.Reader) {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(t.Context(), self, path)
	cmd.Env = append(os.Environ(), child+"="+what)
	cmd.Stderr = os.Stderr
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	return cmd, out
}

const writers = 8

// A commit of the crash test writes the same number to three records and adds
// one that stays.
func crashKeys(writer, n int) (counts []store.Key, entry store.Key) {
	for _, p := range []string{"a", "b", "c"} {
		counts = append(counts, store.Key{Partition: p, Sort: strconv.Itoa(writer)})
	}
	return counts, store.Key{Partition: fmt.Sprint("log/", writer), Sort: fmt.Sprintf("%08d", n)}
}

func writeUntilKilled(path string) error {
	s, err := bolt.Open(path)
	if err != nil {
		return err
	}
	ctx := context.Background()
	failed := make(chan error)
	var stdout sync.Mutex
	for w := range writers {
		go func() {
			for {
				counts, _ := crashKeys(w, 0)
				now, err := s.Get(ctx, counts...)
				if err != nil {
					failed <- err
					return
				}
				n, _ := strconv.Atoi(string(now[0].Body)) // 0 at first
				n++
				_, entry := crashKeys(w, n)
				writes := []store.Write{{Key: entry, Body: make([]byte, 2000)}}
				for _, r := range now {
					writes = append(writes, store.Write{Key: r.Key, Expect: r.Version, Body: []byte(strconv.Itoa(n))})
				}
				if err := s.Commit(ctx, writes...); err != nil {
					failed <- err
					return
				}
				stdout.Lock()
				_, err = fmt.Println(w, n)
				stdout.Unlock()
				if err != nil {
					failed <- err
					return
				}
			}
		}()
	}
	return <-failed
}

// After kill -9 at any moment everything that was acknowledged is there, and
// of the rest all or nothing.
func TestI5_KilledWhileCommitting(t *testing.T) {
	path := filepath.Join(t.TempDir(), "weir.db")
	acknowledged := make([]int, writers)
	for round := range 6 {
		cmd, out := start(t, "write until killed", path)
		lines := bufio.NewScanner(out)
		for left := rand.IntN(200) + 1; lines.Scan(); left-- {
			var w, n int
			if _, err := fmt.Sscan(lines.Text(), &w, &n); err != nil {
				t.Fatalf("the child says %q", lines.Text())
			}
			acknowledged[w] = n
			if left == 0 {
				if err := cmd.Process.Kill(); err != nil {
					t.Fatal(err)
				}
			}
		}
		if err := cmd.Wait(); err == nil || cmd.ProcessState.Sys().(syscall.WaitStatus).Signal() != syscall.SIGKILL {
			t.Fatalf("the child ended by itself: %v", err)
		}
		verifyCrash(t, path, round, acknowledged)
	}
}

func verifyCrash(t *testing.T, path string, round int, acknowledged []int) {
	t.Helper()
	s, err := bolt.Open(path)
	if err != nil {
		t.Fatalf("round %d: %v", round, err)
	}
	defer func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	}()
	for w, n := range acknowledged {
		counts, _ := crashKeys(w, 0)
		records, err := s.Get(t.Context(), counts...)
		if err != nil {
			t.Fatal(err)
		}
		got, _ := strconv.Atoi(string(records[0].Body)) // 0 where there is none
		if got < n || got > n+1 {
			t.Errorf("round %d: writer %d is at %d, acknowledged was %d", round, w, got, n)
		}
		acknowledged[w] = got // the next round goes on from here
		for _, r := range records[1:] {
			if string(r.Body) != string(records[0].Body) {
				t.Errorf("round %d: half of a commit: %q and %q", round, records[0].Body, r.Body)
			}
		}
		entries, err := store.All(t.Context(), s, fmt.Sprint("log/", w), "")
		if err != nil || len(entries) != got {
			t.Errorf("round %d: writer %d has %d entries, %v; want %d", round, w, len(entries), err, got)
		}
		for i, r := range entries {
			if _, want := crashKeys(w, i+1); r.Key != want {
				t.Errorf("round %d: entry %d is %s", round, i, r.Key)
			}
		}
	}
}

// fillSmallDisk lets the operating system refuse to let the file grow, as it
// does on a full disk, and then gives room again.
func fillSmallDisk(path string) error {
	signal.Ignore(syscall.SIGXFSZ)
	s, err := bolt.Open(path)
	if err != nil {
		return err
	}
	ctx := context.Background()
	var limit syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_FSIZE, &limit); err != nil {
		return err
	}
	info, err := os.Stat(path)
	if err != nil {
		return err
	}
	small := limit
	small.Cur = uint64(info.Size()) + 1<<20 // #nosec G115 -- a file's size
	if err := syscall.Setrlimit(syscall.RLIMIT_FSIZE, &small); err != nil {
		return err
	}
	body := make([]byte, store.MaxBody)
	n := 0
	for ; err == nil && n < 1000; n++ {
		err = s.Commit(ctx, store.Write{Key: store.Key{Partition: "p", Sort: strconv.Itoa(n)}, Body: body})
	}
	if err == nil || errors.As(err, new(*store.ConflictError)) || !strings.Contains(err.Error(), "too large") {
		return fmt.Errorf("commit %d on a full disk: %w", n, err)
	}
	written := n - 1
	if err := syscall.Setrlimit(syscall.RLIMIT_FSIZE, &limit); err != nil {
		return err
	}
	if err := s.Commit(ctx, store.Write{Key: store.Key{Partition: "p", Sort: strconv.Itoa(written)}, Body: body}); err != nil {
		return fmt.Errorf("commit on a disk with room again: %w", err)
	}
	if err := s.Ready(ctx); err != nil {
		return err
	}
	records, err := store.All(ctx, s, "p", "")
	if err != nil || len(records) != written+1 {
		return fmt.Errorf("%d records, want %d: %w", len(records), written+1, err)
	}
	return s.Close()
}

func TestOperatingSystemRefusesGrowth(t *testing.T) {
	cmd, out := start(t, "fill a small disk", filepath.Join(t.TempDir(), "weir.db"))
	said, err := io.ReadAll(out)
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Wait(); err != nil {
		t.Errorf("%v: %s", err, said)
	}
}

// A file that is cut short while it is open is an error of the calls that
// miss something, and not the end of the process.
func TestTruncatedWhileOpen(t *testing.T) {
	path := filepath.Join(t.TempDir(), "weir.db")
	s, err := bolt.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	for n := range 20 {
		k := store.Key{Partition: "p", Sort: strconv.Itoa(n)}
		if err := s.Commit(t.Context(), store.Write{Key: k, Body: make([]byte, 100<<10)}); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Truncate(path, 16<<10); err != nil {
		t.Fatal(err)
	}
	if _, err := store.All(t.Context(), s, "p", ""); err == nil || !strings.Contains(err.Error(), "damaged") {
		t.Errorf("List = %v, want that the file is damaged", err)
	}
	if err := s.Commit(t.Context(), store.Write{Key: store.Key{Partition: "p", Sort: "5x"}}); err == nil || !strings.Contains(err.Error(), "damaged") {
		t.Errorf("Commit = %v, want that the file is damaged", err)
	}
	if err := s.Close(); err != nil {
		t.Error(err)
	}
}
