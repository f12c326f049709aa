package live

import (
	"context"
	"errors"
	"io"
	"time"
)

// Share keeps parts of logs where every replica can read them. It is for what
// terraform printed, so it seals what it keeps. Each method may be called at
// the same time by many.
//
// A log is cut into parts of PartSize bytes, numbered from 0. The last one is
// put again, longer, as the log grows; so a reader finds any place of a log
// without searching, and learns by one cheap request whether there is more.
type Share interface {
	// Put stores a part, in place of what was there, as a whole.
	Put(ctx context.Context, run string, part int, data []byte) error
	// Get returns a part and its version; nil where there is none, or where
	// it is still the version that is known ("": none is).
	Get(ctx context.Context, run string, part int, known string) (data []byte, version string, err error)
	// Remove deletes all parts of exactly this run.
	Remove(ctx context.Context, run string) error
	// Runs names the runs of which there are parts.
	Runs(ctx context.Context) ([]string, error)
}

const (
	// PartSize bounds what is sent again as a log grows: on average half of it.
	PartSize = 128 << 10
	// MaxShared is how much of a log is shared. Nobody reads more while it
	// happens, and the whole log is sealed once the run has ended.
	MaxShared = 8 << 20

	shareEvery  = time.Second
	shareSeldom = 30 * time.Second // after failures
	requestTime = 30 * time.Second // for one request, or a few that belong together
)

// What stands where a log is cut.
const (
	cutLive = "\n(weir shows no more of this log from here until the run has ended: it is longer than 8 MiB)\n"
	cutLeft = "\n(the rest was lost with the server that wrote it: beyond 8 MiB a log is kept nowhere else before its run has ended)\n"
)

// share stores what is added to a log, once a second at most, until log.stop
// is called. A failure never touches the run: it is tried again.
func (l *Logs) share(run string, log *log) {
	ctx, cancel := context.WithCancel(context.Background()) // of the log, not of a request
	ended := make(chan struct{})
	log.stop = func() {
		cancel()
		<-ended
	}
	go func() {
		defer close(ended)
		var done int64
		pause := shareEvery
		for sleep(ctx, pause) == nil {
			l.mu.Lock()
			size := min(log.size, MaxShared)
			l.mu.Unlock()
			var err error
			done, err = l.shareUntil(ctx, run, log, done, size)
			switch {
			case err == nil:
				pause = shareEvery
			case ctx.Err() == nil:
				if l.Log != nil {
					l.Log.Warn("the log of a run cannot be shared with other servers; it is tried again", "run", run, "err", err)
				}
				pause = min(2*pause, shareSeldom)
			}
		}
	}()
}

// shareUntil stores what lies between done and size, and returns how far it came.
func (l *Logs) shareUntil(ctx context.Context, run string, log *log, done, size int64) (int64, error) {
	for done < size {
		start := done / PartSize * PartSize
		data := make([]byte, min(PartSize, size-start))
		if _, err := log.file.ReadAt(data, start); err != nil {
			return done, err
		}
		log.shared = true // even where it fails: it may have happened
		try, cancel := context.WithTimeout(ctx, requestTime)
		err := l.Share.Put(try, run, int(start/PartSize), data)
		cancel()
		if err != nil {
			return done, err
		}
		done = start + int64(len(data))
	}
	return done, nil
}

func (l *Logs) leftShared(run string) ([]byte, error) {
	ctx, cancel := context.WithTimeout(context.Background(), requestTime)
	defer cancel()
	var all []byte
	for part := 0; part < MaxShared/PartSize; part++ {
		data, _, err := l.Share.Get(ctx, run, part, "")
		if err != nil {
			return nil, err
		}
		all = append(all, data...)
		if len(data) < PartSize {
			return all, nil
		}
	}
	return append(all, cutLeft...), nil
}

// A reader of what is shared reads what is next, and says what it got.
type reader struct {
	share   Share
	run     string
	at      int64 // what comes next
	version string
}

// read returns what there is next of the log, at most one part; io.EOF says
// that no more is shared of it. To learn that there is nothing yet costs one
// request.
func (r *reader) read(ctx context.Context) ([]byte, error) {
	if r.at >= MaxShared {
		return nil, io.EOF
	}
	ctx, cancel := context.WithTimeout(ctx, requestTime)
	defer cancel()
	data, version, err := r.share.Get(ctx, r.run, int(r.at/PartSize), r.version)
	if err != nil {
		return nil, err
	}
	r.version = version
	from := int(r.at % PartSize)
	if len(data) <= from {
		return nil, nil
	}
	if len(data) > PartSize {
		return nil, errors.New("a part is longer than any is")
	}
	if r.at += int64(len(data) - from); r.at%PartSize == 0 {
		r.version = "" // of the next part nothing is known
	}
	return data[from:], nil
}

func sleep(ctx context.Context, d time.Duration) error {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}
