"""The report of a study: one HTML page (`page`), SVG figures (`figures`), terminal tables, CSV, LaTeX and PDF.

Everything here reads the plain data of `study.json` (`study_data`), of which any part may be missing.
The charts are SVG that headstart writes itself: it follows dark mode, fits a phone and needs no script, in 160 kB.
"""
