output "weir_environment" {
  description = "What every replica gets in its environment to use all of this."
  value = merge(
    {
      WEIR_STORE     = "dynamodb://${aws_dynamodb_table.weir.name}?region=${local.region}"
      WEIR_ARTIFACTS = "s3://${aws_s3_bucket.artifacts.id}?region=${local.region}"
    },
    var.create_queue ? { WEIR_DISPATCH = "sqs://${aws_sqs_queue.work[0].name}?region=${local.region}" } : {},
    var.create_seal_key ? { WEIR_SEAL_KEY = "awskms:///${aws_kms_key.seal[0].arn}?region=${local.region}" } : {},
  )
}

output "policy_json" {
  description = "The least policy that weir itself works with, to be attached to the role of its replicas."
  value       = data.aws_iam_policy_document.weir.json
}

output "table_name" {
  description = "Name of the table."
  value       = aws_dynamodb_table.weir.name
}

output "table_arn" {
  description = "ARN of the table."
  value       = aws_dynamodb_table.weir.arn
}

output "bucket_name" {
  description = "Name of the bucket."
  value       = aws_s3_bucket.artifacts.id
}

output "bucket_arn" {
  description = "ARN of the bucket."
  value       = aws_s3_bucket.artifacts.arn
}

output "queue_url" {
  description = "URL of the queue; null without one."
  value       = one(aws_sqs_queue.work[*].url)
}

output "dead_letter_queue_url" {
  description = "URL of the dead-letter queue; null without one."
  value       = one(aws_sqs_queue.dead[*].url)
}

output "seal_key_arn" {
  description = "ARN of the KMS key that seals plan files; null without one."
  value       = one(aws_kms_key.seal[*].arn)
}
