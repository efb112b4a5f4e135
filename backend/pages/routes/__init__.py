"""The routes of the pages."""

from backend.pages.routes import (
    about,
    assets,
    club,
    compare,
    details,
    downloads,
    embed,
    home,
    map,
    ops,
    ops_forms,
    site,
)

ROUTERS = (
    *(home.router, map.router, site.router, details.router, compare.router, about.router, assets.router),
    *(club.router, embed.router, downloads.router),
    *(ops.router, ops_forms.router),
)
