"""What the charts render, object by object. No cluster, no network."""
