"""Many plainly named files, several of which are looked at at once."""

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from queue import SimpleQueue

from imextract.closing import Closing
from imextract.config import Settings
from imextract.processes import usable_cores
from imextract.readers.bioformats_process import shared_process
from imextract.registration.files import FoundFiles
from imextract.registration.numbered_file import (
    Look,
    NumberedFile,
    bare_tiff,
    look_at,
    numbered_file,
)

__all__ = ["NumberedFiles"]

# Files for which one more process is worth its start: Java looks at the first slowly.
_WORTH_A_PROCESS = 100
# What Python does for each file it does for one at a time.
_MOST_PROCESSES = 4


class NumberedFiles(Closing):
    """Looks at files ahead, in as many processes of Bio-Formats as they are worth.

    Each file is looked at by one thread, by one process, as if it were alone: one that
    hangs or ends its process costs none of the others.

    Parameters
    ----------
    found
        The files of the folder.
    paths
        Those that will be opened, in the order in which they will be.
    """

    def __init__(self, found: FoundFiles, paths: Sequence[str], settings: Settings) -> None:
        self._found = found
        tried = ((path, bare_tiff(found, path)) for path in paths)
        self._bare = {path: bare for path, bare in tried if bare is not None}
        others = [path for path in paths if path not in self._bare]
        count = max(1, min(usable_cores(), _MOST_PROCESSES, len(others) // _WORTH_A_PROCESS))
        self._asking = [settings.registering(number) for number in range(count)]
        self._idle: SimpleQueue[Settings] = SimpleQueue()
        for settings_of_one in self._asking:
            self._idle.put(settings_of_one)
        self._threads = ThreadPoolExecutor(count)
        self._looks = {path: self._threads.submit(self._look_at, path) for path in others}

    def open(self, path: str) -> NumberedFile:
        """Tell what one of the files holds; once.

        Raises
        ------
        SourceFileError
            If the file is damaged or no reader knows it.
        """
        bare = self._bare.pop(path, None)
        return bare or numbered_file(self._found, path, self._looks.pop(path).result())

    def close(self) -> None:
        """End all processes but one; that too if files are still looked at, as one may hang."""
        self._threads.shutdown(wait=False, cancel_futures=True)
        for settings in self._asking[0 if self._looks else 1 :]:
            shared_process(settings).close()
        self._threads.shutdown()

    def _look_at(self, path: str) -> NumberedFile | Look:
        settings = self._idle.get()
        try:
            return look_at(self._found.folder / path, self._found.folder, settings)
        finally:
            self._idle.put(settings)
