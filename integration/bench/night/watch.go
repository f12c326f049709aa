package night

import (
	"bytes"
	"context"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"time"

	"weir/integration/bench/stage"
	"weir/integration/sandbox"
	"weir/server/control"
)

// running is a night that has begun.
type running struct {
	scene        *scene
	began        time.Time
	log          int64 // length of weir's log then
	transactions uint64
	own          time.Duration // processor time of weir then
}

// night is what one has come to.
type night struct {
	began    time.Time
	wall     time.Duration // from the moment when it was asked for until weir had nothing left to do
	last     time.Time     // when the last check began
	projects int           // that were to be checked

	checked, failed, again, wrong int // again: not exactly once by the log; wrong: what differs is said not to, or the other way round

	asked        []sandbox.Call
	transactions uint64        // of the store
	own          time.Duration // processor time of weir without its children
	commands     []time.Duration
}

// whole is a night from its beginning to its end.
func (s *scene) whole(ctx context.Context) (night, error) {
	r, err := s.begin(ctx)
	if err != nil {
		return night{}, err
	}
	return r.end(ctx)
}

// begin asks for a check of all repositories, as `weir drift check` does.
func (s *scene) begin(ctx context.Context) (*running, error) {
	if err := s.w.Quiet(ctx); err != nil {
		return nil, err
	}
	r := &running{scene: s}
	info, err := os.Stat(s.data + ".log")
	if err != nil {
		return nil, err
	}
	r.log = info.Size()
	if r.transactions, err = transactions(filepath.Join(s.data, "weir.db")); err != nil {
		return nil, err
	}
	if r.own, _, err = s.w.CPU(); err != nil {
		return nil, err
	}
	s.w.Box.ResetCalls()
	r.began = time.Now()
	for _, one := range s.repos {
		if _, err := control.Ask(ctx, s.data, control.Request{Repo: one.full}); err != nil {
			return nil, err
		}
	}
	return r, nil
}

// end waits until weir has nothing left to do, and counts.
func (r *running) end(ctx context.Context) (night, error) {
	s := r.scene
	n := night{began: r.began, projects: s.total()}
	long := stage.Patience + 2*time.Second*time.Duration(n.projects)
	wait, cancel := context.WithTimeoutCause(ctx, long, fmt.Errorf("the night has not ended after %s", long))
	defer cancel()
	for {
		text, err := s.get(wait, "/metrics")
		if err != nil {
			return n, fmt.Errorf("wait for the end of the night: %w\n%s", err, s.w.Tail())
		}
		if bytes.Contains(text, []byte("\nweir_jobs_pending 0\n")) {
			break
		}
		if err := sleep(wait, 50*time.Millisecond); err != nil {
			return n, fmt.Errorf("%w\n%s", err, s.w.Tail())
		}
	}
	n.wall = time.Since(r.began)
	n.asked = s.w.Box.Calls()
	now, err := transactions(filepath.Join(s.data, "weir.db"))
	if err != nil {
		return n, err
	}
	n.transactions = now - r.transactions
	own, _, err := s.w.CPU()
	if err != nil {
		return n, err
	}
	n.own = own - r.own
	times, err := r.readLog(&n)
	if err != nil {
		return n, err
	}
	return n, r.judge(ctx, &n, times)
}

var (
	checkedLine = regexp.MustCompile(`(?m)^.* msg=checked repo=(\S+) project=(\S+) `)
	ranLine     = regexp.MustCompile(`(?m)^.* msg="terraform ran" verb=\S+ took=(\S+) `)
)

// readLog reads what weir said in the night: how often it has checked each
// project, and how long terraform's commands took.
func (r *running) readLog(n *night) (times map[string]int, err error) {
	file, err := os.Open(r.scene.data + ".log")
	if err != nil {
		return nil, err
	}
	_, err = file.Seek(r.log, io.SeekStart)
	text, readErr := io.ReadAll(file)
	if err := errors.Join(err, readErr, file.Close()); err != nil {
		return nil, fmt.Errorf("read weir's log: %w", err)
	}
	times = map[string]int{}
	for _, found := range checkedLine.FindAllSubmatch(text, -1) {
		times[string(found[1])+" "+string(found[2])]++
	}
	for _, found := range ranLine.FindAllSubmatch(text, -1) {
		took, err := time.ParseDuration(string(found[1]))
		if err != nil {
			return nil, fmt.Errorf("read weir's log: %w", err)
		}
		n.commands = append(n.commands, took)
	}
	slices.Sort(n.commands)
	return times, nil
}

// report is what is read of /api/v1/drift.
type report struct {
	Repositories []struct {
		Repo     string
		Failure  string
		Projects []struct {
			Project, Dir, Failure string
			Checked               time.Time
			Findings              []struct{}
		}
	}
}

// judge compares with what is so what weir says of each project, and that it
// has just looked.
func (r *running) judge(ctx context.Context, n *night, times map[string]int) error {
	text, err := r.scene.get(ctx, "/api/v1/drift")
	if err != nil {
		return err
	}
	var said report
	if err := json.Unmarshal(text, &said); err != nil {
		return fmt.Errorf("read /api/v1/drift: %w", err)
	}
	for _, repo := range r.scene.repos {
		for _, one := range said.Repositories {
			if one.Repo != repo.full {
				continue
			}
			if one.Failure != "" {
				return fmt.Errorf("%s cannot be checked: %s", one.Repo, one.Failure)
			}
			for _, p := range one.Projects {
				switch {
				case !p.Checked.After(r.began):
				case p.Failure != "":
					n.failed++
					r.scene.Say("   %s of %s: %s", p.Project, one.Repo, p.Failure)
				default:
					n.checked++
				}
				if (len(p.Findings) > 0) != repo.differ[p.Dir] {
					n.wrong++
				}
				if times[one.Repo+" "+p.Project] != 1 {
					n.again++
				}
				if p.Checked.After(n.last) {
					n.last = p.Checked
				}
			}
		}
	}
	return nil
}

// get asks weir for something.
func (s *scene) get(ctx context.Context, path string) ([]byte, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, s.w.URL+path, nil)
	if err != nil {
		return nil, err
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return nil, err
	}
	text, err := io.ReadAll(resp.Body)
	if err := errors.Join(err, resp.Body.Close()); err != nil {
		return nil, err
	}
	if resp.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("%s answers %s: %s", path, resp.Status, strings.TrimSpace(string(text)))
	}
	return text, nil
}

// transactions is how many the embedded store has ever written. Its file begins
// with two meta pages, and the newer one holds the number of the transaction
// that wrote it: bbolt, db.go and internal/common/meta.go.
func transactions(file string) (uint64, error) {
	const (
		magic             = 0xED0CDAED
		header            = 16 // of each page
		sizeAt, txidAt    = header + 8, header + 48
		smallest, largest = 1 << 9, 1 << 16
	)
	f, err := os.Open(file)
	if err != nil {
		return 0, err
	}
	defer f.Close() // only read from
	var newest uint64
	page := make([]byte, txidAt+8)
	size := int64(os.Getpagesize())
	for i := range int64(2) {
		if _, err := f.ReadAt(page, i*size); err != nil {
			return 0, fmt.Errorf("read the store: %w", err)
		}
		if binary.LittleEndian.Uint32(page[header:]) != magic {
			return 0, fmt.Errorf("read the store: page %d is no meta page", i)
		}
		if n := int64(binary.LittleEndian.Uint32(page[sizeAt:])); n >= smallest && n <= largest {
			size = n
		}
		newest = max(newest, binary.LittleEndian.Uint64(page[txidAt:]))
	}
	return newest, nil
}
