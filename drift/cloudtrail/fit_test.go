package cloudtrail

import (
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"weir/drift/finding"
)

// TestJudge holds what is told, and how sure, against a history of calls. A
// call is written as source:Name, with parameters behind a question mark.
func TestJudge(t *testing.T) {
	t.Parallel()
	group := Resource{Type: "aws_security_group", Names: []string{"sg-1"}}
	rule := Resource{Type: "aws_vpc_security_group_ingress_rule", Names: []string{"sg-1", "sgr-1"}, Part: "sgr-1"}
	inline := Resource{Type: "aws_iam_role_policy", Names: []string{"app"}, Part: "logs"}
	machine := Resource{Type: "aws_sfn_state_machine", ARN: "arn:aws:states:eu-west-1:1:stateMachine:m"}
	tests := []struct {
		name      string
		resource  Resource
		attribute string
		kind      finding.Kind
		calls     string // the oldest first
		want      string // number of the call and how sure; "": none
	}{
		{"the only one", group, "ingress", finding.Changed, "ec2:AuthorizeSecurityGroupIngress", "0 certain"},
		{"the newest of two", group, "ingress", finding.Changed, "ec2:AuthorizeSecurityGroupIngress ec2:RevokeSecurityGroupIngress", "1 likely"},
		{"the other direction", group, "ingress", finding.Changed, "ec2:AuthorizeSecurityGroupEgress", ""},
		{"both directions", group, "ingress", finding.Changed, "ec2:AuthorizeSecurityGroupIngress ec2:AuthorizeSecurityGroupEgress", "0 certain"},
		{"an instance that uses it", group, "ingress", finding.Changed, "ec2:RunInstances", ""},
		{"made outside", group, "ingress", finding.Changed, "ec2:CreateSecurityGroup", ""},
		{"a service with a thing of the same name", group, "ingress", finding.Changed, "s3:AuthorizeSecurityGroupIngress", ""},
		{"deleted", group, "", finding.Deleted, "ec2:AuthorizeSecurityGroupIngress ec2:DeleteSecurityGroup", "1 certain"},
		{"deleted, by nobody", group, "", finding.Deleted, "ec2:AuthorizeSecurityGroupIngress", ""},
		{"unexplained is never certain", group, "ingress", finding.Unknown, "ec2:AuthorizeSecurityGroupIngress", "0 likely"},
		{"tags", group, "tags", finding.Changed, "ec2:AuthorizeSecurityGroupIngress ec2:CreateTags", "1 certain"},
		{"tags of a newer service", machine, "tags_all", finding.Changed, "states:TagResource", "0 certain"},
		{"tags are nothing else", group, "ingress", finding.Changed, "ec2:CreateTags", ""},

		{"the rule by its id", rule, "cidr_ipv4", finding.Changed, "ec2:ModifySecurityGroupRules?securityGroupRuleId=sgr-1", "0 certain"},
		{"another rule by its id", rule, "cidr_ipv4", finding.Changed, "ec2:ModifySecurityGroupRules?securityGroupRuleId=sgr-2", ""},
		{"some rule", rule, "", finding.Deleted, "ec2:RevokeSecurityGroupIngress?cidrIp=x", "0 likely"},
		{"the policy by its name", inline, "policy", finding.Changed, "iam:PutRolePolicy?policyName=logs", "0 certain"},
		{"another policy", inline, "policy", finding.Changed, "iam:PutRolePolicy?policyName=queue", ""},
		{"the policy, and a later one of another", inline, "policy", finding.Changed, "iam:PutRolePolicy?policyName=logs iam:PutRolePolicy?policyName=queue", "0 certain"},

		{"a general call that names the attribute", Resource{Type: "aws_db_instance", Names: []string{"orders"}}, "instance_class", finding.Changed, "rds:ModifyDBInstance?dBInstanceClass=x", "0 certain"},
		{"the one that names it, though not the newest", Resource{Type: "aws_db_instance", Names: []string{"orders"}}, "instance_class", finding.Changed, "rds:ModifyDBInstance?dBInstanceClass=x rds:ModifyDBInstance?port=1", "0 likely"},
		{"general calls that name others", Resource{Type: "aws_db_instance", Names: []string{"orders"}}, "instance_class", finding.Changed, "rds:ModifyDBInstance?engine=x rds:ModifyDBInstance?port=1", "1 possible"},
		{"a general call whose parameters are gone", Resource{Type: "aws_db_instance", Names: []string{"orders"}}, "port", finding.Changed, "rds:ModifyDBInstance", "0 likely"},
		{"an attribute of an instance", Resource{Type: "aws_instance", ID: "i-1"}, "disable_api_termination", finding.Changed, "ec2:ModifyInstanceAttribute?disableApiTermination=x", "0 certain"},
		{"an attribute by its name in a list", Resource{Type: "aws_lb", ARN: "arn:aws:elasticloadbalancing:eu-west-1:1:loadbalancer/app/x/1"}, "enable_deletion_protection", finding.Changed, "elasticloadbalancing:ModifyLoadBalancerAttributes?key=deletion_protection.enabled", "0 certain"},
		{"a version in the name", Resource{Type: "aws_lambda_function", Names: []string{"f"}}, "memory_size", finding.Changed, "lambda:UpdateFunctionConfiguration20150331v2?memorySize=x", "0 certain"},

		{"not in the table, by its name", machine, "definition", finding.Changed, "states:UpdateStateMachine?definition=x", "0 likely"},
		{"not in the table, several by their name", machine, "definition", finding.Changed, "states:UpdateStateMachine states:UpdateStateMachine", "1 possible"},
		{"not in the table, nothing speaks for it", machine, "definition", finding.Changed, "states:PublishStateMachineVersion", "0 possible"},
		{"not in the table, deleted", machine, "", finding.Deleted, "states:DeleteStateMachine", "0 likely"},
		{"not in the table, another service", machine, "definition", finding.Changed, "iam:UpdateStateMachine", ""},
		{"a trail", Resource{Type: "aws_cloudtrail", Names: []string{"main"}}, "enable_logging", finding.Changed, "cloudtrail:StopLogging", "0 certain"},
		{"a bucket's policy went with the bucket", Resource{Type: "aws_s3_bucket_policy", Names: []string{"b"}}, "", finding.Deleted, "s3:DeleteBucket", "0 certain"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			var events []event
			for i, call := range strings.Fields(tt.calls) {
				events = append([]event{made(t, i, call, tt.resource.names())}, events...)
			}
			f := finding.Finding{Type: tt.resource.Type, Attribute: tt.attribute, Kind: tt.kind}
			by, ok := judge(f, tt.resource, append(events, events...), true)
			got := strings.TrimSpace(by.EventID + " " + by.Sure)
			if ok != (tt.want != "") || got != tt.want {
				t.Errorf("got %q (%s), want %q", got, by.What, tt.want)
			}
		})
	}
}

