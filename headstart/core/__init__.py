"""The ground floor: the types everything speaks, and the loop, once. It knows no learner and no env."""
