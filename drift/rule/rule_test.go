package rule

import (
	"fmt"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"weir/drift/finding"
)

var today = time.Date(2026, 3, 2, 23, 59, 0, 0, time.UTC)

func TestSeverity(t *testing.T) {
	for _, test := range []struct {
		finding finding.Finding
		want    finding.Severity
	}{
		{finding.Finding{Type: "aws_iam_policy", Attribute: "policy"}, finding.High},
		{finding.Finding{Type: "aws_iam_role"}, finding.High},
		{finding.Finding{Type: "aws_iam_role", Attribute: "tags"}, finding.Low},
		{finding.Finding{Type: "aws_security_group", Attribute: "ingress"}, finding.High},
		{finding.Finding{Type: "aws_security_group"}, finding.High},
		{finding.Finding{Type: "aws_security_group", Attribute: "egress"}, finding.Medium},
		{finding.Finding{Type: "aws_security_group", Attribute: "description"}, finding.Low},
		{finding.Finding{Type: "aws_security_group", Attribute: "description", Action: "replace"}, finding.Medium},
		{finding.Finding{Type: "aws_vpc_security_group_ingress_rule", Attribute: "cidr_ipv4"}, finding.High},
		{finding.Finding{Type: "aws_s3_bucket_public_access_block", Attribute: "block_public_acls"}, finding.High},
		{finding.Finding{Type: "aws_s3_bucket_policy", Attribute: "policy"}, finding.High},
		{finding.Finding{Type: "aws_db_instance", Attribute: "publicly_accessible"}, finding.High},
		{finding.Finding{Type: "aws_db_instance", Attribute: "deletion_protection"}, finding.High},
		{finding.Finding{Type: "aws_db_instance", Attribute: "storage_encrypted"}, finding.High},
		{finding.Finding{Type: "aws_db_instance", Attribute: "kms_key_id"}, finding.High},
		{finding.Finding{Type: "aws_db_instance", Attribute: "allocated_storage"}, finding.Medium},
		{finding.Finding{Type: "aws_db_instance", Attribute: "tags", Action: "replace"}, finding.High},
		{finding.Finding{Type: "aws_s3_bucket", Kind: finding.Deleted, Action: "create"}, finding.High},
		{finding.Finding{Type: "aws_lb", Attribute: "enable_deletion_protection"}, finding.High},
		{finding.Finding{Type: "aws_cloudtrail", Attribute: "is_multi_region_trail"}, finding.High},
		{finding.Finding{Type: "aws_cloudwatch_metric_alarm", Kind: finding.Deleted}, finding.Medium},
		{finding.Finding{Type: "google_project_iam_member"}, finding.High},
		{finding.Finding{Type: "google_compute_firewall", Attribute: "source_ranges"}, finding.High},
		{finding.Finding{Type: "google_storage_bucket", Attribute: "public_access_prevention"}, finding.High},
		{finding.Finding{Type: "google_sql_database_instance", Attribute: "settings"}, finding.High},
		{finding.Finding{Type: "google_compute_instance", Attribute: "labels"}, finding.Low},
		{finding.Finding{Type: "google_compute_instance", Attribute: "machine_type"}, finding.Medium},
		{finding.Finding{Type: "azurerm_role_assignment"}, finding.High},
		{finding.Finding{Type: "azurerm_storage_account", Attribute: "public_network_access_enabled"}, finding.High},
		{finding.Finding{Type: "azurerm_storage_account", Attribute: "min_tls_version"}, finding.High},
		{finding.Finding{Type: "azurerm_network_security_group", Attribute: "security_rule"}, finding.High},
		{finding.Finding{Type: "azurerm_linux_virtual_machine", Attribute: "size"}, finding.Medium},
		{finding.Finding{Type: "kubernetes_cluster_role_binding_v1", Attribute: "subject"}, finding.High},
		{finding.Finding{Type: "kubernetes_deployment_v1", Attribute: "spec"}, finding.Medium},
		{finding.Finding{Type: "kubernetes_stateful_set_v1", Action: "replace"}, finding.High},
		{finding.Finding{Type: "local_file", Kind: finding.Deleted, Action: "create"}, finding.Medium},
		{finding.Finding{Address: "output.x"}, finding.Low},
		{finding.Finding{Address: "output.x", Action: "delete"}, finding.Medium},
	} {
		if got := severity(test.finding, nil); got != test.want {
			t.Errorf("severity(%+v) = %s, want %s", test.finding, got, test.want)
		}
	}
}

