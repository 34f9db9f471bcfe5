"""Checks the dependencies that a default build uses against deny.toml: licences, banned crates, single versions.

Reads `cargo metadata`, which needs no network once the crates are downloaded. Prints what is wrong and ends with
status 1, or prints one line and ends with 0.
"""

import json
import re
import subprocess
import sys
import tomllib
from collections import defaultdict


def allowed(expression, allow):
    """Whether an SPDX licence expression (SPDX specification, annex D) can be met with the allowed licences.

    >>> allow = {"MIT", "Apache-2.0", "Apache-2.0 WITH LLVM-exception"}
    >>> allowed("MIT", allow), allowed("GPL-3.0", allow)
    (True, False)
    >>> allowed("GPL-3.0 OR MIT", allow), allowed("GPL-3.0 AND MIT", allow)
    (True, False)
    >>> allowed("MIT/GPL-2.0", allow), allowed("(GPL-2.0 OR MIT) AND Apache-2.0", allow)
    (True, True)
    >>> allowed("GPL-2.0 OR MIT AND GPL-3.0", allow)
    False
    >>> allowed("Apache-2.0 WITH LLVM-exception", allow), allowed("MIT WITH LLVM-exception", allow)
    (True, False)
    >>> allowed("", allow), allowed("MIT OR", allow), allowed("MIT)", allow)
    (False, False, False)
    """
    tokens = re.findall(r"[()]|[^\s()]+", expression.replace("/", " OR "))

    def either():
        met = both()
        while tokens and tokens[0] == "OR":
            tokens.pop(0)
            met = both() or met
        return met

    def both():
        met = one()
        while tokens and tokens[0] == "AND":
            tokens.pop(0)
            met = one() and met
        return met

    def one():
        token = tokens.pop(0)
        if token == "(":
            met = either()
            if tokens.pop(0) != ")":
                raise IndexError
            return met
        if tokens[:1] == ["WITH"]:
            tokens.pop(0)
            token = f"{token} WITH {tokens.pop(0)}"
        return token in allow

    try:
        met = either()
    except IndexError:
        return False
    return met and not tokens


def skipped(name, version, skip):
    """Whether bans.skip leaves this version out of the count, as `name@version`, of which the last parts may be missing.

    >>> skip = [{"crate": "prost@0.13", "reason": "..."}]
    >>> skipped("prost", "0.13.5", skip), skipped("prost", "0.14.4", skip), skipped("prost", "0.130.0", skip)
    (True, False, False)
    >>> skipped("prost-derive", "0.13.5", skip)
    False
    """
    wanted = (entry["crate"].partition("@") for entry in skip)
    return any(name == crate and f"{version}.".startswith(f"{prefix}.") for crate, _, prefix in wanted)


def used_packages():
    """The packages of the workspace's dependency graph with default features, tests included."""
    command = ["cargo", "metadata", "--locked", "--format-version", "1"]
    metadata = json.loads(subprocess.run(command, check=True, stdout=subprocess.PIPE).stdout)
    used = {node["id"] for node in metadata["resolve"]["nodes"]}
    return [package for package in metadata["packages"] if package["id"] in used]


def problems(packages, policy):
    """What breaks the policy, a line each."""
    allow = set(policy["licenses"]["allow"])
    versions = defaultdict(set)
    for package in packages:
        name, version = package["name"], package["version"]
        versions[name].add(version)
        if not allowed(package["license"] or "", allow):
            yield f"{name} {version}: the licence {package['license']!r} is not among licenses.allow in deny.toml"
        source = package["source"]
        if source is not None and not source.startswith(("registry+", "sparse+")):
            yield f"{name} {version}: comes from {source}, not from the registry"
    for rule in policy["bans"]["deny"]:
        name = rule["crate"]
        skip = policy["bans"].get("skip", [])
        found = sorted(version for version in versions.get(name, ()) if not skipped(name, version, skip))
        if rule.get("deny-multiple-versions"):
            if len(found) != 1:
                yield f"{name}: there must be exactly one version, there are {found}; see `cargo tree -i {name}`"
        elif found:
            yield f"{name} {found}: banned ({rule['reason']}); see `cargo tree -i {name}`"


def main():
    with open("deny.toml", "rb") as file:
        policy = tomllib.load(file)
    packages = used_packages()
    found = list(problems(packages, policy))
    for line in found:
        print(line, file=sys.stderr)
    if not found:
        print(f"{len(packages)} packages keep to deny.toml")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
