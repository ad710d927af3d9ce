"""The house stands as its plan says: floors, light doors, a catalogue that tells the truth."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from backend import catalogue

ROOT = Path(__file__).parents[1]
HEAVY = ("torch", "faiss", "open_clip", "openvino", "umap", "sklearn", "gradio", "timm", "plotly")
PICKLERS = {"pickle", "dill", "joblib", "cloudpickle"}
EMPTY_NAMES = {"utils.py", "helpers.py", "common.py", "misc.py", "manager.py", "base.py"}


def run(code: str) -> str:
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, cwd=ROOT, check=False
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_every_import_points_down() -> None:
    done = subprocess.run(
        [str(Path(sys.executable).with_name("lint-imports")), "--no-cache"],
        capture_output=True,
        text=True,
        cwd=ROOT,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr


def test_the_front_door_loads_nothing_heavy() -> None:
    loaded = run(f"import sys, backend.api; print([m for m in {HEAVY} if m in sys.modules])")
    assert loaded.strip() == "[]"


def test_what_a_recipe_needs_to_open_a_project_loads_no_torch() -> None:
    code = (
        "import sys\nfrom backend import catalogue, recipes\n"
        "for key in recipes.load_recipe('default').methods.values():\n"
        "    catalogue.load(key)\n"
        "print('torch' in sys.modules)"
    )
    assert run(code).strip() == "False"


def test_help_loads_nothing_that_is_not_python() -> None:
    code = "import sys, backend.__main__ as m; m.parser(); print('numpy' in sys.modules)"
    assert run(code).strip() == "False"


@pytest.mark.parametrize("entry", catalogue.ENTRIES, ids=lambda entry: entry.key)
def test_a_catalogue_line_names_a_class_that_tells_its_source(entry: catalogue.Entry) -> None:
    path = ROOT / "backend" / "methods" / f"{entry.key}.py"
    tree = ast.parse(path.read_text(encoding="utf-8"))
    classes = {node.name for node in tree.body if isinstance(node, ast.ClassDef)}
    assert entry.name in classes
    assert ast.get_docstring(tree), f"{entry.key} says nothing about itself"
    assert entry.what
    assert entry.status in ("default", "plain", "ready", "trial")


def test_every_method_has_a_catalogue_line() -> None:
    folder = ROOT / "backend" / "methods"
    files = {
        f"{path.parent.name}/{path.stem}"
        for path in folder.glob("*/*.py")
        if not path.name.startswith("_")
    }
    assert files == {entry.key for entry in catalogue.ENTRIES}


def test_no_file_has_a_name_that_says_nothing() -> None:
    named = [path for path in ROOT.rglob("*.py") if ".venv" not in path.parts]
    assert [path for path in named if path.name in EMPTY_NAMES] == []


def test_the_map_in_the_readme_names_every_room() -> None:
    told = (ROOT / "README.md").read_text("utf-8").partition("## The house")[2]
    rooms = [*(ROOT / "backend").glob("[a-z_]*.py"), *(ROOT / "backend").glob("*/__init__.py")]
    names = {path.parent.name + "/" if path.stem == "__init__" else path.name for path in rooms}
    words = set(re.findall(r"[\w./]+", told))
    assert sorted(names - {"backend/"} - words) == []
    for folder in ("pages", "routes"):
        (line,) = (one for one in told.splitlines() if one.strip().startswith(f"{folder}/"))
        named = set(re.findall(r"\w+", line.partition(":")[0 if folder == "pages" else 2]))
        there = {path.stem for path in (ROOT / "ui" / folder).glob("[a-z]*.py")}
        assert named - {folder, "layout", "no", "logic", "and", "commit"} <= there


def test_every_variable_is_told() -> None:
    code = (ROOT / "backend/settings.py").read_text("utf-8")
    docstring = ast.get_docstring(ast.parse(code)) or ""
    read = set(re.findall(r"PATCHLANE_[A-Z_]*[A-Z]\b", code.replace(docstring, "")))
    readme = (ROOT / "README.md").read_text("utf-8")
    assert len(read) > 10
    for told in (docstring, readme):
        assert read - set(re.findall(r"PATCHLANE_\w+", told)) == set()


def test_nothing_is_pickled_and_weights_are_only_weights() -> None:
    """The name of pickle's error may be used: torch raises it for a checkpoint with code in it."""
    for path in (*(ROOT / "backend").rglob("*.py"), *(ROOT / "ui").rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.ImportFrom):
                assert node.module not in PICKLERS, path
            if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name):
                is_error = node.attr == "UnpicklingError"
                assert node.value.id not in PICKLERS or is_error, f"{path}:{node.lineno}"
            if isinstance(node, ast.Call) and ast.unparse(node.func) == "torch.load":
                named = {word.arg: ast.unparse(word.value) for word in node.keywords}
                assert named.get("weights_only") == "True", f"{path}:{node.lineno}"


def test_dependencies_are_pinned_together() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())
    pins = {
        line.split("==")[0].lower().replace("_", "-")
        for line in (ROOT / "constraints.txt").read_text().splitlines()
        if "==" in line
    }
    wanted = project["project"]["dependencies"] + project["dependency-groups"]["test"]
    wanted += project["project"]["optional-dependencies"]["cpu"]
    names = {w.split(">")[0].split("=")[0].split("[")[0].lower().replace("_", "-") for w in wanted}
    assert names <= pins, sorted(names - pins)


def test_no_method_knows_another_method() -> None:
    for path in (ROOT / "backend" / "methods").glob("*/*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.ImportFrom) and (node.module or "").startswith(
                "backend.methods."
            ):
                # Machinery begins with an underscore; so does what several shelves share.
                below = [*(node.module or "").split(".")[2:], node.names[0].name]
                known = below[0] if below[0].startswith("_") else below[1]
                assert known.startswith("_"), f"{path.name} imports the method {known}"
