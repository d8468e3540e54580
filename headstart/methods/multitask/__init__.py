"""Several tasks at once: one policy for all of them, and what becomes of their gradients on the way.

They help where tasks have something in common. They fail where tasks want opposite things of the same weights
(conflict), or where one task's gradients drown the others' (the winner takes all).
"""
