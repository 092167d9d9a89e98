"""The production checklist as a command: does this cluster have what the charts need, and does this model fit on it?"""
