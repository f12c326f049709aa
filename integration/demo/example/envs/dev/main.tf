terraform {
  backend "local" {
    path = "STATES/dev.tfstate"
  }
}

module "shop" {
  source  = "../../modules/service"
  name    = "shop-dev"
  servers = 1
  engine  = "postgres-15"
}

output "servers" {
  value = module.shop.servers
}
