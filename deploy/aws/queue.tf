# The queue says that there is work; what the work is stands in the table. A
# lost message costs seconds, never a job.
resource "aws_sqs_queue" "work" {
  count = var.create_queue ? 1 : 0

  name                        = "${var.name}.fifo"
  fifo_queue                  = true
  content_based_deduplication = false
  # weir says itself for how long it takes a message, and extends that.
  visibility_timeout_seconds = 30
  receive_wait_time_seconds  = 20
  # News are old after a day: replicas have looked into the table long since.
  message_retention_seconds = 86400
  sqs_managed_sse_enabled   = true
  tags                      = var.tags

  redrive_policy = jsonencode({
    deadLetterTargetArn = aws_sqs_queue.dead[0].arn
    maxReceiveCount     = var.queue_max_receives
  })
}

resource "aws_sqs_queue" "dead" {
  count = var.create_queue ? 1 : 0

  name                      = "${var.name}-dead.fifo"
  fifo_queue                = true
  message_retention_seconds = 1209600
  sqs_managed_sse_enabled   = true
  tags                      = var.tags
}

resource "aws_sqs_queue_redrive_allow_policy" "dead" {
  count = var.create_queue ? 1 : 0

  queue_url = aws_sqs_queue.dead[0].id
  redrive_allow_policy = jsonencode({
    redrivePermission = "byQueue"
    sourceQueueArns   = [aws_sqs_queue.work[0].arn]
  })
}

data "aws_iam_policy_document" "queue" {
  for_each = var.create_queue ? { work = aws_sqs_queue.work[0].arn, dead = aws_sqs_queue.dead[0].arn } : {}

  statement {
    sid       = "TLSOnly"
    effect    = "Deny"
    actions   = ["sqs:*"]
    resources = [each.value]

    principals {
      type        = "*"
      identifiers = ["*"]
    }

    condition {
      test     = "Bool"
      variable = "aws:SecureTransport"
      values   = ["false"]
    }
  }
}

resource "aws_sqs_queue_policy" "work" {
  count = var.create_queue ? 1 : 0

  queue_url = aws_sqs_queue.work[0].id
  policy    = data.aws_iam_policy_document.queue["work"].json
}

resource "aws_sqs_queue_policy" "dead" {
  count = var.create_queue ? 1 : 0

  queue_url = aws_sqs_queue.dead[0].id
  policy    = data.aws_iam_policy_document.queue["dead"].json
}
