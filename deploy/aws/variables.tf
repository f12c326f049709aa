variable "name" {
  description = "Name of this weir: of its table, of its queue, and the beginning of its bucket's name. One name a weir; two weirs never share a table."
  type        = string
  default     = "weir"

  validation {
    condition     = can(regex("^[a-z][a-z0-9-]{2,19}$", var.name))
    error_message = "The name must be 3 to 20 lower-case letters, digits and hyphens, and begin with a letter, so that it fits a bucket's name together with account and region."
  }
}

variable "bucket_name" {
  description = "Name of the bucket for plan files and logs. By default NAME-ACCOUNT-REGION."
  type        = string
  default     = null

  validation {
    condition     = var.bucket_name == null || can(regex("^[a-z0-9][a-z0-9-]{1,61}[a-z0-9]$", var.bucket_name))
    error_message = "The bucket's name must be 3 to 63 lower-case letters, digits and hyphens."
  }
}

variable "artifacts_expire_days" {
  description = "After how many days S3 removes plan files and logs that weir forgot. weir removes those of closed pull requests itself; the plan of one that is open for longer must then be made again with `weir plan`."
  type        = number
  default     = 180

  validation {
    condition     = var.artifacts_expire_days >= 60 && floor(var.artifacts_expire_days) == var.artifacts_expire_days
    error_message = "At least 60 whole days: weir shows runs for 30 days after they ended, and a pull request may be open for some time before."
  }
}

variable "deletion_protection" {
  description = "Keep the table from being deleted, and the bucket from being deleted while it holds anything. Turn it off, apply, and only then destroy."
  type        = bool
  default     = true
}

variable "create_queue" {
  description = "Make the SQS queue that tells replicas of new work at once. Without it they poll the table, which is a little slower and works as well."
  type        = bool
  default     = true
}

variable "queue_max_receives" {
  description = "After how many times of being received a message goes to the dead-letter queue. A replica without room, or without the table, gives messages back, and that counts too. The job stays in the table whatever happens to its message."
  type        = number
  default     = 20

  validation {
    condition     = var.queue_max_receives >= 5 && var.queue_max_receives <= 1000
    error_message = "Between 5 and SQS's limit of 1000: with fewer some restarts of replicas would send messages to the dead-letter queue."
  }
}

variable "create_seal_key" {
  description = "Make the KMS key that seals plan files (seal_key: awskms://…). Without it every replica needs the same file as its seal_key."
  type        = bool
  default     = true
}

variable "seal_key_deletion_days" {
  description = "How long AWS waits before a key that was destroyed is gone. What it sealed is lost then."
  type        = number
  default     = 30

  validation {
    condition     = var.seal_key_deletion_days >= 7 && var.seal_key_deletion_days <= 30
    error_message = "Between 7 and 30 days; KMS takes nothing else."
  }
}

variable "tags" {
  description = "Tags of everything that this module makes."
  type        = map(string)
  default     = {}
}
