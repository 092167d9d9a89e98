output "node_groups" {
  description = "Names of the node groups, their instance types and the most nodes each may have."
  value = {
    for name, pool in local.pools : name => {
      instance_types = pool.instance_types
      max            = pool.max
    }
  }
}

output "node_role_arn" {
  description = "Role of the nodes."
  value       = aws_iam_role.node.arn
}
