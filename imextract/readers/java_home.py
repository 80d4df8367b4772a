"""Find the Java that runs Bio-Formats."""

import os
import shutil
from collections.abc import Mapping
from pathlib import Path

from imextract.errors import ConfigError

__all__ = ["find_java_home"]

_LIBRARIES = (
    "lib/server/libjvm.so",
    "lib/amd64/server/libjvm.so",
    "jre/lib/amd64/server/libjvm.so",
)
_REMEDY = (
    "install a JDK (Debian, Ubuntu: apt-get install openjdk-17-jdk-headless) "
    "or point JAVA_HOME at one"
)


def find_java_home(environment: Mapping[str, str] = os.environ) -> Path:
    """Give the folder of JAVA_HOME or, if unset, of the `java` on PATH.

    Raises
    ------
    ConfigError
        If there is no Java, or no virtual machine in that folder.
    """
    told = environment.get("JAVA_HOME")
    if told:
        home = Path(told)
        origin = f"JAVA_HOME={told}"
    else:
        java = shutil.which("java", path=environment.get("PATH"))
        if java is None:
            raise ConfigError(
                "Bio-Formats needs Java: JAVA_HOME is not set and there is no java on PATH; "
                + _REMEDY
            )
        home = Path(java).resolve().parent.parent
        origin = f"{java} on PATH, in {home}"
    if not any((home / library).is_file() for library in _LIBRARIES):
        raise ConfigError(
            f"Bio-Formats needs Java: {origin} has no virtual machine "
            f"(expected {_LIBRARIES[0]} in it); {_REMEDY}"
        )
    return home
