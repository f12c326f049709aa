package artifact

import (
	"context"
	"fmt"
)

// Seal encrypts a few bytes, such as a key, for a place outside of the bucket.
// Every server with the same seal key can Unseal them.
func (a *Artifacts) Seal(ctx context.Context, plain []byte) ([]byte, error) {
	ctx, cancel := a.soon(ctx)
	defer cancel()
	sealed, err := a.keeper.Encrypt(ctx, plain)
	if err != nil {
		return nil, fmt.Errorf("seal: %w", err)
	}
	return sealed, nil
}

// Unseal opens what Seal has made. It fails if the seal key is another one.
func (a *Artifacts) Unseal(ctx context.Context, sealed []byte) ([]byte, error) {
	ctx, cancel := a.soon(ctx)
	defer cancel()
	plain, err := a.keeper.Decrypt(ctx, sealed)
	if err != nil {
		return nil, fmt.Errorf("unseal: %w", err)
	}
	return plain, nil
}
