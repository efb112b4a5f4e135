"""Editing of the sites file: list, add and remove sites. Each edit writes the whole text in one step."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryDirectory

import tomlkit

from backend.core.errors import ConfigError
from backend.core.records import Site
from backend.core.site_entry import entry_from_site
from backend.core.sites import PACKAGED_SITES, Located, check_series, entry_lines, parse_toml, read_text


class SitesFile:
    """The sites of a TOML file. An edit leaves all other bytes as they were."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self.label = str(path)

    def entries(self) -> tuple[Located, ...]:
        """Return the entries; raise ConfigError if the file cannot be read or breaks a rule."""
        return self._checked(read_text(self._path))

    def add(self, sites: Sequence[Site]) -> None:
        """Append these sites to the file: all of them or, with a ConfigError, none."""
        text = read_text(self._path)
        gap = "" if text.endswith("\n") or not text else "\n"
        lines: list[str] = []
        for site in sites:
            fields = entry_from_site(site).items()
            lines += ["[[sites]]", *(f"{key} = {_inline(value)}" for key, value in fields), ""]
        entries = "\n".join(lines)
        self._write(f"{text}{gap}\n{entries}" if text else entries)

    def remove(self, site_id: str) -> None:
        """Delete every series of a site from the file, with the comments next to them."""
        text = read_text(self._path)
        sites = [entry.site for entry in self._checked(text)]
        for index in reversed(range(len(sites))):
            if sites[index].id == site_id:
                text = _without_entry(text, index)
        self._write(text)

    def _checked(self, text: str) -> tuple[Located, ...]:
        entries = parse_toml(text, self.label)
        check_series(entries)
        return entries

    def _write(self, text: str) -> None:
        """Replace the file in one step: readers see the old text or the new one, never a part."""
        if self._path == PACKAGED_SITES:
            raise ConfigError(
                f"{self.label}: the next installation of meteo-score replaces this file:"
                " copy it, and name the copy in SITES_FILE"
            )
        self._checked(text)
        path = self._path.resolve()  # a symbolic link stays, its target is replaced
        try:
            with TemporaryDirectory(dir=path.parent, prefix=f".{path.name}.") as folder:
                draft = Path(folder) / path.name
                draft.write_bytes(text.encode())
                shutil.copymode(path, draft)
                draft.replace(path)
        except OSError as error:
            raise ConfigError(f"{self.label}: cannot be written: {error.strerror}") from error


def _inline(value: object) -> str:
    """Write a value on one line; tomlkit itself would start a table of its own."""
    if isinstance(value, list):
        return f"[{', '.join(map(_inline, value))}]"
    if isinstance(value, dict):
        return f"{{{', '.join(f'{key} = {_inline(field)}' for key, field in value.items())}}}"
    return tomlkit.item(value).as_string()


def _without_entry(text: str, index: int) -> str:
    """Cut one entry out of a sites file, with the comments next to it and the blank lines after it.

    The cut is by lines, because tomlkit counts a comment above an entry as the end of the entry before:
    deleting with tomlkit would move that comment to the wrong site.
    """
    lines = text.split("\n")
    headers = [number - 1 for number in entry_lines(text)]
    start = _first_touching(lines, headers[index])
    limit = _first_touching(lines, headers[index + 1]) if index + 1 < len(headers) else len(lines)
    end = max(at for at in range(start, limit) if lines[at].strip() and not _is_comment(lines[at])) + 1
    while end < limit and _is_comment(lines[end]):
        end += 1
    while end < limit and not lines[end].strip():
        end += 1
    rest = "\n".join([*lines[:start], *lines[end:]])
    return rest if rest.endswith("\n") or not rest else f"{rest}\n"


def _first_touching(lines: Sequence[str], header: int) -> int:
    while header > 0 and _is_comment(lines[header - 1]):
        header -= 1
    return header


def _is_comment(line: str) -> bool:
    return line.lstrip().startswith("#")
