"""An uploaded Parquet file as JSON Lines: 574 bytes of one can hold 18 GB of text, and say that they do not.

So it is unpacked by a process of its own, with little memory and time, one file after the other.
"""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Collection
from pathlib import Path
from threading import Lock

from analysis.errors import BadFile, LimitExceeded
from service import parquet_rows

SECONDS = 60.0
_one = Lock()


def json_lines(data: bytes, fields: Collection[str], *, most_rows: int, most_bytes: int) -> bytes:
    """The rows, each with these fields and those that say where the target is; all of them as JSON in `most_bytes`.

    Raises LimitExceeded where there is more, or to unpack it takes too much memory or time; BadFile.
    """
    program = [sys.executable, "-I", parquet_rows.__file__, json.dumps(sorted(fields)), str(most_rows), str(most_bytes)]
    try:
        with _one:
            done = subprocess.run(program, input=data, capture_output=True, timeout=SECONDS, check=False, cwd=Path("/"))
    except subprocess.TimeoutExpired:
        raise _too_much(most_rows, most_bytes) from None
    if done.returncode == parquet_rows.NOT_PARQUET:
        why = done.stderr.decode(errors="replace").strip()
        raise BadFile(f"the file is not Parquet ({why})", remedy="write it anew, or give it its true ending")
    if done.returncode:  # or it was ended, for what it took
        raise _too_much(most_rows, most_bytes)
    return done.stdout


def _too_much(most_rows: int, most_bytes: int) -> LimitExceeded:
    what = f"the file unpacks to more than {most_rows:,} rows or {most_bytes:,} bytes, as many as may be"
    return LimitExceeded(what, remedy="send the texts in parts", where=("texts",))
