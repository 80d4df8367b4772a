"""Whatever happens, in whichever order: every pixel of every plane can be had."""

import os
import shutil
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext, suppress
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tifffile
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule
from sqlalchemy import update

from imextract.batches import ImextractBatchArguments
from imextract.channel_image_file import ChannelImageFile
from imextract.database.models import BatchRunRow
from imextract.database.registration import write_manifest
from imextract.database.session import Database
from imextract.errors import ConfigError, DamagedPlaneError
from imextract.store import FolderStore
from tests.experiments import CHANNELS, SmallExperiment, make_experiment, make_folder, pixels_of

SITES = 2
PLANES = range(SITES * len(CHANNELS))
# No process has a number beyond 2^22 (Linux, PID_MAX_LIMIT).
NOBODY = 2**22 + 1


class Crash(BaseException):
    """The end of the process, as the code sees it: nobody answers it."""


# What is cut off: before it does its work, or after.
CUT: dict[str, tuple[object, str]] = {
    "storing a plane": (FolderStore, "put"),
    "a transaction": (Database, "transaction"),
    "deleting an original": (Path, "unlink"),
    "deleting output": (FolderStore, "remove_tree"),
}


class Bench(RuleBasedStateMachine):
    """An experiment of four planes, a file each, and all that may happen to it."""

    @initialize()
    def register(self) -> None:
        self.folder = Path(tempfile.mkdtemp(prefix="imextract-states-"))
        self.experiment: SmallExperiment = make_experiment(self.folder, SITES, 1)
        self.originals = self.experiment.originals()
        self.contents = [path.read_bytes() for path in self.originals]
        # Replaced from outside: what is stored is the only copy.
        self.spoilt: set[int] = set()

    @rule()
    def register_again(self) -> None:
        if len(self.experiment.originals()) < len(PLANES):
            return
        manifest = make_folder(self.experiment.folder, SITES, 1)
        with self.experiment.database.transaction() as session:
            write_manifest(session, manifest, name="small", experiment_id=None, projects=False)

    @rule(restart=st.booleans())
    def extract(self, restart: bool) -> None:
        self._extract(restart)

    @rule(delete=st.booleans())
    def collect(self, delete: bool) -> None:
        self._collect(delete)

    @rule()
    def clean_up(self) -> None:
        self._clean_up()

    @rule(
        where=st.sampled_from(sorted(CUT)),
        works=st.booleans(),
        nth=st.integers(1, 6),
        what=st.integers(0, 2),
    )
    def crash(self, where: str, works: bool, nth: int, what: int) -> None:
        doing = (self._extract, self._clean_up, lambda: self._collect(True))[what]
        with crashing(where, works, nth), suppress(Crash):
            doing()
        self._bury()
        self.experiment.extractor.release()
        # No plane did it. What is lost here is not extracted apart next time, which takes long.
        with self.experiment.database.transaction() as session:
            session.execute(update(BatchRunRow).values(is_apart=True))

    @rule(which=st.sampled_from(PLANES), flipped=st.integers(0, 2**31))
    def rot(self, which: int, flipped: int) -> None:
        """Flip a bit of a stored plane, unless it is the only copy: then nobody can help."""
        for path in self._stored(which):
            if self._has_original(which):
                content = bytearray(path.read_bytes())
                content[flipped // 8 % len(content)] ^= 1 << flipped % 8
                path.write_bytes(content)

    @rule(which=st.sampled_from(PLANES))
    def lose_output(self, which: int) -> None:
        for path in self._stored(which):
            if self._has_original(which):
                path.unlink()

    @rule(which=st.sampled_from(PLANES))
    def replace_original_in_secret(self, which: int) -> None:
        """Put other pixels in place of an original, of the same size and time."""
        path = self.originals[which]
        if path.exists() and self._is_stored_right(which):
            times = path.stat()
            tifffile.imwrite(path, pixels_of(99, which, 0))
            os.utime(path, ns=(times.st_atime_ns, times.st_mtime_ns))
            self.spoilt.add(which)

    @rule(which=st.sampled_from(PLANES))
    def bring_original_back(self, which: int) -> None:
        """Bring back an original that was replaced."""
        path = self.originals[which]
        if which in self.spoilt and path.exists():
            times = path.stat()
            path.write_bytes(self.contents[which])
            os.utime(path, ns=(times.st_atime_ns, times.st_mtime_ns))
            self.spoilt.discard(which)

    @rule(which=st.sampled_from(PLANES))
    def touch_original(self, which: int) -> None:
        path = self.originals[which]
        if path.exists():
            path.chmod(0o640 if path.stat().st_mode & 0o007 else 0o644)

    @invariant()
    def no_plane_is_reachable_nowhere(self) -> None:
        for which in PLANES if hasattr(self, "folder") else ():
            is_there = self._has_original(which)
            assert is_there or self._is_stored_right(which), self.originals[which]

    def teardown(self) -> None:
        """At last, all that can be had is extracted by one more run."""
        if not hasattr(self, "folder"):
            return
        for which in PLANES:
            if not self._is_stored_right(which):
                self.lose_output(which)
        self._extract()
        self._collect(False)
        for which in PLANES:
            assert self._is_stored_right(which)
        assert not any((self.experiment.store.root / ".incoming").iterdir())
        shutil.rmtree(self.folder)

    def _bury(self) -> None:
        """Let the process that crashed be over: what it left unfinished is of nobody who runs."""
        for path in (self.experiment.store.root / ".incoming").glob(f"*-{os.getpid()}-*"):
            path.rename(path.with_name(path.name.replace(f"-{os.getpid()}-", f"-{NOBODY}-")))

    def _extract(self, restart: bool = False) -> None:
        extractor = self.experiment.extractor
        arguments = ImextractBatchArguments(restart=restart, workers=2)
        try:
            batches = list(extractor.create_run_batches(arguments))
        except ConfigError as error:
            if not restart or "only copy" not in str(error):
                raise
            return
        for batch in batches:
            extractor.run_job(batch)

    def _collect(self, delete: bool) -> None:
        extractor = self.experiment.extractor
        batch = extractor.create_collect_batch(ImextractBatchArguments(delete=delete))
        extractor.collect_job_output(batch)

    def _clean_up(self) -> None:
        try:
            self.experiment.extractor.delete_previous_job_output()
        except ConfigError as error:
            if "only copy" not in str(error):
                raise

    def _images(self) -> list[ChannelImageFile]:
        found = ChannelImageFile.find(self.experiment.experiment_id, self.experiment.settings)
        by_source = {image.record.sources[0].source_file: image for image in found}
        return [by_source[path] for path in self.originals]

    def _has_original(self, which: int) -> bool:
        path = self.originals[which]
        return path.exists() and path.read_bytes() == self.contents[which]

    def _stored(self, which: int) -> list[Path]:
        record = self._images()[which].record
        path = None if record.location is None else self.experiment.store.path(record.location)
        return [path] if path is not None and path.exists() else []

    def _is_stored_right(self, which: int) -> bool:
        site, channel = divmod(which, len(CHANNELS))
        try:
            return np.array_equal(self._images()[which].get(), pixels_of(site, channel, 0))
        except DamagedPlaneError:
            return False


class Reaper:
    """Ends the process at the n-th call of something; a dead one does nothing more at all."""

    def __init__(self, where: str, works: bool, nth: int) -> None:
        self._where = where
        self._works = works
        self._left = nth
        self._is_dead = False

    @contextmanager
    def around(self, name: str) -> Iterator[None]:
        """End the process before what the block does, or after it, if it is its turn."""
        self._die_if(self._is_dead)
        self._left -= name == self._where
        is_last = name == self._where and self._left == 0
        self._die_if(is_last and not self._works)
        yield
        self._die_if(is_last or self._is_dead)

    def _die_if(self, is_over: bool) -> None:
        if is_over:
            self._is_dead = True
            raise Crash

    def method(self, name: str, real: Callable[..., object]) -> Callable[..., object]:
        def call(*given: object, **named: object) -> object:
            with self.around(name):
                return real(*given, **named)

        return call

    def transaction(self, name: str, real: Callable[..., Any]) -> Callable[..., Any]:
        @contextmanager
        def call(*given: object, **named: object) -> Iterator[object]:
            # Dying before it works is dying at its end: what was changed is taken back.
            with self.around(name) if self._works else nullcontext():
                with real(*given, **named) as value:
                    yield value
                    with nullcontext() if self._works else self.around(name):
                        pass

        return call


@contextmanager
def crashing(where: str, works: bool, nth: int) -> Iterator[None]:
    """Let the process end at the n-th call of something."""
    reaper = Reaper(where, works, nth)
    with pytest.MonkeyPatch.context() as patch:
        for name, (owner, attribute) in CUT.items():
            wrap = reaper.transaction if attribute == "transaction" else reaper.method
            patch.setattr(owner, attribute, wrap(name, getattr(owner, attribute)))
        yield


TestStates = Bench.TestCase
TestStates.settings = settings(
    max_examples=20,
    stateful_step_count=15,
    deadline=None,
    derandomize=True,
    suppress_health_check=list(HealthCheck),
)
