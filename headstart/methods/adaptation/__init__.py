"""Domain adaptation: the source is made to look like the target, by a little of what the target shows.

It helps where the target is dear, but may be looked at. It fails where what is best in the target cannot happen in the
source.
"""
