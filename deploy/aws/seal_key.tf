# The key that seals the keys of plan files. weir asks it once for each plan
# file or log that it stores or reads.
resource "aws_kms_key" "seal" {
  count = var.create_seal_key ? 1 : 0

  description             = "Seals plan files and logs of ${var.name}"
  enable_key_rotation     = true
  deletion_window_in_days = var.seal_key_deletion_days
  tags                    = var.tags
}

resource "aws_kms_alias" "seal" {
  count = var.create_seal_key ? 1 : 0

  name          = "alias/${var.name}-seal"
  target_key_id = aws_kms_key.seal[0].key_id
}
