# The same tables that the charts' values, the docs and the tests use.
locals {
  table = yamldecode(file("${path.module}/../../../scripts/node_pools.yaml"))
  all   = yamldecode(file("${path.module}/../../pools.yaml")).pools

  # A spot pool has a second one: only models with spot.enabled tolerate it.
  taints = {
    for name, pool in local.pools : name => concat(
      [local.table.clouds.eks.taint],
      pool.capacity == "spot" ? [local.table.clouds.eks.spotTaint] : [],
    )
  }

  pools = {
    for name in var.pools : name => merge(local.all[name], {
      instance_types = try(local.all[name].eks, [])
      product        = local.table.gpus[local.all[name].gpu].product
      max            = lookup(var.max_sizes, name, local.all[name].max)
    })
  }

  labels = {
    for name, pool in local.pools : name => {
      "node-type"              = "gpu"
      "nvidia.com/gpu.present" = "true"
      "nvidia.com/gpu.product" = pool.product
    }
  }
}
