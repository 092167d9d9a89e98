"""The gateway outside a cluster: its rendered configuration in a real HAProxy on the loopback interface."""
