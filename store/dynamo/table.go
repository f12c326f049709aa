package dynamo

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"
	"github.com/aws/smithy-go"
)

// Waiting for a new table, which takes some seconds on AWS.
const (
	createTime = 5 * time.Minute
	lookEvery  = 500 * time.Millisecond
)

// Init makes the table of a URL, as Open takes it, and waits until it can be
// used: on demand, with deletion protection, point-in-time recovery and the time to
// live that TTL uses. A table that is there already is left as it is, so that
// Init may be called again and by several at once; one with other keys is an
// error.
func Init(ctx context.Context, rawURL string) error {
	s, err := connect(ctx, rawURL)
	if err != nil {
		return fmt.Errorf("make store: %w", err)
	}
	defer s.transport.CloseIdleConnections()
	ctx, cancel := context.WithTimeoutCause(ctx, createTime, fmt.Errorf("not ready after %v", createTime))
	defer cancel()
	if err := s.create(ctx); err != nil {
		return fmt.Errorf("make store %s: %w", s.place, err)
	}
	return nil
}

func (s *Store) create(ctx context.Context) error {
	table, err := s.describe(ctx)
	switch missing := new(types.ResourceNotFoundException); {
	case err == nil:
		return s.await(ctx, table)
	case !errors.As(err, &missing):
		return err
	}
	_, err = s.client.CreateTable(ctx, &dynamodb.CreateTableInput{
		TableName: aws.String(s.place.table),
		AttributeDefinitions: []types.AttributeDefinition{
			{AttributeName: aws.String(partitionAttr), AttributeType: types.ScalarAttributeTypeS},
			{AttributeName: aws.String(sortAttr), AttributeType: types.ScalarAttributeTypeS},
		},
		KeySchema: []types.KeySchemaElement{
			{AttributeName: aws.String(partitionAttr), KeyType: types.KeyTypeHash},
			{AttributeName: aws.String(sortAttr), KeyType: types.KeyTypeRange},
		},
		BillingMode:               types.BillingModePayPerRequest,
		DeletionProtectionEnabled: aws.Bool(true),
	})
	others := false // whether somebody else makes it now
	if err != nil {
		inUse := new(types.ResourceInUseException)
		if others = errors.As(err, &inUse); !others {
			return err
		}
	}
	if table, err = s.describe(ctx); err != nil {
		return err
	}
	if err := s.await(ctx, table); err != nil || others {
		return err
	}
	return s.protect(ctx)
}

// protect turns on what only a table that is ready takes.
func (s *Store) protect(ctx context.Context) error {
	_, err := s.client.UpdateTimeToLive(ctx, &dynamodb.UpdateTimeToLiveInput{
		TableName:               aws.String(s.place.table),
		TimeToLiveSpecification: &types.TimeToLiveSpecification{AttributeName: aws.String(ttlAttr), Enabled: aws.Bool(true)},
	})
	if err != nil {
		return fmt.Errorf("the table is made, but its time to live is not turned on: %w", err)
	}
	_, err = s.client.UpdateContinuousBackups(ctx, &dynamodb.UpdateContinuousBackupsInput{
		TableName:                        aws.String(s.place.table),
		PointInTimeRecoverySpecification: &types.PointInTimeRecoverySpecification{PointInTimeRecoveryEnabled: aws.Bool(true)},
	})
	var api smithy.APIError
	if errors.As(err, &api) && api.ErrorCode() == "UnknownOperationException" {
		return nil // DynamoDB Local has no backups
	}
	if err != nil {
		return fmt.Errorf("the table is made, but its point-in-time recovery is not turned on: %w", err)
	}
	return nil
}

// await waits until a table can be used.
func (s *Store) await(ctx context.Context, table *types.TableDescription) error {
	for {
		err := check(table)
		creating := new(creatingError)
		if !errors.As(err, &creating) {
			return err
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("%w: %w", context.Cause(ctx), err)
		case <-time.After(lookEvery):
		}
		if table, err = s.describe(ctx); err != nil {
			return err
		}
	}
}

// usable says whether the table is there and one of weir's.
func (s *Store) usable(ctx context.Context) error {
	table, err := s.describe(ctx)
	if err != nil {
		return s.explain(err)
	}
	return check(table)
}

func (s *Store) describe(ctx context.Context) (*types.TableDescription, error) {
	var out *dynamodb.DescribeTableOutput
	err := s.read(ctx, func(ctx context.Context) (err error) {
		out, err = s.client.DescribeTable(ctx, &dynamodb.DescribeTableInput{TableName: aws.String(s.place.table)})
		return err
	})
	if err != nil {
		return nil, err
	}
	return out.Table, nil
}

// noTable is what is said where there is no table.
func (s *Store) noTable() error {
	return fmt.Errorf("there is no table %q in %s: make it with weir store init, or with the Terraform module in deploy/aws", s.place.table, s.place.region)
}

type creatingError struct{ status types.TableStatus }

func (e *creatingError) Error() string {
	return fmt.Sprintf("the table is %s, not yet ACTIVE", e.status)
}

// check says what is wrong with a table.
func check(table *types.TableDescription) error {
	kinds := map[string]types.ScalarAttributeType{}
	for _, a := range table.AttributeDefinitions {
		kinds[aws.ToString(a.AttributeName)] = a.AttributeType
	}
	keys := ""
	for _, k := range table.KeySchema {
		name := aws.ToString(k.AttributeName)
		keys += fmt.Sprintf(" %s %s (%s)", k.KeyType, name, kinds[name])
	}
	if want := fmt.Sprintf(" HASH %s (S) RANGE %s (S)", partitionAttr, sortAttr); keys != want {
		return fmt.Errorf("the table is of something else: its keys are%s, those of weir's are%s", keys, want)
	}
	switch table.TableStatus {
	case types.TableStatusActive, types.TableStatusUpdating:
		return nil
	case types.TableStatusCreating:
		return &creatingError{status: table.TableStatus}
	}
	return fmt.Errorf("the table is %s", table.TableStatus)
}
