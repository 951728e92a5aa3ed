"""A prompt cache as providers keep one for the owner of a credential.

OpenAI's keeps every prompt by itself, in steps of 128 tokens, at the place where `prompt_cache_key` leads. Anthropic's keeps
what stands before a mark, and looks from each mark back over the 20 blocks before it. Neither keeps less than 1,024
tokens, nor anything longer than five minutes (a mark may say an hour) after it was last met:
https://platform.openai.com/docs/guides/prompt-caching, https://docs.claude.com/en/docs/build-with-claude/prompt-caching
"""

import dataclasses
import hashlib
import json

from .script import Usage

SECONDS = {"5m": 300, "1h": 3600}
LEAST, STEP, BACK = 1024, 128, 20
# Bytes of a token, as a rule of thumb.
TOKEN = 4


@dataclasses.dataclass
class Block:
    """A part of a prompt: what the model reads of it, and the mark behind it (`cache_control`)."""

    said: object
    mark: dict | None = None

    @property
    def bytes(self):
        # Members stay in their order: another order is another prompt.
        return json.dumps(self.said).encode()


class PromptCache:
    """Beginnings of prompts, by their digests, and until when they are kept."""

    def __init__(self):
        self.until = {}

    def meet(self, asked, blocks, now):
        """What a request finds here and leaves here, at a time in seconds."""
        by_marks = asked.dialect == "anthropic/messages"
        return self.marked(blocks, now) if by_marks else self.stepped(asked.body.get("prompt_cache_key"), blocks, now)

    def stepped(self, key, blocks, now):
        text = b"\n".join(block.bytes for block in blocks)
        digest, begun, cached = hashlib.sha256(repr(key).encode()), [], 0
        for end in range(STEP, len(text) // TOKEN + 1, STEP):
            digest.update(text[(end - STEP) * TOKEN : end * TOKEN])
            begun.append((end, digest.digest()))
        for end, name in begun:
            if end >= LEAST and self.until.get(name, 0) > now:
                cached = end
        self.until |= {name: now + SECONDS["5m"] for _, name in begun}
        return Usage(prompt=len(text) // TOKEN, cached=cached)

    def marked(self, blocks, now):
        digest, begun, length = hashlib.sha256(), [], 0
        for block in blocks:
            digest.update(block.bytes + b"\n")
            length += len(block.bytes) + 1
            begun.append((length // TOKEN, digest.digest()))
        cached = written = 0
        kept = {}
        for n, block in enumerate(blocks):
            if not block.mark or begun[n][0] < LEAST:
                continue
            met = [at for at in begun[max(0, n - BACK) : n + 1] if self.until.get(at[1], 0) > now]
            cached = max([cached, *(tokens for tokens, _ in met)])
            written = begun[n][0]
            lifetime = SECONDS[block.mark.get("ttl", "5m")]
            kept |= {name: now + lifetime for _, name in [*met, begun[n]]}
        self.until |= kept
        return Usage(prompt=length // TOKEN, cached=cached, written=max(0, written - cached))
