package dynamo

import (
	"context"
	"crypto/rand"
	"encoding/binary"
	"errors"
	"fmt"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"

	"weir/store"
)

// Commit implements store.Store. A commit that was sent is asked after until
// its outcome is known: an answer that never came is resolved by the same request
// with the same token, which DynamoDB carries out once, and where that cannot
// tell by reading. That may take some seconds longer than ctx, and only where
// DynamoDB stays away is the outcome left open.
func (s *Store) Commit(ctx context.Context, writes ...store.Write) error {
	if err := store.ValidateWrites(writes); err != nil {
		return err
	}
	if err := s.begin(ctx); err != nil {
		return fmt.Errorf("commit to store %s: %w", s.place, err)
	}
	if len(writes) == 0 {
		return nil
	}
	t, err := s.transaction(writes)
	if err == nil {
		err = t.run(ctx)
	}
	if err == nil {
		s.probe.wrote()
		return nil
	}
	if store.IsConflict(err) {
		return err
	}
	if problem, ok := invalid(err); ok {
		return &store.InvalidError{Problem: problem}
	}
	s.probe.failed()
	return fmt.Errorf("commit to store %s: %w", s.place, s.explain(err))
}

// transaction is one commit on its way.
type transaction struct {
	s        *Store
	writes   []store.Write
	versions []store.Version // that this commit gives, and no other ever
	in       *dynamodb.TransactWriteItemsInput
}

func (s *Store) transaction(writes []store.Write) (*transaction, error) {
	t := &transaction{s: s, writes: writes, versions: make([]store.Version, len(writes))}
	items := make([]types.TransactWriteItem, len(writes))
	for i, w := range writes {
		condition := condition(w.Expect)
		switch w.Op {
		case store.Put:
			t.versions[i] = newVersion()
			it, err := s.encode(store.Record{Key: w.Key, Version: t.versions[i], Body: w.Body})
			if err != nil {
				return nil, err
			}
			items[i].Put = &types.Put{
				TableName: aws.String(s.place.table), Item: it,
				ConditionExpression: condition.expression, ExpressionAttributeNames: condition.names, ExpressionAttributeValues: condition.values,
				ReturnValuesOnConditionCheckFailure: types.ReturnValuesOnConditionCheckFailureAllOld,
			}
		case store.Delete:
			items[i].Delete = &types.Delete{
				TableName: aws.String(s.place.table), Key: encodeKey(w.Key),
				ConditionExpression: condition.expression, ExpressionAttributeNames: condition.names, ExpressionAttributeValues: condition.values,
				ReturnValuesOnConditionCheckFailure: types.ReturnValuesOnConditionCheckFailureAllOld,
			}
		case store.Check:
			items[i].ConditionCheck = &types.ConditionCheck{
				TableName: aws.String(s.place.table), Key: encodeKey(w.Key),
				ConditionExpression: condition.expression, ExpressionAttributeNames: condition.names, ExpressionAttributeValues: condition.values,
				ReturnValuesOnConditionCheckFailure: types.ReturnValuesOnConditionCheckFailureAllOld,
			}
		}
	}
	t.in = &dynamodb.TransactWriteItemsInput{TransactItems: items}
	return t, nil
}

type expectation struct {
	expression *string
	names      map[string]string
	values     item
}

func condition(expect store.Version) expectation {
	if expect == 0 {
		return expectation{expression: aws.String("attribute_not_exists(#k)"), names: map[string]string{"#k": partitionAttr}}
	}
	return expectation{
		expression: aws.String("#v = :v"),
		names:      map[string]string{"#v": versionAttr},
		values:     item{":v": number(int64(expect))},
	}
}

// newVersion returns a number that no record ever had: 63 random bits, never 0.
func newVersion() store.Version {
	var b [8]byte
	for {
		_, _ = rand.Read(b[:]) // never fails
		if v := binary.BigEndian.Uint64(b[:]) >> 1; v != 0 {
			return store.Version(v)
		}
	}
}

