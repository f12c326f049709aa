package live

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"
)

// place is a shared place in memory. It counts what it is asked.
type place struct {
	mu    sync.Mutex
	parts map[string]map[int][]byte
	calls map[string]int
	fails error
}

func newPlace() *place { return &place{parts: map[string]map[int][]byte{}, calls: map[string]int{}} }

func (p *place) call(name string) error {
	p.calls[name]++
	return p.fails
}

func (p *place) Put(_ context.Context, run string, part int, data []byte) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if err := p.call("put"); err != nil {
		return err
	}
	if p.parts[run] == nil {
		p.parts[run] = map[int][]byte{}
	}
	p.parts[run][part] = bytes.Clone(data)
	return nil
}

func (p *place) Get(_ context.Context, run string, part int, known string) ([]byte, string, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if err := p.call("get"); err != nil {
		return nil, "", err
	}
	data, ok := p.parts[run][part]
	version := fmt.Sprint(len(data))
	if !ok || version == known {
		return nil, known, nil
	}
	return bytes.Clone(data), version, nil
}

func (p *place) Remove(_ context.Context, run string) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if err := p.call("remove"); err != nil {
		return err
	}
	delete(p.parts, run)
	return nil
}

func (p *place) Runs(context.Context) ([]string, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	return slices.Sorted(maps.Keys(p.parts)), p.call("runs")
}

func (p *place) fail(err error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.fails = err
}

func (p *place) count(name string) int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.calls[name]
}

// replica is the logs of one server.
func replica(t *testing.T, share Share) *Logs {
	t.Helper()
	l, err := New(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	l.Log = slog.New(slog.NewTextHandler(t.Output(), nil))
	if share != nil {
		l.Share = share
	}
	return l
}

func begin(t *testing.T, l *Logs, run string) io.Writer {
	t.Helper()
	w, err := l.Create(run)
	if err != nil {
		t.Fatal(err)
	}
	return w
}

func write(t *testing.T, w io.Writer, text string) {
	t.Helper()
	if _, err := io.WriteString(w, text); err != nil {
		t.Fatal(err)
	}
}

// finish ends a run as planner/run does, and returns its log.
func finish(t *testing.T, l *Logs, run string) string {
	t.Helper()
	path, err := l.End(run)
	if err != nil {
		t.Fatal(err)
	}
	all, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if err := l.Remove(run); err != nil {
		t.Fatal(err)
	}
	return string(all)
}

// follower follows a log until it is cut off, and can go on.
type follower struct {
	t    *testing.T
	logs *Logs
	run  string

	mu     sync.Mutex
	got    string
	events []string
	next   int64
	stills int
	over   bool // the run has ended
	asked  int
	all    bool
	ended  bool // Follow returned nil
	cut    context.CancelFunc
	done   chan struct{}
}

func follow(t *testing.T, l *Logs, run string) *follower {
	f := &follower{t: t, logs: l, run: run}
	f.connect(l)
	return f
}

func (f *follower) connect(l *Logs) {
	ctx, cancel := context.WithCancel(f.t.Context())
	done := make(chan struct{})
	f.cut, f.done = func() { cancel(); <-done }, done
	go func() {
		defer close(done)
		all, err := l.Follow(ctx, f.run, f.next, func(context.Context) (bool, error) {
			f.mu.Lock()
			defer f.mu.Unlock()
			f.asked++
			return f.over, nil
		}, func(text []byte, next int64) error {
			f.mu.Lock()
			defer f.mu.Unlock()
			if len(text) == 0 {
				f.stills++
				return nil
			}
			f.got += string(text)
			f.events = append(f.events, string(text))
			f.next = next
			return nil
		})
		if err != nil && !errors.Is(err, context.Canceled) {
			f.t.Error(err)
		}
		f.all, f.ended = all, err == nil
	}()
}

func (f *follower) text() string {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.got
}

// counted returns how often it was asked whether the run has ended, and how
// often it got no text.
func (f *follower) counted() (asked, stills int) {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.asked, f.stills
}

func (f *follower) end() {
	f.mu.Lock()
	f.over = true
	f.mu.Unlock()
	<-f.done
}

// after lets time go by, and everything that happens in it happen.
func after(d time.Duration) {
	<-time.After(d)
	synctest.Wait()
}

func TestFollowHere(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := replica(t, nil)
		w := begin(t, l, "RUN")
		write(t, w, "one\ntw")
		f := follow(t, l, "RUN")
		synctest.Wait()
		if got := f.text(); got != "one\n" {
			t.Errorf("a line that has not ended: %q", got)
		}
		write(t, w, "o\nthree? ")
		synctest.Wait()
		if got := f.text(); got != "one\ntwo\n" {
			t.Errorf("got %q", got)
		}
		after(quiet + time.Second)
		if got := f.text(); got != "one\ntwo\nthree? " {
			t.Errorf("a question: %q", got)
		}
		after(3 * quiet)
		if _, stills := f.counted(); stills != 3 {
			t.Errorf("%d signs of life in three times quiet", stills)
		}
		write(t, w, "yes\nfour")
		all := finish(t, l, "RUN")
		synctest.Wait()
		if got := f.text(); got != all {
			t.Errorf("got %q, want %q", got, all)
		}
		after(time.Minute)
		select {
		case <-f.done:
			t.Error("it ended before what came of the run was known")
		default:
		}
		f.end()
		if !f.all || !f.ended {
			t.Errorf("all %v, ended %v", f.all, f.ended)
		}
		if all, err := l.Follow(t.Context(), "RUN", 0, nil, nil); all || err != nil {
			t.Errorf("a run that is nowhere: %v, %v", all, err)
		}
	})
}

