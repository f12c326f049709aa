package calls

import (
	"strings"
	"testing"
)

func TestTable(t *testing.T) {
	t.Parallel()
	for _, r := range table {
		for _, list := range []string{r.Source, r.Types, r.Attributes, r.Calls} {
			if list == "" || strings.Join(strings.Fields(list), " ") != list {
				t.Errorf("row %+v: %q", r, list)
			}
		}
		for typ := range strings.FieldsSeq(r.Types) {
			if !strings.HasPrefix(typ, "aws_") {
				t.Errorf("row %+v: type %s", r, typ)
			}
		}
		for call := range strings.FieldsSeq(r.Calls) {
			if strings.ContainsAny(call, "0123456789_") || call[0] < 'A' || call[0] > 'Z' {
				t.Errorf("row %+v: call %s", r, call)
			}
		}
	}
}

func TestRows(t *testing.T) {
	t.Parallel()
	if rows := For("aws_martian"); rows != nil {
		t.Errorf("rows of an unknown type: %v", rows)
	}
	rows := For("aws_default_security_group")
	if len(rows) != 2 || !rows[0].Has("ec2", "RevokeSecurityGroupIngress") || rows[0].Has("s3", "RevokeSecurityGroupIngress") ||
		!rows[0].Lists("ingress") || rows[0].Lists("egress") || rows[0].Lists("") {
		t.Errorf("rows of a security group: %+v", rows)
	}
	if !Tags("TagRole") || Tags("PutRolePolicy") {
		t.Error("calls that change tags")
	}
	for typ, n := range namings {
		if len(n.Whole) == 0 || (n.Part == "") != (n.Param == "") || n.Param != "" && !Identifies(n.Param) {
			t.Errorf("%s: %+v", typ, n)
		}
	}
	if Identifies("masterUserPassword") || Identifies("") {
		t.Error("parameters whose values are kept")
	}
}
