terraform {
  backend "local" {
    path = "STATES/prod.tfstate"
  }
}

module "shop" {
  source  = "../../modules/service"
  name    = "shop-prod"
  servers = 3
  engine  = "postgres-15"
}

output "servers" {
  value = module.shop.servers
}
