#!/usr/bin/env python3
"""Tells what is linked into the programs, from what cargo knows: its licences, or a bill of materials.

parts.py licences | bill
"""

import json
import pathlib
import subprocess
import sys


def linked():
    """The packages that end up in the programs, by name and version, ours first."""
    host = next(
        line.split(": ", 1)[1]
        for line in subprocess.run(["rustc", "-vV"], check=True, capture_output=True, text=True).stdout.splitlines()
        if line.startswith("host: ")
    )
    known = json.loads(
        subprocess.run(
            ["cargo", "metadata", "--format-version=1", "--locked", f"--filter-platform={host}"],
            check=True,
            capture_output=True,
            text=True,
        ).stdout
    )
    nodes = {node["id"]: node for node in known["resolve"]["nodes"]}
    packages = {package["id"]: package for package in known["packages"]}
    root = known["resolve"]["root"]
    reached, left = {root}, [root]
    while left:
        for dependency in nodes[left.pop()]["deps"]:
            # What only tests and builds use is linked into nothing; `None` stands for what is.
            if any(kind["kind"] is None for kind in dependency["dep_kinds"]) and dependency["pkg"] not in reached:
                # A macro runs in the compiler.
                if any("proc-macro" in target["kind"] for target in packages[dependency["pkg"]]["targets"]):
                    continue
                reached.add(dependency["pkg"])
                left.append(dependency["pkg"])
    found = sorted((packages[one] for one in reached - {root}), key=lambda one: (one["name"], one["version"]))
    return packages[root], found


def licences():
    """The texts of the licences of what is linked in."""
    _, found = linked()
    for package in found:
        print(f"{'=' * 80}\n{package['name']} {package['version']}: {package['license']}\n{package['repository'] or ''}\n")
        directory = pathlib.Path(package["manifest_path"]).parent
        texts = sorted(
            path
            for path in directory.iterdir()
            if path.is_file() and path.name.upper().startswith(("LICENSE", "LICENCE", "COPYING", "UNLICENSE", "NOTICE"))
        )
        for path in texts:
            print(path.read_text(encoding="utf-8", errors="replace").rstrip(), end="\n\n")


def bill():
    """A bill of materials as CycloneDX 1.5 has it."""
    ours, found = linked()

    def component(package, kind):
        return {
            "type": kind,
            "bom-ref": f"pkg:cargo/{package['name']}@{package['version']}",
            "name": package["name"],
            "version": package["version"],
            "licenses": [{"expression": package["license"].replace("/", " OR ")}] if package["license"] else [],
            "purl": f"pkg:cargo/{package['name']}@{package['version']}",
        }

    json.dump(
        {
            "bomFormat": "CycloneDX",
            "specVersion": "1.5",
            "version": 1,
            "metadata": {"component": component(ours, "application")},
            "components": [component(package, "library") for package in found],
        },
        sys.stdout,
        indent=1,
        sort_keys=True,
    )
    print()


if __name__ == "__main__":
    tasks = {"licences": licences, "bill": bill}
    if len(sys.argv) != 2 or sys.argv[1] not in tasks:
        sys.exit(__doc__)
    tasks[sys.argv[1]]()
