# What the Cluster Autoscaler reads of a group that has no node yet. It can ask EKS for labels and taints, but only with
# eks:DescribeNodegroup in its role; tags work either way, and the GPU's product must be known before the first node.
locals {
  template_tags = merge([
    for name in keys(local.pools) : merge(
      { for label, value in local.labels[name] :
        "${name}/label/${label}" => { pool = name, key = "k8s.io/cluster-autoscaler/node-template/label/${label}", value = value }
      },
      { for taint in local.taints[name] :
        "${name}/taint/${taint.key}" => {
          pool  = name
          key   = "k8s.io/cluster-autoscaler/node-template/taint/${taint.key}"
          value = "${taint.value}:${taint.effect}"
        }
      },
      {
        "${name}/owned"   = { pool = name, key = "k8s.io/cluster-autoscaler/${var.cluster_name}", value = "owned" }
        "${name}/enabled" = { pool = name, key = "k8s.io/cluster-autoscaler/enabled", value = "true" }
      },
    )
  ]...)
}

resource "aws_autoscaling_group_tag" "template" {
  for_each = local.template_tags

  autoscaling_group_name = aws_eks_node_group.gpu[each.value.pool].resources[0].autoscaling_groups[0].name

  tag {
    key                 = each.value.key
    value               = each.value.value
    propagate_at_launch = false
  }
}
