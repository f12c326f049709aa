package integration

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"net/url"
	"testing"

	"weir/integration/services"
	"weir/locks"
	"weir/store/dynamo"
)

// TestUnlockingByHand: docs/operations.md says which row to read and what to
// write in it, for the day on which weir itself does not start any more.
func TestUnlockingByHand(t *testing.T) {
	t.Parallel()
	ctx := t.Context()
	server := services.Dynamo(t)
	name := ownName("by-hand")
	table := "dynamodb://" + name + "?region=eu-west-1&endpoint=" + url.QueryEscape(server)
	if err := dynamo.Init(ctx, table); err != nil {
		t.Fatal(err)
	}
	open := func() *locks.Locks {
		s, err := dynamo.Open(ctx, table)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = s.Close() })
		return &locks.Locks{Store: s}
	}
	key := locks.Key{Dir: "prod", Workspace: "default"}
	before := open()
	if _, err := before.Acquire(ctx, repo, 7, []locks.Want{{Key: key}}); err != nil {
		t.Fatal(err)
	}
	held, err := before.Get(ctx, repo, []locks.Key{key})
	if err != nil {
		t.Fatal(err)
	}

	type value struct {
		S string `json:",omitempty"`
		N string `json:",omitempty"`
		B string `json:",omitempty"`
	}
	var found struct{ Items []map[string]value }
	answer := awsCall(t, server, "dynamodb", "DynamoDB_20120810.Query", fmt.Sprintf(`{"TableName": %q, "ConsistentRead": true,
		"KeyConditionExpression": "pk = :p", "ExpressionAttributeValues": {":p": {"S": "locks/acme/infra"}}}`, name))
	if err := json.Unmarshal([]byte(answer), &found); err != nil {
		t.Fatal(err)
	}
	for _, item := range found.Items {
		if item["sk"].S != "pprod\x00default" {
			continue
		}
		text, err := base64.StdEncoding.DecodeString(item["body"].B)
		var body map[string]any
		if err != nil || json.Unmarshal(text, &body) != nil {
			t.Fatalf("the body is %q, %v", text, err)
		}
		epoch, ok := body["epoch"].(float64)
		if !ok || body["owner"] != float64(7) {
			t.Fatalf("the body is %s", text)
		}
		body["owner"], body["epoch"] = 0, epoch+1
		changed, err := json.Marshal(body)
		if err != nil {
			t.Fatal(err)
		}
		item["body"], item["version"] = value{B: base64.StdEncoding.EncodeToString(changed)}, value{N: "1"}
		row, err := json.Marshal(item)
		if err != nil {
			t.Fatal(err)
		}
		awsCall(t, server, "dynamodb", "DynamoDB_20120810.PutItem", fmt.Sprintf(`{"TableName": %q, "Item": %s}`, name, row))
	}

	after := open()
	if left, err := after.List(ctx, repo); err != nil || len(left) != 0 {
		t.Errorf("after the lock was freed by hand: %v, %v", left, err)
	}
	if _, err := after.Acquire(ctx, repo, 8, []locks.Want{{Key: key}}); err != nil {
		t.Fatal(err)
	}
	got, err := after.Get(ctx, repo, []locks.Key{key})
	if err != nil {
		t.Fatal(err)
	}
	if got[0].Owner != 8 || got[0].Epoch <= held[0].Epoch+1 {
		t.Errorf("taken again: %+v, want the owner 8 and an epoch above %d", got[0], held[0].Epoch+1)
	}
}
