package cloudtrail

import (
	"context"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"weir/drift/finding"
)

const sg = "sg-0a1b2c3d4e5f60718"

func group() Resource {
	return Identify("aws_security_group", map[string]any{
		"id": sg, "arn": "arn:aws:ec2:eu-west-1:111122223333:security-group/" + sg, "name": "web", "owner_id": "111122223333",
	})
}

func ingress() finding.Finding {
	return finding.Finding{Address: "aws_security_group.web", Type: "aws_security_group", Attribute: "ingress", Kind: finding.Changed}
}

// about is a question about one resource since yesterday.
func about(f finding.Finding, r Resource) Question {
	return Question{
		Findings: []finding.Finding{f}, Resources: map[string]Resource{f.Address: r},
		Since: time.Now().Add(-24 * time.Hour),
	}
}

func ago(d time.Duration) time.Time { return time.Now().Add(-d).Truncate(time.Second) }

func TestWho(t *testing.T) {
	t.Parallel()
	noon := ago(2 * time.Hour)
	find := func(address, attribute string, kind finding.Kind) finding.Finding {
		typ, _, _ := strings.Cut(address, ".")
		return finding.Finding{Address: address, Type: typ, Attribute: attribute, Kind: kind}
	}
	tests := []struct {
		name   string
		event  string
		about  finding.Finding
		values map[string]any
		want   finding.By
		region string
	}{
		{
			"a rule in the console, with a role of Identity Center", "console", ingress(),
			map[string]any{"id": sg, "arn": "arn:aws:ec2:eu-west-1:111122223333:security-group/" + sg},
			finding.By{Who: "alice@example.com as role AWSReservedSSO_AdministratorAccess_0123456789abcdef", How: "console", What: "AuthorizeSecurityGroupIngress", EventID: "0c5f8a10-0000-4000-8000-000000000001", Sure: "certain"},
			"eu-west-1",
		},
		{
			"public access on the command line", "cli",
			find("aws_s3_bucket_public_access_block.invoices", "block_public_acls", finding.Changed),
			map[string]any{"id": "acme-invoices", "bucket": "acme-invoices"},
			finding.By{Who: "bob@example.com as role AWSReservedSSO_PowerUser_fedcba9876543210", How: "cli", What: "PutBucketPublicAccessBlock", EventID: "0c5f8a10-0000-4000-8000-000000000002", Sure: "certain"},
			"eu-west-1",
		},
		{
			"a database by a program, the attribute named", "sdk",
			find("aws_db_instance.orders", "deletion_protection", finding.Changed),
			map[string]any{"id": "db-EXAMPLE", "identifier": "orders", "arn": "arn:aws:rds:eu-west-1:111122223333:db:orders"},
			finding.By{Who: "nightly as role cost-saver", How: "sdk", What: "ModifyDBInstance", EventID: "0c5f8a10-0000-4000-8000-000000000003", Sure: "certain"},
			"eu-west-1",
		},
		{
			"a database by a program, another attribute", "sdk",
			find("aws_db_instance.orders", "backup_retention_period", finding.Changed),
			map[string]any{"id": "db-EXAMPLE", "identifier": "orders", "arn": "arn:aws:rds:eu-west-1:111122223333:db:orders"},
			finding.By{Who: "nightly as role cost-saver", How: "sdk", What: "ModifyDBInstance", EventID: "0c5f8a10-0000-4000-8000-000000000003", Sure: "likely"},
			"eu-west-1",
		},
		{
			"a service of AWS, by itself", "service",
			find("aws_autoscaling_group.web", "desired_capacity", finding.Changed),
			map[string]any{"id": "web", "name": "web", "arn": "arn:aws:autoscaling:eu-west-1:111122223333:autoScalingGroup:1:autoScalingGroupName/web"},
			finding.By{Who: "AutoScaling-UpdateDesiredCapacity as role AWSServiceRoleForApplicationAutoScaling, through autoscaling.amazonaws.com", How: "service", What: "SetDesiredCapacity", EventID: "0c5f8a10-0000-4000-8000-000000000004", Sure: "certain"},
			"eu-west-1",
		},
		{
			"the root user", "root",
			find("aws_cloudtrail.main", "enable_logging", finding.Changed),
			map[string]any{"id": "main", "name": "main", "arn": "arn:aws:cloudtrail:eu-west-1:111122223333:trail/main"},
			finding.By{Who: "the root user of 111122223333", How: "console", What: "StopLogging", EventID: "0c5f8a10-0000-4000-8000-000000000005", Sure: "certain"},
			"eu-west-1",
		},
		{
			"somebody's own Terraform, a role in Virginia", "user",
			find("aws_iam_role.deploy", "managed_policy_arns", finding.Changed),
			map[string]any{"id": "deploy", "name": "deploy", "arn": "arn:aws:iam::111122223333:role/deploy"},
			finding.By{Who: "user carol", How: "terraform", What: "AttachRolePolicy", EventID: "0c5f8a10-0000-4000-8000-000000000007", Sure: "certain"},
			"us-east-1",
		},
		{
			"an attachment, told by its policy", "user",
			find("aws_iam_role_policy_attachment.deploy", "", finding.Changed),
			map[string]any{"id": "deploy-2026", "role": "deploy", "policy_arn": "arn:aws:iam::aws:policy/AdministratorAccess"},
			finding.By{Who: "user carol", How: "terraform", What: "AttachRolePolicy", EventID: "0c5f8a10-0000-4000-8000-000000000007", Sure: "certain"},
			"us-east-1",
		},
		{
			"a stack, on somebody's behalf", "stack",
			find("aws_sqs_queue.jobs", "visibility_timeout_seconds", finding.Changed),
			map[string]any{"id": "https://sqs.eu-west-1.amazonaws.com/111122223333/jobs", "arn": "arn:aws:sqs:eu-west-1:111122223333:jobs"},
			finding.By{Who: "user dave, through cloudformation.amazonaws.com", How: "service", What: "SetQueueAttributes", EventID: "0c5f8a10-0000-4000-8000-000000000008", Sure: "likely"},
			"eu-west-1",
		},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			f := &fake{regions: map[string][]wire{tt.region: {recorded(t, tt.event, noon, nil)}}}
			got := trail(t, f, Options{}).Who(t.Context(), about(tt.about, Identify(tt.about.Type, tt.values)))
			tt.want.When = noon.UTC()
			want := Answers{By: map[finding.Key]finding.By{tt.about.Key(): tt.want}, Unknown: map[finding.Key]string{}}
			if diff := cmp.Diff(want, got, cmpopts.IgnoreUnexported(Answers{})); diff != "" {
				t.Errorf("answers (-want +got):\n%s", diff)
			}
			for _, r := range f.requests() {
				if r.LookupAttributes[0].AttributeKey != "ResourceName" || r.Region != tt.region || r.MaxResults != 50 || len(r.LookupAttributes) != 1 {
					t.Errorf("request %+v", r)
				}
			}
		})
	}
}

