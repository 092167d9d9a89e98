# What the node-pools.sh of the clouds share; sourced by them. Each defines `create`, which makes one pool by `run`, and
# `pool`, which knows the pools by name.

# Runs a command, or prints it as a shell would take it.
run() {
  if [[ -n ${DRY_RUN:-} ]]; then
    printf '%q ' "$@"
    echo
  else
    "$@"
  fi
}

unknown_pool() {
  echo "node-pools.sh: there is no pool named $1 for $2; the names stand in infra/pools.yaml" >&2
  return 2
}

make_pools() {
  if [[ $# == 0 ]]; then
    echo "node-pools.sh: which pools? infra/pools.yaml has the names. For example: $0 $EXAMPLE" >&2
    return 2
  fi
  local name
  # All names are looked up before the first pool is made: half a list is worse than none.
  for name in "$@"; do (DRY_RUN=1 pool "$name") >/dev/null || return; done
  for name in "$@"; do pool "$name" || return; done
}
