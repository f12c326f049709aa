package bolt_test

import (
	"path/filepath"
	"testing"

	"weir/store"
	"weir/store/bolt"
	"weir/store/storetest"
)

// open returns a store in a new file, as it is opened in production.
func open(t *testing.T, opts ...bolt.Option) *bolt.Store {
	t.Helper()
	s, err := bolt.Open(filepath.Join(t.TempDir(), "weir.db"), opts...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	return s
}

func TestConformance(t *testing.T) {
	storetest.Run(t, func(t *testing.T) store.Store { return open(t) })
}
