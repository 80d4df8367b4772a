"""The Java process ends, hangs and crashes as processes do; we do not."""

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import psutil
import pytest

from imextract.config import Settings
from imextract.errors import ConfigError, SourceFileError
from imextract.planes import PlaneRef
from imextract.readers.bioformats import BioFormatsReader, inspect_file
from imextract.readers.bioformats_process import BioFormatsProcess, shared_process
from imextract.simulation import PlateLayout, simulate
from tests.support import fake_file, noise, spelt, write_tiff


@pytest.fixture
def impatient() -> Iterator[Settings]:
    """Settings with a time limit that a stuck process soon exceeds, and a slow one never."""
    settings = Settings(java_heap_mb=128, read_timeout_s=8)
    yield settings
    shared_process(settings).close()


def child_pid(settings: Settings) -> int:
    pid = shared_process(settings).pid
    assert pid is not None
    return pid


def wait_until_gone(pid: int, seconds: float = 60) -> None:
    limit = time.monotonic() + seconds
    while psutil.pid_exists(pid) and psutil.Process(pid).status() != psutil.STATUS_ZOMBIE:
        assert time.monotonic() < limit, f"process {pid} lives on"
        time.sleep(0.02)


def busy_reader(folder: Path, settings: Settings) -> BioFormatsReader:
    """A reader whose plane 0 keeps Java busy right now, as each does for 2 s."""
    path = fake_file(folder, "busy", sizeZ=5, sleepOpenBytes=2000)
    reader = BioFormatsReader(path, settings)
    reader.prefetch(PlaneRef(0, 0))
    time.sleep(0.3)
    return reader


def test_one_process_serves_all_readers(tmp_path: Path, reader_settings: Settings) -> None:
    with BioFormatsReader(fake_file(tmp_path, "a"), reader_settings):
        pid = child_pid(reader_settings)
        with BioFormatsReader(fake_file(tmp_path, "b"), reader_settings):
            assert child_pid(reader_settings) == pid


def test_an_idle_process_that_dies_is_replaced(tmp_path: Path, fresh_process: Settings) -> None:
    with BioFormatsReader(fake_file(tmp_path, sizeZ=5), fresh_process) as reader:
        reader.read_plane(PlaneRef(0, 0))
        pid = child_pid(fresh_process)
        os.kill(pid, signal.SIGKILL)
        wait_until_gone(pid)
        assert spelt(reader.read_plane(PlaneRef(0, 1))).plane == 1


def test_a_crash_costs_one_error_and_names_the_signal(
    tmp_path: Path, fresh_process: Settings
) -> None:
    with busy_reader(tmp_path, fresh_process) as reader:
        os.kill(child_pid(fresh_process), signal.SIGSEGV)
        with pytest.raises(SourceFileError, match=r"plane 0.*(SIGSEGV|SIGABRT)"):
            reader.read_plane(PlaneRef(0, 0))
        assert spelt(reader.read_plane(PlaneRef(0, 2))).plane == 2
    assert not list(Path.cwd().glob("hs_err*")), "a crash leaves no file where we work"


def test_a_hang_is_ended_at_the_time_limit(tmp_path: Path, impatient: Settings) -> None:
    with busy_reader(tmp_path, impatient) as reader:
        stuck = child_pid(impatient)
        os.kill(stuck, signal.SIGSTOP)
        began = time.monotonic()
        with pytest.raises(SourceFileError, match=r"no answer for 8 s.*IMEXTRACT_READ_TIMEOUT_S"):
            reader.read_plane(PlaneRef(0, 0))
        assert 4 < time.monotonic() - began < 60
        wait_until_gone(stuck)
        assert spelt(reader.read_plane(PlaneRef(0, 2))).plane == 2


def test_a_hang_inside_java_is_ended_at_the_time_limit(tmp_path: Path, impatient: Settings) -> None:
    with BioFormatsReader(fake_file(tmp_path, sleepOpenBytes=300_000), impatient) as reader:
        with pytest.raises(SourceFileError, match=r"no answer for 8 s"):
            reader.read_plane(PlaneRef(0, 0))


def test_an_idle_process_that_hangs_is_replaced(tmp_path: Path, impatient: Settings) -> None:
    with BioFormatsReader(fake_file(tmp_path, sizeZ=5), impatient) as reader:
        reader.read_plane(PlaneRef(0, 0))
        os.kill(child_pid(impatient), signal.SIGSTOP)
        assert spelt(reader.read_plane(PlaneRef(0, 1))).plane == 1


