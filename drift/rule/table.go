package rule

import (
	"path"
	"slices"

	"weir/drift/finding"
)

// group is a set of attributes that matter alike, for one reason.
type group struct {
	types      []string // patterns
	attributes []string // patterns; nil is all, and the whole resource
	severity   finding.Severity
}

// whole stands in attributes for the resource as such: it is created, deleted
// or replaced.
const whole = ""

// table is what a finding is by itself; the first group that matches counts.
// Types and attributes are named as in the providers' documentation; why a
// group matters is in the public benchmark that stands above it.
var table = []group{
	// Labels for people. Attribute-based access control makes some tags more
	// than that; who uses it says so with a severity of their own.
	{[]string{"*"}, []string{
		"tags", "tags_all", "labels", "effective_labels", "terraform_labels", "annotations", "effective_annotations",
		"description", "display_name", "comment", "note", "notes",
	}, finding.Low},

	// Who may do what. CIS Amazon Web Services Foundations Benchmark, "Identity
	// and Access Management"; CIS Google Cloud Platform Foundation Benchmark,
	// "Identity and Access Management"; CIS Microsoft Azure Foundations
	// Benchmark, "Identity"; CIS Kubernetes Benchmark, "RBAC and Service
	// Accounts".
	{[]string{
		"aws_iam_*", "aws_ssoadmin_*", "aws_identitystore_*", "aws_organizations_policy*", "aws_rolesanywhere_*",
		"aws_lambda_permission", "aws_kms_grant", "aws_ram_*", "aws_eks_access_*", "aws_lakeformation_permissions",
		"aws_*_policy", "aws_*_policy_attachment", "aws_cognito_identity_pool_roles_attachment",
		"google_*_iam_*", "google_service_account*", "google_org_policy_*", "google_*organization_policy*", "google_iam_*",
		"google_access_context_manager_*", "google_bigquery_dataset_access",
		"azurerm_role_*", "azurerm_pim_*", "azuread_*", "azurerm_key_vault_access_policy", "azurerm_*policy_assignment",
		"azurerm_federated_identity_credential", "azurerm_management_lock",
		"kubernetes_role*", "kubernetes_cluster_role*", "kubernetes_service_account*", "kubernetes_secret*",
		"kubernetes_*webhook_configuration*", "kubernetes_pod_security_policy*", "kubernetes_certificate_signing_request*",
	}, nil, finding.High},
	{[]string{"aws_*"}, []string{
		"policy", "assume_role_policy", "inline_policy", "managed_policy_arns", "iam_instance_profile", "iam_role*", "execution_role_arn",
		"task_role_arn", "role_arn", "permissions_boundary", "iam_database_authentication_enabled",
	}, finding.High},
	{[]string{"google_*"}, []string{"access", "service_account", "service_account_email", "enable_legacy_abac", "workload_identity_config"}, finding.High},
	{[]string{"azurerm_*"}, []string{
		"identity", "access_policy", "enable_rbac_authorization", "rbac_authorization_enabled", "shared_access_key_enabled",
		"local_account_disabled", "admin_enabled", "role_based_access_control_enabled",
	}, finding.High},

	// What can be reached from where. The same benchmarks' "Networking" parts;
	// AWS Security Hub controls EC2.13, EC2.18, EC2.19, EC2.21; CIS Kubernetes
	// Benchmark, "Network Policies and CNI".
	{[]string{"aws_security_group", "aws_default_security_group", "aws_network_acl", "aws_default_network_acl"}, []string{"ingress", whole}, finding.High},
	{[]string{
		"aws_security_group_rule", "aws_vpc_security_group_ingress_rule", "aws_network_acl_rule", "aws_wafv2_*", "aws_waf*", "aws_networkfirewall_*",
		"aws_vpc_endpoint_service_allowed_principal",
		"google_compute_firewall*", "google_compute_*firewall_policy*", "google_compute_security_policy*",
		"azurerm_network_security_*", "azurerm_subnet_network_security_group_association", "azurerm_firewall*", "azurerm_*_firewall_rule",
		"azurerm_*_virtual_network_rule", "azurerm_web_application_firewall_policy",
		"kubernetes_network_policy*",
	}, nil, finding.High},

	// What is public. CIS Amazon Web Services Foundations Benchmark, "Storage";
	// AWS Security Hub controls S3.1 to S3.8, RDS.2, EC2.1, EKS.1, Lambda.1;
	// CIS Google Cloud Platform Foundation Benchmark, "Storage", "Cloud SQL
	// Database Services"; CIS Microsoft Azure Foundations Benchmark, "Storage
	// Accounts".
	{[]string{
		"aws_s3_bucket_public_access_block", "aws_s3_account_public_access_block", "aws_s3_bucket_acl", "aws_s3_bucket_ownership_controls",
		"aws_s3_object_acl", "aws_s3_bucket_website_configuration", "aws_ami_launch_permission", "aws_snapshot_create_volume_permission",
		"aws_ebs_snapshot_block_public_access", "aws_ec2_image_block_public_access", "aws_lambda_function_url",
		"google_storage_*acl", "google_storage_*access_control",
	}, nil, finding.High},
	{[]string{"aws_*"}, []string{
		"publicly_accessible", "acl", "grant", "associate_public_ip_address", "map_public_ip_on_launch", "internal", "block_public_*",
		"ignore_public_acls", "restrict_public_buckets", "public_access*", "endpoint_public_access", "vpc_config", "authorization",
		"metadata_options",
	}, finding.High},
	{[]string{"google_*"}, []string{
		"public_access_prevention", "uniform_bucket_level_access", "access_config", "private_cluster_config", "master_authorized_networks_config",
		"control_plane_endpoints_config", "ingress", "authorized_networks",
	}, finding.High},
	{[]string{"google_sql_database_instance"}, []string{"settings"}, finding.High}, // networks, TLS and backups are all in it
	{[]string{"azurerm_*"}, []string{
		"public_network_access*", "allow_nested_items_to_be_public", "allow_blob_public_access", "container_access_type", "network_rules",
		"network_acls", "ip_restriction", "api_server_*", "private_cluster_enabled", "security_rule", "cross_tenant_replication_enabled",
	}, finding.High},

	// What is encrypted, and with which key. AWS Security Hub controls EC2.3,
	// EC2.7, RDS.3, S3.17, KMS.3; CIS Google Cloud Platform Foundation
	// Benchmark, "Logging", "BigQuery"; CIS Microsoft Azure Foundations
	// Benchmark, "Storage Accounts", "Key Vault".
	{[]string{
		"aws_kms_*", "aws_ebs_encryption_by_default", "aws_ebs_default_kms_key", "aws_s3_bucket_server_side_encryption_configuration", "aws_acm*",
		"google_kms_*", "azurerm_key_vault_key", "azurerm_*_customer_managed_key", "azurerm_disk_encryption_set",
	}, nil, finding.High},
	{[]string{"*"}, []string{
		"kms_*", "*_kms_key*", "*encrypt*", "server_side_encryption*", "sse_*", "customer_managed_key*", "disk_encryption_set_id", "ssl_policy",
		"min_tls_version", "minimum_tls_version", "minimal_tls_version", "https_only", "https_traffic_only_enabled", "enable_https_traffic_only",
		"viewer_certificate", "ssl_enforcement*", "tls_*", "require_ssl",
	}, finding.High},

	// What keeps data from being lost. AWS Security Hub controls RDS.7, RDS.8,
	// RDS.11, DynamoDB.6, ELB.6, S3.14; the providers' documentation of the
	// arguments.
	{[]string{"*"}, []string{
		"*deletion_protection*", "disable_api_termination", "disable_api_stop", "termination_protection*", "enable_termination_protection",
		"skip_final_snapshot", "force_destroy", "force_delete", "prevent_destroy", "deletion_window_in_days", "is_enabled", "purge_protection_enabled",
		"soft_delete*", "backup_retention*", "retention_policy", "point_in_time_recovery", "object_lock*", "versioning", "prevent_deletion_if_contains_resources",
	}, finding.High},
	{[]string{
		"aws_s3_bucket_versioning", "aws_s3_bucket_object_lock_configuration", "aws_backup_*", "google_resource_manager_lien", "azurerm_backup_*",
	}, nil, finding.High},

	// What would show all of this. CIS Amazon Web Services Foundations
	// Benchmark, "Logging" and "Monitoring"; the same parts of the others.
	{[]string{
		"aws_cloudtrail*", "aws_config_*", "aws_guardduty_*", "aws_securityhub_*", "aws_flow_log", "aws_accessanalyzer_*", "aws_s3_bucket_logging",
		"google_logging_*", "google_*_iam_audit_config", "azurerm_monitor_diagnostic_setting", "azurerm_security_center_*",
	}, nil, finding.High},
}

