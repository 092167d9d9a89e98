variable "cluster_name" {
  description = "Name of an EKS cluster that exists. This module adds GPU node groups to it and nothing else."
  type        = string
}

variable "subnet_ids" {
  description = "Private subnets for the nodes, one a zone. GPU types are not sold in every zone: aws ec2 describe-instance-type-offerings --location-type availability-zone --filters Name=instance-type,Values=g6.2xlarge"
  type        = list(string)

  validation {
    condition     = length(var.subnet_ids) > 0
    error_message = "At least one subnet is needed; two or more in different zones let replicas spread."
  }
}

variable "pools" {
  description = "Pools of ../../pools.yaml to make. One that has no EKS instance types is refused."
  type        = set(string)
  default     = ["gpu-l4"]
}

variable "max_sizes" {
  description = "Nodes a pool may have at most, where ../../pools.yaml is not to decide: {gpu-l4 = 4}. Keep the sum of GPUs under the account's quota (docs/node-pools.md#quota)."
  type        = map(number)
  default     = {}
}

variable "ami_release_version" {
  description = "Release of the AL2023 NVIDIA AMI, 1.35.0-20260903. Null takes the newest at creation: fine to try, wrong for production."
  type        = string
  default     = null
}

variable "disk_gib" {
  description = "Root volume. The engine's image takes about 25 GB unpacked, and weights land here where weights.cache.type is emptyDir."
  type        = number
  default     = 200

  validation {
    condition     = var.disk_gib >= 100
    error_message = "Under 100 GiB one engine image and the weights of an 8B model do not fit together."
  }
}

variable "tags" {
  description = "Tags for everything."
  type        = map(string)
  default     = {}
}
