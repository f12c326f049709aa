package server

import (
	"context"

	"weir/server/config"
	"weir/store"
	"weir/store/bolt"
	"weir/store/dynamo"
)

// openStore opens the engine that the configuration names.
func openStore(ctx context.Context, cfg *config.Config) (store.Store, error) {
	if cfg.Shared() {
		return dynamo.Open(ctx, cfg.Store)
	}
	file, err := cfg.BoltFile()
	if err != nil {
		return nil, err
	}
	return bolt.Open(file)
}

// StoreInit makes the table that a dynamodb:// URL names, and waits until it
// can be used. One that is there already is left as it is.
func StoreInit(ctx context.Context, url string) error { return dynamo.Init(ctx, url) }
