variable "name" { type = string }
variable "servers" { type = number }
variable "engine" { type = string }

resource "terraform_data" "server" {
  count = var.servers
  input = { name = "${var.name}-${count.index + 1}", size = "small" }
}

resource "terraform_data" "database" {
  input            = { name = "${var.name}-db", engine = var.engine }
  triggers_replace = [var.engine]
}

output "servers" {
  value = length(terraform_data.server)
}
