package bolt

import (
	"context"
	"encoding/binary"
	"fmt"

	"go.etcd.io/bbolt"

	"weir/store"
)

// Dump implements store.Dumper. It reads in pages, so that yield may take its
// time without holding up the file.
func (s *Store) Dump(ctx context.Context, yield func(store.Record) error) error {
	var after []byte
	for {
		var page []store.Record
		more := false
		err := s.view(ctx, func(b *bbolt.Bucket) {
			c, size := b.Cursor(), 0
			k, v := c.Seek(after)
			if after != nil && string(k) == string(after) {
				k, v = c.Next()
			}
			for ; k != nil; k, v = c.Next() {
				if len(page) == pageRecords || size > pageBytes {
					more = true
					return
				}
				page = append(page, decode(decodeKey(k), v))
				size += len(k) + len(v)
			}
		})
		if err != nil {
			return fmt.Errorf("read all of store %s: %w", s.path, err)
		}
		for _, r := range page {
			if err := yield(r); err != nil {
				return err
			}
		}
		if !more {
			return nil
		}
		after = encodeKey(page[len(page)-1].Key)
	}
}

func decodeKey(k []byte) store.Key {
	end := 2 + int(binary.BigEndian.Uint16(k))
	return store.Key{Partition: string(k[2:end]), Sort: string(k[end:])}
}
