#!/usr/bin/env bash
# Makes GPU node pools in an AKS cluster, each with its labels and taint from the first moment, scaling from zero.
#
#   CLUSTER=llm RESOURCE_GROUP=llm infra/aks/node-pools.sh gpu-t4 gpu-h100-nvl
#   DRY_RUN=1 CLUSTER=llm RESOURCE_GROUP=llm infra/aks/node-pools.sh gpu-t4      # only print the commands
#
# Pools: see the table in the script's last lines; the same as in infra/pools.yaml (tests/infra compares them).
set -euo pipefail
EXAMPLE="gpu-h100-nvl"
source "$(dirname "${BASH_SOURCE[0]}")/../node-pools-common.sh"

: "${CLUSTER:?name of the AKS cluster}"
: "${RESOURCE_GROUP:?resource group of the AKS cluster}"
ZONES=${ZONES:-1 2 3} # a size is not sold in every zone: az vm list-skus --location eastus --size Standard_NC
DISK_GIB=${DISK_GIB:-256}

# pool, size, GPU product label, most nodes, further flags
create() {
  local pool=$1 size=$2 product=$3 most=$4
  shift 4
  local zones
  read -ra zones <<<"$ZONES"
  # AKS allows 12 lower-case letters and digits in the name of a pool.
  # gpu-driver install: AKS brings the driver; switch the operator's off (values/platforms/aks.yaml).
  run az aks nodepool add \
    --cluster-name "$CLUSTER" --resource-group "$RESOURCE_GROUP" \
    --name "$(tr -d - <<<"$pool" | cut -c1-12)" \
    --node-vm-size "$size" --gpu-driver install \
    --labels node-type=gpu nvidia.com/gpu.present=true "nvidia.com/gpu.product=$product" \
    --node-taints nvidia.com/gpu=present:NoSchedule \
    --enable-cluster-autoscaler --node-count 0 --min-count 0 --max-count "$most" \
    --node-osdisk-size "$DISK_GIB" \
    --zones "${zones[@]}" \
    "$@"
}

pool() {
  case $1 in
    gpu-t4) create "$1" Standard_NC4as_T4_v3 Tesla-T4 4 ;;
    gpu-2xa100-pcie) create "$1" Standard_NC48ads_A100_v4 NVIDIA-A100-80GB-PCIe 4 ;;
    gpu-h100-nvl) create "$1" Standard_NC40ads_H100_v5 NVIDIA-H100-NVL 4 ;;
    gpu-2xh100-nvl) create "$1" Standard_NC80adis_H100_v5 NVIDIA-H100-NVL 4 ;;
    gpu-8xh100) create "$1" Standard_ND96isr_H100_v5 NVIDIA-H100-80GB-HBM3 4 ;;
    *) unknown_pool "$1" AKS ;;
  esac
}

make_pools "$@"
