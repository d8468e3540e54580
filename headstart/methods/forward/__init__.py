"""Forward transfer: train on one task, use what was learned to start on another.

It fails where the domains look different, where what the source did is not possible in the target, and where the
source left a policy too certain to explore. Files: `finetune`.
"""
