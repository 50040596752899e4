"""The workflows of a public forge: that they can be read, and call what exists.

Not here: their form, which `make lint` holds against the forge's schema.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from release.checks.repository import Missing

if TYPE_CHECKING:
    from collections.abc import Iterator

    from release.checks.repository import Repository

FOLDER = ".github/workflows/"
_RECIPE = re.compile(r"\bmake ([a-z][a-z-]*)")
_MODULE = re.compile(r"python3? -m (release\.\w+|benches\.\w+)")
# A version of an action, or a commit: never a branch, whose content changes.
_PINNED = re.compile(r"[\w.-]+/[\w./-]+@(v\d+(\.\d+)*|[0-9a-f]{40}|release/v\d+)")


def workflow_faults(repository: Repository) -> list[Missing]:
    """Find workflows that are no YAML, call what is not there, or may do more than they need."""
    import yaml

    recipes = set(re.findall(r"^([a-z][a-z-]*):", repository.text("Makefile"), re.MULTILINE))
    names = [name for name in repository.files if name.startswith(FOLDER)]
    found: list[Missing] = []
    if not names:
        return [Missing(f"there is no workflow in {FOLDER}", "write it")]
    for name in names:
        try:
            workflow = yaml.safe_load(repository.text(name))
        except yaml.YAMLError as error:
            where = str(error).replace("\n", " ")
            found.append(Missing(f"{name} is no YAML: {where}", "mend it"))
            continue
        if not isinstance(workflow, dict) or "permissions" not in workflow:
            remedy = "give the workflow permissions: { contents: read }"
            found.append(Missing(f"{name} does not say what it may do", remedy))
        for step in _steps(workflow):
            command, action = str(step.get("run", "")), step.get("uses")
            calls = [f"make {recipe}" for recipe in _RECIPE.findall(command)
                     if recipe not in recipes]  # fmt: skip
            calls += [f"python -m {module}" for module in _MODULE.findall(command)
                      if not repository.has(f"{module.replace('.', '/')}.py")]  # fmt: skip
            found += [
                Missing(f"{name} calls {call}, which is not there", "mend it") for call in calls
            ]
            if action and not str(action).startswith("./") and not _PINNED.fullmatch(action):
                found.append(Missing(f"{name} uses {action}", "name a version of the action"))
    return found


def _steps(workflow: object) -> Iterator[dict[str, Any]]:
    jobs = workflow.get("jobs") if isinstance(workflow, dict) else None
    for job in (jobs or {}).values():
        yield job  # a job may itself use a workflow
        # A recipe may be a value of the matrix: `make ${{ matrix.recipe }}`.
        for values in job.get("strategy", {}).get("matrix", {}).get("include", []):
            if "recipe" in values:
                yield {"run": f"make {values['recipe']}"}
        yield from job.get("steps", [])
