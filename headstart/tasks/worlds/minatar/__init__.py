"""MinAtar's five games: Atari's ideas on 10 x 10 cells, seen as bits (Young and Tian 2019, arXiv:1903.03176).

The rules are MinAtar's; in doubt, what `kenjyoung/MinAtar` does. Here an episode is truncated, only actions that do
something are offered, and what MinAtar writes as a constant is a parameter.
"""

from headstart.tasks.worlds.minatar.asterix import Asterix
from headstart.tasks.worlds.minatar.breakout import Breakout
from headstart.tasks.worlds.minatar.freeway import Freeway
from headstart.tasks.worlds.minatar.seaquest import Seaquest
from headstart.tasks.worlds.minatar.space_invaders import SpaceInvaders

__all__ = ["Asterix", "Breakout", "Freeway", "Seaquest", "SpaceInvaders"]