// stateful are types whose objects hold what is gone with them, or that
// others depend on by identity: see "Amazon RDS", "Cloud SQL" and their like
// in the providers' documentation.
var stateful = []string{
	"aws_db_instance", "aws_db_snapshot", "aws_rds_*", "aws_dynamodb_*table*", "aws_s3_bucket", "aws_s3_directory_bucket", "aws_ebs_volume", "aws_ebs_snapshot",
	"aws_efs_file_system", "aws_fsx_*", "aws_elasticache_cluster", "aws_elasticache_replication_group", "aws_memorydb_cluster", "aws_redshift*_cluster",
	"aws_redshift_cluster", "aws_redshiftserverless_namespace", "aws_opensearch_domain", "aws_elasticsearch_domain", "aws_docdb*_cluster", "aws_docdb_cluster",
	"aws_neptune_cluster", "aws_kinesis_stream", "aws_msk_cluster", "aws_mq_broker", "aws_sqs_queue", "aws_ecr_repository", "aws_secretsmanager_secret",
	"aws_ssm_parameter", "aws_cognito_user_pool", "aws_route53_zone", "aws_eks_cluster", "aws_instance", "aws_vpc", "aws_timestream*_table",
	"aws_keyspaces_*", "aws_cloudwatch_log_group", "aws_codecommit_repository", "aws_glacier_vault", "aws_eip",
	"google_sql_*", "google_storage_bucket", "google_bigquery_*", "google_spanner_*", "google_bigtable_*", "google_compute_*disk", "google_compute_instance",
	"google_filestore_instance", "google_redis_*", "google_alloydb_*", "google_firestore_*", "google_secret_manager_secret*", "google_dns_managed_zone",
	"google_container_cluster", "google_artifact_registry_repository", "google_pubsub_*", "google_project", "google_compute_network", "google_compute_*address",
	"azurerm_storage_*", "azurerm_mssql_*", "azurerm_mysql_*", "azurerm_postgresql_*", "azurerm_mariadb_*", "azurerm_cosmosdb_*", "azurerm_managed_disk",
	"azurerm_key_vault*", "azurerm_redis_*", "azurerm_*dns_zone", "azurerm_kubernetes_cluster", "azurerm_container_registry", "azurerm_resource_group",
	"azurerm_*virtual_machine", "azurerm_virtual_network", "azurerm_eventhub*", "azurerm_servicebus_*", "azurerm_kusto_*", "azurerm_netapp_*", "azurerm_public_ip",
	"kubernetes_persistent_volume*", "kubernetes_stateful_set*", "kubernetes_namespace*", "kubernetes_storage_class*", "kubernetes_custom_resource_definition*",
	"random_*", "tls_private_key", "time_*",
}

// severity is how bad a finding is: as an override says, else as the table
// does. What is destroyed is at least Medium, and High where it holds state.
func severity(f finding.Finding, overrides []Severity) finding.Severity {
	kind := f.Type
	if kind == "" {
		kind = "output"
	}
	for _, o := range overrides {
		if glob(o.Type, kind) && (o.Attribute == "" || glob(o.Attribute, f.Attribute)) && rank[o.Severity] > 0 {
			return o.Severity
		}
	}
	matches := func(patterns []string, text string) bool {
		return slices.ContainsFunc(patterns, func(p string) bool { return match(p, text) })
	}
	found := finding.Medium
	if f.Type == "" {
		found = finding.Low // others may read it, but nothing is deployed by it
	}
	for _, g := range table {
		if matches(g.types, kind) && (g.attributes == nil || matches(g.attributes, f.Attribute)) {
			found = g.severity
			break
		}
	}
	if destroys(f) {
		if matches(stateful, kind) {
			return finding.High
		}
		if rank[found] < rank[finding.Medium] {
			return finding.Medium
		}
	}
	return found
}

// glob matches names, which have no slash. A broken pattern matches nothing.
func glob(pattern, name string) bool {
	ok, err := path.Match(pattern, name)
	return ok && err == nil
}
