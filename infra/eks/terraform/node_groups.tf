resource "aws_eks_node_group" "gpu" {
  for_each = local.pools

  cluster_name    = var.cluster_name
  node_group_name = each.key
  node_role_arn   = aws_iam_role.node.arn
  subnet_ids      = var.subnet_ids

  # The driver and the container toolkit are on this image; the device plugin is not (the GPU Operator brings it).
  ami_type        = "AL2023_x86_64_NVIDIA"
  release_version = var.ami_release_version
  capacity_type   = each.value.capacity == "spot" ? "SPOT" : "ON_DEMAND"
  instance_types  = each.value.instance_types

  labels = local.labels[each.key]

  dynamic "taint" {
    for_each = local.taints[each.key]

    content {
      key    = taint.value.key
      value  = taint.value.value
      effect = "NO_SCHEDULE"
    }
  }

  scaling_config {
    min_size     = 0
    desired_size = 0
    max_size     = each.value.max
  }

  # One node at a time: a replica needs minutes to load before the next may go.
  update_config {
    max_unavailable = 1
  }

  launch_template {
    id      = aws_launch_template.gpu.id
    version = aws_launch_template.gpu.latest_version
  }

  tags = var.tags

  lifecycle {
    # The node autoscaler's from here on.
    ignore_changes = [scaling_config[0].desired_size]

    precondition {
      condition     = length(each.value.instance_types) > 0
      error_message = "Pool ${each.key} has no EKS instance types in infra/pools.yaml: that GPU is not sold there in this shape."
    }
  }

  depends_on = [aws_iam_role_policy_attachment.node]
}

resource "aws_launch_template" "gpu" {
  name_prefix = "${var.cluster_name}-gpu-"
  tags        = var.tags

  block_device_mappings {
    device_name = "/dev/xvda"

    ebs {
      volume_type           = "gp3"
      volume_size           = var.disk_gib
      iops                  = 6000
      throughput            = 1000 # MiB/s: the default of 125 makes a 25 GB image take minutes
      encrypted             = true
      delete_on_termination = true
    }
  }

  metadata_options {
    http_endpoint               = "enabled"
    http_tokens                 = "required"
    http_put_response_hop_limit = 1 # pods do not reach the node's identity; use IRSA or Pod Identity
  }

  tag_specifications {
    resource_type = "instance"
    tags          = merge(var.tags, { Name = "${var.cluster_name}-gpu" })
  }
}
