"""Replays a request trace against a model of engine, gateway queue, autoscaler and cold start.

Rivals and what differs: BLIS (inference-sim, Go) simulates engines step by step, with HPA and node pools; fleet-sim
sizes fleets without start-up delay. Here one hour of 19,000 requests takes seconds, because an engine's running
sequences advance together between events instead of step by step, and the control loop is the charts' own:
KEDA's polling and activation, the HPA's stabilisation and policies.
"""