func made(t *testing.T, number int, call string, names []string) event {
	t.Helper()
	name, query, _ := strings.Cut(call, "?")
	source, name, _ := strings.Cut(name, ":")
	values, err := url.ParseQuery(query)
	if err != nil {
		t.Fatal(err)
	}
	e := event{
		id: string(rune('0' + number)), name: unversioned(name), source: source, resources: names,
		when: time.Date(2026, 3, 2, 10, number, 0, 0, time.UTC), parts: map[string][]string{}, unnamed: query == "",
	}
	params := map[string]any{}
	for key := range values {
		params[key] = values.Get(key)
	}
	e.gather(params)
	return e
}

// Only a name that AWS lists makes it certain: what was looked up by another's
// name is not.
func TestAnotherName(t *testing.T) {
	t.Parallel()
	e := made(t, 0, "ec2:AuthorizeSecurityGroupIngress", []string{"sg-2"})
	by, _ := judge(ingress(), Resource{Type: "aws_security_group", Names: []string{"sg-1"}}, []event{e}, true)
	if by.Sure != "likely" {
		t.Errorf("sure: %s", by.Sure)
	}
}

func TestUnversioned(t *testing.T) {
	t.Parallel()
	for name, want := range map[string]string{
		"UpdateFunctionCode20150331v2":  "UpdateFunctionCode",
		"DeleteFunction20150331":        "DeleteFunction",
		"UpdateDistribution2020_05_31":  "UpdateDistribution",
		"ModifyDBInstance":              "ModifyDBInstance",
		"PutV2":                         "PutV2",
		"Archive":                       "Archive",
		"UpdateAssumeRolePolicy":        "UpdateAssumeRolePolicy",
		"Resolve2":                      "Resolve2",
		"":                              "",
		"v":                             "v",
		"AddPermission20150331v2":       "AddPermission",
		"UpdateFunctionConfiguration20": "UpdateFunctionConfiguration20",
	} {
		if got := unversioned(name); got != want {
			t.Errorf("unversioned(%q) = %q, want %q", name, got, want)
		}
	}
}

