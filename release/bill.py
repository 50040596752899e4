"""Write the bill of materials of the wheels: ``python -m release.bill``.

It is CycloneDX, in ``licences/hypernova-router.cdx.json``, which is committed, and which each wheel
brings in ``.dist-info/sboms/``: the crates that are linked in, by version, licence and sum; Rust's
standard library; the models and the artifact, by the sums of their files. It holds neither time nor
serial number, nor a path, so that the same sources give the same bytes. With ``--check`` it writes
nothing, and fails where the file is another.

Not here: what an installation takes from PyPI, which a tool for environments lists; the schema, to
which ``tests/release/test_bill.py`` holds the file.
"""

from __future__ import annotations

import argparse
import json
import sys
import tomllib
from typing import TYPE_CHECKING, Any

from .crates import linked_crates
from .licences import FOLDER, write_or_check
from .tools import ROOT, command, sha256

if TYPE_CHECKING:
    from pathlib import Path

    from .crates import Crate

PAGE = FOLDER / "hypernova-router.cdx.json"
BUNDLED = ROOT / "python" / "hypernova" / "bundled"
# Of the list in licences/rust-standard-library.md.
RUST = "1.95.0"
RUST_LICENCE = "(MIT OR Apache-2.0) AND Unicode-3.0 AND Apache-2.0 WITH LLVM-exception"


def bill(crates: list[Crate]) -> dict[str, Any]:
    """Return the bill of materials, as CycloneDX has it."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    cargo = tomllib.loads((ROOT / "Cargo.toml").read_text(encoding="utf-8"))
    version = cargo["workspace"]["package"]["version"]
    whole = f"pkg:pypi/{project['name']}@{version}"
    models = [_model(folder) for folder in sorted(BUNDLED.iterdir()) if folder.is_dir()]
    artifact = BUNDLED / "default.hnv"
    data = {
        "type": "data",
        "bom-ref": artifact.name,
        "name": artifact.name,
        "description": "The artifact that Router.open() opens; NOTICE names its source.",
        "hashes": [_sha256(artifact)],
        "licenses": [{"license": {"id": "Apache-2.0"}}],
    }
    rust = {
        "type": "library",
        "bom-ref": f"rust-std@{RUST}",
        "name": "rust-std",
        "version": RUST,
        "description": "Rust's standard library, and the crates that it is built from.",
        "licenses": [{"expression": RUST_LICENCE}],
    }
    needs = {_reference(c): [_purl(*needed) for needed in c.needs] for c in crates}
    (binding,) = (_reference(c) for c in crates if c.name == "hypernova-py")
    needs[binding] = [*needs[binding], str(rust["bom-ref"])]
    parts = [binding, *(str(part["bom-ref"]) for part in (*models, data))]
    return {
        "$schema": "http://cyclonedx.org/schema/bom-1.6.schema.json",
        "bomFormat": "CycloneDX",
        "specVersion": "1.6",
        "version": 1,
        "metadata": {
            "lifecycles": [{"phase": "build"}],
            "component": {
                "type": "library",
                "bom-ref": whole,
                "name": project["name"],
                "version": version,
                "description": project["description"],
                "licenses": [{"expression": project["license"]}],
                "purl": whole,
            },
        },
        "components": [*map(_crate, crates), rust, *models, data],
        "dependencies": [
            {"ref": reference, "dependsOn": sorted(set(needed))}
            for reference, needed in sorted({whole: parts, **needs}.items())
        ],
    }


def _purl(name: str, version: str) -> str:
    return f"pkg:cargo/{name}@{version}"


def _reference(crate: Crate) -> str:
    return _purl(crate.name, crate.version)


def _crate(crate: Crate) -> dict[str, Any]:
    described: dict[str, Any] = {
        "type": "library",
        "bom-ref": _reference(crate),
        "name": crate.name,
        "version": crate.version,
        # SPDX has no slash, with which old manifests separate a choice.
        "licenses": [{"expression": crate.licence.replace("/", " OR ")}],
    }
    if not crate.own:
        described["hashes"] = [{"alg": "SHA-256", "content": crate.sha256}]
        described["purl"] = _reference(crate)
    return described


def _model(folder: Path) -> dict[str, Any]:
    settings = json.loads((folder / "embedder.json").read_text(encoding="utf-8"))
    files = ("model.onnx", "tokenizer.json", "embedder.json")
    return {
        "type": "machine-learning-model",
        "bom-ref": f"bundled/{folder.name}",
        "name": settings["name"],
        "description": f"An embedder, made from {settings['source']}; see models/README.md.",
        "licenses": [{"license": {"id": settings["licence"]}}],
        "components": [
            {
                "type": "file",
                "bom-ref": f"bundled/{folder.name}/{name}",
                "name": f"hypernova/bundled/{folder.name}/{name}",
                "hashes": [_sha256(folder / name)],
            }
            for name in files
        ],
    }


def _sha256(path: Path) -> dict[str, str]:
    return {"alg": "SHA-256", "content": sha256(path)}


def main() -> int:
    """Run the command."""
    parser = argparse.ArgumentParser(prog="python -m release.bill", description=__doc__)
    parser.add_argument("--check", action="store_true", help="write nothing; fail if outdated")
    options = parser.parse_args()

    def work() -> None:
        text = json.dumps(bill(linked_crates()), indent=1, ensure_ascii=False) + "\n"
        write_or_check(PAGE, text, options.check, "bill")

    return command(work)


if __name__ == "__main__":
    sys.exit(main())
