"""The text of `headstart --help`: example commands, and the syntax of tasks and methods."""

EXAMPLES = """examples:
  headstart doctor --source Hopper-v5 --target Hopper-v5@torso_mass=9
  headstart compare --source Hopper-v5 --target Hopper-v5@torso_mass=9 --ensemble Hopper-v5@torso_mass=3..9 \\
      --methods scratch,naive,finetune,randomize,epopt --source-steps 1e6 --target-steps 2e5 --shots 0,1,10,100 \\
      --seeds 5 --out runs/hopper
  headstart train epopt --source Hopper-v5@torso_mass=3..9 --steps 1e6 --seed 0 --out runs/epopt
  headstart transfer runs/epopt --target Hopper-v5@torso_mass=9 --steps 2e5 --shots 0,1,10 --out runs/epopt-heavy
  headstart play runs/epopt-heavy

tasks: ENV[@name=value,...], where a value is a number, x2 (times nominal), 3..9 (uniform), x0.5..x2,
  log:0.1..10 (log-uniform), 6~1.5 (normal) or 6~1.5|3..9 (truncated); `headstart parameters ENV` lists names.
  Any Gymnasium id is an ENV: Meta-World/reach-v3, Blackjack-v1@horizon=20 (steps of an episode, if it has no limit),
  LunarLander-v3@continuous=true (yes, no and words are keywords of its constructor).

methods: NAME[:field=value...], such as epopt:epsilon=0.2:warmup_fraction=0; a method's base learner is its field
  `base`, as in finetune:base.learning_rate=1e-3:base.hidden=32+32. Learners are ppo, sac (continuous actions), dqn
  (discrete actions) and qlearning (discrete actions and a table of states, as in FourRooms). module:Class is a method
  or learner of your own.
"""