func TestFollowElsewhere(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newPlace()
		a, b := replica(t, p), replica(t, p)
		w := begin(t, b, "RUN")
		f := follow(t, a, "RUN")
		after(30 * time.Second)
		if _, stills := f.counted(); p.count("put") != 0 || stills == 0 {
			t.Errorf("nothing printed: %d puts, %d signs of life", p.count("put"), stills)
		}
		var want strings.Builder
		for i := range 20_000 {
			line := fmt.Sprintf("line %d with some more text, so that it is longer: ö\n", i)
			want.WriteString(line)
			write(t, w, line)
			if i%1000 == 0 {
				after(300 * time.Millisecond)
			}
			if i%3000 == 0 { // another replica serves the page from now on
				f.cut()
				if i%2000 == 0 {
					f.connect(b)
				} else {
					f.connect(replica(t, p))
				}
			}
		}
		f.cut()
		f.connect(a)
		after(10 * time.Second)
		if got := f.text(); got != want.String() {
			t.Errorf("got %d bytes, want %d:\n%s", len(got), want.Len(), firstDifference(got, want.String()))
		}
		if left, err := a.Left("RUN"); err != nil || string(left) != want.String() {
			t.Errorf("left %d bytes, want %d: %v", len(left), want.Len(), err)
		}
		write(t, w, "the last line")
		finish(t, b, "RUN")
		after(10 * time.Second)
		f.end()
		if f.all || !f.ended {
			t.Errorf("all %v, ended %v: the sealed log has the rest", f.all, f.ended)
		}
		if len(p.parts) != 0 {
			t.Errorf("left in the shared place: %v", slices.Collect(maps.Keys(p.parts)))
		}
	})
}

func firstDifference(a, b string) string {
	for i := range min(len(a), len(b)) {
		if a[i] != b[i] {
			return fmt.Sprintf("at %d %q, want %q", i, a[i:min(len(a), i+50)], b[i:min(len(b), i+50)])
		}
	}
	return "one is the beginning of the other"
}

// TestCost holds what a page that stands open costs, and a run that prints
// something every ten seconds as terraform does.
func TestCost(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newPlace()
		a, b := replica(t, p), replica(t, p)
		w := begin(t, b, "RUN")
		write(t, w, "begun\n")
		f := follow(t, a, "RUN")
		after(time.Minute)
		gets := p.count("get")
		asked, _ := f.counted()
		after(10 * time.Minute)
		now, _ := f.counted()
		if gets := p.count("get") - gets; gets > 125 || now-asked > 125 {
			t.Errorf("ten minutes of nothing: %d reads of the shared place, %d of the store", gets, now-asked)
		}
		if n := p.count("put"); n != 1 {
			t.Errorf("%d writes of one line", n)
		}
		puts, gets := p.count("put"), p.count("get")
		for range 60 {
			write(t, w, "Still creating...\n")
			after(10 * time.Second)
		}
		if puts, gets := p.count("put")-puts, p.count("get")-gets; puts != 60 || gets > 60*7 {
			t.Errorf("ten minutes of a line every ten seconds: %d writes, %d reads", puts, gets)
		}
		after(forgotten + time.Minute)
		<-f.done
		if !f.ended {
			t.Error("a log to which nothing comes is followed for ever")
		}
		// A run that has ended within its first second is not shared at all.
		puts, removes := p.count("put"), p.count("remove")
		write(t, begin(t, b, "SHORT"), "done\n")
		finish(t, b, "SHORT")
		if p.count("put") != puts || p.count("remove") != removes {
			t.Error("a run of no time was shared")
		}
		finish(t, b, "RUN")
	})
}

