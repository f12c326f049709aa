# The table holds what weir knows: locks, jobs, records, the audit log. Its
# keys are those of store/dynamo; a test compares them.
resource "aws_dynamodb_table" "weir" {
  name                        = var.name
  billing_mode                = "PAY_PER_REQUEST"
  hash_key                    = "pk"
  range_key                   = "sk"
  deletion_protection_enabled = var.deletion_protection
  tags                        = var.tags

  attribute {
    name = "pk"
    type = "S"
  }

  attribute {
    name = "sk"
    type = "S"
  }

  # Only history carries this attribute; no lock ever does.
  ttl {
    attribute_name = "ttl"
    enabled        = true
  }

  point_in_time_recovery {
    enabled = true
  }

  # With the AWS managed key, whose use CloudTrail shows.
  server_side_encryption {
    enabled = true
  }
}
