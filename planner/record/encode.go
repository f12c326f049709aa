package record

import (
	"bytes"
	"compress/gzip"
	"encoding/json"
	"fmt"
	"io"

	"weir/store"
)

// packFrom is the size from which a record is compressed, so that a pull
// request of hundreds of projects stays one record.
const packFrom = 32 << 10

// gzipMark begins what gzip has made, and no JSON.
var gzipMark = []byte{0x1f, 0x8b}

// Put is a write of a value as JSON, compressed where it is long.
func Put(key store.Key, expect store.Version, value any) (store.Write, error) {
	body, err := json.Marshal(value)
	if err == nil && len(body) >= packFrom {
		body, err = pack(body)
	}
	if err != nil {
		return store.Write{}, fmt.Errorf("write %s: %w", key, err)
	}
	return store.Write{Op: store.Put, Key: key, Expect: expect, Body: body}, nil
}

func pack(body []byte) ([]byte, error) {
	var packed bytes.Buffer
	w := gzip.NewWriter(&packed)
	if _, err := w.Write(body); err != nil {
		return nil, err
	}
	if err := w.Close(); err != nil {
		return nil, err
	}
	return packed.Bytes(), nil
}

// Decode reads what Put has written.
func Decode(body []byte, into any) error {
	if bytes.HasPrefix(body, gzipMark) {
		r, err := gzip.NewReader(bytes.NewReader(body))
		if err != nil {
			return err
		}
		const most = 64 << 20 // far above what fits into a record once packed
		if body, err = io.ReadAll(io.LimitReader(r, most)); err != nil {
			return err
		}
	}
	return json.Unmarshal(body, into)
}
