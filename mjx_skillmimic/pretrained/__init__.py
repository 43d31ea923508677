"""Policies that ship with the package, each with a model card: `names()`, `load("ballplay-layup")`, `card(...)`.

Importing this imports nothing heavy; how to use them and how to publish one's own: docs/pretrained.md.
"""

from mjx_skillmimic.pretrained.cards import CardError, card_of, read_card
from mjx_skillmimic.pretrained.shelf import POLICY_FILE, card, folder, load, locate, names

__all__ = ["POLICY_FILE", "CardError", "card", "card_of", "folder", "load", "locate", "names", "read_card"]
