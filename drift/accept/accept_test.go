package accept

import (
	"strings"
	"testing"

	"weir/drift/finding"
)

// TestStars holds that an address with a star in it makes no rule, which would
// hide more than was asked for.
func TestStars(t *testing.T) {
	star := finding.Finding{Address: `aws_acm_certificate.a["*.example.com"]`, Attribute: "tags", Kind: finding.Changed, Action: "update"}
	plain := finding.Finding{Address: "aws_sqs_queue.a", Attribute: "tags", Kind: finding.Changed, Action: "update"}
	terms := Terms{Owner: "ann", Reason: "@everyone <!-- x", Until: "2999-12-31"}
	if branch, why := Propose(nil, "prod", "envs/prod", []finding.Finding{star}, terms); branch != nil || !strings.Contains(why, "*.example.com") {
		t.Errorf("proposed %+v, said %q", branch, why)
	}
	branch, why := Propose(nil, "prod", "envs/prod", []finding.Finding{star, plain}, terms)
	if branch == nil || !strings.Contains(why, "*.example.com") {
		t.Fatalf("proposed %+v, said %q", branch, why)
	}
	file := string(branch.Files["weir.yaml"])
	if strings.Contains(file, "example.com") || !strings.Contains(file, "aws_sqs_queue.a") {
		t.Errorf("the file:\n%s", file)
	}
	if strings.Contains(branch.Body, "@everyone") || strings.Contains(branch.Body, "<!--") {
		t.Errorf("the body mentions or hides: %s", branch.Body)
	}
}
