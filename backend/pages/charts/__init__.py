"""Charts as SVG in the page and PNG for cards: Vega-Lite specifications, drawn on the server."""
