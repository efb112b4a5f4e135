"""Templates of the pages: one Jinja environment per language."""

from __future__ import annotations

from functools import cache
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from backend import __version__
from backend.pages.assets import ICON, SCRIPT, STYLE, WEB, version
from backend.pages.charts.style import model_class
from backend.pages.language import Language
from backend.scoring.names import is_ours


@cache
def _environment(language: Language) -> Environment:
    environment = Environment(
        loader=FileSystemLoader(WEB / "templates"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        extensions=["jinja2.ext.i18n"],
    )
    environment.install_gettext_callables(  # type: ignore[attr-defined]  # the extension adds it
        language.gettext, language.ngettext, newstyle=True
    )
    environment.globals |= {
        "version": __version__,
        "style": Markup(STYLE.decode()),  # noqa: S704 - our own file
        "script_version": version(SCRIPT),
        "icon_version": version(ICON),
        "words": language,
        "model_class": model_class,
        "is_ours": is_ours,
    }
    return environment


def load_templates(language: Language) -> list[str]:
    """Compile all templates, and return their names: the first page would wait for its own."""
    environment = _environment(language)
    names = environment.list_templates(extensions=["html"])
    for name in names:
        environment.get_template(name)
    return names


def render(language: Language, template: str, **values: Any) -> str:
    """Return the HTML of a template of `web/templates` in a language."""
    return _environment(language).get_template(template).render(values)
