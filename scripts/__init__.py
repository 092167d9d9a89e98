"""Tooling of the vLLM Helm charts: schema, renders, planner, local cluster, tests."""
