"""The schemas of the charts' values: sources in YAML, generated JSON, checks, and a validator that agrees with Helm."""
