// Package calls holds what is known of AWS's calls: which of them change which
// attributes of which resources, and by which names those are known to AWS.
package calls

import "strings"

// Row says which calls of a service change which attributes of which types.
// Several stand with spaces between them.
type Row struct {
	Source     string // the service, as events name it
	Types      string
	Attributes string
	Calls      string // without versions
}

// In attributes stand names of the AWS provider's documentation, or one of
// these.
const (
	All   = "*" // the call sets all there is to the resource
	Named = "?" // the call can set much; what it did set its parameters name
	Gone  = "-" // the call removes the resource
)

// tagging are the calls that change tags, of any service: one each in most, one
// for all in the newer ones.
const tagging = "CreateTags DeleteTags TagResource UntagResource TagResources UntagResources AddTags RemoveTags " +
	"AddTagsToResource RemoveTagsFromResource ChangeTagsForResource CreateOrUpdateTags AddTagsToStream TagQueue " +
	"UntagQueue TagRole UntagRole TagUser UntagUser TagPolicy UntagPolicy TagInstanceProfile UntagInstanceProfile " +
	"PutBucketTagging DeleteBucketTagging TagLogGroup UntagLogGroup"

// table is what is known of calls. The calls are those of the services' API
// references, under the names that CloudTrail gives them; where those differ,
// as in "Amazon S3 CloudTrail events" of the Amazon S3 User Guide, both stand
// here.
var table = []Row{
	{"ec2", "aws_security_group aws_default_security_group", "ingress", "AuthorizeSecurityGroupIngress RevokeSecurityGroupIngress UpdateSecurityGroupRuleDescriptionsIngress ModifySecurityGroupRules"},
	{"ec2", "aws_security_group aws_default_security_group", "egress", "AuthorizeSecurityGroupEgress RevokeSecurityGroupEgress UpdateSecurityGroupRuleDescriptionsEgress ModifySecurityGroupRules"},
	{"ec2", "aws_security_group", Gone, "DeleteSecurityGroup"},
	{"ec2", "aws_security_group_rule", All, "ModifySecurityGroupRules UpdateSecurityGroupRuleDescriptionsIngress UpdateSecurityGroupRuleDescriptionsEgress"},
	{"ec2", "aws_security_group_rule", Gone, "RevokeSecurityGroupIngress RevokeSecurityGroupEgress"},
	{"ec2", "aws_vpc_security_group_ingress_rule", All, "ModifySecurityGroupRules UpdateSecurityGroupRuleDescriptionsIngress"},
	{"ec2", "aws_vpc_security_group_ingress_rule", Gone, "RevokeSecurityGroupIngress"},
	{"ec2", "aws_vpc_security_group_egress_rule", All, "ModifySecurityGroupRules UpdateSecurityGroupRuleDescriptionsEgress"},
	{"ec2", "aws_vpc_security_group_egress_rule", Gone, "RevokeSecurityGroupEgress"},
	{"ec2", "aws_network_acl aws_default_network_acl", "ingress egress", "CreateNetworkAclEntry ReplaceNetworkAclEntry DeleteNetworkAclEntry"},
	{"ec2", "aws_network_acl aws_default_network_acl", "subnet_ids", "ReplaceNetworkAclAssociation"},
	{"ec2", "aws_network_acl", Gone, "DeleteNetworkAcl"},
	{"ec2", "aws_network_acl_rule", All, "ReplaceNetworkAclEntry"},
	{"ec2", "aws_network_acl_rule", Gone, "DeleteNetworkAclEntry"},
	{"ec2", "aws_route_table aws_default_route_table", "route", "CreateRoute ReplaceRoute DeleteRoute"},
	{"ec2", "aws_route_table", "propagating_vgws", "EnableVgwRoutePropagation DisableVgwRoutePropagation"},
	{"ec2", "aws_route_table", Gone, "DeleteRouteTable"},
	{"ec2", "aws_route", All, "ReplaceRoute"},
	{"ec2", "aws_route", Gone, "DeleteRoute"},
	{"ec2", "aws_vpc", Named, "ModifyVpcAttribute ModifyVpcTenancy"},
	{"ec2", "aws_vpc", Gone, "DeleteVpc"},
	{"ec2", "aws_subnet", Named, "ModifySubnetAttribute"},
	{"ec2", "aws_subnet", Gone, "DeleteSubnet"},
	{"ec2", "aws_vpc_endpoint", Named, "ModifyVpcEndpoint"},
	{"ec2", "aws_vpc_endpoint", Gone, "DeleteVpcEndpoints"},
	{"ec2", "aws_instance", Named, "ModifyInstanceAttribute ModifyInstanceMaintenanceOptions ModifyInstanceCreditSpecification ModifyInstancePlacement"},
	{"ec2", "aws_instance", "metadata_options", "ModifyInstanceMetadataOptions"},
	{"ec2", "aws_instance", "iam_instance_profile", "AssociateIamInstanceProfile DisassociateIamInstanceProfile ReplaceIamInstanceProfileAssociation"},
	{"ec2", "aws_instance", "monitoring", "MonitorInstances UnmonitorInstances"},
	{"ec2", "aws_instance", "instance_state", "StartInstances StopInstances TerminateInstances"},
	{"ec2", "aws_instance", Gone, "TerminateInstances"},
	{"ec2", "aws_network_interface", Named, "ModifyNetworkInterfaceAttribute"},
	{"ec2", "aws_network_interface", Gone, "DeleteNetworkInterface"},
	{"ec2", "aws_ebs_volume", Named, "ModifyVolume ModifyVolumeAttribute"},
	{"ec2", "aws_ebs_volume", Gone, "DeleteVolume"},
	{"ec2", "aws_ami_launch_permission aws_ami", "launch_permission account_id group", "ModifyImageAttribute ResetImageAttribute"},
	{"ec2", "aws_ami", Gone, "DeregisterImage"},
	{"ec2", "aws_snapshot_create_volume_permission", All, "ModifySnapshotAttribute ResetSnapshotAttribute"},
	{"ec2", "aws_launch_template", Named, "CreateLaunchTemplateVersion ModifyLaunchTemplate DeleteLaunchTemplateVersions"},
	{"ec2", "aws_launch_template", Gone, "DeleteLaunchTemplate"},
	{"ec2", "aws_flow_log", Gone, "DeleteFlowLogs"},
	{"ec2", "aws_eip", "instance network_interface association_id", "AssociateAddress DisassociateAddress"},
	{"ec2", "aws_eip", Gone, "ReleaseAddress"},

	{"s3", "aws_s3_bucket", "policy", "PutBucketPolicy DeleteBucketPolicy"},
	{"s3", "aws_s3_bucket", "acl grant", "PutBucketAcl"},
	{"s3", "aws_s3_bucket", "server_side_encryption_configuration", "PutBucketEncryption DeleteBucketEncryption"},
	{"s3", "aws_s3_bucket", "versioning", "PutBucketVersioning"},
	{"s3", "aws_s3_bucket", "logging", "PutBucketLogging"},
	{"s3", "aws_s3_bucket", "lifecycle_rule", "PutBucketLifecycle PutBucketLifecycleConfiguration DeleteBucketLifecycle"},
	{"s3", "aws_s3_bucket", "cors_rule", "PutBucketCors DeleteBucketCors"},
	{"s3", "aws_s3_bucket", "website", "PutBucketWebsite DeleteBucketWebsite"},
	{"s3", "aws_s3_bucket", "replication_configuration", "PutBucketReplication DeleteBucketReplication"},
	{"s3", "aws_s3_bucket", Gone, "DeleteBucket"},
	{"s3", "aws_s3_bucket_policy", All, "PutBucketPolicy"},
	{"s3", "aws_s3_bucket_policy", Gone, "DeleteBucketPolicy DeleteBucket"},
	{"s3", "aws_s3_bucket_public_access_block", All, "PutBucketPublicAccessBlock PutPublicAccessBlock"},
	{"s3", "aws_s3_bucket_public_access_block", Gone, "DeleteBucketPublicAccessBlock DeletePublicAccessBlock DeleteBucket"},
	{"s3", "aws_s3_account_public_access_block", All, "PutAccountPublicAccessBlock"},
	{"s3", "aws_s3_account_public_access_block", Gone, "DeleteAccountPublicAccessBlock"},
	{"s3", "aws_s3_bucket_acl", All, "PutBucketAcl"},
	{"s3", "aws_s3_bucket_ownership_controls", All, "PutBucketOwnershipControls"},
	{"s3", "aws_s3_bucket_ownership_controls", Gone, "DeleteBucketOwnershipControls DeleteBucket"},
	{"s3", "aws_s3_bucket_server_side_encryption_configuration", All, "PutBucketEncryption DeleteBucketEncryption"},
	{"s3", "aws_s3_bucket_versioning", All, "PutBucketVersioning"},
	{"s3", "aws_s3_bucket_logging", All, "PutBucketLogging"},
	{"s3", "aws_s3_bucket_logging", Gone, "PutBucketLogging DeleteBucket"},
	{"s3", "aws_s3_bucket_lifecycle_configuration", All, "PutBucketLifecycle PutBucketLifecycleConfiguration"},
	{"s3", "aws_s3_bucket_lifecycle_configuration", Gone, "DeleteBucketLifecycle DeleteBucket"},
	{"s3", "aws_s3_bucket_cors_configuration", All, "PutBucketCors"},
	{"s3", "aws_s3_bucket_cors_configuration", Gone, "DeleteBucketCors DeleteBucket"},
	{"s3", "aws_s3_bucket_website_configuration", All, "PutBucketWebsite"},
	{"s3", "aws_s3_bucket_website_configuration", Gone, "DeleteBucketWebsite DeleteBucket"},
	{"s3", "aws_s3_bucket_notification", All, "PutBucketNotification PutBucketNotificationConfiguration"},
	{"s3", "aws_s3_bucket_replication_configuration", All, "PutBucketReplication"},
	{"s3", "aws_s3_bucket_replication_configuration", Gone, "DeleteBucketReplication DeleteBucket"},
	{"s3", "aws_s3_bucket_object_lock_configuration", All, "PutBucketObjectLockConfiguration PutObjectLockConfiguration"},

	{"iam", "aws_iam_role", "assume_role_policy", "UpdateAssumeRolePolicy"},
	{"iam", "aws_iam_role", "permissions_boundary", "PutRolePermissionsBoundary DeleteRolePermissionsBoundary"},
	{"iam", "aws_iam_role", "managed_policy_arns", "AttachRolePolicy DetachRolePolicy"},
	{"iam", "aws_iam_role", "inline_policy", "PutRolePolicy DeleteRolePolicy"},
	{"iam", "aws_iam_role", "description max_session_duration", "UpdateRole UpdateRoleDescription"},
	{"iam", "aws_iam_role", Gone, "DeleteRole"},
	{"iam", "aws_iam_role_policy", All, "PutRolePolicy"},
	{"iam", "aws_iam_role_policy", Gone, "DeleteRolePolicy"},
	{"iam", "aws_iam_role_policy_attachment", All, "AttachRolePolicy"},
	{"iam", "aws_iam_role_policy_attachment", Gone, "DetachRolePolicy"},
	{"iam", "aws_iam_user", "permissions_boundary", "PutUserPermissionsBoundary DeleteUserPermissionsBoundary"},
	{"iam", "aws_iam_user", "name path", "UpdateUser"},
	{"iam", "aws_iam_user", Gone, "DeleteUser"},
	{"iam", "aws_iam_user_policy", All, "PutUserPolicy"},
	{"iam", "aws_iam_user_policy", Gone, "DeleteUserPolicy"},
	{"iam", "aws_iam_user_policy_attachment", All, "AttachUserPolicy"},
	{"iam", "aws_iam_user_policy_attachment", Gone, "DetachUserPolicy"},
	{"iam", "aws_iam_user_login_profile", All, "UpdateLoginProfile"},
	{"iam", "aws_iam_user_login_profile", Gone, "DeleteLoginProfile"},
	{"iam", "aws_iam_group", Gone, "DeleteGroup"},
	{"iam", "aws_iam_group_policy", All, "PutGroupPolicy"},
	{"iam", "aws_iam_group_policy", Gone, "DeleteGroupPolicy"},
	{"iam", "aws_iam_group_policy_attachment", All, "AttachGroupPolicy"},
	{"iam", "aws_iam_group_policy_attachment", Gone, "DetachGroupPolicy"},
	{"iam", "aws_iam_group_membership aws_iam_user_group_membership", All, "AddUserToGroup RemoveUserFromGroup"},
	{"iam", "aws_iam_policy", "policy", "CreatePolicyVersion SetDefaultPolicyVersion"},
	{"iam", "aws_iam_policy", Gone, "DeletePolicy"},
	{"iam", "aws_iam_access_key", "status", "UpdateAccessKey"},
	{"iam", "aws_iam_access_key", Gone, "DeleteAccessKey"},
	{"iam", "aws_iam_instance_profile", "role", "AddRoleToInstanceProfile RemoveRoleFromInstanceProfile"},
	{"iam", "aws_iam_openid_connect_provider", "client_id_list", "AddClientIDToOpenIDConnectProvider RemoveClientIDFromOpenIDConnectProvider"},
	{"iam", "aws_iam_openid_connect_provider", "thumbprint_list", "UpdateOpenIDConnectProviderThumbprint"},
	{"iam", "aws_iam_saml_provider", "saml_metadata_document", "UpdateSAMLProvider"},

	{"kms", "aws_kms_key", "policy", "PutKeyPolicy"},
	{"kms", "aws_kms_key aws_kms_external_key", "is_enabled enabled", "EnableKey DisableKey ScheduleKeyDeletion CancelKeyDeletion"},
	{"kms", "aws_kms_key", "enable_key_rotation rotation_period_in_days", "EnableKeyRotation DisableKeyRotation"},
	{"kms", "aws_kms_key", "description", "UpdateKeyDescription"},
	{"kms", "aws_kms_key aws_kms_external_key", Gone, "ScheduleKeyDeletion"},
	{"kms", "aws_kms_key_policy", All, "PutKeyPolicy"},
	{"kms", "aws_kms_alias", "target_key_id target_key_arn", "UpdateAlias"},
	{"kms", "aws_kms_alias", Gone, "DeleteAlias"},

	{"cloudtrail", "aws_cloudtrail", "enable_logging", "StartLogging StopLogging"},
	{"cloudtrail", "aws_cloudtrail", "event_selector advanced_event_selector", "PutEventSelectors"},
	{"cloudtrail", "aws_cloudtrail", "insight_selector", "PutInsightSelectors"},
	{"cloudtrail", "aws_cloudtrail", Named, "UpdateTrail"},
	{"cloudtrail", "aws_cloudtrail", Gone, "DeleteTrail"},

	{"rds", "aws_db_instance", Named, "ModifyDBInstance"},
	{"rds", "aws_db_instance", Gone, "DeleteDBInstance"},
	{"rds", "aws_rds_cluster", Named, "ModifyDBCluster"},
	{"rds", "aws_rds_cluster", Gone, "DeleteDBCluster"},
	{"rds", "aws_rds_cluster_instance", Named, "ModifyDBInstance"},
	{"rds", "aws_rds_cluster_instance", Gone, "DeleteDBInstance"},
	{"rds", "aws_db_parameter_group", "parameter", "ModifyDBParameterGroup ResetDBParameterGroup"},
	{"rds", "aws_rds_cluster_parameter_group", "parameter", "ModifyDBClusterParameterGroup ResetDBClusterParameterGroup"},
	{"rds", "aws_db_subnet_group", "subnet_ids description", "ModifyDBSubnetGroup"},

	{"lambda", "aws_lambda_function", Named, "UpdateFunctionConfiguration"},
	{"lambda", "aws_lambda_function", "source_code_hash code_sha256 filename image_uri s3_key s3_object_version architectures", "UpdateFunctionCode"},
	{"lambda", "aws_lambda_function", "reserved_concurrent_executions", "PutFunctionConcurrency DeleteFunctionConcurrency"},
	{"lambda", "aws_lambda_function", Gone, "DeleteFunction"},
	{"lambda", "aws_lambda_permission", Gone, "RemovePermission DeleteFunction"},
	{"dynamodb", "aws_dynamodb_table", Named, "UpdateTable"},
	{"dynamodb", "aws_dynamodb_table", "ttl", "UpdateTimeToLive"},
	{"dynamodb", "aws_dynamodb_table", "point_in_time_recovery", "UpdateContinuousBackups"},
	{"dynamodb", "aws_dynamodb_table", Gone, "DeleteTable"},
	{"sns", "aws_sns_topic", Named, "SetTopicAttributes"},
	{"sns", "aws_sns_topic", "policy", "AddPermission RemovePermission"},
	{"sns", "aws_sns_topic", Gone, "DeleteTopic"},
	{"sns", "aws_sns_topic_policy", Named, "SetTopicAttributes"},
	{"sqs", "aws_sqs_queue", Named, "SetQueueAttributes"},
	{"sqs", "aws_sqs_queue", "policy", "AddPermission RemovePermission"},
	{"sqs", "aws_sqs_queue", Gone, "DeleteQueue"},
	{"sqs", "aws_sqs_queue_policy", Named, "SetQueueAttributes"},
	{"secretsmanager", "aws_secretsmanager_secret", Named, "UpdateSecret"},
	{"secretsmanager", "aws_secretsmanager_secret aws_secretsmanager_secret_policy", "policy", "PutResourcePolicy DeleteResourcePolicy"},
	{"secretsmanager", "aws_secretsmanager_secret", Gone, "DeleteSecret"},
	{"ssm", "aws_ssm_parameter", All, "PutParameter"},
	{"ssm", "aws_ssm_parameter", Gone, "DeleteParameter DeleteParameters"},
	{"ecr", "aws_ecr_repository_policy", All, "SetRepositoryPolicy"},
	{"ecr", "aws_ecr_repository_policy", Gone, "DeleteRepositoryPolicy"},
	{"ecr", "aws_ecr_lifecycle_policy", All, "PutLifecyclePolicy"},
	{"ecr", "aws_ecr_repository", "image_tag_mutability", "PutImageTagMutability"},
	{"ecr", "aws_ecr_repository", "image_scanning_configuration", "PutImageScanningConfiguration"},
	{"ecr", "aws_ecr_repository", Gone, "DeleteRepository"},
	{"ecs", "aws_ecs_service", Named, "UpdateService"},
	{"ecs", "aws_ecs_service", Gone, "DeleteService"},
	{"ecs", "aws_ecs_cluster", "setting", "UpdateClusterSettings"},
	{"ecs", "aws_ecs_cluster", Named, "UpdateCluster"},
	{"ecs", "aws_ecs_cluster", Gone, "DeleteCluster"},
	{"eks", "aws_eks_cluster", "version", "UpdateClusterVersion"},
	{"eks", "aws_eks_cluster", Named, "UpdateClusterConfig"},
	{"eks", "aws_eks_cluster", Gone, "DeleteCluster"},
	{"eks", "aws_eks_node_group", Named, "UpdateNodegroupConfig UpdateNodegroupVersion"},
	{"eks", "aws_eks_node_group", Gone, "DeleteNodegroup"},
	{"autoscaling", "aws_autoscaling_group", Named, "UpdateAutoScalingGroup"},
	{"autoscaling", "aws_autoscaling_group", "desired_capacity", "SetDesiredCapacity"},
	{"autoscaling", "aws_autoscaling_group", "suspended_processes", "SuspendProcesses ResumeProcesses"},
	{"autoscaling", "aws_autoscaling_group", Gone, "DeleteAutoScalingGroup"},

	{"elasticloadbalancing", "aws_lb aws_alb", Named, "ModifyLoadBalancerAttributes"},
	{"elasticloadbalancing", "aws_lb aws_alb", "security_groups", "SetSecurityGroups"},
	{"elasticloadbalancing", "aws_lb aws_alb", "subnets subnet_mapping", "SetSubnets"},
	{"elasticloadbalancing", "aws_lb aws_alb", Gone, "DeleteLoadBalancer"},
	{"elasticloadbalancing", "aws_lb_listener aws_alb_listener", Named, "ModifyListener"},
	{"elasticloadbalancing", "aws_lb_listener aws_alb_listener", Gone, "DeleteListener"},
	{"elasticloadbalancing", "aws_lb_listener_rule", Named, "ModifyRule"},
	{"elasticloadbalancing", "aws_lb_listener_rule", "priority", "SetRulePriorities"},
	{"elasticloadbalancing", "aws_lb_listener_rule", Gone, "DeleteRule"},
	{"elasticloadbalancing", "aws_lb_target_group aws_alb_target_group", Named, "ModifyTargetGroup ModifyTargetGroupAttributes"},
	{"elasticloadbalancing", "aws_lb_target_group aws_alb_target_group", Gone, "DeleteTargetGroup"},
	{"route53", "aws_route53_record", All, "ChangeResourceRecordSets"},
	{"route53", "aws_route53_record", Gone, "ChangeResourceRecordSets"},
	{"cloudfront", "aws_cloudfront_distribution", Named, "UpdateDistribution"},
	{"wafv2", "aws_wafv2_web_acl", Named, "UpdateWebACL"},
	{"logs", "aws_cloudwatch_log_group", "retention_in_days", "PutRetentionPolicy DeleteRetentionPolicy"},
	{"logs", "aws_cloudwatch_log_group", "kms_key_id", "AssociateKmsKey DisassociateKmsKey"},
	{"logs", "aws_cloudwatch_log_group", Gone, "DeleteLogGroup"},
	{"monitoring", "aws_cloudwatch_metric_alarm", "actions_enabled", "EnableAlarmActions DisableAlarmActions"},
	{"monitoring", "aws_cloudwatch_metric_alarm", All, "PutMetricAlarm"},
	{"monitoring", "aws_cloudwatch_metric_alarm", Gone, "DeleteAlarms"},
	{"events", "aws_cloudwatch_event_rule", "state is_enabled", "EnableRule DisableRule"},
	{"events", "aws_cloudwatch_event_rule", All, "PutRule"},
	{"events", "aws_cloudwatch_event_rule", Gone, "DeleteRule"},
	{"guardduty", "aws_guardduty_detector", Named, "UpdateDetector"},
	{"guardduty", "aws_guardduty_detector", Gone, "DeleteDetector"},
	{"elasticache", "aws_elasticache_replication_group", Named, "ModifyReplicationGroup"},
	{"elasticache", "aws_elasticache_cluster", Named, "ModifyCacheCluster"},
	{"redshift", "aws_redshift_cluster", Named, "ModifyCluster"},
	{"es", "aws_opensearch_domain aws_elasticsearch_domain", Named, "UpdateDomainConfig UpdateElasticsearchDomainConfig"},
	{"elasticfilesystem", "aws_efs_file_system", Named, "UpdateFileSystem"},
	{"elasticfilesystem", "aws_efs_file_system_policy", All, "PutFileSystemPolicy"},
	{"elasticfilesystem", "aws_efs_file_system_policy", Gone, "DeleteFileSystemPolicy"},
}

// Tags reports whether a call changes tags, of whatever it may be.
func Tags(call string) bool { return holds(tagging, call) }

// For are the rows about a type; none if nothing is known of it.
func For(resourceType string) []Row {
	var rows []Row
	for _, r := range table {
		if holds(r.Types, resourceType) {
			rows = append(rows, r)
		}
	}
	return rows
}

// Has reports whether a call of a service is one of the row's.
func (r Row) Has(source, call string) bool { return r.Source == source && holds(r.Calls, call) }

// Lists reports whether an attribute stands in the row by its name.
func (r Row) Lists(attribute string) bool { return holds(r.Attributes, attribute) }

func holds(list, word string) bool {
	for one := range strings.FieldsSeq(list) {
		if one == word {
			return true
		}
	}
	return false
}
