package dynamo

import (
	"bytes"
	"compress/gzip"
	"fmt"
	"io"
	"strconv"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"

	"weir/store"
)

// Attributes of an item. Keys are strings, so that the table can be read in
// the console; the body is binary, and packed where it is long.
const (
	partitionAttr = "pk"
	sortAttr      = "sk"
	versionAttr   = "version"
	bodyAttr      = "body"
	packedAttr    = "packed" // how the body is packed, if it is: gzip
	ttlAttr       = "ttl"    // seconds since 1970 after which DynamoDB may remove it
)

const gzipped = "gzip"

type item = map[string]types.AttributeValue

// packFrom is how many bytes a body has before it is packed: DynamoDB counts a
// write by the KB, and a short one stays legible.
const packFrom = 4 << 10

// text encodes a part of a key as a string: each byte becomes the character of
// its number. So every byte may occur, as package store promises, the order of
// the strings (by their UTF-8) is that of the bytes, a prefix stays a prefix, and
// ASCII stays as it is. package store bounds keys so that they still fit.
func text(part string) string {
	var b strings.Builder
	b.Grow(len(part))
	for i := range len(part) {
		b.WriteRune(rune(part[i]))
	}
	return b.String()
}

// part undoes text.
func part(text string) (string, error) {
	b := make([]byte, 0, len(text))
	for _, r := range text {
		if r > 0xff {
			return "", fmt.Errorf("key %q is not one of weir's", text)
		}
		b = append(b, byte(r))
	}
	return string(b), nil
}

func encodeKey(k store.Key) item {
	return item{
		partitionAttr: &types.AttributeValueMemberS{Value: text(k.Partition)},
		sortAttr:      &types.AttributeValueMemberS{Value: text(k.Sort)},
	}
}

func number(n int64) types.AttributeValue {
	return &types.AttributeValueMemberN{Value: strconv.FormatInt(n, 10)}
}

// encode returns the item of a record.
func (s *Store) encode(r store.Record) (item, error) {
	it := encodeKey(r.Key)
	it[versionAttr] = number(int64(r.Version))
	body := append([]byte{}, r.Body...) // never nil, which would be no value
	if len(body) >= packFrom {
		packed, err := pack(body)
		if err != nil {
			return nil, fmt.Errorf("pack %s: %w", r.Key, err)
		}
		if len(packed) < len(body) {
			body = packed
			it[packedAttr] = &types.AttributeValueMemberS{Value: gzipped}
		}
	}
	it[bodyAttr] = &types.AttributeValueMemberB{Value: body}
	if life, ok := s.ttl[r.Key.Partition]; ok {
		it[ttlAttr] = number(time.Now().Add(life).Unix())
	}
	return it, nil
}

// decode returns the record of an item.
func decode(it item) (store.Record, error) {
	var r store.Record
	p, isP := it[partitionAttr].(*types.AttributeValueMemberS)
	k, isK := it[sortAttr].(*types.AttributeValueMemberS)
	if !isP || !isK {
		return r, fmt.Errorf("an item without keys: %v", it)
	}
	var err error
	if r.Key.Partition, err = part(p.Value); err != nil {
		return r, err
	}
	if r.Key.Sort, err = part(k.Value); err != nil {
		return r, err
	}
	v, isV := it[versionAttr].(*types.AttributeValueMemberN)
	b, isB := it[bodyAttr].(*types.AttributeValueMemberB)
	if !isV || !isB {
		return r, fmt.Errorf("item %s was not written by weir", r.Key)
	}
	version, err := strconv.ParseInt(v.Value, 10, 64)
	if err != nil || version <= 0 {
		return r, fmt.Errorf("item %s has version %q", r.Key, v.Value)
	}
	r.Version, r.Body = store.Version(version), b.Value
	if how, ok := it[packedAttr].(*types.AttributeValueMemberS); ok {
		if how.Value != gzipped {
			return r, fmt.Errorf("item %s is packed by %q, which this weir does not know", r.Key, how.Value)
		}
		if r.Body, err = unpack(b.Value); err != nil {
			return r, fmt.Errorf("unpack item %s: %w", r.Key, err)
		}
	}
	return r, nil
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

func unpack(packed []byte) ([]byte, error) {
	r, err := gzip.NewReader(bytes.NewReader(packed))
	if err != nil {
		return nil, err
	}
	body, err := io.ReadAll(io.LimitReader(r, store.MaxBody+1))
	if err == nil && len(body) > store.MaxBody {
		err = fmt.Errorf("more than %d bytes", store.MaxBody)
	}
	return body, err
}
