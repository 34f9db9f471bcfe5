"""Checks docker-compose.yml without Docker: that it is valid YAML of the shape that Compose reads, that ports are
published on the loopback address only, and that docs/catalogs.docker.toml names the ports that are published.

Prints what is wrong and ends with status 1, or prints one line and ends with 0.
"""

import re
import sys
import tomllib

import yaml

SECTIONS = {"name", "services", "volumes", "configs", "networks", "secrets"}
SERVICE_KEYS = {
    "command", "configs", "depends_on", "entrypoint", "environment", "healthcheck", "hostname", "image", "ports",
    "restart", "user", "volumes",
}
CONDITIONS = {"service_started", "service_healthy", "service_completed_successfully"}


class StrictLoader(yaml.SafeLoader):
    """Refuses a key that is there twice, which YAML forbids and PyYAML lets pass."""

    def construct_mapping(self, node, deep=False):
        keys = [self.construct_object(key, deep=deep) for key, _ in node.value]
        twice = {key for key in keys if keys.count(key) > 1}
        if twice:
            raise yaml.constructor.ConstructorError(None, None, f"keys that are there twice: {twice}", node.start_mark)
        return super().construct_mapping(node, deep)


def service_problems(name, service, compose):
    """What is wrong with one service, a line each."""
    for key in service.keys() - SERVICE_KEYS:
        yield f"{name}: unknown key {key}"
    if not re.fullmatch(r"[\w./-]+:[\w.-]+", service.get("image", "")) or service["image"].endswith(":latest"):
        yield f"{name}: the image needs a tag, and not latest"
    for port in service.get("ports", []):
        if not re.fullmatch(r"127\.0\.0\.1:\d+:\d+", str(port)):
            yield f"{name}: the port {port!r} is not published on 127.0.0.1 only"
    for other, how in service.get("depends_on", {}).items():
        if other not in compose["services"]:
            yield f"{name}: depends on {other}, which is no service"
        elif how["condition"] not in CONDITIONS:
            yield f"{name}: unknown condition {how['condition']}"
        elif how["condition"] == "service_healthy" and "healthcheck" not in compose["services"][other]:
            yield f"{name}: waits for the health of {other}, which has no check of it"
    for volume in service.get("volumes", []):
        if volume.split(":")[0] not in compose.get("volumes", {}):
            yield f"{name}: the volume {volume} is not declared"
    for config in service.get("configs", []):
        if config["source"] not in compose.get("configs", {}):
            yield f"{name}: the config {config['source']} is not declared"


def problems(compose, catalogs):
    """What is wrong with the file, or with the catalog file that goes with it, a line each."""
    for key in compose.keys() - SECTIONS:
        yield f"unknown section {key}"
    published = set()
    for name, service in compose["services"].items():
        yield from service_problems(name, service, compose)
        published.update(str(port).split(":")[1] for port in service.get("ports", []))
    for name, catalog in catalogs.items():
        for key in ("url", "brokers", "endpoint", "metastore"):
            for port in re.findall(r"127\.0\.0\.1:(\d+)", catalog.get(key, "")):
                if port not in published:
                    yield f"docs/catalogs.docker.toml: [{name}] names the port {port}, which no service publishes"


def main():
    with open("docker-compose.yml", encoding="utf-8") as file:
        compose = yaml.load(file, StrictLoader)
    with open("docs/catalogs.docker.toml", "rb") as file:
        catalogs = tomllib.load(file)
    found = list(problems(compose, catalogs))
    for line in found:
        print(line, file=sys.stderr)
    if not found:
        print(f"{len(compose['services'])} services, {len(catalogs)} catalogs")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
