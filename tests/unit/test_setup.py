"""Setting up: what the scripts find on a machine, and what the lock promises."""

import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest

CHECKOUT = Path(__file__).parents[2]


def _make_jdk(home: Path) -> Path:
    for name in ("bin/javac", "include/jni.h", "lib/server/libjvm.so"):
        (home / name).parent.mkdir(parents=True, exist_ok=True)
        (home / name).touch(mode=0o755)
    return home


def _java_home(path: str, **environment: str) -> str:
    """What the scripts take for JAVA_HOME."""
    done = subprocess.run(
        ["bash", "-euc", 'source scripts/environment.sh; echo "${JAVA_HOME:-none}"'],
        cwd=CHECKOUT,
        env={"PATH": f"{path}:/usr/bin:/bin", **environment},
        capture_output=True,
        text=True,
        check=True,
    )
    return done.stdout.strip()


def test_the_jdk_asked_for_is_taken(tmp_path: Path) -> None:
    asked, on_path = _make_jdk(tmp_path / "asked"), _make_jdk(tmp_path / "other")

    assert _java_home(str(on_path / "bin"), JAVA_HOME=str(asked)) == str(asked)


def test_a_jdk_on_path_is_found_through_symlinks(tmp_path: Path) -> None:
    home = _make_jdk(tmp_path / "a jdk")
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin" / "javac").symlink_to(home / "bin" / "javac")

    assert _java_home(str(tmp_path / "bin")) == str(home)


@pytest.mark.parametrize("missing", ["bin/javac", "include/jni.h", "lib/server/libjvm.so"])
def test_what_is_not_a_whole_jdk_is_passed_over(tmp_path: Path, missing: str) -> None:
    broken, whole = _make_jdk(tmp_path / "broken"), _make_jdk(tmp_path / "whole")
    (broken / missing).unlink()

    assert _java_home(str(whole / "bin"), JAVA_HOME=str(broken)) == str(whole)


def test_a_wrong_python_is_named_in_one_line(tmp_path: Path) -> None:
    # A copy, because a checkout that is set up needs no Python any more.
    shutil.copytree(CHECKOUT / "scripts", tmp_path / "scripts")
    done = subprocess.run(
        ["scripts/setup.sh"],
        cwd=tmp_path,
        env={"PATH": "/usr/bin:/bin", "PYTHON": "/bin/false"},
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )

    assert done.returncode == 1
    assert done.stderr == (
        "imextract: PYTHON=/bin/false is not a working Python 3.11 or 3.12; correct or unset it\n"
    )


def test_every_locked_package_has_a_hash() -> None:
    lock = (CHECKOUT / "requirements.lock").read_text()
    packages = re.split(r"^(?=[a-z0-9][\w.-]*==)", lock, flags=re.MULTILINE | re.IGNORECASE)[1:]

    assert len(packages) > 100
    assert [package for package in packages if "--hash=sha256:" not in package] == []


def test_the_lock_names_no_package_index() -> None:
    for name in ("requirements.lock", "pyproject.toml", "build-constraints.txt"):
        text = (CHECKOUT / name).read_text()
        assert not re.search(r"index-url|find-links|https?://", text), name


def test_ci_does_what_a_user_does() -> None:
    lines = (CHECKOUT / ".ci" / "run").read_text().splitlines()

    assert [line for line in lines if not line.startswith(("#", "set ", "cd "))] == ["make test"]
    assert os.access(CHECKOUT / ".ci" / "run", os.X_OK)


def test_make_lists_what_it_makes() -> None:
    done = subprocess.run(
        ["make", "-s"], cwd=CHECKOUT, capture_output=True, text=True, check=True, timeout=30
    )

    listed = re.findall(r"^  make (\w+) ", done.stdout, flags=re.MULTILINE)
    assert {"setup", "demo", "test", "server", "clean"} <= set(listed)