func TestSeverityOverrides(t *testing.T) {
	overrides := []Severity{
		{Type: "aws_iam_*", Attribute: "max_session_duration", Severity: finding.Low},
		{Type: "aws_iam_*", Severity: finding.Medium},
		{Type: "output", Severity: finding.High},
		{Type: "*", Attribute: "tags", Severity: "bad"}, // says nothing
		{Type: "aws_x", Attribute: "*", Severity: finding.Low},
		{Type: "aws_??s", Severity: finding.High},
		{Type: "[", Severity: finding.High}, // matches nothing
	}
	for _, test := range []struct {
		finding finding.Finding
		want    finding.Severity
	}{
		{finding.Finding{Type: "aws_iam_role", Attribute: "max_session_duration"}, finding.Low},
		{finding.Finding{Type: "aws_iam_role", Attribute: "assume_role_policy"}, finding.Medium},
		{finding.Finding{Type: "aws_iam_role", Attribute: ""}, finding.Medium},
		{finding.Finding{Type: "", Address: "output.a"}, finding.High},
		{finding.Finding{Type: "aws_x", Action: "delete"}, finding.Low}, // who says so has said so
		{finding.Finding{Type: "aws_y", Attribute: "tags"}, finding.Low},
		{finding.Finding{Type: "aws_sqs", Attribute: "tags"}, finding.High},
		{finding.Finding{Type: "aws_sqss", Attribute: "tags"}, finding.Low},
	} {
		if got := severity(test.finding, overrides); got != test.want {
			t.Errorf("severity(%+v) = %s, want %s", test.finding, got, test.want)
		}
	}
}

// Every group can be reached, and no pattern is written twice in one.
func TestTable(t *testing.T) {
	for i, g := range table {
		if len(g.types) == 0 || g.severity == "" {
			t.Errorf("group %d is empty", i)
		}
		for _, list := range [][]string{g.types, g.attributes} {
			seen := map[string]bool{}
			for _, pattern := range list {
				if seen[pattern] {
					t.Errorf("group %d has %q twice", i, pattern)
				}
				seen[pattern] = true
			}
		}
	}
}

