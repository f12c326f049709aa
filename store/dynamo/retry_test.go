package dynamo

import (
	"errors"
	"io"
	"net/http"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"
	"github.com/aws/smithy-go"
	smithyhttp "github.com/aws/smithy-go/transport/http"
)

func cancelled(codes ...string) error {
	e := &types.TransactionCanceledException{}
	for _, c := range codes {
		e.CancellationReasons = append(e.CancellationReasons, types.CancellationReason{Code: aws.String(c)})
	}
	return e
}

func answered(status int, err error) error {
	return &smithyhttp.ResponseError{Response: &smithyhttp.Response{Response: &http.Response{StatusCode: status}}, Err: err}
}

func TestJudge(t *testing.T) {
	for _, tt := range []struct {
		name string
		err  error
		want verdict
	}{
		{"only conflicts", cancelled("None", "TransactionConflict"), again},
		{"conflict and throttling", cancelled("TransactionConflict", "ThrottlingError", "ProvisionedThroughputExceeded"), again},
		{"a condition among conflicts", cancelled("TransactionConflict", "ConditionalCheckFailed"), never},
		{"too large", cancelled("ItemCollectionSizeLimitExceeded", "TransactionConflict"), never},
		{"invalid", cancelled("ValidationError"), never},
		{"a reason of tomorrow", cancelled("None", "Whatever"), never},
		{"throttled", answered(400, &types.ThrottlingException{}), again},
		{"capacity", answered(400, &types.ProvisionedThroughputExceededException{}), again},
		{"an earlier attempt still runs", answered(400, &types.TransactionInProgressException{}), again},
		{"another token", answered(400, &types.IdempotentParameterMismatchException{}), never},
		{"no table", answered(400, &types.ResourceNotFoundException{}), never},
		{"no right", answered(400, &smithy.GenericAPIError{Code: "AccessDeniedException"}), never},
		{"their error", answered(500, &types.InternalServerError{}), open},
		{"unavailable", answered(503, &smithy.GenericAPIError{Code: "ServiceUnavailable"}), open},
		{"an answer of a proxy", answered(502, errors.New("not JSON")), open},
		{"cut", io.ErrUnexpectedEOF, open},
		{"never sent", &unsentError{cause: io.EOF}, again},
	} {
		if got := judge(tt.err); got != tt.want {
			t.Errorf("%s: got %d, want %d", tt.name, got, tt.want)
		}
	}
}

func TestTextOfKeys(t *testing.T) {
	every := ""
	for i := range 256 {
		every += string([]byte{byte(i)})
	}
	if got, err := part(text(every)); err != nil || got != every {
		t.Errorf("every byte: got %q, %v", got, err)
	}
	if got, err := part("日"); err == nil {
		t.Errorf("a character that no byte becomes: got %q", got)
	}
}