func TestMatches(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		pattern, s string
		want       bool
	}{
		{"a", "a", true},
		{"a", "ab", false},
		{"*", "", true},
		{"a*", "a", true},
		{"*a", "ba", true},
		{"a*a", "a", false},
		{"a*b*c", "a/b/b/c", true},
		{"a*b*c", "acb", false},
		{"arn:aws:sts::*:assumed-role/weir/*", "arn:aws:sts::1:assumed-role/weir-evil/x", false},
		{"", "a", false},
	} {
		if got := matches(tt.pattern, tt.s); got != tt.want {
			t.Errorf("matches(%q, %q) = %v", tt.pattern, tt.s, got)
		}
	}
}

func TestIdentify(t *testing.T) {
	t.Parallel()
	type place struct {
		Names           []string
		Region, Account string
	}
	tests := []struct {
		name   string
		typ    string
		values map[string]any
		region string // of the question
		want   place
	}{
		{"an instance", "aws_instance", map[string]any{"id": "i-1", "arn": "arn:aws:ec2:eu-west-1:111122223333:instance/i-1", "password_data": "x"}, "", place{[]string{"i-1", "arn:aws:ec2:eu-west-1:111122223333:instance/i-1"}, "eu-west-1", "111122223333"}},
		{"a bucket has no region in its ARN", "aws_s3_bucket", map[string]any{"bucket": "b", "arn": "arn:aws:s3:::b", "region": "eu-central-1"}, "eu-west-1", place{[]string{"b", "arn:aws:s3:::b"}, "eu-central-1", ""}},
		{"a bucket's part says nothing", "aws_s3_bucket_acl", map[string]any{"id": "b,private", "bucket": "b"}, "eu-west-1", place{[]string{"b"}, "eu-west-1", ""}},
		{"a role is in Virginia", "aws_iam_role", map[string]any{"name": "r", "arn": "arn:aws:iam::111122223333:role/r"}, "eu-west-1", place{[]string{"r"}, "us-east-1", "111122223333"}},
		{"a role's policy, too", "aws_iam_role_policy", map[string]any{"id": "r:p", "role": "r", "name": "p"}, "eu-west-1", place{[]string{"r"}, "us-east-1", ""}},
		{"in China", "aws_iam_role_policy", map[string]any{"role": "r", "name": "p"}, "cn-northwest-1", place{[]string{"r"}, "cn-north-1", ""}},
		{"an accelerator is in Oregon", "aws_globalaccelerator_accelerator", map[string]any{"arn": "arn:aws:globalaccelerator::111122223333:accelerator/a"}, "eu-west-1", place{[]string{"arn:aws:globalaccelerator::111122223333:accelerator/a"}, "us-west-2", "111122223333"}},
		{"an id that is put together", "aws_appautoscaling_policy", map[string]any{"id": "a:b", "name": "scale"}, "eu-west-1", place{[]string{"scale"}, "eu-west-1", ""}},
		{"no more than three", "aws_rds_thing", map[string]any{"id": "1", "arn": "arn:aws:rds:eu-west-1:111122223333:x:2", "identifier": "3", "name": "4"}, "", place{[]string{"1", "arn:aws:rds:eu-west-1:111122223333:x:2", "3"}, "eu-west-1", "111122223333"}},
		{"an owner that is none", "aws_x", map[string]any{"id": "1", "owner_id": "amazon"}, "eu-west-1", place{[]string{"1"}, "eu-west-1", ""}},
		{"numbers and other things", "aws_network_acl_rule", map[string]any{"network_acl_id": "acl-1", "rule_number": 100.0, "id": []any{"x"}}, "eu-west-1", place{[]string{"acl-1"}, "eu-west-1", ""}},
		{"nothing", "aws_x", nil, "eu-west-1", place{nil, "eu-west-1", ""}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			r := Question{Region: tt.region}.place(Identify(tt.typ, tt.values), "us-west-1")
			if diff := cmp.Diff(tt.want, place{r.names(), r.Region, r.Account}); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}
