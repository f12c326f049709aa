package format

import (
	"crypto/sha256"
	"encoding/hex"

	"weir/store"
)

// statePartition has a record for each state that was ever wanted.
const statePartition = "lock-states"

// StateBody says which repositories have a state.
type StateBody struct {
	State string   `json:"state"`
	Repos []string `json:"repos"`
}

// StateKey names the record of a state.
func StateKey(state string) store.Key {
	sum := sha256.Sum256([]byte(state))
	return store.Key{Partition: statePartition, Sort: hex.EncodeToString(sum[:])}
}
