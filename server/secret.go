package server

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"os"

	"weir/planner/artifact"
	"weir/store"
)

// keySize is the length of a key, in bytes.
const keySize = 32

// digestKey is what change digests are made with, so that they tell nothing of
// the values behind them. Servers that share a store need the same one: the
// first of them puts its own there, sealed.
func digestKey(ctx context.Context, file string, shared store.Store, artifacts *artifact.Artifacts) ([]byte, error) {
	own, err := secretFile(file)
	if err != nil || shared == nil {
		return own, err
	}
	at := store.Key{Partition: "server", Sort: "digest-key"}
	sealed, err := artifacts.Seal(ctx, own)
	if err != nil {
		return nil, fmt.Errorf("digest key: %w", err)
	}
	var taken *store.ConflictError
	if err := shared.Commit(ctx, store.Write{Key: at, Body: sealed}); err != nil && !errors.As(err, &taken) {
		return nil, fmt.Errorf("digest key: %w", err)
	}
	rows, err := shared.Get(ctx, at)
	if err != nil {
		return nil, fmt.Errorf("digest key: %w", err)
	}
	key, err := artifacts.Unseal(ctx, rows[0].Body)
	if err == nil && len(key) != keySize {
		err = fmt.Errorf("it is %d bytes long", len(key))
	}
	if err != nil {
		return nil, fmt.Errorf("digest key: all servers of one store need the same seal_key, and %s was sealed with another: %w", at, err)
	}
	return key, nil
}

// secretFile reads a key of 32 random bytes, which it makes at the first start.
func secretFile(name string) ([]byte, error) {
	key := make([]byte, keySize)
	if _, err := rand.Read(key); err != nil {
		return nil, fmt.Errorf("make %s: %w", name, err)
	}
	file, err := os.OpenFile(name, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600)
	if errors.Is(err, os.ErrExist) {
		old, err := os.ReadFile(name)
		if err != nil {
			return nil, err
		}
		if len(old) != len(key) {
			return nil, fmt.Errorf("%s is damaged: it holds %d bytes instead of %d; delete it, and plans will need new approvals", name, len(old), len(key))
		}
		return old, nil
	}
	if err != nil {
		return nil, err
	}
	if _, err := file.Write(key); err != nil {
		return nil, errors.Join(fmt.Errorf("make %s: %w", name, err), file.Close(), os.Remove(name))
	}
	return key, errors.Join(file.Sync(), file.Close())
}
