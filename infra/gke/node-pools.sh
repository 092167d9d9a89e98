#!/usr/bin/env bash
# Makes GPU node pools in a GKE Standard cluster, each with its labels from the first moment, scaling from zero.
#
#   CLUSTER=llm REGION=us-central1 infra/gke/node-pools.sh gpu-l4 gpu-l4-spot
#   DRY_RUN=1 CLUSTER=llm infra/gke/node-pools.sh gpu-l4      # only print the commands
#
# Pools: see the table in the script's last lines; the same as in infra/pools.yaml (tests/infra compares them).
set -euo pipefail
EXAMPLE="gpu-l4 gpu-l4-spot"
source "$(dirname "${BASH_SOURCE[0]}")/../node-pools-common.sh"

: "${CLUSTER:?name of the GKE cluster}"
REGION=${REGION:-us-central1}
ZONES=${ZONES:-$REGION-a,$REGION-b,$REGION-c} # a GPU is not sold in every zone: gcloud compute accelerator-types list
DISK_GIB=${DISK_GIB:-200}
SPOT_TAINT=cloud.google.com/gke-spot=true:NoSchedule # else models that must not be reclaimed would land there

# pool, machine type, accelerator, GPUs of a node, GPU product label, most nodes, further flags
create() {
  local pool=$1 machine=$2 accelerator=$3 gpus=$4 product=$5 most=$6
  shift 6
  # GKE adds the taint nvidia.com/gpu=present:NoSchedule and its own labels by itself.
  # gpu-driver-version: GKE installs the driver and the device plugin; switch the operator's off (values/platforms/gke.yaml).
  run gcloud container node-pools create "$pool" \
    --cluster "$CLUSTER" --location "$REGION" --node-locations "$ZONES" \
    --machine-type "$machine" \
    --accelerator "type=$accelerator,count=$gpus,gpu-driver-version=default" \
    --node-labels "node-type=gpu,nvidia.com/gpu.present=true,nvidia.com/gpu.product=$product" \
    --enable-autoscaling --num-nodes 0 --total-min-nodes 0 --total-max-nodes "$most" --location-policy ANY \
    --disk-type pd-balanced --disk-size "$DISK_GIB" \
    --enable-image-streaming \
    --workload-metadata GKE_METADATA \
    --max-surge-upgrade 0 --max-unavailable-upgrade 1 \
    "$@"
}

pool() {
  case $1 in
    gpu-t4) create "$1" n1-standard-8 nvidia-tesla-t4 1 Tesla-T4 4 ;;
    gpu-l4) create "$1" g2-standard-8 nvidia-l4 1 NVIDIA-L4 10 ;;
    gpu-l4-spot) create "$1" g2-standard-8 nvidia-l4 1 NVIDIA-L4 10 --spot --node-taints "$SPOT_TAINT" ;;
    gpu-2xl4) create "$1" g2-standard-24 nvidia-l4 2 NVIDIA-L4 4 ;;
    gpu-2xa100) create "$1" a2-ultragpu-2g nvidia-a100-80gb 2 NVIDIA-A100-SXM4-80GB 4 ;;
    gpu-h100) create "$1" a3-highgpu-1g nvidia-h100-80gb 1 NVIDIA-H100-80GB-HBM3 4 ;;
    gpu-2xh100) create "$1" a3-highgpu-2g nvidia-h100-80gb 2 NVIDIA-H100-80GB-HBM3 4 ;;
    gpu-8xh100) create "$1" a3-highgpu-8g nvidia-h100-80gb 8 NVIDIA-H100-80GB-HBM3 4 ;;
    *) unknown_pool "$1" GKE ;;
  esac
}

make_pools "$@"