// What a call was sent may hold passwords: no answer and nothing that is kept
// has any of it.
func TestNothingSecretIsKept(t *testing.T) {
	t.Parallel()
	f := &fake{events: []wire{recorded(t, "sdk", ago(time.Hour), nil)}}
	tr := trail(t, f, Options{})
	about := about(finding.Finding{Address: "aws_db_instance.orders", Type: "aws_db_instance", Attribute: "instance_class", Kind: finding.Changed},
		Identify("aws_db_instance", map[string]any{"identifier": "orders"}))
	got := tr.Who(t.Context(), about)
	if len(got.By) != 1 {
		t.Fatalf("answers %+v, want one", got)
	}
	if all := fmt.Sprintf("%+v %+v", got, tr.cache.kept); strings.Contains(all, "hunter2") || strings.Contains(all, "db.t4g.small") {
		t.Errorf("values of parameters are kept: %s", all)
	}
}

func TestWeirIsLeftOut(t *testing.T) {
	t.Parallel()
	weir := func(changes map[string]any) wire { return recorded(t, "weir", ago(time.Hour), changes) }
	tests := []struct {
		name    string
		event   wire
		own     []string
		denySTS bool
		want    string // who; "": nobody
	}{
		{"another session of its own role", weir(nil), nil, false, ""},
		{"its own role, but in the console", weir(map[string]any{"sessionCredentialFromConsole": "true", "userAgent": "Mozilla/5.0"}), nil, false, "i-0123456789abcdef0 as role weir"},
		{"it does not know itself", weir(nil), nil, true, "i-0123456789abcdef0 as role weir"},
		{"it does not know itself, but was told its role", weir(nil), []string{"arn:aws:iam::*:role/weir"}, true, ""},
		{"told its sessions", weir(nil), []string{"arn:aws:sts::111122223333:assumed-role/weir/*"}, true, ""},
		{"told its key", weir(nil), []string{"ASIAEXAMPLEEXAMPLE06"}, true, ""},
		{"a role whose name begins alike", weir(nil), []string{"arn:aws:iam::*:role/wei"}, true, "i-0123456789abcdef0 as role weir"},
		// Everybody chooses their own agent: it hides nobody.
		{"somebody's agent says weir", recorded(t, "console", ago(time.Hour), map[string]any{"userAgent": "weir/1.0", "sessionCredentialFromConsole": "false"}), []string{"weir*"}, false, "alice@example.com as role AWSReservedSSO_AdministratorAccess_0123456789abcdef"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			f := &fake{events: []wire{tt.event}, denySTS: tt.denySTS}
			got := trail(t, f, Options{Own: tt.own}).Who(t.Context(), about(ingress(), group()))
			if who := got.By[ingress().Key()].Who; who != tt.want {
				t.Errorf("who %q, want %q (%+v)", who, tt.want, got)
			}
			if tt.want == "" && !strings.Contains(got.Unknown[ingress().Key()], "no event since") {
				t.Errorf("unknown: %q", got.Unknown)
			}
		})
	}
}