func TestJudge(t *testing.T) {
	found := []finding.Finding{
		{Address: `module.a["x"].aws_autoscaling_group.web[0]`, Type: "aws_autoscaling_group", Attribute: "desired_capacity", Kind: finding.Changed, Action: "update"},
		{Address: `module.a["x"].aws_autoscaling_group.web[0]`, Type: "aws_autoscaling_group", Attribute: "max_size", Kind: finding.Changed, Action: "update"},
		{Address: "aws_instance.b", Type: "aws_instance", Attribute: "tags", Kind: finding.Changed, Action: "update"},
		{Address: "aws_instance.b", Type: "aws_instance", Attribute: "ami", Kind: finding.Data, Action: "replace"},
		{Address: "aws_instance.gone", Type: "aws_instance", Kind: finding.Deleted, Action: "create"},
	}
	rules := Rules{Ignores: []Ignore{
		{Address: `module.a["*"].aws_autoscaling_group.*`, Attribute: "desired_capacity", Owner: "web", Reason: "autoscaling", Until: "2026-03-02"},
		{Address: "*", Attribute: "desired_capacity", Owner: "second", Reason: "is too late", Until: "2026-12-31"},
		{Address: "aws_instance.*", Attribute: "*", Owner: "ops", Reason: "by hand", Until: "2026-03-03"},
		{Address: "*.web[0]", Attribute: "max_size", Owner: "web", Reason: "a test", Until: "2026-03-01"},
		{Address: "aws_instance.nothing", Attribute: "*", Owner: "ops", Reason: "a test", Until: "2026-02-28"},
		{Address: "aws_instance.nothing", Attribute: "*", Owner: "ops", Reason: "a test", Until: "2026-12-31"},
		{Address: "aws_instance.gone", Attribute: "*", Owner: "ops", Reason: "it may go", Until: "2026-12-31"},
		{Address: "*", Attribute: "*", Reason: "all", Until: "2026-12-31"},
		{Address: "*", Attribute: "max_size", Owner: "web", Reason: "all", Until: "2026-2-30"},
	}}
	got := Judge(found, rules, today)
	want := Judged{
		Findings: []finding.Finding{
			{Address: "aws_instance.b", Type: "aws_instance", Attribute: "ami", Kind: finding.Data, Action: "replace", Severity: finding.High},
			{Address: "aws_instance.gone", Type: "aws_instance", Kind: finding.Deleted, Action: "create", Severity: finding.High},
			{
				Address: `module.a["x"].aws_autoscaling_group.web[0]`, Type: "aws_autoscaling_group", Attribute: "desired_capacity", Kind: finding.Changed, Action: "update",
				Severity: finding.Medium, Ignored: &finding.Ignored{Owner: "web", Reason: "autoscaling", Until: "2026-03-02"},
			},
			{Address: `module.a["x"].aws_autoscaling_group.web[0]`, Type: "aws_autoscaling_group", Attribute: "max_size", Kind: finding.Changed, Action: "update", Severity: finding.Medium},
			{
				Address: "aws_instance.b", Type: "aws_instance", Attribute: "tags", Kind: finding.Changed, Action: "update",
				Severity: finding.Low, Ignored: &finding.Ignored{Owner: "ops", Reason: "by hand", Until: "2026-03-03"},
			},
		},
		Hidden: 2,
		Ended: []string{
			"the rule for *.web[0] (max_size) of web ended on 2026-03-01; it matches 1 of these findings",
			"the rule for aws_instance.nothing of ops ended on 2026-02-28",
			"the rule for * hides nothing: it has no owner; it matches 5 of these findings",
			`the rule for * (max_size) of web hides nothing: its end "2026-2-30" is not a day, such as 2026-12-31; it matches 1 of these findings`,
		},
		Unused: []string{
			"the rule for aws_instance.nothing of ops matches nothing",
			"the rule for aws_instance.gone of ops hides nothing: all that it matches is destroyed, which no rule hides",
		},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("judged (-want +got):\n%s", diff)
	}
	if found[0].Ignored != nil || found[0].Severity != "" {
		t.Error("what was given has changed")
	}
}

// A day ends at midnight UTC, wherever the server is.
func TestUntilIsInUTC(t *testing.T) {
	rules := Rules{Ignores: []Ignore{{Address: "*", Attribute: "*", Owner: "o", Reason: "r", Until: "2026-03-02"}}}
	found := []finding.Finding{{Address: "a_b.c", Type: "a_b", Kind: finding.Changed}}
	east := time.FixedZone("east", 5*3600)
	for _, test := range []struct {
		now    time.Time
		hidden int
	}{
		{today.In(east), 1}, // the 3rd there
		{today.Add(time.Minute), 0},
		{time.Date(2026, 3, 3, 4, 59, 0, 0, east), 1},
	} {
		if got := Judge(found, rules, test.now); got.Hidden != test.hidden {
			t.Errorf("at %s %d are hidden, want %d", test.now, got.Hidden, test.hidden)
		}
	}
}

