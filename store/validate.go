package store

import "fmt"

// InvalidError says that a request can never be carried out, whatever the
// store holds: it is over a limit or contradicts itself. Nothing was changed,
// and trying again does not help.
type InvalidError struct {
	Problem string
}

func (e *InvalidError) Error() string { return "invalid request to the store: " + e.Problem }

func invalid(format string, args ...any) error {
	return &InvalidError{Problem: fmt.Sprintf(format, args...)}
}

// ValidateWrites returns an *InvalidError if no engine may carry out a commit
// of writes. Every engine calls it first.
func ValidateWrites(writes []Write) error {
	if len(writes) > MaxWrites {
		return invalid("%d writes in one commit, at most %d are possible", len(writes), MaxWrites)
	}
	seen := make(map[Key]bool, len(writes))
	size := 0
	for _, w := range writes {
		if err := validateKey(w.Key); err != nil {
			return err
		}
		if seen[w.Key] {
			return invalid("%q occurs twice in one commit", w.Key)
		}
		seen[w.Key] = true
		switch w.Op {
		case Put, Delete, Check:
		default:
			return invalid("unknown operation %d on %q", w.Op, w.Key)
		}
		if w.Op != Put && len(w.Body) > 0 {
			return invalid("a body for %q, which is not put", w.Key)
		}
		if len(w.Body) > MaxBody {
			return invalid("body of %q has %d bytes, at most %d are possible", w.Key, len(w.Body), MaxBody)
		}
		if w.Expect < 0 {
			return invalid("negative version %d expected of %q", w.Expect, w.Key)
		}
		size += len(w.Key.Partition) + len(w.Key.Sort) + len(w.Body)
	}
	if size > MaxCommit {
		return invalid("%d bytes in one commit, at most %d are possible", size, MaxCommit)
	}
	return nil
}

// ValidateKeys returns an *InvalidError if no engine may answer a Get of keys.
// Every engine calls it first.
func ValidateKeys(keys []Key) error {
	if len(keys) > MaxWrites {
		return invalid("%d keys in one get, at most %d are possible", len(keys), MaxWrites)
	}
	for _, k := range keys {
		if err := validateKey(k); err != nil {
			return err
		}
	}
	return nil
}

// ValidateList returns an *InvalidError if no engine may answer a List with
// these arguments. Every engine calls it first.
func ValidateList(partition, prefix string, page Page) error {
	if err := validatePart("partition", partition); err != nil {
		return err
	}
	for _, sort := range []string{prefix, page.After} {
		if sort == "" {
			continue
		}
		if err := validateSort(sort); err != nil {
			return err
		}
	}
	if page.Limit < 0 {
		return invalid("list of %q with a negative limit", partition)
	}
	return nil
}

func validateKey(k Key) error {
	if err := validatePart("partition", k.Partition); err != nil {
		return err
	}
	return validateSort(k.Sort)
}

func validateSort(sort string) error {
	if err := validatePart("sort key", sort); err != nil {
		return err
	}
	size := len(sort)
	for i := range len(sort) {
		if sort[i] >= 0x80 {
			size++
		}
	}
	if size > MaxSort {
		return invalid("sort key has %d bytes, those outside of ASCII counted twice, at most %d are possible: %.60q…", size, MaxSort, sort)
	}
	return nil
}

func validatePart(what, s string) error {
	if s == "" {
		return invalid("empty %s", what)
	}
	if len(s) > MaxKey {
		return invalid("%s has %d bytes, at most %d are possible: %.60q…", what, len(s), MaxKey, s)
	}
	return nil
}
