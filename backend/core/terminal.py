"""Every text can be printed: what the encoding of an output does not have is written in plain letters."""

from __future__ import annotations

import codecs
import io
import sys
import unicodedata
from typing import TextIO

PLAIN = "plain-ascii"
"""The name of the encoding that stands for ASCII. Click writes UTF-8 where an output is called "ascii"."""

_ERRORS = "plain"
_PLAIN_OF = str.maketrans(
    {
        **dict.fromkeys("–—−‐‑", "-"),
        **dict.fromkeys("‘’′", "'"),
        **dict.fromkeys("“”″«»", '"'),
        **{"…": "...", "·": "*", "•": "*", "×": "x", "→": "->", "≥": ">=", "≤": "<=", "±": "+/-"},
        **{"°": " deg", "œ": "oe", "Œ": "OE", "æ": "ae", "Æ": "AE", "ß": "ss", "ø": "o", "Ø": "O"},
    }
)


def print_every_text() -> None:
    """Let standard output and error take every text, whatever `PYTHONIOENCODING` or the locale says."""
    codecs.register_error(_ERRORS, _replace)
    codecs.register(_find)
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            ascii_only = codecs.lookup(stream.encoding).name == "ascii"
            stream.reconfigure(encoding=PLAIN if ascii_only else stream.encoding, errors=_ERRORS)


def takes_unicode(stream: TextIO) -> bool:
    """Say whether an output takes every letter; elsewhere JSON is written with escapes, to lose nothing."""
    return (stream.encoding or "").lower().startswith("utf")


def plain(text: str) -> str:
    """Return a text in ASCII that reads alike: without accents, "?" for what has no such letter."""
    letters = unicodedata.normalize("NFKD", text.translate(_PLAIN_OF))
    kept = (letter for letter in letters if not unicodedata.combining(letter))
    return "".join(kept).encode("ascii", "replace").decode("ascii")


def _replace(error: UnicodeError) -> tuple[str, int]:
    if not isinstance(error, UnicodeEncodeError):
        raise error
    return plain(error.object[error.start : error.end]), error.end


def _find(name: str) -> codecs.CodecInfo | None:
    if name.replace("_", "-") != PLAIN:
        return None
    known = codecs.lookup("ascii")
    return codecs.CodecInfo(
        name=PLAIN,
        encode=known.encode,
        decode=known.decode,
        incrementalencoder=known.incrementalencoder,
        incrementaldecoder=known.incrementaldecoder,
        streamreader=known.streamreader,
        streamwriter=known.streamwriter,
    )
