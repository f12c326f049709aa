// Package live keeps the logs of runs that have not ended, so that people can
// follow them.
package live

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"sync"
)

// Logs holds the logs of runs that have not ended. A log is a file that only weir can read, so that what an apply had
// printed when weir died can still be seen; it is removed once its content is
// sealed as an artifact.
type Logs struct {
	dir string

	mu   sync.Mutex
	logs map[string]*log
}

type log struct {
	file  *os.File
	size  int64
	grown chan struct{} // closed and replaced at each write
	done  bool
}

// New keeps logs in dir, which it makes.
func New(dir string) (*Logs, error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, fmt.Errorf("live logs: %w", err)
	}
	return &Logs{dir: dir, logs: map[string]*log{}}, nil
}

func (l *Logs) path(run string) string { return filepath.Join(l.dir, filepath.Base(run)+".log") }

// Create begins the log of a run.
func (l *Logs) Create(run string) (io.Writer, error) {
	file, err := os.OpenFile(l.path(run), os.O_CREATE|os.O_TRUNC|os.O_RDWR, 0o600)
	if err != nil {
		return nil, fmt.Errorf("live log %s: %w", run, err)
	}
	made := &log{file: file, grown: make(chan struct{})}
	l.mu.Lock()
	l.logs[run] = made
	l.mu.Unlock()
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
// to delete. Those who follow it see its end.
func (l *Logs) End(run string) (path string, err error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	log := l.logs[run]
	if log == nil {
		return l.path(run), nil
	}
	delete(l.logs, run)
	log.done = true
	close(log.grown)
	return l.path(run), log.file.Close()
}

// Remove deletes the log of a run that has ended.
func (l *Logs) Remove(run string) error {
	if err := os.Remove(l.path(run)); err != nil && !errors.Is(err, os.ErrNotExist) {
		return fmt.Errorf("live log %s: %w", run, err)
	}
	return nil
}

// Left returns what a process that died has left of a run's log, and nil
// where that is nothing.
func (l *Logs) Left(run string) ([]byte, error) {
	b, err := os.ReadFile(l.path(run))
	if errors.Is(err, os.ErrNotExist) {
		return nil, nil
	}
	return b, err
}

// Follow calls each with what the log of a run holds from offset on, as it
// grows, until the run ends (then it returns nil) or ctx does. ok is false,
// and nothing was called, where no such run is live here.
func (l *Logs) Follow(ctx context.Context, run string, offset int64, each func([]byte) error) (ok bool, err error) {
	l.mu.Lock()
	log := l.logs[run]
	l.mu.Unlock()
	if log == nil {
		return false, nil
	}
	file, err := os.Open(l.path(run))
	if err != nil {
		return true, fmt.Errorf("live log %s: %w", run, err)
	}
	defer file.Close() // only read
	buf := make([]byte, 32<<10)
	for {
		l.mu.Lock()
		size, grown, done := log.size, log.grown, log.done
		l.mu.Unlock()
		for offset < size {
			n, err := file.ReadAt(buf[:min(int64(len(buf)), size-offset)], offset)
			if n > 0 {
				if err := each(buf[:n]); err != nil {
					return true, err
				}
				offset += int64(n)
			}
			if err != nil {
				return true, err
			}
		}
		if done {
			return true, nil
		}
		select {
		case <-grown:
		case <-ctx.Done():
			return true, ctx.Err()
		}
	}
}
