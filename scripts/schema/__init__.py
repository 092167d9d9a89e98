"""The schemas of the charts' values: sources in YAML, generated JSON, checks, and a validator that speaks as Helm does."""