func TestJudgeIsBounded(t *testing.T) {
	var found []finding.Finding
	for i := range Max {
		found = append(found, finding.Finding{Address: fmt.Sprintf("a_b.hidden[%d]", i), Type: "aws_iam_role", Attribute: "x", Kind: finding.Changed})
	}
	for i := range 10 {
		found = append(found, finding.Finding{Address: fmt.Sprintf("a_b.open[%d]", i), Type: "a_b", Attribute: "tags", Kind: finding.Changed})
	}
	j := Judge(found, Rules{Ignores: []Ignore{{Address: "*.hidden*", Attribute: "*", Owner: "o", Reason: "r", Until: "2030-01-01"}}}, today)
	if open := (finding.Check{Findings: j.Findings}).Open(); len(j.Findings) != Max || !j.Cut || j.Hidden != Max || len(open) != 10 {
		t.Errorf("%d findings, %d open, %d hidden, cut %v", len(j.Findings), len(open), j.Hidden, j.Cut)
	}
	if j := Judge(nil, Rules{}, today); j.Findings != nil || j.Cut {
		t.Errorf("got %+v of nothing", j)
	}
}

// Whatever the rules are: nothing is lost, a destroy is never hidden, and what
// is hidden is so by a whole rule that has not ended.
func TestRulesNeverHideADestroy(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		pattern := rapid.SampledFrom([]string{"*", "a_b.*", "a_b.c", "*c", "", "x"})
		field := rapid.SampledFrom([]string{"", " ", "set"})
		rules := Rules{Ignores: rapid.SliceOfN(rapid.Custom(func(t *rapid.T) Ignore {
			return Ignore{
				Address: pattern.Draw(t, "address"), Attribute: pattern.Draw(t, "attribute"), Owner: field.Draw(t, "owner"), Reason: field.Draw(t, "reason"),
				Until: rapid.SampledFrom([]string{"", "2026-03-01", "2026-03-02", "2099-01-01", "9", "2026-99-99"}).Draw(t, "until"),
			}
		}), 0, 4).Draw(t, "rules")}
		found := rapid.SliceOfN(rapid.Custom(func(t *rapid.T) finding.Finding {
			return finding.Finding{
				Address: rapid.SampledFrom([]string{"a_b.c", "a_b.d", "output.x"}).Draw(t, "address"), Type: "a_b",
				Attribute: rapid.SampledFrom([]string{"", "x", "tags"}).Draw(t, "attribute"),
				Kind:      rapid.SampledFrom([]finding.Kind{finding.Changed, finding.Deleted, finding.Merged}).Draw(t, "kind"),
				Action:    rapid.SampledFrom([]string{"", "create", "update", "replace", "delete", "forget"}).Draw(t, "action"),
			}
		}), 0, 6).Draw(t, "found")
		j := Judge(found, rules, today)
		hidden := 0
		for _, f := range j.Findings {
			if f.Severity == "" {
				t.Fatalf("no severity: %+v", f)
			}
			if f.Ignored == nil {
				continue
			}
			hidden++
			if f.Kind == finding.Deleted || f.Action == "delete" || f.Action == "replace" {
				t.Fatalf("a destroy is hidden: %+v", f)
			}
			if f.Ignored.Owner != "set" || f.Ignored.Reason != "set" || f.Ignored.Until != "2026-03-02" && f.Ignored.Until != "2099-01-01" {
				t.Fatalf("hidden by %+v", f.Ignored)
			}
		}
		if hidden != j.Hidden || len(j.Findings) != len(found) {
			t.Fatalf("%d of %d findings, %d hidden, counted %d", len(j.Findings), len(found), hidden, j.Hidden)
		}
	})
}

// A pattern means what a regular expression with .* for each star means.
func TestMatch(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		pattern := rapid.StringOfN(rapid.SampledFrom([]rune("ab.[*")), 0, 8, -1).Draw(t, "pattern")
		text := rapid.StringOfN(rapid.SampledFrom([]rune("ab.[")), 0, 8, -1).Draw(t, "text")
		want := regexp.MustCompile("^" + strings.ReplaceAll(regexp.QuoteMeta(pattern), `\*`, ".*") + "$").MatchString(text)
		if got := match(pattern, text); got != want {
			t.Fatalf("match(%q, %q) = %v, want %v", pattern, text, got, want)
		}
	})
}
