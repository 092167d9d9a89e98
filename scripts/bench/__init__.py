"""Load, scenarios and what they prove: the traffic driver, the engine's double, the tables of docs/proof.md."""
