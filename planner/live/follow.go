package live

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"time"
	"unicode/utf8"
)

const (
	askSoon   = 250 * time.Millisecond // for the end of a run whose log has ended
	askFirst  = time.Second            // of another replica's log
	askSeldom = 5 * time.Second        // while nothing comes: 12 times a minute
	// quiet is how long nobody needs to hear anything. Balancers close what
	// is silent for a minute (Elastic Load Balancing's default), and whoever
	// is gone is noticed only by writing to him.
	quiet = 20 * time.Second
	// forgotten is how long a log of another replica is followed though
	// nothing comes: its process has died, or nobody looks at the page.
	forgotten = 15 * time.Minute
	// maxText bounds what is passed on at once.
	maxText = 64 << 10
)

// Each gets what has been added to a log: whole lines, or pieces of those that
// are longer than 64 KiB or not ended for a while, and never a part of a
// character in UTF-8. What follows is at next: whoever follows from there
// misses nothing and gets nothing twice. Text is empty now and again while
// nothing comes, so that a connection stays open; it is valid until each returns.
type Each func(text []byte, next int64) error

// Follow calls each with what the log of a run holds from offset on, as it
// grows, until the run has ended (then it returns nil) or ctx does. Whether it
// has ended is asked of ended, when nothing more comes. all is true if each
// got everything to the log's end, which the sealed log may otherwise have
// more of.
//
// A log that is not written here is read where it is shared. With nothing
// shared, Follow returns at once. It also returns nil when nothing has come for
// a quarter of an hour from another replica.
func (l *Logs) Follow(ctx context.Context, run string, offset int64, ended func(context.Context) (bool, error), each Each) (all bool, err error) {
	c := &cutter{next: offset, each: each}
	l.mu.Lock()
	log := l.logs[run]
	l.mu.Unlock()
	switch {
	case log != nil:
		if err := l.followHere(ctx, run, log, c); err != nil {
			return false, fmt.Errorf("follow live log %s: %w", run, err)
		}
		// What came of it is known only when it has been recorded.
		nothing := func(context.Context) ([]byte, error) { return nil, nil }
		err = c.poll(ctx, askSoon, nothing, ended)
		all = true
	case l.Share != nil:
		r := &reader{share: l.Share, run: run, at: offset}
		err = c.poll(ctx, askFirst, r.read, ended)
	}
	if err != nil {
		return all, fmt.Errorf("follow live log %s: %w", run, err)
	}
	return all, nil
}

func (l *Logs) followHere(ctx context.Context, run string, log *log, c *cutter) error {
	file, err := os.Open(l.path(run))
	if err != nil {
		return err
	}
	defer file.Close() // only read
	at := c.next
	buf := make([]byte, maxText)
	for {
		l.mu.Lock()
		size, grown, done := log.size, log.grown, log.done
		l.mu.Unlock()
		for at < size {
			n, err := file.ReadAt(buf[:min(int64(len(buf)), size-at)], at)
			at += int64(n)
			if err := c.add(buf[:n]); err != nil {
				return err
			}
			if err != nil {
				return err
			}
		}
		if done {
			return c.flush(true)
		}
		still := time.NewTimer(quiet)
		select {
		case <-grown:
		case <-still.C:
			err = c.still()
		case <-ctx.Done():
			err = ctx.Err()
		}
		still.Stop()
		if err != nil {
			return err
		}
	}
}

// poll passes on what read returns, until ended says so or nothing has come for
// long. It asks again after pause, and less often while nothing comes; what
// fails is as if nothing had come.
func (c *cutter) poll(ctx context.Context, first time.Duration, read func(context.Context) ([]byte, error), ended func(context.Context) (bool, error)) error {
	pause, heard, told := first, time.Now(), time.Now()
	cut := c.next >= MaxShared // then it was said before
	for {
		got, err := read(ctx)
		if len(got) > 0 {
			if err := c.add(got); err != nil {
				return err
			}
			heard, told = time.Now(), time.Now()
			if pause = first; len(got) >= PartSize/2 {
				continue // there may be more already
			}
		} else {
			if errors.Is(err, io.EOF) && !cut {
				cut = true
				if err := c.say(cutLive); err != nil {
					return err
				}
			}
			over, err := ended(ctx)
			if over && err == nil || time.Since(heard) >= forgotten {
				return c.flush(false)
			}
		}
		if err := sleep(ctx, pause); err != nil {
			return err
		}
		if len(got) == 0 {
			pause = min(pause*3/2, askSeldom)
		}
		if time.Since(told) >= quiet {
			told = time.Now()
			if err := c.still(); err != nil {
				return err
			}
		}
	}
}

// A cutter passes text on in lines.
type cutter struct {
	next int64 // where held begins in the log
	held []byte
	each Each
}

// add passes on what can be: whole lines, and what is longer than maxText.
func (c *cutter) add(b []byte) error {
	c.held = append(c.held, b...)
	for {
		text := c.held[:min(len(c.held), maxText)]
		end := bytes.LastIndexByte(text, '\n') + 1
		if end == 0 && len(text) == maxText {
			end = characters(text)
		}
		if end == 0 {
			return nil
		}
		if err := c.pass(end); err != nil {
			return err
		}
	}
}

// flush passes on what is held; of a character that is not complete only if
// the log ends with it.
func (c *cutter) flush(all bool) error {
	end := len(c.held)
	if !all {
		end = characters(c.held)
	}
	if end == 0 {
		return nil
	}
	return c.pass(end)
}

// still says that nothing comes. A line that has not ended, such as a question,
// is passed on then.
func (c *cutter) still() error {
	if characters(c.held) > 0 {
		return c.flush(false)
	}
	return c.each(nil, c.next)
}

// say adds a sentence of weir's own, which is nowhere in the log.
func (c *cutter) say(text string) error {
	end := characters(c.held)
	said := append(bytes.Clone(c.held[:end]), text...)
	c.held, c.next = c.held[end:], c.next+int64(end)
	return c.each(said, c.next)
}

func (c *cutter) pass(end int) error {
	text := c.held[:end]
	c.next += int64(end)
	if err := c.each(text, c.next); err != nil {
		return err
	}
	c.held = append(c.held[:0], c.held[end:]...)
	return nil
}

// characters returns how much of b does not end within a character. What is no
// UTF-8 at all counts as it is.
func characters(b []byte) int {
	for i := 1; i < utf8.UTFMax && i <= len(b); i++ {
		if at := len(b) - i; utf8.RuneStart(b[at]) {
			if !utf8.FullRune(b[at:]) {
				return at
			}
			break
		}
	}
	return len(b)
}
