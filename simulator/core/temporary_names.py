"""Which files are written aside to be renamed: by their names, as savers of many styles give them."""

from __future__ import annotations

import re
from functools import lru_cache
from pathlib import PurePosixPath

_TEMPORARY = re.compile(
    r"(^|[._~-])(tmp|temp)([._~-]|\d*$)|^tmp\w{6,8}$|\.(part|partial|incomplete|writing|swp|sagemaker-ignore)$|~$",
    re.IGNORECASE,
)


@lru_cache(maxsize=1 << 16)  # every rule asks again, of every write of a long run
def is_temporary(path: str) -> bool:
    """Written aside, to be renamed: losing it loses nothing that anyone would load. Looks at every folder's name too,
    because orbax and others write a whole folder aside."""
    return any(_TEMPORARY.search(part) for part in PurePosixPath(path).parts)
