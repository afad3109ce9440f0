"""Scenes of eight kinds, drawn with a known number of copies of a template, for bench/presence.py."""

from scenes.boards import board
from scenes.icons import icons
from scenes.pages import page
from scenes.particles import particles
from scenes.photographs import FIRST_HALF, SECOND_HALF, photograph
from scenes.plans import plan
from scenes.screens import screen
from scenes.signals import heartbeats

# What the verdict's numbers were chosen on, and what they are reported on.
CHOSEN_ON = {
    "screens": screen,
    "boards": board,
    "particles": particles,
    "photographs": lambda rng, copies: photograph(rng, copies, FIRST_HALF),
}
REPORTED_ON = {
    "pages": page,
    "signals": heartbeats,
    "plans": plan,
    "icons": icons,
    "other photographs": lambda rng, copies: photograph(rng, copies, SECOND_HALF),
}
