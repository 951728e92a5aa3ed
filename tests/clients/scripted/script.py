"""What was asked and what is answered, in no dialect's words."""

import dataclasses

# What an answer reports unless a cache is kept, in the sense of each dialect: 1,000 tokens of prompt, 200 of them cached.
PROMPT, CACHED, OUTPUT, REASONING = 1000, 200, 50, 10


@dataclasses.dataclass
class Usage:
    """Tokens. `prompt` is all of it: what was `cached` before, and what is `written` to the cache now, are part of it."""

    prompt: int = PROMPT
    cached: int = CACHED
    written: int = 0
    output: int = OUTPUT


@dataclasses.dataclass
class Tool:
    """A tool that was offered. `kind` is `function` or `custom` (its input is text, not JSON)."""

    kind: str
    schema: dict | None
    namespace: str | None = None


@dataclasses.dataclass
class Asked:
    """A request, as the script sees it."""

    dialect: str
    headers: dict
    body: dict
    system: list = dataclasses.field(default_factory=list)
    texts: list = dataclasses.field(default_factory=list)
    images: list = dataclasses.field(default_factory=list)
    tools: dict = dataclasses.field(default_factory=dict)
    calls: list = dataclasses.field(default_factory=list)
    results: dict = dataclasses.field(default_factory=dict)
    thoughts: list = dataclasses.field(default_factory=list)
    output_schema: dict | None = None
    # Its place among all that were asked, by which answers have ids of their own: claude joins messages of one id.
    number: int = 0
    usage: Usage = dataclasses.field(default_factory=Usage)

    @property
    def credential(self):
        return self.headers.get("x-api-key") or self.headers.get("authorization", "").removeprefix("Bearer ")

    @property
    def model(self):
        return self.body["model"]

    @property
    def stream(self):
        return bool(self.body.get("stream"))

    def call(self, name, arguments):
        """A call of an offered tool. Translated, a tool of a namespace has its name with the namespace's in front,
        and a custom tool, whose input is text, is a function with one argument."""
        found = [known for known in self.tools if known == name or known.endswith(f"__{name}")]
        if len(found) != 1:
            raise LookupError(f"{name} is not among the tools: {sorted(self.tools)}")
        (name,) = found
        if self.tools[name].kind == "function" and isinstance(arguments, str):
            arguments = {"input": arguments}
        return Call(name, arguments)


@dataclasses.dataclass
class Call:
    """A tool call of the answer: arguments as an object, or text for a custom tool."""

    name: str
    arguments: object
    id: str = ""


@dataclasses.dataclass
class Say:
    """An answer; with another status than 200, an error, which may say when to ask again (seconds). `midway` is called
    when half of a stream has been sent."""

    text: str = ""
    calls: list = dataclasses.field(default_factory=list)
    thinking: str = ""
    status: int = 200
    retry_after: int | None = None
    midway: object = None


def pieces(text, size=7):
    """As a provider's fragments: short, and never at the seams of JSON or of words."""
    return [text[n : n + size] for n in range(0, len(text), size)]
