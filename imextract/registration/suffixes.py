"""What names of files tell before anything is opened."""

__all__ = ["is_archive", "is_likely_image", "is_never_opened", "opening_rank"]

# Files through which whole data sets are opened, tried in this order before
# any image, so that the images need not be opened one by one.
_INDEX_ENDINGS = (
    ("index.idx.xml", "index.xml", ".companion.ome"),
    (".htd", ".wpi", ".xdce", ".mvd2", ".nd", ".oif", ".lei", ".xlef", ".vsi", ".ics", ".hdr"),
    (".xml",),
    (".mes", ".mlf", ".db", ".mdb", ".scn", ".inf", ".ini", ".cfg", ".env", ".txt", ".pattern"),
)

_ARCHIVES = (".zip", ".gz", ".bz2", ".xz", ".7z", ".rar", ".tar", ".tgz")

# No format of Bio-Formats is opened through one of these.
_NEVER_OPENED = frozenset(
    {
        "bat",
        "css",
        "doc",
        "docx",
        "exe",
        "htm",
        "html",
        "js",
        "json",
        "jsonl",
        "log",
        "m",
        "md",
        "md5",
        "pdf",
        "ppt",
        "pptx",
        "ps1",
        "py",
        "r",
        "rst",
        "rtf",
        "sh",
        "sha256",
        "toml",
        "yaml",
        "yml",
    }
)
# These may be the metadata of a data set; that most are not is no news.
_SELDOM_IMAGES = frozenset(
    {
        "bak",
        "cfg",
        "csv",
        "dat",
        "db",
        "dll",
        "env",
        "inf",
        "ini",
        "lock",
        "mdb",
        "pos",
        "properties",
        "reg",
        "sqlite",
        "tmp",
        "tsv",
        "txt",
        "xls",
        "xlsx",
        "xml",
    }
)


def _suffix(path: str) -> str:
    name = path.rpartition("/")[2].lower()
    return name.rpartition(".")[2] if "." in name else ""


def opening_rank(path: str) -> int:
    """Give the rank in which a file is tried: likely indices of data sets first."""
    name = path.lower()
    ranks = (rank for rank, endings in enumerate(_INDEX_ENDINGS) if name.endswith(endings))
    return next(ranks, len(_INDEX_ENDINGS))


def is_archive(path: str) -> bool:
    """Tell whether a file must be unpacked to be read."""
    name = path.lower()
    # Compressed NIfTI is a format of its own.
    return name.endswith(_ARCHIVES) and not name.endswith(".nii.gz")


def is_never_opened(path: str) -> bool:
    """Tell whether a file is a document or a program, by its name."""
    return _suffix(path) in _NEVER_OPENED


def is_likely_image(path: str) -> bool:
    """Tell whether a person should hear that a file could not be opened."""
    suffix = _suffix(path)
    return bool(suffix) and suffix not in _SELDOM_IMAGES