func TestWriterDies(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newPlace()
		a, dead := replica(t, p), replica(t, p)
		w := begin(t, dead, "RUN")
		write(t, w, "aws_db.main: Destroying...\n")
		f := follow(t, a, "RUN")
		after(4 * time.Second)
		dead.logs["RUN"].stop() // as a killed process does
		write(t, w, "never seen elsewhere\n")

		left, err := a.Left("RUN")
		if err != nil || string(left) != "aws_db.main: Destroying...\n" {
			t.Errorf("left %q, %v", left, err)
		}
		// Its own next process knows more.
		again := &Logs{Share: p, dir: dead.dir, logs: map[string]*log{}, ended: map[string]bool{}}
		if left, err := again.Left("RUN"); err != nil || !strings.Contains(string(left), "never seen") {
			t.Errorf("left at home: %q, %v", left, err)
		}
		if err := a.Remove("RUN"); err != nil {
			t.Error(err)
		}
		f.end()
		if got := f.text(); got != "aws_db.main: Destroying...\n" {
			t.Errorf("followed %q", got)
		}
		if left, err := a.Left("RUN"); err != nil || left != nil {
			t.Errorf("after it was removed: %q, %v", left, err)
		}
	})
}

func TestSweep(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newPlace()
		a, dead := replica(t, p), replica(t, p)
		for _, run := range []string{"PLAN", "APPLY", "UNKNOWN"} {
			write(t, begin(t, dead, run), "text\n")
		}
		write(t, begin(t, a, "HERE"), "text\n")
		if err := os.WriteFile(filepath.Join(a.dir, "OLD.log"), []byte("of a process before"), 0o600); err != nil {
			t.Fatal(err)
		}
		after(2 * time.Second)
		for _, run := range []string{"PLAN", "APPLY", "UNKNOWN"} {
			dead.logs[run].stop()
		}
		var asked []string
		broken := errors.New("the store does not answer")
		err := a.Sweep(t.Context(), func(_ context.Context, run string) (bool, error) {
			asked = append(asked, run)
			if run == "UNKNOWN" {
				return false, broken
			}
			return run == "APPLY", nil
		})
		if !errors.Is(err, broken) {
			t.Errorf("error %v", err)
		}
		slices.Sort(asked)
		if diff := cmp.Diff([]string{"APPLY", "OLD", "PLAN", "UNKNOWN"}, asked); diff != "" {
			t.Error(diff)
		}
		if diff := cmp.Diff([]string{"APPLY", "HERE", "UNKNOWN"}, slices.Sorted(maps.Keys(p.parts))); diff != "" {
			t.Error(diff)
		}
		if _, err := os.Stat(filepath.Join(a.dir, "OLD.log")); !errors.Is(err, os.ErrNotExist) {
			t.Errorf("the file of a process before: %v", err)
		}
		if all := finish(t, a, "HERE"); all != "text\n" {
			t.Errorf("here: %q", all)
		}
	})
}

// TestSharedPlaceFails holds that a run does not notice, and that what could
// not be shared comes later.
func TestSharedPlaceFails(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newPlace()
		p.fail(errors.New("throttled"))
		a, b := replica(t, p), replica(t, p)
		w := begin(t, b, "RUN")
		f := follow(t, a, "RUN")
		for i := range 600 {
			write(t, w, fmt.Sprintln("line", i))
			after(time.Second)
		}
		if n := p.count("put"); n > 30 {
			t.Errorf("%d tries in ten minutes", n)
		}
		p.fail(nil)
		after(time.Minute)
		if got := f.text(); !strings.HasPrefix(got, "line 0\n") || !strings.HasSuffix(got, "line 599\n") {
			t.Errorf("got %d bytes", len(got))
		}
		finish(t, b, "RUN")
		f.end()
	})
}

func TestVeryLongLogIsCut(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newPlace()
		a, b := replica(t, p), replica(t, p)
		w := begin(t, b, "RUN")
		f := follow(t, a, "RUN")
		line := strings.Repeat("é", 500) + "\n"
		for range 3 * MaxShared / len(line) / 2 {
			write(t, w, line)
		}
		after(30 * time.Second)
		got := f.text()
		if !strings.HasSuffix(got, cutLive) || strings.Count(got, cutLive) != 1 || len(got) > MaxShared+len(cutLive) {
			t.Errorf("%d bytes, the end is %q", len(got), got[max(0, len(got)-200):])
		}
		if !utf8.ValidString(got) || f.next > MaxShared || f.next <= MaxShared-utf8.UTFMax {
			t.Errorf("valid %v, next %d", utf8.ValidString(got), f.next)
		}
		if n := len(p.parts["RUN"]); n != MaxShared/PartSize {
			t.Errorf("%d parts", n)
		}
		left, err := a.Left("RUN")
		if err != nil || !strings.HasSuffix(string(left), cutLeft) || len(left) != MaxShared+len(cutLeft) {
			t.Errorf("left %d bytes, %v", len(left), err)
		}
		after(time.Minute)
		if f.text() != got {
			t.Error("more came after it was cut")
		}
		finish(t, b, "RUN")
		f.end()
	})
}
