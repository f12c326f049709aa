package store

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
)

// Dumper is an engine that can show everything it holds.
type Dumper interface {
	// Dump calls yield with every record, in any order, until yield fails
	// or all were shown, and returns the error of yield as it is. What is
	// written meanwhile may or may not be shown.
	Dump(ctx context.Context, yield func(Record) error) error
}

// copyBytes and copyWrites bound one commit of Copy: large enough to be few,
// small enough to be made in a moment.
const (
	copyBytes  = 1 << 20
	copyWrites = MaxWrites
)

var errNotEmpty = errors.New("it is not empty")

// Copy writes every record of from into to, which has to be empty, and returns
// how many there were. Versions are given anew; keys and bodies are the same,
// which Copy compares at the end, record by record. Nobody else may write to
// either meanwhile: Copy fails where it notices that.
//
// After an error the target is to be thrown away: it holds a part, and a second
// Copy into it is refused.
func Copy(ctx context.Context, from, to Store) (n int, err error) {
	source, ok := from.(Dumper)
	if !ok {
		return 0, errors.New("copy a store: the source cannot show what it holds")
	}
	target, ok := to.(Dumper)
	if !ok {
		return 0, errors.New("copy a store: the target cannot show what it holds")
	}
	if err := target.Dump(ctx, func(Record) error { return errNotEmpty }); err != nil {
		return 0, fmt.Errorf("copy into a store: %w", err)
	}
	var batch []Write
	size := 0
	flush := func() error {
		if len(batch) == 0 {
			return nil
		}
		if err := to.Commit(ctx, batch...); err != nil {
			return fmt.Errorf("copy into a store: %w", err)
		}
		n += len(batch)
		batch, size = nil, 0
		return nil
	}
	err = source.Dump(ctx, func(r Record) error {
		next := len(r.Key.Partition) + len(r.Key.Sort) + len(r.Body)
		if len(batch) == copyWrites || size+next > copyBytes {
			if err := flush(); err != nil {
				return err
			}
		}
		batch = append(batch, Write{Op: Put, Key: r.Key, Body: r.Body})
		size += next
		return nil
	})
	if err == nil {
		err = flush()
	}
	if err != nil {
		return n, err
	}
	return n, compare(ctx, source, target)
}

// compare fails unless both hold the same keys with the same bodies.
func compare(ctx context.Context, source, target Dumper) error {
	bodies := map[Key][sha256.Size]byte{}
	err := source.Dump(ctx, func(r Record) error {
		bodies[r.Key] = sha256.Sum256(r.Body)
		return nil
	})
	if err != nil {
		return fmt.Errorf("compare the copy: %w", err)
	}
	err = target.Dump(ctx, func(r Record) error {
		body, ok := bodies[r.Key]
		if !ok {
			return fmt.Errorf("compare the copy: %q is in the target alone: somebody writes to it, or removed it from the source", r.Key)
		}
		if body != sha256.Sum256(r.Body) {
			return fmt.Errorf("compare the copy: %q differs: somebody writes to one of the stores", r.Key)
		}
		delete(bodies, r.Key)
		return nil
	})
	if err != nil {
		return err
	}
	for k := range bodies {
		return fmt.Errorf("compare the copy: %d records are in the source alone, such as %q: somebody writes to it", len(bodies), k)
	}
	return nil
}