// run makes the transaction. It returns nil if it happened, a
// *store.ConflictError if it did not, and any other error as Commit does.
func (t *transaction) run(ctx context.Context) error {
	// What was sent is not taken back by cancelling: the requests have a
	// context of their own, which ends a little later.
	bound, cancel := context.WithTimeoutCause(context.WithoutCancel(ctx), patience, fmt.Errorf("gave up after %v", patience))
	defer cancel()
	defer context.AfterFunc(ctx, func() {
		late, stop := context.WithTimeout(bound, grace)
		defer stop()
		<-late.Done()
		cancel()
	})()

	doubt := false // whether an earlier attempt may have had its effect
	t.newToken()
	for n := 0; ; n++ {
		err := t.s.once(bound, func(ctx context.Context) error {
			_, err := t.s.client.TransactWriteItems(ctx, t.in)
			return err
		})
		if err == nil {
			return nil
		}
		conflicts, malformed := t.conflicts(err)
		if malformed != nil {
			return malformed
		}
		if conflicts != nil {
			if doubt && t.wrote(conflicts) {
				return nil
			}
			return t.conflict(bound, conflicts)
		}
		switch judge(err) {
		case never:
			if doubt {
				return t.settle(ctx, err)
			}
			return err
		case again:
			if !doubt {
				// This one has certainly not happened. Whatever
				// DynamoDB keeps of its token is not asked for.
				t.newToken()
			}
		case open:
			doubt = true
		}
		if !doubt && ctx.Err() != nil {
			return fmt.Errorf("%w; the last attempt: %w", context.Cause(ctx), err)
		}
		if err := rest(bound, n, err); err != nil {
			if doubt {
				return t.settle(ctx, err)
			}
			return err
		}
	}
}

func (t *transaction) newToken() { t.in.ClientRequestToken = aws.String(rand.Text()) }

// conflicts returns the records whose conditions failed, nil if err is of
// another kind.
func (t *transaction) conflicts(err error) ([]store.Record, error) {
	var cancelled *types.TransactionCanceledException
	if !errors.As(err, &cancelled) {
		return nil, nil
	}
	var conflicts []store.Record
	for i, reason := range cancelled.CancellationReasons {
		if aws.ToString(reason.Code) != "ConditionalCheckFailed" || i >= len(t.writes) {
			continue
		}
		r := store.Record{Key: t.writes[i].Key}
		if len(reason.Item) > 0 {
			var err error
			if r, err = decode(reason.Item); err != nil {
				return nil, err
			}
		}
		conflicts = append(conflicts, r)
	}
	return conflicts, nil
}

// conflict returns the *store.ConflictError of records that are in the way. A
// record that is said to exist and did not come along is read.
func (t *transaction) conflict(ctx context.Context, conflicts []store.Record) error {
	expect := make(map[store.Key]store.Version, len(t.writes))
	for _, w := range t.writes {
		expect[w.Key] = w.Expect
	}
	for i, r := range conflicts {
		if r.Version != 0 || expect[r.Key] != 0 {
			continue
		}
		now, err := t.s.transactGet(ctx, []store.Key{r.Key})
		if err != nil {
			return err
		}
		conflicts[i] = now[0]
	}
	return &store.ConflictError{Conflicts: conflicts}
}

// wrote reports whether one of records is as this very commit wrote it.
func (t *transaction) wrote(records []store.Record) bool {
	given := make(map[store.Key]store.Version, len(t.writes))
	for i, w := range t.writes {
		given[w.Key] = t.versions[i]
	}
	for _, r := range records {
		if r.Version != 0 && r.Version == given[r.Key] {
			return true
		}
	}
	return false
}

// settle reads whether a commit in doubt has happened. If it cannot be seen,
// that proves nothing: the answer stays cause, which leaves it open.
func (t *transaction) settle(ctx context.Context, cause error) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), grace)
	defer cancel()
	keys := make([]store.Key, len(t.writes))
	for i, w := range t.writes {
		keys[i] = w.Key
	}
	records, err := t.s.gather(ctx, keys)
	if err != nil {
		return fmt.Errorf("whether it happened is not known: %w (and reading it: %w)", cause, err)
	}
	if t.wrote(records) {
		return nil
	}
	return fmt.Errorf("whether it happened is not known: %w", cause)
}
