"""MinAtar's five games: simplified Atari games on 10 x 10 cells of bits (Young and Tian 2019, arXiv:1903.03176).

The rules are MinAtar's; in doubt, those of the code in `kenjyoung/MinAtar`. Differences: an episode is truncated, only
actions that do something are offered, and MinAtar's constants are parameters.
"""

from headstart.tasks.worlds.minatar.asterix import Asterix
from headstart.tasks.worlds.minatar.breakout import Breakout
from headstart.tasks.worlds.minatar.freeway import Freeway
from headstart.tasks.worlds.minatar.seaquest import Seaquest
from headstart.tasks.worlds.minatar.space_invaders import SpaceInvaders

__all__ = ["Asterix", "Breakout", "Freeway", "Seaquest", "SpaceInvaders"]
