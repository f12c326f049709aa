package dynamo

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"

	"weir/store"
)

// probeEvery is how long the answer of Ready is good for.
const probeEvery = time.Second

// probe remembers when writing was last seen to work or to fail.
type probe struct {
	lastWrite *atomic.Int64 // unix nanoseconds of the last write that succeeded
	turn      chan struct{} // held by the one who tries
	failedAt  time.Time     // of the last try that failed; belongs to the holder of turn
	failure   error         // what it failed on; belongs to the holder of turn
}

func newProbe() probe { return probe{lastWrite: new(atomic.Int64), turn: make(chan struct{}, 1)} }

func (p *probe) wrote()  { p.lastWrite.Store(time.Now().UnixNano()) }
func (p *probe) failed() { p.lastWrite.Store(0) }

// probeKey is of no record that weir keeps.
var probeKey = store.Key{Partition: "probe", Sort: "probe"}

// Ready writes to the table and says what came of it. It does so at most once
// a second, and not at all if a commit has succeeded within that time. What it
// writes is a delete of a record on the condition that there is none: DynamoDB
// has to accept it as any write, and nothing is left.
func (s *Store) Ready(ctx context.Context) error {
	if err := s.ready(ctx); err != nil {
		return fmt.Errorf("store %s cannot be written: %w", s.place, s.explain(err))
	}
	return nil
}

func (s *Store) ready(ctx context.Context) error {
	if err := s.begin(ctx); err != nil {
		return err
	}
	if s.fresh() {
		return nil
	}
	select {
	case s.probe.turn <- struct{}{}:
		defer func() { <-s.probe.turn }()
	case <-ctx.Done():
		return context.Cause(ctx)
	}
	if s.fresh() {
		return nil // whoever had the turn before has succeeded
	}
	if time.Since(s.probe.failedAt) < probeEvery {
		return s.probe.failure
	}
	err := s.tryWrite(ctx)
	switch {
	case err == nil:
		s.probe.wrote()
	case ctx.Err() == nil:
		s.probe.failedAt, s.probe.failure = time.Now(), err
	}
	return err
}

func (s *Store) fresh() bool {
	age := time.Since(time.Unix(0, s.probe.lastWrite.Load()))
	return age >= 0 && age < probeEvery
}

func (s *Store) tryWrite(ctx context.Context) error {
	ctx, cancel := context.WithTimeoutCause(ctx, attemptTime, fmt.Errorf("no answer within %v", attemptTime))
	defer cancel()
	return s.read(ctx, func(ctx context.Context) error {
		_, err := s.client.DeleteItem(ctx, &dynamodb.DeleteItemInput{
			TableName: aws.String(s.place.table), Key: encodeKey(probeKey),
			ConditionExpression:      aws.String("attribute_not_exists(#k)"),
			ExpressionAttributeNames: map[string]string{"#k": partitionAttr},
		})
		if failed := new(types.ConditionalCheckFailedException); errors.As(err, &failed) {
			return nil // there is one, and the table was ready to say so
		}
		return err
	})
}
