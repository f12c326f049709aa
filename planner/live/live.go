// Package live keeps the logs of runs that have not ended, so that people can
// follow them, also on another replica than the one that runs terraform.
package live

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"sync"
)

// Logs holds the logs of runs that have not ended. A log is a file that only weir can read, so that what an apply had
// printed when weir died can still be seen; it is removed once its content is
// sealed as an artifact. Its fields are set before it is first used.
type Logs struct {
	// Share is where replicas find each other's logs; nil: nowhere, and
	// there is only this one.
	Share Share
	Log   *slog.Logger // of what could not be shared; nil: that is not logged

	dir string

	mu    sync.Mutex
	logs  map[string]*log
	ended map[string]bool // logs that ended here, until they are removed: whether parts of them were shared
}

type log struct {
	file  *os.File
	size  int64
	grown chan struct{} // closed and replaced at each write
	done  bool

	shared bool   // parts may have been stored; read once stop has returned
	stop   func() // ends sharing, and waits for that
}

// New keeps logs in dir, which it makes.
func New(dir string) (*Logs, error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, fmt.Errorf("live logs: %w", err)
	}
	return &Logs{dir: dir, logs: map[string]*log{}, ended: map[string]bool{}}, nil
}

const suffix = ".log"

func (l *Logs) path(run string) string { return filepath.Join(l.dir, filepath.Base(run)+suffix) }

// Create begins the log of a run.
func (l *Logs) Create(run string) (io.Writer, error) {
	file, err := os.OpenFile(l.path(run), os.O_CREATE|os.O_TRUNC|os.O_RDWR, 0o600)
	if err != nil {
		return nil, fmt.Errorf("live log %s: %w", run, err)
	}
	made := &log{file: file, grown: make(chan struct{}), stop: func() {}}
	l.mu.Lock()
	l.logs[run] = made
	l.mu.Unlock()
	if l.Share != nil {
		l.share(run, made)
	}
	return writer{l, made}, nil
}

type writer struct {
	logs *Logs
	log  *log
}

func (w writer) Write(b []byte) (int, error) {
	w.logs.mu.Lock()
	defer w.logs.mu.Unlock()
	if w.log.done {
		return len(b), nil
	}
	n, err := w.log.file.Write(b)
	w.log.size += int64(n)
	close(w.log.grown)
	w.log.grown = make(chan struct{})
	return n, err
}

// End closes the log of a run and returns where its content lies, for Remove
// to delete. Those who follow it here see its end; nothing more of it is
// shared.
func (l *Logs) End(run string) (path string, err error) {
	l.mu.Lock()
	log := l.logs[run]
	if log == nil {
		l.mu.Unlock()
		return l.path(run), nil
	}
	delete(l.logs, run)
	log.done = true
	close(log.grown)
	l.mu.Unlock()

	log.stop()
	l.mu.Lock()
	l.ended[run] = log.shared
	l.mu.Unlock()
	return l.path(run), log.file.Close()
}

// Remove deletes the log of a run that has ended, here and where it is shared.
// It may take until a request times out.
func (l *Logs) Remove(run string) error {
	l.mu.Lock()
	shared, mine := l.ended[run]
	delete(l.ended, run)
	l.mu.Unlock()
	err := os.Remove(l.path(run))
	if errors.Is(err, os.ErrNotExist) {
		err = nil
	}
	if l.Share != nil && (shared || !mine) {
		// It must happen even if the job has just been cancelled.
		ctx, cancel := context.WithTimeout(context.Background(), requestTime)
		defer cancel()
		err = errors.Join(err, l.Share.Remove(ctx, run))
	}
	if err != nil {
		return fmt.Errorf("live log %s: %w", run, err)
	}
	return nil
}

// Left returns what there is of a run's log: all of it where it is written
// here, or else what a process that died here has left, or else what another
// replica has shared; nil where that is nothing. What is left out is said at
// its end. It may take until a request times out.
func (l *Logs) Left(run string) ([]byte, error) {
	b, err := os.ReadFile(l.path(run))
	if !errors.Is(err, os.ErrNotExist) || l.Share == nil {
		if errors.Is(err, os.ErrNotExist) {
			return nil, nil
		}
		return b, err
	}
	b, err = l.leftShared(run)
	if err != nil {
		return nil, fmt.Errorf("live log %s: %w", run, err)
	}
	return b, nil
}

// Sweep deletes the logs that dead processes have left, here and where they are
// shared, except those that are still needed. A log that is written here is;
// for the others it asks. One of which that cannot be said stays.
func (l *Logs) Sweep(ctx context.Context, needed func(ctx context.Context, run string) (bool, error)) error {
	var runs []string
	if l.Share != nil {
		var err error
		if runs, err = l.Share.Runs(ctx); err != nil {
			return fmt.Errorf("sweep live logs: %w", err)
		}
	}
	files, err := os.ReadDir(l.dir)
	if err != nil {
		return fmt.Errorf("sweep live logs: %w", err)
	}
	for _, f := range files {
		if run, ok := strings.CutSuffix(f.Name(), suffix); ok {
			runs = append(runs, run)
		}
	}
	var errs []error
	seen := map[string]bool{}
	for _, run := range runs {
		if seen[run] || l.here(run) {
			continue
		}
		seen[run] = true
		keep, err := needed(ctx, run)
		if err == nil && !keep {
			err = l.Remove(run)
		}
		if err != nil {
			errs = append(errs, fmt.Errorf("sweep live log %s: %w", run, err))
		}
	}
	return errors.Join(errs...)
}

// here says whether a log is written here, or about to be removed.
func (l *Logs) here(run string) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	_, ended := l.ended[run]
	return ended || l.logs[run] != nil
}
