"""The report of a study: one HTML page (`page`), SVG figures (`figures`), terminal tables, CSV, LaTeX and PDF.

All modules read the plain data of `study.json` (`study_data`), of which any part may be missing. The page is made of
the jinja2 templates in `templates/`. headstart writes the charts as SVG itself: they follow dark mode, fit a phone and
need no script, and a report of six seeds has about 200 kB.
"""