func TestTrouble(t *testing.T) {
	t.Parallel()
	denied := map[string]any{"__type": "AccessDeniedException", "Message": "User: arn:aws:sts::1:assumed-role/weir/x is not authorized"}
	tests := []struct {
		name    string
		fail    func(n int, r request) (int, any)
		o       Options
		want    string
		trouble bool
		asked   int
	}{
		{
			"denied", func(int, request) (int, any) { return http.StatusBadRequest, denied },
			Options{},
			"weir's AWS credentials (arn:aws:sts::111122223333:assumed-role/weir/i-now) need the permission cloudtrail:LookupEvents to ask CloudTrail in eu-west-1 of account 111122223333.", true, 1,
		},
		{
			"something else is wrong", func(int, request) (int, any) {
				return http.StatusBadRequest, map[string]any{"__type": "InvalidLookupAttributesException", "message": "sg-0a is odd"}
			},
			Options{},
			"CloudTrail in eu-west-1 of account 111122223333 could not be asked (InvalidLookupAttributesException).", false, 1,
		},
		{
			"a key that is not one any more", func(int, request) (int, any) {
				return http.StatusBadRequest, map[string]any{"__type": "UnrecognizedClientException", "message": "The security token included in the request is invalid."}
			},
			Options{},
			"AWS does not take weir's credentials to ask CloudTrail in eu-west-1 of account 111122223333 (UnrecognizedClientException).", true, 1,
		},
		{
			"no answer in time", func(_ int, _ request) (int, any) {
				return http.StatusBadRequest, map[string]any{"__type": "ThrottlingException", "message": "Rate exceeded"}
			},
			Options{Patience: time.Second},
			"CloudTrail in eu-west-1 of account 111122223333 did not answer in time; the next check asks again.", false, 1,
		},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			f := &fake{fail: tt.fail}
			tr := trail(t, f, tt.o)
			q := about(ingress(), group())
			egress := ingress()
			egress.Attribute = "egress"
			q.Findings = append(q.Findings, egress)
			got := tr.Who(t.Context(), q)
			want := Answers{By: map[finding.Key]finding.By{}, Unknown: map[finding.Key]string{ingress().Key(): tt.want, egress.Key(): tt.want}}
			if tt.trouble {
				want.Trouble = []string{tt.want} // once, for all findings
			}
			if diff := cmp.Diff(want, got, cmpopts.IgnoreUnexported(Answers{})); diff != "" {
				t.Errorf("answers (-want +got):\n%s", diff)
			}
			if n := len(f.requests()); tt.trouble && n != tt.asked {
				t.Errorf("asked %d times, want %d: who was denied is not to ask again", n, tt.asked)
			}
		})
	}
}

