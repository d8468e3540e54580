"""Parts of `speed.py` and `growth.py`: programs and their settings, the limit, figures and tables."""
