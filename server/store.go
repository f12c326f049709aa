package server

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	"weir/server/config"
	"weir/store"
	"weir/store/bolt"
	"weir/store/dynamo"
)

// openStore opens the engine that a URL names: bolt://FILE, with % as %25, or
// dynamodb://TABLE?region=REGION.
func openStore(ctx context.Context, raw string) (store.Store, error) {
	if config.IsShared(raw) {
		return dynamo.Open(ctx, raw)
	}
	file, err := config.BoltFile(raw)
	if err != nil {
		return nil, err
	}
	return bolt.Open(file)
}

// StoreInit is `weir store init`: it makes the table that a dynamodb:// URL
// names (WEIR_STORE if it is empty), and waits until it can be used. One that is
// there already is left as it is.
func StoreInit(ctx context.Context, raw string, environ []string, out io.Writer) error {
	for _, e := range environ {
		if value, ok := strings.CutPrefix(e, "WEIR_STORE="); ok && raw == "" {
			raw = value
		}
	}
	if !config.IsShared(raw) {
		return misuse{fmt.Errorf("%q is not dynamodb://TABLE?region=REGION; an embedded store makes itself", raw)}
	}
	if err := dynamo.Init(ctx, raw); err != nil {
		return err
	}
	_, err := fmt.Fprintln(out, "The table is ready.")
	return err
}

// StoreCopy is `weir store copy`: everything that one store holds goes into
// another one that is empty, such as from the embedded store to DynamoDB.
func StoreCopy(ctx context.Context, from, to string, out io.Writer) (err error) {
	if from == to {
		return misuse{errors.New("a store cannot be copied onto itself")}
	}
	for _, raw := range []string{from, to} {
		if scheme, rest, ok := strings.Cut(raw, "://"); !ok || rest == "" || scheme != "bolt" && scheme != "dynamodb" {
			return misuse{fmt.Errorf("%q is neither bolt://FILE nor dynamodb://TABLE?region=REGION", raw)}
		}
	}
	if file, err := config.BoltFile(from); err == nil && !config.IsShared(from) {
		if _, err := os.Stat(file); err != nil {
			return fmt.Errorf("copy a store: %w", err) // it would be made
		}
	}
	source, err := openStore(ctx, from)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, source.Close()) }()
	target, err := openStore(ctx, to)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, target.Close()) }()
	n, err := store.Copy(ctx, source, target)
	if err != nil {
		return err
	}
	_, err = fmt.Fprintf(out, "%d records copied and compared.\n", n)
	return err
}