func TestOtherAccounts(t *testing.T) {
	t.Parallel()
	r := group()
	r.ARN = strings.ReplaceAll(r.ARN, "111122223333", "444455556666")
	r.Account = ""
	f := &fake{events: []wire{recorded(t, "console", ago(time.Hour), nil)}}
	got := trail(t, f, Options{}).Who(t.Context(), about(ingress(), r))
	if why := got.Unknown[ingress().Key()]; why != "It belongs to account 444455556666, whose CloudTrail weir has no role to ask with." || len(f.requests()) != 0 {
		t.Errorf("without a role: %q after %d requests", why, len(f.requests()))
	}
	got = trail(t, f, Options{Role: "arn:aws:iam::{account}:role/weir-audit"}).Who(t.Context(), about(ingress(), r))
	if len(got.By) != 1 || len(f.roles) != 1 || !strings.Contains(f.roles[0], "444455556666%3Arole%2Fweir-audit") || f.requests()[0].Key != "ASIAOTHER" {
		t.Errorf("with a role: %+v, roles %q, requests %+v", got, f.roles, f.requests())
	}
	denied := trail(t, &fake{denySTS: true}, Options{Role: "arn:aws:iam::{account}:role/weir-audit", Caller: caller{}})
	got = denied.Who(t.Context(), about(ingress(), r))
	if diff := cmp.Diff([]string{"weir could not take the role arn:aws:iam::444455556666:role/weir-audit to ask CloudTrail in eu-west-1 of account 444455556666."}, got.Trouble); diff != "" {
		t.Errorf("trouble (-want +got):\n%s", diff)
	}
	denied.accounts["444455556666"].cfg.Credentials = nil // who was denied is not to ask again
	if again := denied.Who(t.Context(), about(ingress(), r)); len(again.Trouble) != 1 {
		t.Errorf("then %+v", again)
	}
}

// caller is a weir that knows itself.
type caller struct{}

func (caller) Caller(ctx context.Context) (string, string, error) {
	return "111122223333", "arn:aws:iam::111122223333:user/weir", nil
}

func TestNotAsked(t *testing.T) {
	t.Parallel()
	f := &fake{}
	q := Question{Findings: []finding.Finding{
		{Address: "output.x", Kind: finding.Changed},
		{Address: "aws_instance.a", Type: "aws_instance", Kind: finding.Merged},
		{Address: "aws_instance.b", Type: "aws_instance", Kind: finding.Version},
		{Address: "aws_instance.c", Type: "aws_instance", Kind: finding.Changed},
	}}
	got := trail(t, f, Options{}).Who(t.Context(), q)
	want := Answers{By: map[finding.Key]finding.By{}, Unknown: map[finding.Key]string{
		q.Findings[3].Key(): "The state has no name for it that CloudTrail knows.",
	}}
	if diff := cmp.Diff(want, got, cmpopts.IgnoreUnexported(Answers{})); diff != "" || len(f.requests()) != 0 {
		t.Errorf("%d requests, answers (-want +got):\n%s", len(f.requests()), diff)
	}
}

