"""Transfer of values: what was learned of a task's rewards and of its ways, each by itself.

They help where tasks have the same dynamics and differ in what is worth what. They fail where dynamics differ, or where
the parts of the reward (φ) do not tell tasks apart.
"""
