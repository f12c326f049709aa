package dynamo

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"

	"weir/store"
)

// Get implements store.Store.
func (s *Store) Get(ctx context.Context, keys ...store.Key) ([]store.Record, error) {
	if err := store.ValidateKeys(keys); err != nil {
		return nil, err
	}
	if err := s.begin(ctx); err != nil {
		return nil, fmt.Errorf("get from store %s: %w", s.place, err)
	}
	if len(keys) == 0 {
		return []store.Record{}, nil
	}
	// A transaction may name an item once.
	place := make(map[store.Key]int, len(keys))
	var distinct []store.Key
	for _, k := range keys {
		if _, ok := place[k]; !ok {
			place[k] = len(distinct)
			distinct = append(distinct, k)
		}
	}
	found, err := s.moment(ctx, distinct)
	if err != nil {
		return nil, fmt.Errorf("get from store %s: %w", s.place, err)
	}
	records := make([]store.Record, len(keys))
	used := make([]bool, len(distinct))
	for i, k := range keys {
		at := place[k]
		records[i] = found[at]
		if used[at] { // each has its own copy
			records[i].Body = append([]byte{}, found[at].Body...)
		}
		used[at] = true
	}
	return records, nil
}

// moment reads records as they were at one moment.
func (s *Store) moment(ctx context.Context, keys []store.Key) ([]store.Record, error) {
	records, err := s.transactGet(ctx, keys)
	if _, ok := invalid(err); !ok || len(keys) == 1 {
		return records, err
	}
	// More than a transaction may read (4 MB). A version never comes back,
	// so if all are the same in two readings in a row, none changed between the
	// end of the first and the beginning of the second.
	before, err := s.gather(ctx, keys)
	if err != nil {
		return nil, err
	}
	for {
		now, err := s.gather(ctx, keys)
		if err != nil {
			return nil, err
		}
		same := true
		for i := range now {
			same = same && now[i].Version == before[i].Version
		}
		if same {
			return now, nil
		}
		before = now
	}
}

// gather reads records in as many transactions as it takes.
func (s *Store) gather(ctx context.Context, keys []store.Key) ([]store.Record, error) {
	records, err := s.transactGet(ctx, keys)
	if _, ok := invalid(err); !ok || len(keys) == 1 {
		return records, err
	}
	half := len(keys) / 2
	first, err := s.gather(ctx, keys[:half])
	if err != nil {
		return nil, err
	}
	second, err := s.gather(ctx, keys[half:])
	return append(first, second...), err
}

func (s *Store) transactGet(ctx context.Context, keys []store.Key) ([]store.Record, error) {
	items := make([]item, len(keys))
	err := s.read(ctx, func(ctx context.Context) error {
		if len(keys) == 1 { // at half the price
			out, err := s.client.GetItem(ctx, &dynamodb.GetItemInput{
				TableName: aws.String(s.place.table), Key: encodeKey(keys[0]), ConsistentRead: aws.Bool(true),
			})
			if err == nil {
				items[0] = out.Item
			}
			return err
		}
		gets := make([]types.TransactGetItem, len(keys))
		for i, k := range keys {
			gets[i].Get = &types.Get{TableName: aws.String(s.place.table), Key: encodeKey(k)}
		}
		out, err := s.client.TransactGetItems(ctx, &dynamodb.TransactGetItemsInput{TransactItems: gets})
		if err != nil {
			return err
		}
		if len(out.Responses) != len(keys) {
			return fmt.Errorf("DynamoDB answered %d items for %d keys", len(out.Responses), len(keys))
		}
		for i, r := range out.Responses {
			items[i] = r.Item
		}
		return nil
	})
	if err != nil {
		return nil, s.explain(err)
	}
	records := make([]store.Record, len(keys))
	for i, k := range keys {
		records[i].Key = k
		if len(items[i]) == 0 {
			continue
		}
		if records[i], err = decode(items[i]); err != nil {
			return nil, err
		}
	}
	return records, nil
}