// What was found before an answer failed to come counts, but is not certain.
func TestHalfAnAnswer(t *testing.T) {
	t.Parallel()
	f := &fake{events: []wire{recorded(t, "sdk", ago(time.Hour), nil)}, fail: func(n int, _ request) (int, any) {
		if n > 1 {
			return http.StatusBadRequest, map[string]any{"__type": "AccessDeniedException"}
		}
		return 0, nil
	}}
	about := about(finding.Finding{Address: "aws_db_instance.orders", Type: "aws_db_instance", Attribute: "instance_class", Kind: finding.Changed},
		Identify("aws_db_instance", map[string]any{"identifier": "orders", "arn": "arn:aws:rds:eu-west-1:111122223333:db:orders"}))
	got := trail(t, f, Options{}).Who(t.Context(), about)
	if by := got.By[about.Findings[0].Key()]; by.Sure != "likely" || len(got.Trouble) != 1 || len(got.Unknown) != 0 {
		t.Errorf("answers %+v", got)
	}
}

// What cannot be answered says so, and what CloudTrail would refuse is not
// asked.
func TestTimes(t *testing.T) {
	t.Parallel()
	f := &fake{}
	q := about(ingress(), group())
	old, hour := time.Now().Add(-100*24*time.Hour), ago(time.Hour)
	for _, c := range []struct {
		name         string
		since, until time.Time
		want         string
		asked        int
	}{
		{"before the history begins", old, time.Time{}, ", and remembers no more than 90 days: it was applied before, on " + old.UTC().Format("2006-01-02") + ".", 1},
		{"never applied by weir", time.Time{}, time.Time{}, ", and remembers no more than 90 days: when it was last applied weir does not know.", 1},
		{"a moment ago", ago(time.Hour), time.Time{}, ", but events show up there some minutes late.", 1},
		{"long looked at", ago(10 * time.Hour), ago(9 * time.Hour), " that explains it.", 1},
		{"while weir looked", hour, hour, "It was applied while weir looked; the next check asks who has changed it since.", 0},
		{"after weir looked", ago(time.Hour), ago(2 * time.Hour), "It was applied while weir looked; the next check asks who has changed it since.", 0},
	} {
		q.Since, q.Until = c.since, c.until
		f.asked = nil
		got := trail(t, f, Options{}).Who(t.Context(), q)
		if why := got.Unknown[ingress().Key()]; !strings.HasSuffix(why, c.want) || len(f.asked) != c.asked {
			t.Errorf("%s: %q after %d requests, want %q after %d", c.name, why, len(f.asked), c.want, c.asked)
		}
	}
}

func TestNoCredentials(t *testing.T) {
	for _, name := range []string{"AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_PROFILE", "AWS_REGION", "AWS_DEFAULT_REGION", "AWS_WEB_IDENTITY_TOKEN_FILE", "AWS_CONTAINER_CREDENTIALS_FULL_URI", "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI"} {
		t.Setenv(name, "")
	}
	t.Setenv("AWS_EC2_METADATA_DISABLED", "true")
	t.Setenv("AWS_CONFIG_FILE", t.TempDir()+"/none")
	t.Setenv("AWS_SHARED_CREDENTIALS_FILE", t.TempDir()+"/none")
	tr, err := Open(t.Context(), Options{})
	if err != nil {
		t.Fatal(err)
	}
	got := tr.Who(t.Context(), about(ingress(), group()))
	if diff := cmp.Diff([]string{"weir has no AWS credentials to ask CloudTrail with."}, got.Trouble); diff != "" {
		t.Errorf("trouble (-want +got):\n%s", diff)
	}

	t.Setenv("AWS_CONFIG_FILE", t.TempDir())
	t.Setenv("AWS_PROFILE", "gone")
	if _, err := Open(t.Context(), Options{}); err == nil {
		t.Error("a profile that is not there is no error")
	}
}
