package artifact

import (
	"path/filepath"
	"sync"
	"testing"
)

// Several servers that start at once on one new seal_key file: one makes the
// file, and another reads it before the key is in it, and refuses to start
// ("holds 0 bytes"). A server killed in between leaves an empty file behind,
// with which none ever starts. (planner/artifact/open.go, makeKey: write a
// temporary file beside it, sync, and link it to its name.)
func TestSealKeyMadeByManyAtOnce(t *testing.T) {
	for range 300 {
		path := filepath.Join(t.TempDir(), "seal.key")
		var all sync.WaitGroup
		for range 8 {
			all.Go(func() {
				if _, err := keyFile(path); err != nil {
					t.Error(err)
				}
			})
		}
		all.Wait()
	}
}
