"""Who may import whom, and that importing does nothing."""

import ast
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

CHECKOUT = Path(__file__).parents[2]
PACKAGES = ("imextract", "tasks", "flows")
MODULES = sorted(path for package in PACKAGES for path in (CHECKOUT / package).rglob("*.py"))

# Each of these is known to one module only.
ONE_IMPORTER = {
    "javabridge": {"imextract/readers/java.py"},
    "bioformats": set(),  # its jar is used; what it imports takes longer than to start Java
    "h5py": {"imextract/hdf5.py"},
    "hdf5plugin": {"imextract/hdf5.py"},
    "nd2": {"imextract/readers/nd2.py"},
    "liffile": {"imextract/readers/lif.py"},
    "olefile": {"imextract/readers/oib.py"},
}


def imports(path: Path) -> Iterator[str]:
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield node.module


def name(path: Path) -> str:
    return path.relative_to(CHECKOUT).as_posix()


@pytest.mark.parametrize("path", MODULES, ids=name)
def test_the_library_knows_neither_prefect_nor_dask_nor_who_uses_it(path: Path) -> None:
    roots = {module.split(".")[0] for module in imports(path)}
    package = path.relative_to(CHECKOUT).parts[0]
    if package == "imextract":
        assert not roots & {"prefect", "prefect_dask", "dask", "distributed", "tasks", "flows"}
    if package == "tasks":
        assert "flows" not in roots


@pytest.mark.parametrize("module", ONE_IMPORTER)
def test_each_engine_has_one_importer(module: str) -> None:
    importers = {
        name(path) for path in MODULES if module in {m.split(".")[0] for m in imports(path)}
    }
    assert importers == ONE_IMPORTER[module]


def test_readers_and_storage_do_not_know_the_ledger() -> None:
    leaves = [*(CHECKOUT / "imextract/readers").glob("*.py")]
    leaves += [CHECKOUT / "imextract" / leaf for leaf in ("hdf5.py", "store.py", "projection.py")]
    for path in leaves:
        assert not {m for m in imports(path) if m.startswith("imextract.database")}, name(path)


def test_only_the_ledger_makes_queries() -> None:
    # A session is handed from one query to the next, so its type is known to all.
    outside = {
        name(path)
        for path in MODULES
        if {m for m in imports(path) if m.startswith("sqlalchemy")} - {"sqlalchemy.orm"}
        and "database" not in path.parts
    }
    assert outside == set()


def test_nothing_outside_is_named_like_a_package() -> None:
    # Prefect puts the folder of a flow first on the path: it would be loaded instead.
    installed = {"imextract", "prefect", "dask", "distributed", "prefect_dask"}
    names = {path.stem for path in MODULES if path.parts[-2] in ("flows", "tasks")}
    assert not names & installed


def test_importing_the_package_loads_nothing_heavy() -> None:
    code = (
        "import sys, imextract;"
        "print(*{'numpy', 'sqlalchemy', 'h5py', 'pydantic'} & set(sys.modules))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == ""


def test_the_libraries_of_vendors_formats_are_loaded_when_they_are_used() -> None:
    code = (
        "import sys, imextract.readers.registry;"
        "print(*{'nd2', 'liffile', 'olefile'} & set(sys.modules))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == ""
