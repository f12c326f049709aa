package cloudtrail

import (
	"cmp"
	"slices"
	"strconv"
	"strings"

	"weir/drift/cloudtrail/calls"
)

// Resource is how AWS names what stands in a state.
type Resource struct {
	Type    string   // as Terraform calls it
	ARN, ID string   // "" where it has none
	Names   []string // further names, the best first; for a part of something those of the whole
	Part    string   // for a part of something, what tells it from other parts: the name of a policy, the id of a rule
	Region  string   // "": where the ARN says, or unknown
	Account string   // likewise
}

// usual are further attributes that name a resource of any other type.
var usual = []string{"bucket", "identifier", "cluster_identifier", "function_name", "cluster_name", "table_name", "repository_name", "name"}

// Identify reads how AWS names a resource from its values in a state, as
// `terraform show -json` gives them. Nothing else of them is read; values of
// other types than text and numbers count as absent.
func Identify(resourceType string, values map[string]any) Resource {
	r := Resource{Type: resourceType, ARN: text(values["arn"]), ID: text(values["id"]), Region: text(values["region"])}
	r.Account = text(values["owner_id"])
	if !isAccount(r.Account) {
		r.Account = ""
	}
	how, special := calls.NamingOf(resourceType)
	if special {
		for _, attribute := range how.Whole {
			r.Names = append(r.Names, text(values[attribute]))
		}
		r.Part = text(values[how.Part])
		return r
	}
	for _, attribute := range usual {
		r.Names = append(r.Names, text(values[attribute]))
	}
	return r
}

func text(v any) string {
	switch v := v.(type) {
	case string:
		return v
	case interface{ String() string }: // json.Number
		return v.String()
	case float64:
		if v == float64(int64(v)) {
			return strconv.FormatInt(int64(v), 10)
		}
	}
	return ""
}

// names are what is looked up, the best first, each once.
func (r Resource) names() []string {
	all := r.Names
	if _, special := calls.NamingOf(r.Type); !special || len(r.Names) == 0 {
		all = append([]string{r.ID, r.ARN}, all...)
	}
	var names []string
	for _, name := range all {
		if !lookable(name) || slices.Contains(names, name) {
			continue
		}
		if names = append(names, name); len(names) == maxLookups {
			break
		}
	}
	return names
}

// lookable reports whether AWS could know something by a name: an id that the
// provider puts together, as role:policy, it does not.
func lookable(name string) bool {
	if name == "" || len(name) > 2000 {
		return false
	}
	if strings.HasPrefix(name, "arn:") || strings.HasPrefix(name, "https://") {
		return true
	}
	return !strings.ContainsAny(name, ":|, ")
}

// splitARN splits an ARN into partition, service, region and account: "Amazon
// Resource Names (ARNs)", AWS General Reference.
func splitARN(arn string) (partition, service, region, account string, ok bool) {
	parts := strings.SplitN(arn, ":", 6)
	if len(parts) != 6 || parts[0] != "arn" {
		return "", "", "", "", false
	}
	return parts[1], parts[2], parts[3], parts[4], true
}

// region is where the resource's events are kept: fallback, if nothing says
// otherwise.
//
// Services without regions keep theirs in one: "Logging global service events"
// in the AWS CloudTrail User Guide, and the guides of the services. Looking
// them up elsewhere finds nothing since November 2021.
func (r Resource) region(fallback string) string {
	partition, service, region, _, isARN := splitARN(r.ARN)
	if !isARN {
		for _, name := range r.Names {
			if partition, service, region, _, isARN = splitARN(name); isARN {
				break
			}
		}
	}
	if !isARN {
		partition = "aws"
		switch here := cmp.Or(r.Region, fallback); {
		case strings.HasPrefix(here, "cn-"):
			partition = "aws-cn"
		case strings.HasPrefix(here, "us-gov-"):
			partition = "aws-us-gov"
		}
	}
	for _, g := range globals {
		if service == g.service || strings.HasPrefix(r.Type, g.types) {
			if home := g.homes[partition]; home != "" {
				return home
			}
		}
	}
	return cmp.Or(r.Region, region, fallback)
}

// global is a service whose events are kept in one region of each partition.
type global struct {
	service string // as in ARNs
	types   string // prefix of resource types
	homes   map[string]string
}

var (
	virginia = map[string]string{"aws": "us-east-1", "aws-cn": "cn-north-1", "aws-us-gov": "us-gov-west-1"}
	china53  = map[string]string{"aws": "us-east-1", "aws-cn": "cn-northwest-1", "aws-us-gov": "us-gov-west-1"}
	oregon   = map[string]string{"aws": "us-west-2"}
)

var globals = []global{
	{"iam", "aws_iam_", virginia},
	{"cloudfront", "aws_cloudfront_", china53},
	{"organizations", "aws_organizations_", china53},
	{"waf", "aws_waf_", virginia},
	{"shield", "aws_shield_", virginia},
	{"route53", "aws_route53_record", china53},
	{"route53", "aws_route53_zone", china53},
	{"route53", "aws_route53_health_check", china53},
	{"globalaccelerator", "aws_globalaccelerator_", oregon},
}

// account is whose the resource is, "" if that is not known.
func (r Resource) account() string {
	if r.Account != "" {
		return r.Account
	}
	for _, name := range append([]string{r.ARN}, r.Names...) {
		if _, _, _, account, ok := splitARN(name); ok && isAccount(account) {
			return account
		}
	}
	return ""
}

func isAccount(s string) bool {
	return len(s) == 12 && strings.Trim(s, "0123456789") == ""
}
