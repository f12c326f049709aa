# What weir itself calls, and nothing else: integration/aws_test.go runs weir
# against a recording proxy and compares. What Terraform needs for your plans
# and applies is yours to add.
data "aws_iam_policy_document" "weir" {
  # Transactions need the rights of their parts: TransactGetItems that of
  # GetItem, TransactWriteItems those of PutItem, DeleteItem, ConditionCheckItem.
  # DeleteItem is also how /readyz tries whether the table takes writes: of an
  # item that does not exist.
  statement {
    sid = "Records"
    actions = [
      "dynamodb:ConditionCheckItem",
      "dynamodb:DeleteItem",
      "dynamodb:DescribeTable",
      "dynamodb:GetItem",
      "dynamodb:PutItem",
      "dynamodb:Query",
    ]
    resources = [aws_dynamodb_table.weir.arn]
  }

  statement {
    sid = "Artifacts"
    actions = [
      "s3:AbortMultipartUpload",
      "s3:DeleteObject",
      "s3:GetObject",
      "s3:PutObject",
    ]
    resources = ["${aws_s3_bucket.artifacts.arn}/*"]
  }

  # Without it S3 would not tell a missing object from a forbidden one.
  statement {
    sid       = "ListArtifacts"
    actions   = ["s3:ListBucket"]
    resources = [aws_s3_bucket.artifacts.arn]
  }

  dynamic "statement" {
    for_each = aws_kms_key.seal

    content {
      sid       = "SealArtifacts"
      actions   = ["kms:Decrypt", "kms:Encrypt"]
      resources = [statement.value.arn]
    }
  }

  dynamic "statement" {
    for_each = aws_sqs_queue.work

    content {
      sid = "Dispatch"
      actions = [
        "sqs:ChangeMessageVisibility",
        "sqs:DeleteMessage",
        "sqs:GetQueueUrl",
        "sqs:ReceiveMessage",
        "sqs:SendMessage",
      ]
      resources = [statement.value.arn]
    }
  }

  # How many messages wait, and how many are dead, for /metrics and the pages.
  dynamic "statement" {
    for_each = var.create_queue ? [1] : []

    content {
      sid       = "CountMessages"
      actions   = ["sqs:GetQueueAttributes"]
      resources = [aws_sqs_queue.work[0].arn, aws_sqs_queue.dead[0].arn]
    }
  }
}
