package cloudtrail

import "strings"

// row says which calls of a service change which attributes of which types.
// Several stand with spaces between them.
type row struct {
	source     string // the service, as events name it
	types      string
	attributes string
	calls      string
}

// In attributes stand names of the AWS provider's documentation, or one of
// these.
const (
	all   = "*" // the call sets all there is to the resource
	named = "?" // the call can set much; what it did set its parameters name
	gone  = "-" // the call removes the resource
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
var table = []row{
	{"ec2", "aws_security_group aws_default_security_group", "ingress", "AuthorizeSecurityGroupIngress RevokeSecurityGroupIngress UpdateSecurityGroupRuleDescriptionsIngress ModifySecurityGroupRules"},
	{"ec2", "aws_security_group aws_default_security_group", "egress", "AuthorizeSecurityGroupEgress RevokeSecurityGroupEgress UpdateSecurityGroupRuleDescriptionsEgress ModifySecurityGroupRules"},
	{"ec2", "aws_security_group", gone, "DeleteSecurityGroup"},
	{"ec2", "aws_security_group_rule", all, "ModifySecurityGroupRules UpdateSecurityGroupRuleDescriptionsIngress UpdateSecurityGroupRuleDescriptionsEgress"},
	{"ec2", "aws_security_group_rule", gone, "RevokeSecurityGroupIngress RevokeSecurityGroupEgress"},
	{"ec2", "aws_vpc_security_group_ingress_rule", all, "ModifySecurityGroupRules UpdateSecurityGroupRuleDescriptionsIngress"},
	{"ec2", "aws_vpc_security_group_ingress_rule", gone, "RevokeSecurityGroupIngress"},
	{"ec2", "aws_vpc_security_group_egress_rule", all, "ModifySecurityGroupRules UpdateSecurityGroupRuleDescriptionsEgress"},
	{"ec2", "aws_vpc_security_group_egress_rule", gone, "RevokeSecurityGroupEgress"},
	{"ec2", "aws_network_acl aws_default_network_acl", "ingress egress", "CreateNetworkAclEntry ReplaceNetworkAclEntry DeleteNetworkAclEntry"},
	{"ec2", "aws_network_acl aws_default_network_acl", "subnet_ids", "ReplaceNetworkAclAssociation"},
	{"ec2", "aws_network_acl", gone, "DeleteNetworkAcl"},
	{"ec2", "aws_network_acl_rule", all, "ReplaceNetworkAclEntry"},
	{"ec2", "aws_network_acl_rule", gone, "DeleteNetworkAclEntry"},
	{"ec2", "aws_route_table aws_default_route_table", "route", "CreateRoute ReplaceRoute DeleteRoute"},
	{"ec2", "aws_route_table", "propagating_vgws", "EnableVgwRoutePropagation DisableVgwRoutePropagation"},
	{"ec2", "aws_route_table", gone, "DeleteRouteTable"},
	{"ec2", "aws_route", all, "ReplaceRoute"},
	{"ec2", "aws_route", gone, "DeleteRoute"},
	{"ec2", "aws_vpc", named, "ModifyVpcAttribute ModifyVpcTenancy"},
	{"ec2", "aws_vpc", gone, "DeleteVpc"},
	{"ec2", "aws_subnet", named, "ModifySubnetAttribute"},
	{"ec2", "aws_subnet", gone, "DeleteSubnet"},
	{"ec2", "aws_vpc_endpoint", named, "ModifyVpcEndpoint"},
	{"ec2", "aws_vpc_endpoint", gone, "DeleteVpcEndpoints"},
	{"ec2", "aws_instance", named, "ModifyInstanceAttribute ModifyInstanceMaintenanceOptions ModifyInstanceCreditSpecification ModifyInstancePlacement"},
	{"ec2", "aws_instance", "metadata_options", "ModifyInstanceMetadataOptions"},
	{"ec2", "aws_instance", "iam_instance_profile", "AssociateIamInstanceProfile DisassociateIamInstanceProfile ReplaceIamInstanceProfileAssociation"},
	{"ec2", "aws_instance", "monitoring", "MonitorInstances UnmonitorInstances"},
	{"ec2", "aws_instance", "instance_state", "StartInstances StopInstances TerminateInstances"},
	{"ec2", "aws_instance", gone, "TerminateInstances"},
	{"ec2", "aws_network_interface", named, "ModifyNetworkInterfaceAttribute"},
	{"ec2", "aws_network_interface", gone, "DeleteNetworkInterface"},
	{"ec2", "aws_ebs_volume", named, "ModifyVolume ModifyVolumeAttribute"},
	{"ec2", "aws_ebs_volume", gone, "DeleteVolume"},
	{"ec2", "aws_ami_launch_permission aws_ami", "launch_permission account_id group", "ModifyImageAttribute ResetImageAttribute"},
	{"ec2", "aws_ami", gone, "DeregisterImage"},
	{"ec2", "aws_snapshot_create_volume_permission", all, "ModifySnapshotAttribute ResetSnapshotAttribute"},
	{"ec2", "aws_launch_template", named, "CreateLaunchTemplateVersion ModifyLaunchTemplate DeleteLaunchTemplateVersions"},
	{"ec2", "aws_launch_template", gone, "DeleteLaunchTemplate"},
	{"ec2", "aws_flow_log", gone, "DeleteFlowLogs"},
	{"ec2", "aws_eip", "instance network_interface association_id", "AssociateAddress DisassociateAddress"},
	{"ec2", "aws_eip", gone, "ReleaseAddress"},

	{"s3", "aws_s3_bucket", "policy", "PutBucketPolicy DeleteBucketPolicy"},
	{"s3", "aws_s3_bucket", "acl grant", "PutBucketAcl"},
	{"s3", "aws_s3_bucket", "server_side_encryption_configuration", "PutBucketEncryption DeleteBucketEncryption"},
	{"s3", "aws_s3_bucket", "versioning", "PutBucketVersioning"},
	{"s3", "aws_s3_bucket", "logging", "PutBucketLogging"},
	{"s3", "aws_s3_bucket", "lifecycle_rule", "PutBucketLifecycle PutBucketLifecycleConfiguration DeleteBucketLifecycle"},
	{"s3", "aws_s3_bucket", "cors_rule", "PutBucketCors DeleteBucketCors"},
	{"s3", "aws_s3_bucket", "website", "PutBucketWebsite DeleteBucketWebsite"},
	{"s3", "aws_s3_bucket", "replication_configuration", "PutBucketReplication DeleteBucketReplication"},
	{"s3", "aws_s3_bucket", gone, "DeleteBucket"},
	{"s3", "aws_s3_bucket_policy", all, "PutBucketPolicy"},
	{"s3", "aws_s3_bucket_policy", gone, "DeleteBucketPolicy DeleteBucket"},
	{"s3", "aws_s3_bucket_public_access_block", all, "PutBucketPublicAccessBlock PutPublicAccessBlock"},
	{"s3", "aws_s3_bucket_public_access_block", gone, "DeleteBucketPublicAccessBlock DeletePublicAccessBlock DeleteBucket"},
	{"s3", "aws_s3_account_public_access_block", all, "PutAccountPublicAccessBlock"},
	{"s3", "aws_s3_account_public_access_block", gone, "DeleteAccountPublicAccessBlock"},
	{"s3", "aws_s3_bucket_acl", all, "PutBucketAcl"},
	{"s3", "aws_s3_bucket_ownership_controls", all, "PutBucketOwnershipControls"},
	{"s3", "aws_s3_bucket_ownership_controls", gone, "DeleteBucketOwnershipControls DeleteBucket"},
	{"s3", "aws_s3_bucket_server_side_encryption_configuration", all, "PutBucketEncryption DeleteBucketEncryption"},
	{"s3", "aws_s3_bucket_versioning", all, "PutBucketVersioning"},
	{"s3", "aws_s3_bucket_logging", all, "PutBucketLogging"},
	{"s3", "aws_s3_bucket_logging", gone, "PutBucketLogging DeleteBucket"},
	{"s3", "aws_s3_bucket_lifecycle_configuration", all, "PutBucketLifecycle PutBucketLifecycleConfiguration"},
	{"s3", "aws_s3_bucket_lifecycle_configuration", gone, "DeleteBucketLifecycle DeleteBucket"},
	{"s3", "aws_s3_bucket_cors_configuration", all, "PutBucketCors"},
	{"s3", "aws_s3_bucket_cors_configuration", gone, "DeleteBucketCors DeleteBucket"},
	{"s3", "aws_s3_bucket_website_configuration", all, "PutBucketWebsite"},
	{"s3", "aws_s3_bucket_website_configuration", gone, "DeleteBucketWebsite DeleteBucket"},
	{"s3", "aws_s3_bucket_notification", all, "PutBucketNotification PutBucketNotificationConfiguration"},
	{"s3", "aws_s3_bucket_replication_configuration", all, "PutBucketReplication"},
	{"s3", "aws_s3_bucket_replication_configuration", gone, "DeleteBucketReplication DeleteBucket"},
	{"s3", "aws_s3_bucket_object_lock_configuration", all, "PutBucketObjectLockConfiguration PutObjectLockConfiguration"},

	{"iam", "aws_iam_role", "assume_role_policy", "UpdateAssumeRolePolicy"},
	{"iam", "aws_iam_role", "permissions_boundary", "PutRolePermissionsBoundary DeleteRolePermissionsBoundary"},
	{"iam", "aws_iam_role", "managed_policy_arns", "AttachRolePolicy DetachRolePolicy"},
	{"iam", "aws_iam_role", "inline_policy", "PutRolePolicy DeleteRolePolicy"},
	{"iam", "aws_iam_role", "description max_session_duration", "UpdateRole UpdateRoleDescription"},
	{"iam", "aws_iam_role", gone, "DeleteRole"},
	{"iam", "aws_iam_role_policy", all, "PutRolePolicy"},
	{"iam", "aws_iam_role_policy", gone, "DeleteRolePolicy"},
	{"iam", "aws_iam_role_policy_attachment", all, "AttachRolePolicy"},
	{"iam", "aws_iam_role_policy_attachment", gone, "DetachRolePolicy"},
	{"iam", "aws_iam_user", "permissions_boundary", "PutUserPermissionsBoundary DeleteUserPermissionsBoundary"},
	{"iam", "aws_iam_user", "name path", "UpdateUser"},
	{"iam", "aws_iam_user", gone, "DeleteUser"},
	{"iam", "aws_iam_user_policy", all, "PutUserPolicy"},
	{"iam", "aws_iam_user_policy", gone, "DeleteUserPolicy"},
	{"iam", "aws_iam_user_policy_attachment", all, "AttachUserPolicy"},
	{"iam", "aws_iam_user_policy_attachment", gone, "DetachUserPolicy"},
	{"iam", "aws_iam_user_login_profile", all, "UpdateLoginProfile"},
	{"iam", "aws_iam_user_login_profile", gone, "DeleteLoginProfile"},
	{"iam", "aws_iam_group", gone, "DeleteGroup"},
	{"iam", "aws_iam_group_policy", all, "PutGroupPolicy"},
	{"iam", "aws_iam_group_policy", gone, "DeleteGroupPolicy"},
	{"iam", "aws_iam_group_policy_attachment", all, "AttachGroupPolicy"},
	{"iam", "aws_iam_group_policy_attachment", gone, "DetachGroupPolicy"},
	{"iam", "aws_iam_group_membership aws_iam_user_group_membership", all, "AddUserToGroup RemoveUserFromGroup"},
	{"iam", "aws_iam_policy", "policy", "CreatePolicyVersion SetDefaultPolicyVersion"},
	{"iam", "aws_iam_policy", gone, "DeletePolicy"},
	{"iam", "aws_iam_access_key", "status", "UpdateAccessKey"},
	{"iam", "aws_iam_access_key", gone, "DeleteAccessKey"},
	{"iam", "aws_iam_instance_profile", "role", "AddRoleToInstanceProfile RemoveRoleFromInstanceProfile"},
	{"iam", "aws_iam_openid_connect_provider", "client_id_list", "AddClientIDToOpenIDConnectProvider RemoveClientIDFromOpenIDConnectProvider"},
	{"iam", "aws_iam_openid_connect_provider", "thumbprint_list", "UpdateOpenIDConnectProviderThumbprint"},
	{"iam", "aws_iam_saml_provider", "saml_metadata_document", "UpdateSAMLProvider"},

	{"kms", "aws_kms_key", "policy", "PutKeyPolicy"},
	{"kms", "aws_kms_key aws_kms_external_key", "is_enabled enabled", "EnableKey DisableKey ScheduleKeyDeletion CancelKeyDeletion"},
	{"kms", "aws_kms_key", "enable_key_rotation rotation_period_in_days", "EnableKeyRotation DisableKeyRotation"},
	{"kms", "aws_kms_key", "description", "UpdateKeyDescription"},
	{"kms", "aws_kms_key aws_kms_external_key", gone, "ScheduleKeyDeletion"},
	{"kms", "aws_kms_key_policy", all, "PutKeyPolicy"},
	{"kms", "aws_kms_alias", "target_key_id target_key_arn", "UpdateAlias"},
	{"kms", "aws_kms_alias", gone, "DeleteAlias"},

	{"cloudtrail", "aws_cloudtrail", "enable_logging", "StartLogging StopLogging"},
	{"cloudtrail", "aws_cloudtrail", "event_selector advanced_event_selector", "PutEventSelectors"},
	{"cloudtrail", "aws_cloudtrail", "insight_selector", "PutInsightSelectors"},
	{"cloudtrail", "aws_cloudtrail", named, "UpdateTrail"},
	{"cloudtrail", "aws_cloudtrail", gone, "DeleteTrail"},

	{"rds", "aws_db_instance", named, "ModifyDBInstance"},
	{"rds", "aws_db_instance", gone, "DeleteDBInstance"},
	{"rds", "aws_rds_cluster", named, "ModifyDBCluster"},
	{"rds", "aws_rds_cluster", gone, "DeleteDBCluster"},
	{"rds", "aws_rds_cluster_instance", named, "ModifyDBInstance"},
	{"rds", "aws_rds_cluster_instance", gone, "DeleteDBInstance"},
	{"rds", "aws_db_parameter_group", "parameter", "ModifyDBParameterGroup ResetDBParameterGroup"},
	{"rds", "aws_rds_cluster_parameter_group", "parameter", "ModifyDBClusterParameterGroup ResetDBClusterParameterGroup"},
	{"rds", "aws_db_subnet_group", "subnet_ids description", "ModifyDBSubnetGroup"},

	{"lambda", "aws_lambda_function", named, "UpdateFunctionConfiguration"},
	{"lambda", "aws_lambda_function", "source_code_hash code_sha256 filename image_uri s3_key s3_object_version architectures", "UpdateFunctionCode"},
	{"lambda", "aws_lambda_function", "reserved_concurrent_executions", "PutFunctionConcurrency DeleteFunctionConcurrency"},
	{"lambda", "aws_lambda_function", gone, "DeleteFunction"},
	{"lambda", "aws_lambda_permission", gone, "RemovePermission DeleteFunction"},
	{"dynamodb", "aws_dynamodb_table", named, "UpdateTable"},
	{"dynamodb", "aws_dynamodb_table", "ttl", "UpdateTimeToLive"},
	{"dynamodb", "aws_dynamodb_table", "point_in_time_recovery", "UpdateContinuousBackups"},
	{"dynamodb", "aws_dynamodb_table", gone, "DeleteTable"},
	{"sns", "aws_sns_topic", named, "SetTopicAttributes"},
	{"sns", "aws_sns_topic", "policy", "AddPermission RemovePermission"},
	{"sns", "aws_sns_topic", gone, "DeleteTopic"},
	{"sns", "aws_sns_topic_policy", named, "SetTopicAttributes"},
	{"sqs", "aws_sqs_queue", named, "SetQueueAttributes"},
	{"sqs", "aws_sqs_queue", "policy", "AddPermission RemovePermission"},
	{"sqs", "aws_sqs_queue", gone, "DeleteQueue"},
	{"sqs", "aws_sqs_queue_policy", named, "SetQueueAttributes"},
	{"secretsmanager", "aws_secretsmanager_secret", named, "UpdateSecret"},
	{"secretsmanager", "aws_secretsmanager_secret aws_secretsmanager_secret_policy", "policy", "PutResourcePolicy DeleteResourcePolicy"},
	{"secretsmanager", "aws_secretsmanager_secret", gone, "DeleteSecret"},
	{"ssm", "aws_ssm_parameter", all, "PutParameter"},
	{"ssm", "aws_ssm_parameter", gone, "DeleteParameter DeleteParameters"},
	{"ecr", "aws_ecr_repository_policy", all, "SetRepositoryPolicy"},
	{"ecr", "aws_ecr_repository_policy", gone, "DeleteRepositoryPolicy"},
	{"ecr", "aws_ecr_lifecycle_policy", all, "PutLifecyclePolicy"},
	{"ecr", "aws_ecr_repository", "image_tag_mutability", "PutImageTagMutability"},
	{"ecr", "aws_ecr_repository", "image_scanning_configuration", "PutImageScanningConfiguration"},
	{"ecr", "aws_ecr_repository", gone, "DeleteRepository"},
	{"ecs", "aws_ecs_service", named, "UpdateService"},
	{"ecs", "aws_ecs_service", gone, "DeleteService"},
	{"ecs", "aws_ecs_cluster", "setting", "UpdateClusterSettings"},
	{"ecs", "aws_ecs_cluster", named, "UpdateCluster"},
	{"ecs", "aws_ecs_cluster", gone, "DeleteCluster"},
	{"eks", "aws_eks_cluster", "version", "UpdateClusterVersion"},
	{"eks", "aws_eks_cluster", named, "UpdateClusterConfig"},
	{"eks", "aws_eks_cluster", gone, "DeleteCluster"},
	{"eks", "aws_eks_node_group", named, "UpdateNodegroupConfig UpdateNodegroupVersion"},
	{"eks", "aws_eks_node_group", gone, "DeleteNodegroup"},
	{"autoscaling", "aws_autoscaling_group", named, "UpdateAutoScalingGroup"},
	{"autoscaling", "aws_autoscaling_group", "desired_capacity", "SetDesiredCapacity"},
	{"autoscaling", "aws_autoscaling_group", "suspended_processes", "SuspendProcesses ResumeProcesses"},
	{"autoscaling", "aws_autoscaling_group", gone, "DeleteAutoScalingGroup"},

	{"elasticloadbalancing", "aws_lb aws_alb", named, "ModifyLoadBalancerAttributes"},
	{"elasticloadbalancing", "aws_lb aws_alb", "security_groups", "SetSecurityGroups"},
	{"elasticloadbalancing", "aws_lb aws_alb", "subnets subnet_mapping", "SetSubnets"},
	{"elasticloadbalancing", "aws_lb aws_alb", gone, "DeleteLoadBalancer"},
	{"elasticloadbalancing", "aws_lb_listener aws_alb_listener", named, "ModifyListener"},
	{"elasticloadbalancing", "aws_lb_listener aws_alb_listener", gone, "DeleteListener"},
	{"elasticloadbalancing", "aws_lb_listener_rule", named, "ModifyRule"},
	{"elasticloadbalancing", "aws_lb_listener_rule", "priority", "SetRulePriorities"},
	{"elasticloadbalancing", "aws_lb_listener_rule", gone, "DeleteRule"},
	{"elasticloadbalancing", "aws_lb_target_group aws_alb_target_group", named, "ModifyTargetGroup ModifyTargetGroupAttributes"},
	{"elasticloadbalancing", "aws_lb_target_group aws_alb_target_group", gone, "DeleteTargetGroup"},
	{"route53", "aws_route53_record", all, "ChangeResourceRecordSets"},
	{"route53", "aws_route53_record", gone, "ChangeResourceRecordSets"},
	{"cloudfront", "aws_cloudfront_distribution", named, "UpdateDistribution"},
	{"wafv2", "aws_wafv2_web_acl", named, "UpdateWebACL"},
	{"logs", "aws_cloudwatch_log_group", "retention_in_days", "PutRetentionPolicy DeleteRetentionPolicy"},
	{"logs", "aws_cloudwatch_log_group", "kms_key_id", "AssociateKmsKey DisassociateKmsKey"},
	{"logs", "aws_cloudwatch_log_group", gone, "DeleteLogGroup"},
	{"monitoring", "aws_cloudwatch_metric_alarm", "actions_enabled", "EnableAlarmActions DisableAlarmActions"},
	{"monitoring", "aws_cloudwatch_metric_alarm", all, "PutMetricAlarm"},
	{"monitoring", "aws_cloudwatch_metric_alarm", gone, "DeleteAlarms"},
	{"events", "aws_cloudwatch_event_rule", "state is_enabled", "EnableRule DisableRule"},
	{"events", "aws_cloudwatch_event_rule", all, "PutRule"},
	{"events", "aws_cloudwatch_event_rule", gone, "DeleteRule"},
	{"guardduty", "aws_guardduty_detector", named, "UpdateDetector"},
	{"guardduty", "aws_guardduty_detector", gone, "DeleteDetector"},
	{"elasticache", "aws_elasticache_replication_group", named, "ModifyReplicationGroup"},
	{"elasticache", "aws_elasticache_cluster", named, "ModifyCacheCluster"},
	{"redshift", "aws_redshift_cluster", named, "ModifyCluster"},
	{"es", "aws_opensearch_domain aws_elasticsearch_domain", named, "UpdateDomainConfig UpdateElasticsearchDomainConfig"},
	{"elasticfilesystem", "aws_efs_file_system", named, "UpdateFileSystem"},
	{"elasticfilesystem", "aws_efs_file_system_policy", all, "PutFileSystemPolicy"},
	{"elasticfilesystem", "aws_efs_file_system_policy", gone, "DeleteFileSystemPolicy"},
}

func holds(list, word string) bool {
	for one := range strings.FieldsSeq(list) {
		if one == word {
			return true
		}
	}
	return false
}

// rowsFor are the rows about a type; none if nothing is known of it.
func rowsFor(resourceType string) []row {
	var rows []row
	for _, r := range table {
		if holds(r.types, resourceType) {
			rows = append(rows, r)
		}
	}
	return rows
}
