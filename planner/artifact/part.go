package artifact

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"regexp"
	"strings"

	"gocloud.dev/blob"
	"gocloud.dev/gcerrors"
)

// Parts keeps the parts of logs of runs that have not ended, sealed like
// artifacts, in the same bucket, so that every replica can read them. A part is
// bound to its run and number: one cannot be put in the place of another. Only
// an older state of the same part can, which is no worse than a late one.
//
// Its keys are !live/RUN-NUMBER. No owner of a repository has a name with an
// exclamation mark, so that no scope holds them, and listing them costs one
// request however many artifacts there are.
type Parts struct {
	Artifacts *Artifacts
}

const partsPrefix = "!live/"

var runForm = regexp.MustCompile(`^[0-9A-Za-z]{1,64}$`)

func runPrefix(run string) (string, error) {
	if !runForm.MatchString(run) {
		return "", fmt.Errorf("%q is not the id of a run", short(run))
	}
	return partsPrefix + run + "-", nil
}

func partKey(run string, part int) (string, error) {
	prefix, err := runPrefix(run)
	if err != nil {
		return "", err
	}
	return fmt.Sprintf("%s%04d", prefix, part), nil
}

// Put stores a part, in place of what was there.
func (p Parts) Put(ctx context.Context, run string, part int, data []byte) error {
	key, err := partKey(run, part)
	if err == nil {
		err = p.Artifacts.write(ctx, key, bytes.NewReader(data), func() error { return nil })
	}
	if err != nil {
		return fmt.Errorf("put part %d of the log of run %s: %w", part, short(run), err)
	}
	return nil
}

// Get returns a part and its version. data is nil where there is no such part,
// or still the one of the version that is known ("": none is): to learn that
// costs one request to the bucket, and none to the key.
func (p Parts) Get(ctx context.Context, run string, part int, known string) (data []byte, version string, err error) {
	data, version, err = p.get(ctx, run, part, known)
	if gcerrors.Code(err) == gcerrors.NotFound {
		return nil, "", nil
	}
	if err != nil {
		return nil, "", fmt.Errorf("get part %d of the log of run %s: %w", part, short(run), err)
	}
	return data, version, nil
}

func (p Parts) get(ctx context.Context, run string, part int, known string) ([]byte, string, error) {
	key, err := partKey(run, part)
	if err != nil {
		return nil, "", err
	}
	a := p.Artifacts
	ctx, cancel := a.soon(ctx)
	defer cancel()
	now, err := a.bucket.Attributes(ctx, key)
	if err != nil || known != "" && now.ETag == known {
		return nil, known, err
	}
	r, err := a.bucket.NewReader(ctx, key, nil)
	if err != nil {
		return nil, "", err
	}
	defer func() { _ = r.Close() }() // read only
	var b bytes.Buffer
	err = open(&b, r, key, func(sealed []byte) ([]byte, error) { return a.unsealKey(ctx, sealed) })
	return b.Bytes(), now.ETag, err
}

// Remove deletes every part of a run. That there is none is no error.
func (p Parts) Remove(ctx context.Context, run string) error {
	prefix, err := runPrefix(run)
	if err != nil {
		return fmt.Errorf("remove parts: %w", err)
	}
	return p.each(ctx, prefix, func(key string) error {
		if err := p.Artifacts.delete(ctx, key); err != nil {
			return fmt.Errorf("remove a part of the log of run %s: %w", short(run), err)
		}
		return nil
	})
}

// Runs names the runs of which there are parts, each once.
func (p Parts) Runs(ctx context.Context) ([]string, error) {
	var runs []string
	err := p.each(ctx, partsPrefix, func(key string) error {
		run, _, ok := strings.Cut(strings.TrimPrefix(key, partsPrefix), "-")
		if ok && (len(runs) == 0 || runs[len(runs)-1] != run) { // listed in order
			runs = append(runs, run)
		}
		return nil
	})
	return runs, err
}

func (p Parts) each(ctx context.Context, prefix string, f func(key string) error) error {
	for it := p.Artifacts.bucket.List(&blob.ListOptions{Prefix: prefix}); ; {
		o, err := p.Artifacts.next(ctx, it)
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return fmt.Errorf("list parts of logs: %w", err)
		}
		if err := f(o.Key); err != nil {
			return err
		}
	}
}
