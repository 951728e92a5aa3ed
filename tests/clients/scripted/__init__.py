"""A provider of the three dialects that does what a script says, and refuses what the real ones refuse."""

from .cache import PromptCache
from .provider import Provider
from .script import CACHED, OUTPUT, PROMPT, Asked, Call, Say, Usage

__all__ = ["CACHED", "OUTPUT", "PROMPT", "Asked", "Call", "PromptCache", "Provider", "Say", "Usage"]
