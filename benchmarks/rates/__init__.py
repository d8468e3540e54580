"""What `speed.py` and `growth.py` are made of: the programs and their settings, the limit, and what is said of both."""
