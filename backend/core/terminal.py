"""Output of any text: letters outside the encoding of an output are replaced by plain ones."""

from __future__ import annotations

import codecs
import io
import sys
import unicodedata
from typing import TextIO

PLAIN = "plain-ascii"
"""Our name of the encoding ASCII: Click writes UTF-8 to an output whose encoding is called "ascii"."""

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
    """Make standard output and error accept any text, independent of `PYTHONIOENCODING` and the locale."""
    codecs.register_error(_ERRORS, _replace)
    codecs.register(_find)
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            ascii_only = codecs.lookup(stream.encoding).name == "ascii"
            stream.reconfigure(encoding=PLAIN if ascii_only else stream.encoding, errors=_ERRORS)


def takes_unicode(stream: TextIO) -> bool:
    """Return True if an output accepts any letter; for others JSON is written with escapes."""
    return (stream.encoding or "").lower().startswith("utf")


def plain(text: str) -> str:
    """Return a text in ASCII, as similar as possible: without accents, "?" for other letters."""
    letters = unicodedata.normalize("NFKD", text.translate(_PLAIN_OF))
    letters_only = (letter for letter in letters if not unicodedata.combining(letter))
    return "".join(letters_only).encode("ascii", "replace").decode("ascii")


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
