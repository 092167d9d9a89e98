"""The planner: will a model fit, how long does it start, what does it cost, how should it scale.

One concern a file. Facts that age (GPUs, models, prices, overhead by engine version) are YAML beside the code, each
with its date or source. Sizes are bytes inside and GiB (2**30) at the edges; times are seconds; prices US dollars.
"""
