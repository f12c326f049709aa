package record

import (
	"context"
	"fmt"
	"time"

	"weir/policy"
	"weir/store"
)

// Entry is one line of the audit log (I11). Entries are only ever added, and
// always in the commit that makes true what they say.
type Entry struct {
	ID       string            `json:"id"` // a ULID: entries sort by time
	At       time.Time         `json:"at"`
	Repo     string            `json:"repo"`
	Pull     int               `json:"pull"`
	Job      string            `json:"job"`
	Who      string            `json:"who"`  // GitHub login, or "weir"
	What     string            `json:"what"` // apply started, applied, apply failed, interrupted, locks taken, locks released, …
	Projects []string          `json:"projects,omitempty"`
	Head     string            `json:"head,omitempty"`
	Digests  map[string]string `json:"digests,omitempty"` // plan digest by project
	Decision *policy.Decision  `json:"decision,omitempty"`
	Why      string            `json:"why,omitempty"`
}

func auditPartition(repo string) string { return "audit/" + repo }

func auditPrefix(pull int) string { return fmt.Sprintf("%010d#", pull) }

// Write adds the entry to its pull request's log.
func (e Entry) Write() (store.Write, error) {
	return Put(store.Key{Partition: auditPartition(e.Repo), Sort: auditPrefix(e.Pull) + e.ID}, 0, e)
}

// ReadAudit returns the audit log of a pull request, oldest first.
func ReadAudit(ctx context.Context, s store.Store, repo string, pull int) ([]Entry, error) {
	rows, err := store.All(ctx, s, auditPartition(repo), auditPrefix(pull))
	if err != nil {
		return nil, err
	}
	entries := make([]Entry, len(rows))
	for i, row := range rows {
		if err := Decode(row.Body, &entries[i]); err != nil {
			return nil, fmt.Errorf("read audit entry %s: %w", row.Key.Sort, err)
		}
	}
	return entries, nil
}