def test_a_request_behind_the_one_that_hung_is_asked_again(
    tmp_path: Path, impatient: Settings
) -> None:
    second = BioFormatsReader(fake_file(tmp_path, "second", sizeZ=5), impatient)
    with busy_reader(tmp_path, impatient) as first, second:
        second.prefetch(PlaneRef(0, 2))
        os.kill(child_pid(impatient), signal.SIGSTOP)
        with pytest.raises(SourceFileError, match="plane 0"):
            first.read_plane(PlaneRef(0, 0))
        assert spelt(second.read_plane(PlaneRef(0, 2))).plane == 2


def test_an_exit_of_java_is_told_with_its_code(bioformats_process: BioFormatsProcess) -> None:
    # A request that is no message ends the child as an error of its own would.
    bioformats_process.ask("asking", {"do": "stats"})
    with pytest.raises(SourceFileError, match=r"asking: .*KeyError"):
        bioformats_process.ask("asking", {"undone": True})
    assert bioformats_process.ask("asking", {"do": "stats"})["opened"] == 0


def test_a_plane_beyond_the_heap_is_refused_with_the_remedy(tmp_path: Path) -> None:
    settings = Settings(java_heap_mb=64, read_timeout_s=60)
    path = fake_file(tmp_path, sizeX=12_000, sizeY=12_000)
    try:
        with BioFormatsReader(path, settings) as reader:
            with pytest.raises(SourceFileError, match=r"OutOfMemory.*IMEXTRACT_JAVA_HEAP_MB"):
                reader.read_plane(PlaneRef(0, 0))
            with BioFormatsReader(fake_file(tmp_path, "small"), settings) as small:
                assert spelt(small.read_plane(PlaneRef(0, 0))).plane == 0
    finally:
        shared_process(settings).close()


def test_planes_of_different_sizes_share_the_memory(
    tmp_path: Path, fresh_process: Settings
) -> None:
    small, large = noise(2, 8, 9), noise(2, 500, 700, seed=1)
    small_path = write_tiff(tmp_path / "small.tif", small)
    large_path = write_tiff(tmp_path / "large.tif", large)
    with (
        BioFormatsReader(small_path, fresh_process) as first,
        BioFormatsReader(large_path, fresh_process) as second,
    ):
        for plane in (0, 1, 0):
            second.prefetch(PlaneRef(0, plane))
            np.testing.assert_array_equal(first.read_plane(PlaneRef(0, plane)), small[plane])
            np.testing.assert_array_equal(second.read_plane(PlaneRef(0, plane)), large[plane])


