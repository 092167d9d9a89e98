"""YAML as Kubernetes reads it."""

from typing import Any

import yaml

_NOT_IN_KUBERNETES = ("tag:yaml.org,2002:timestamp", "tag:yaml.org,2002:value")


class Loader(yaml.CSafeLoader):
    """Dates and a lone ``=`` are strings, as in Kubernetes, and a key given twice is an error."""

    yaml_implicit_resolvers = {  # noqa: RUF012 - PyYAML's own way to configure a loader
        first: [(tag, pattern) for tag, pattern in resolvers if tag not in _NOT_IN_KUBERNETES]
        for first, resolvers in yaml.CSafeLoader.yaml_implicit_resolvers.items()
    }

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        mapping = super().construct_mapping(node, deep=deep)
        if len(mapping) != len(node.value):
            keys = [key.value for key, _ in node.value if key.tag != "tag:yaml.org,2002:merge"]
            if twice := sorted({key for key in keys if keys.count(key) > 1}):
                message = f"given twice: {', '.join(twice)}"
                raise yaml.constructor.ConstructorError(None, None, message, node.start_mark)
        return mapping


def load(text: str) -> Any:
    """The only document of a text."""
    return yaml.load(text, Loader=Loader)  # noqa: S506 - derived from CSafeLoader


def load_all(text: str) -> list[Any]:
    """The documents of a text that hold anything."""
    return [body for body in yaml.load_all(text, Loader=Loader) if body is not None]
