"""Java is found as people install it, or missed in one clear line."""

from pathlib import Path

import pytest

from imextract.errors import ConfigError
from imextract.readers.java_home import find_java_home


@pytest.fixture
def java(tmp_path: Path) -> Path:
    """A folder that looks like an installed Java."""
    home = tmp_path / "jdk"
    (home / "bin").mkdir(parents=True)
    (home / "bin/java").touch(mode=0o755)
    (home / "lib/server").mkdir(parents=True)
    (home / "lib/server/libjvm.so").touch()
    return home


def test_java_home_comes_first(java: Path) -> None:
    assert find_java_home({"JAVA_HOME": str(java), "PATH": "/nowhere"}) == java


def test_java_on_the_path_is_followed_through_links(java: Path, tmp_path: Path) -> None:
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin/java").symlink_to(java / "bin/java")
    assert find_java_home({"PATH": str(tmp_path / "bin")}) == java


def test_no_java_is_an_error_with_the_remedy() -> None:
    with pytest.raises(ConfigError, match=r"JAVA_HOME is not set.*no java on PATH.*apt-get"):
        find_java_home({"PATH": "/nowhere"})


def test_a_folder_without_a_machine_is_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=rf"JAVA_HOME={tmp_path}.*libjvm\.so"):
        find_java_home({"JAVA_HOME": str(tmp_path)})
