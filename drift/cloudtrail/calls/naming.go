package calls

import "slices"

// Naming says which attributes of a resource name it in CloudTrail, where that
// is not its ARN, its id and its name. The attributes are those of the AWS
// provider's documentation.
type Naming struct {
	Whole []string // attributes with the names to look up, the best first, in place of id and arn
	Part  string   // attribute that tells parts of the same whole apart
	Param string   // parameter of calls that holds the same as Part
}

var namings = map[string]Naming{
	"aws_security_group_rule":             {Whole: []string{"security_group_id"}, Part: "security_group_rule_id", Param: "securityGroupRuleId"},
	"aws_vpc_security_group_ingress_rule": {Whole: []string{"security_group_id", "id"}, Part: "id", Param: "securityGroupRuleId"},
	"aws_vpc_security_group_egress_rule":  {Whole: []string{"security_group_id", "id"}, Part: "id", Param: "securityGroupRuleId"},
	"aws_network_acl_rule":                {Whole: []string{"network_acl_id"}, Part: "rule_number", Param: "ruleNumber"},
	"aws_route":                           {Whole: []string{"route_table_id"}, Part: "destination_cidr_block", Param: "destinationCidrBlock"},
	"aws_route53_record":                  {Whole: []string{"zone_id"}, Part: "fqdn", Param: "name"},

	"aws_iam_role":                    {Whole: []string{"name"}}, // by its ARN it is in every AssumeRole
	"aws_iam_user":                    {Whole: []string{"name"}},
	"aws_iam_group":                   {Whole: []string{"name"}},
	"aws_iam_role_policy":             {Whole: []string{"role"}, Part: "name", Param: "policyName"},
	"aws_iam_user_policy":             {Whole: []string{"user"}, Part: "name", Param: "policyName"},
	"aws_iam_group_policy":            {Whole: []string{"group"}, Part: "name", Param: "policyName"},
	"aws_iam_role_policy_attachment":  {Whole: []string{"role"}, Part: "policy_arn", Param: "policyArn"},
	"aws_iam_user_policy_attachment":  {Whole: []string{"user"}, Part: "policy_arn", Param: "policyArn"},
	"aws_iam_group_policy_attachment": {Whole: []string{"group"}, Part: "policy_arn", Param: "policyArn"},
	"aws_iam_access_key":              {Whole: []string{"user", "id"}, Part: "id", Param: "accessKeyId"},
	"aws_iam_user_login_profile":      {Whole: []string{"user"}},
	"aws_iam_group_membership":        {Whole: []string{"group"}},
	"aws_iam_user_group_membership":   {Whole: []string{"user"}},

	"aws_lambda_permission":            {Whole: []string{"function_name"}, Part: "statement_id", Param: "statementId"},
	"aws_sqs_queue_policy":             {Whole: []string{"queue_url"}},
	"aws_sqs_queue":                    {Whole: []string{"arn", "url", "name"}},
	"aws_sns_topic_policy":             {Whole: []string{"arn"}},
	"aws_db_instance":                  {Whole: []string{"identifier", "arn"}},
	"aws_rds_cluster":                  {Whole: []string{"cluster_identifier", "arn"}},
	"aws_kms_key_policy":               {Whole: []string{"key_id"}},
	"aws_autoscaling_group":            {Whole: []string{"name", "arn"}},
	"aws_lambda_function":              {Whole: []string{"function_name", "arn"}},
	"aws_secretsmanager_secret_policy": {Whole: []string{"secret_arn"}},
	"aws_lb_listener":                  {Whole: []string{"arn", "load_balancer_arn"}},
	"aws_guardduty_detector":           {Whole: []string{"id"}},
	"aws_cloudtrail":                   {Whole: []string{"arn", "name"}},
	"aws_s3_bucket":                    {Whole: []string{"bucket", "arn"}},
	"aws_ecr_repository_policy":        {Whole: []string{"repository"}},
	"aws_ecr_lifecycle_policy":         {Whole: []string{"repository"}},
	"aws_default_security_group":       {Whole: []string{"id"}},
	"aws_security_group":               {Whole: []string{"id"}}, // its name is not its own: every VPC has a default
}

// NamingOf returns how a type is named; false if by the usual attributes.
func NamingOf(resourceType string) (Naming, bool) {
	n, ok := namings[resourceType]
	return n, ok
}

// params are all that stand in namings.
var params = func() []string {
	var all []string
	for _, n := range namings {
		if n.Param != "" && !slices.Contains(all, n.Param) {
			all = append(all, n.Param)
		}
	}
	return all
}()

// Identifies reports whether a parameter tells parts of a resource apart, see
// Naming.
func Identifies(param string) bool { return slices.Contains(params, param) }