// List implements store.Store. DynamoDB ends a page after 1 MB.
func (s *Store) List(ctx context.Context, partition, prefix string, page store.Page) ([]store.Record, string, error) {
	if err := store.ValidateList(partition, prefix, page); err != nil {
		return nil, "", err
	}
	err := s.begin(ctx)
	var records []store.Record
	next := ""
	// After the prefix there is nothing, and DynamoDB refuses to begin there.
	if err == nil && (page.After <= prefix || strings.HasPrefix(page.After, prefix)) {
		records, next, err = s.query(ctx, partition, prefix, page)
	}
	if err != nil {
		return nil, "", fmt.Errorf("list %s in store %s: %w", partition, s.place, err)
	}
	return records, next, nil
}

func (s *Store) query(ctx context.Context, partition, prefix string, page store.Page) ([]store.Record, string, error) {
	in := &dynamodb.QueryInput{
		TableName:              aws.String(s.place.table),
		ConsistentRead:         aws.Bool(true),
		KeyConditionExpression: aws.String("#p = :p"),
		ExpressionAttributeNames: map[string]string{
			"#p": partitionAttr,
		},
		ExpressionAttributeValues: item{":p": &types.AttributeValueMemberS{Value: text(partition)}},
	}
	if prefix != "" {
		in.KeyConditionExpression = aws.String("#p = :p AND begins_with(#s, :s)")
		in.ExpressionAttributeNames["#s"] = sortAttr
		in.ExpressionAttributeValues[":s"] = &types.AttributeValueMemberS{Value: text(prefix)}
	}
	if page.After != "" && page.After >= prefix {
		in.ExclusiveStartKey = encodeKey(store.Key{Partition: partition, Sort: page.After})
	}
	if page.Limit > 0 {
		in.Limit = aws.Int32(int32(min(page.Limit, 1000)) + 1) // one more shows whether there is one
	}
	var out *dynamodb.QueryOutput
	err := s.read(ctx, func(ctx context.Context) (err error) {
		out, err = s.client.Query(ctx, in)
		return err
	})
	if err != nil {
		return nil, "", s.explain(err)
	}
	records, err := decodeAll(out.Items)
	if err != nil {
		return nil, "", err
	}
	if in.Limit != nil && len(records) == int(*in.Limit) {
		records = records[:len(records)-1]
		return records, records[len(records)-1].Key.Sort, nil
	}
	if len(out.LastEvaluatedKey) > 0 && len(records) > 0 {
		return records, records[len(records)-1].Key.Sort, nil
	}
	return records, "", nil
}

func decodeAll(items []item) ([]store.Record, error) {
	records := make([]store.Record, len(items))
	for i, it := range items {
		var err error
		if records[i], err = decode(it); err != nil {
			return nil, err
		}
	}
	return records, nil
}

// Dump implements store.Dumper. It reads the whole table with Scan, which a
// running server has no need and no right to.
func (s *Store) Dump(ctx context.Context, yield func(store.Record) error) error {
	if err := s.begin(ctx); err != nil {
		return fmt.Errorf("read all of store %s: %w", s.place, err)
	}
	in := &dynamodb.ScanInput{TableName: aws.String(s.place.table), ConsistentRead: aws.Bool(true)}
	for {
		var out *dynamodb.ScanOutput
		err := s.read(ctx, func(ctx context.Context) (err error) {
			out, err = s.client.Scan(ctx, in)
			return err
		})
		var records []store.Record
		if err == nil {
			records, err = decodeAll(out.Items)
		}
		if err != nil {
			return fmt.Errorf("read all of store %s: %w", s.place, s.explain(err))
		}
		for _, r := range records {
			if err := yield(r); err != nil {
				return err
			}
		}
		if len(out.LastEvaluatedKey) == 0 {
			return nil
		}
		in.ExclusiveStartKey = out.LastEvaluatedKey
	}
}

// explain says what to do about errors that people meet.
func (s *Store) explain(err error) error {
	var missing *types.ResourceNotFoundException
	if errors.As(err, &missing) {
		return fmt.Errorf("%w: %w", s.noTable(), err)
	}
	return err
}
