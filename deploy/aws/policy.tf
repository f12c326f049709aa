# What weir itself calls, and nothing else: integration/aws_policy_test.go runs
# weir against a recording proxy and compares. What Terraform needs for your plans
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

  # Plan files, logs, and under !live/ what runs have printed so far. HeadObject
  # needs the right of GetObject, multipart uploads that of PutObject.
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

  # What a closed pull request or an ended run leaves behind is listed, to be
  # removed; and without it S3 would not tell a missing object from a forbidden one.
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

  # Of its own queue weir asks at the start whether it is one for messages in
  # order, and which its dead-letter queue is; of that one, for /metrics and the
  # pages, how many messages lie in it.
  dynamic "statement" {
    for_each = var.create_queue ? [1] : []

    content {
      sid       = "AskAboutQueues"
      actions   = ["sqs:GetQueueAttributes"]
      resources = [aws_sqs_queue.work[0].arn, aws_sqs_queue.dead[0].arn]
    }
  }
}
