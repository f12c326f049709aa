package cloudtrail

import (
	"encoding/json"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/cloudtrail/types"
)

func sent(t *testing.T, changes map[string]any) types.Event {
	t.Helper()
	w := recorded(t, "console", time.Date(2026, 3, 2, 10, 0, 0, 0, time.UTC), changes)
	return types.Event{
		EventId: &w.EventId, EventName: &w.EventName, EventSource: &w.EventSource, EventTime: aws.Time(time.Unix(int64(w.EventTime), 0)),
		CloudTrailEvent: &w.CloudTrailEvent,
	}
}

func TestEventsThatChangedNothing(t *testing.T) {
	t.Parallel()
	noID, noTime, broken := sent(t, nil), sent(t, nil), sent(t, nil)
	noID.EventId, noTime.EventTime, broken.CloudTrailEvent = nil, nil, aws.String(`{"eventName": `)
	read := sent(t, map[string]any{"readOnly": nil})
	read.ReadOnly = aws.String("true")
	for name, e := range map[string]types.Event{
		"a read":             sent(t, map[string]any{"readOnly": true}),
		"a read, as a word":  sent(t, map[string]any{"readOnly": "true"}),
		"a read, said apart": read,
		"a call that failed": sent(t, map[string]any{"errorCode": "Client.UnauthorizedOperation"}),
		"a trial":            sent(t, map[string]any{"errorCode": "Client.DryRunOperation"}),
		"a sign-in":          sent(t, map[string]any{"eventType": "AwsConsoleSignIn"}),
		"no id":              noID,
		"no time":            noTime,
		"half a record":      broken,
		"nothing":            {},
	} {
		if got, ok := parse(e); ok {
			t.Errorf("%s: %+v", name, got)
		}
	}
	if _, ok := parse(sent(t, nil)); !ok {
		t.Error("the event that they are made from does not count")
	}
}

func TestWhoAndHow(t *testing.T) {
	t.Parallel()
	tests := []struct{ name, record, who, how string }{
		{"a user by the command line", `{"userIdentity": {"type": "IAMUser", "userName": "carol"}, "userAgent": "aws-cli/1.3.23 Python/2.7.6 Linux/2.6.18-164.el5"}`, "user carol", "cli"},
		{"the console's shell", `{"userIdentity": {"type": "IAMUser", "userName": "carol"}, "userAgent": "aws-cli/2.31.6 exec-env/CloudShell", "sessionCredentialFromConsole": "true"}`, "user carol", "cli"},
		{"a user without a name", `{"userIdentity": {"type": "IAMUser", "arn": "arn:aws:iam::1:user/ops/carol"}, "userAgent": "signin.amazonaws.com"}`, "user carol", "console"},
		{"the old console of S3", `{"userIdentity": {"type": "IAMUser", "userName": "carol"}, "userAgent": "[S3Console/0.4, aws-internal/3 aws-sdk-java/1.11.1030 Linux/5.4]"}`, "user carol", "console"},
		{"the console of a service", `{"userIdentity": {"type": "IAMUser", "userName": "carol"}, "userAgent": "console.ec2.amazonaws.com"}`, "user carol", "console"},
		{"the console says it itself", `{"userIdentity": {"type": "IAMUser", "userName": "carol", "invokedBy": "AWS Internal"}, "userAgent": "AWS Internal", "sessionCredentialFromConsole": true}`, "user carol", "console"},
		{"a source identity", `{"userIdentity": {"type": "AssumedRole", "arn": "arn:aws:sts::1:assumed-role/admin/x1", "sessionContext": {"sourceIdentity": "erin", "sessionIssuer": {"userName": "admin"}}}, "userAgent": "aws-sdk-go-v2/1.39.2"}`, "erin as role admin", "sdk"},
		{"a service for itself", `{"userIdentity": {"type": "AWSService", "invokedBy": "rds.amazonaws.com"}, "userAgent": "rds.amazonaws.com"}`, "rds.amazonaws.com", "service"},
		{"an event of a service", `{"eventType": "AwsServiceEvent", "userIdentity": {"accountId": "1", "invokedBy": "kms.amazonaws.com"}}`, "somebody, through kms.amazonaws.com", "service"},
		{"another account", `{"userIdentity": {"type": "AWSAccount", "accountId": "444455556666"}}`, "somebody of account 444455556666", "sdk"},
		{"Identity Center", `{"userIdentity": {"type": "IdentityCenterUser", "onBehalfOf": {"userId": "u-1"}}}`, "Identity Center user u-1", "sdk"},
		{"a web identity", `{"userIdentity": {"type": "WebIdentityUser", "userName": "u"}}`, "user u", "sdk"},
		{"a federated user", `{"userIdentity": {"type": "FederatedUser", "arn": "arn:aws:sts::1:federated-user/frank", "sessionContext": {"sessionIssuer": {"userName": "broker"}}}}`, "frank as user broker", "sdk"},
		{"OpenTofu", `{"userIdentity": {"type": "IAMUser", "userName": "carol"}, "userAgent": "OpenTofu/1.10.5 (+https://opentofu.org)"}`, "user carol", "terraform"},
		{"something new", `{"userIdentity": {"type": "Martian"}}`, "Martian", "sdk"},
		{"nobody", `{}`, "somebody", "sdk"},
		{"a name that breaks lines", `{"userIdentity": {"type": "IAMUser", "userName": "a\nb\u0000\u202ec"}}`, "user a b c", "sdk"},
		{"a long name", `{"userIdentity": {"type": "IAMUser", "userName": "` + strings.Repeat("x", 500) + `"}}`, "user " + strings.Repeat("x", 195) + "…", "sdk"},
	}
	for _, tt := range tests {
		var r record
		if err := json.Unmarshal([]byte(tt.record), &r); err != nil {
			t.Fatalf("%s: %v", tt.name, err)
		}
		if who, how := r.who(), r.how(); who != tt.who || how != tt.how {
			t.Errorf("%s: %q by %s, want %q by %s", tt.name, who, how, tt.who, tt.how)
		}
	}
}

// An event is what others wrote: none brings weir down.
func FuzzParse(f *testing.F) {
	f.Add(`{"eventName": "PutRolePolicy", "userIdentity": {"type": "AssumedRole"}, "requestParameters": {"policyName": ["x", 1], "key": {"key": null}}}`)
	f.Add(`{"eventName": "v20150331v", "requestParameters": [[{"attributeName": "Policy"}]]}`)
	f.Fuzz(func(t *testing.T, text string) {
		e, _ := parse(types.Event{EventId: aws.String("1"), EventTime: aws.Time(time.Unix(1, 0)), CloudTrailEvent: &text})
		weigh(ingress(), group(), e)
	})
}