def test_threads_read_through_one_process(tmp_path: Path, reader_settings: Settings) -> None:
    wrong: list[str] = []

    def read(number: int) -> None:
        path = fake_file(tmp_path, f"image{number}", sizeZ=20, series=number + 1)
        with BioFormatsReader(path, reader_settings) as reader:
            for plane in range(20):
                told = spelt(reader.read_plane(PlaneRef(number, plane)))
                reader.prefetch(PlaneRef(number, (plane + 1) % 20))
                if (told.series, told.plane) != (number, plane):
                    wrong.append(f"{number}/{plane}: {told}")

    threads = [threading.Thread(target=read, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(300)
        assert not thread.is_alive(), "readers wait for each other"
    assert wrong == []


_PARENT = """
import sys, threading, time
from pathlib import Path
from imextract.config import Settings
from imextract.planes import PlaneRef
from imextract.readers.bioformats import BioFormatsReader
from imextract.readers.bioformats_process import shared_process
settings = Settings(java_heap_mb=900)
reader = BioFormatsReader(Path(sys.argv[1]), settings)
if sys.argv[2] == "busy":
    reader.prefetch(PlaneRef(0, 0))
print(shared_process(settings).pid, flush=True)
if sys.argv[2] != "exit":
    time.sleep(300)
"""


def start_parent(path: Path, how: str) -> tuple[subprocess.Popen[str], int]:
    parent = subprocess.Popen(
        [sys.executable, "-c", _PARENT, str(path), how], stdout=subprocess.PIPE, text=True
    )
    assert parent.stdout is not None
    pid = int(parent.stdout.readline())
    parent.stdout.close()
    return parent, pid


@pytest.mark.parametrize("how", ["idle", "busy"])
def test_the_child_dies_with_its_killed_parent(tmp_path: Path, how: str) -> None:
    path = fake_file(tmp_path, sleepOpenBytes=300_000)
    parent, child = start_parent(path, how)
    assert psutil.pid_exists(child)
    parent.kill()
    parent.wait()
    wait_until_gone(child)


def test_a_parent_that_ends_is_not_held_up(tmp_path: Path) -> None:
    parent, child = start_parent(fake_file(tmp_path), "exit")
    assert parent.wait(60) == 0
    wait_until_gone(child)


def test_no_java_is_an_error_with_the_remedy(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, fresh_process: Settings
) -> None:
    monkeypatch.setenv("JAVA_HOME", str(tmp_path))
    with pytest.raises(ConfigError, match=r"JAVA_HOME=.*no virtual machine.*apt-get install"):
        inspect_file(fake_file(tmp_path), fresh_process)


def test_java_that_does_not_start_is_an_error_with_its_last_words(tmp_path: Path) -> None:
    settings = Settings(java_heap_mb=10**9)
    try:
        with pytest.raises(ConfigError, match=r"does not start.*IMEXTRACT_JAVA_HEAP_MB"):
            inspect_file(fake_file(tmp_path), settings)
    finally:
        shared_process(settings).close()


def test_what_is_logged_while_a_file_is_opened_again_is_not_held_against_a_plane(
    fresh_process: Settings, tmp_path: Path
) -> None:
    layout = PlateLayout(wells=1, sites=1, channels=1, zplanes=2, height=32, width=32)
    entry = simulate(tmp_path / "plate", "operetta", layout).entry
    # Bio-Formats grumbles when it opens such a plate.
    assert inspect_file(entry, fresh_process).warnings
    with BioFormatsReader(entry, fresh_process) as reader:
        first = reader.read_plane(PlaneRef(0, 0))
        shared_process(fresh_process).close()
        np.testing.assert_array_equal(reader.read_plane(PlaneRef(0, 0)), first)


def test_a_child_that_is_killed_while_it_starts_is_started_again(
    fresh_process: Settings, tmp_path: Path
) -> None:
    path = fake_file(tmp_path, sizeX=16, sizeY=16)
    there_before = {child.pid for child in psutil.Process().children()}
    killed = threading.Thread(target=kill_new_child, args=[there_before])
    killed.start()
    inspection = inspect_file(path, fresh_process)
    killed.join()
    assert inspection.structure[0].size_x == 16


def kill_new_child(there_before: set[int]) -> None:
    """Kill the next child as soon as it is there."""
    end = time.monotonic() + 60
    while time.monotonic() < end:
        for child in psutil.Process().children():
            if child.pid not in there_before:
                child.kill()
                return
        time.sleep(0.01)


def test_warming_up_reads_an_image_that_counts_for_nothing(
    bioformats_process: BioFormatsProcess,
) -> None:
    bioformats_process.warm_up()
    assert bioformats_process.pid is not None
    assert bioformats_process.ask("asking", {"do": "stats"})["opened"] == 0


def test_a_child_begun_early_is_the_one_that_reads(tmp_path: Path, fresh_process: Settings) -> None:
    process = shared_process(fresh_process)
    process.begin()
    begun = child_pid(fresh_process)
    process.begin()
    inspect_file(fake_file(tmp_path), fresh_process)
    assert child_pid(fresh_process) == begun


def test_a_child_killed_before_it_was_ready_is_replaced(
    tmp_path: Path, fresh_process: Settings
) -> None:
    shared_process(fresh_process).begin()
    psutil.Process(child_pid(fresh_process)).kill()
    path = fake_file(tmp_path, sizeX=16)
    assert inspect_file(path, fresh_process).structure[0].size_x == 16


_BEGINS_AND_ENDS = """
from imextract.config import Settings
from imextract.readers.bioformats_process import shared_process
process = shared_process(Settings())
process.begin()
print(process.pid)
"""


def test_a_program_that_ends_before_its_child_is_ready_leaves_nothing(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-c", _BEGINS_AND_ENDS],
        env=os.environ | {"TMPDIR": str(tmp_path)},
        capture_output=True,
        text=True,
        check=True,
    )
    assert not psutil.pid_exists(int(done.stdout))
    assert not done.stderr
    assert list(tmp_path.iterdir()) == []
