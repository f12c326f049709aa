// Package news keeps what a replica was told of: lines of work that it is the
// one to care for, until it has done so or gives them to another.
//
// News are a convenience. What is lost, late or told twice does no harm,
// because the store says what there is to do, and each replica looks at it
// from time to time; while no news can be had, it looks more often.
package news

import (
	"context"
	"log/slog"
	"sync"
	"time"
)

// sendTime bounds how long a line waits to be sent before it is looked at
// here.
const sendTime = 5 * time.Second

// Dispatcher carries the news that a line has something to do to one replica
// that has room for it. A line is the work on one pull request; its name says
// nothing but which. All methods are safe for concurrent use.
type Dispatcher interface {
	// Send tells of a job in a line. What was sent with the same id before
	// may be left out.
	Send(ctx context.Context, line, id string) error

	// Receive waits for news, "" when there were none for a while. Until
	// Done or Return the line is the caller's: nobody else gets news of it,
	// as far as that can be helped.
	Receive(ctx context.Context) (line string, err error)

	// Done says that there is nothing to do in a line now. It does not wait
	// for anything.
	Done(line string)

	// Return gives the line to another, likewise.
	Return(line string)
}

// Desk is where the news of one replica lie. All methods are safe for
// concurrent use. The fields must not change after the first. A nil Desk never
// has any, and tells nobody.
type Desk struct {
	Dispatcher Dispatcher
	Look       func(line string) // look at this line: it was received, or nobody could be told
	Turned     func()            // Works has changed
	Log        *slog.Logger

	mu    sync.Mutex
	held  map[string]bool // lines, and whether they were looked at
	fails bool
}

// Works reports whether news can be sent and had, as far as is known.
func (d *Desk) Works() bool {
	if d == nil {
		return false
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	return !d.fails
}

// turn notes whether news can be sent and had.
func (d *Desk) turn(works bool) {
	d.mu.Lock()
	turned := d.fails == works
	d.fails = !works
	d.mu.Unlock()
	if turned {
		d.Turned()
	}
}

// Send tells the others of a job in a line, without waiting for it. Where that
// fails the line is looked at here.
func (d *Desk) Send(line, id string) {
	if d == nil {
		return
	}
	if !d.Works() {
		d.Look(line)
	}
	go func() {
		ctx, cancel := context.WithTimeout(context.Background(), sendTime)
		defer cancel()
		if err := d.Dispatcher.Send(ctx, line, id); err != nil {
			d.Log.Warn("nobody could be told of a job; it is looked at here", "line", line, "job", id, "err", err)
			d.turn(false)
			d.Look(line)
		}
	}()
}

// Listen receives news until ctx ends, for as long as there is room: room is
// told how many lines were received and not yet looked at, and returns what is
// closed when it may answer otherwise.
func (d *Desk) Listen(ctx context.Context, room func(fresh int) (bool, <-chan struct{})) {
	pause := time.Second
	for d != nil && ctx.Err() == nil {
		if free, changed := room(d.fresh()); !free {
			select {
			case <-changed:
			case <-ctx.Done():
			}
			continue
		}
		line, err := d.Dispatcher.Receive(ctx)
		switch {
		case ctx.Err() != nil && line != "":
			d.Dispatcher.Return(line)
		case ctx.Err() != nil:
		case err != nil:
			d.Log.Warn("no news of work can be had; the store is looked at instead", "err", err)
			d.turn(false)
			t := time.NewTimer(pause)
			select {
			case <-t.C:
			case <-ctx.Done():
			}
			t.Stop()
			pause = min(2*pause, 30*time.Second)
		default:
			pause = time.Second
			d.turn(true)
			if line != "" {
				d.mu.Lock()
				if d.held == nil {
					d.held = map[string]bool{}
				}
				d.held[line] = false
				d.mu.Unlock()
				d.Look(line)
			}
		}
	}
}

func (d *Desk) fresh() (n int) {
	d.mu.Lock()
	defer d.mu.Unlock()
	for _, looked := range d.held {
		if !looked {
			n++
		}
	}
	return n
}

// Looked notes that a line, if it is here, was looked at.
func (d *Desk) Looked(line string) {
	if d == nil {
		return
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	if _, ok := d.held[line]; ok {
		d.held[line] = true
	}
}

// Held returns the lines that are here.
func (d *Desk) Held() []string {
	if d == nil {
		return nil
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	lines := make([]string, 0, len(d.held))
	for line := range d.held {
		lines = append(lines, line)
	}
	return lines
}

// Verdict is what is to become of a line.
type Verdict int

const (
	Keep   Verdict = iota
	Done           // nothing is to be done in it now
	Return         // another should have it
)

// HandOn lets go of the lines that judge does not keep.
func (d *Desk) HandOn(judge func(line string, looked bool) Verdict) {
	if d == nil {
		return
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	for line, looked := range d.held {
		switch judge(line, looked) {
		case Keep:
			continue
		case Done:
			d.Dispatcher.Done(line)
		case Return:
			d.Dispatcher.Return(line)
		}
		delete(d.held, line)
	}
}

// HandBack gives a line with work to another, whether it is here or not.
func (d *Desk) HandBack(line, id string) {
	if d == nil {
		return
	}
	d.mu.Lock()
	_, held := d.held[line]
	delete(d.held, line)
	d.mu.Unlock()
	if held {
		d.Dispatcher.Return(line)
	} else {
		d.Send(line, id)
	}
}
