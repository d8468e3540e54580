"""Studies: several methods (rows) by several seeds on one pair of source and target.

`runner` runs a study; each pair of row and seed is a cell with a folder of its own (`cell_store`), so that a study
resumes, grows and is shared between processes (`jobs`).
Rows that train alike in the source share that training (`source_training`).
"""
