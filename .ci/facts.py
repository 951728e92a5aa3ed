"""Reads the files that .ci/catalog derives the built-in catalog from, and the words they are written with: prices,
rules of which ids a model answers to, tables of tab-separated values.
"""

import json
import os
import re
from decimal import Decimal, ROUND_HALF_UP

# Our names of what is billed, by the names of genai-prices.
UNITS = {
    "input_mtok": "input",
    "cache_read_mtok": "cached_read",
    "cache_write_mtok": "cache_write",
    "cache_write_1h_mtok": "cache_write_1h",
    "input_audio_mtok": "input_audio",
    "input_image_mtok": "input_image",
    "input_video_mtok": "input_video",
    "cache_audio_read_mtok": "cached_audio",
    "cache_image_read_mtok": "cached_image",
    "output_mtok": "output",
    "output_reasoning_mtok": "reasoning",
    "output_audio_mtok": "output_audio",
    "output_image_mtok": "output_image",
    "output_video_mtok": "output_video",
    "output_citation_mtok": "citation",
    "web_searches_kcount": "web_search",
    "storage_searches_kcount": "file_search",
    "requests_kcount": "request",
}
# All of them in the order in which they are written; those from `web_search` on are no tokens.
ORDER = [
    "input", "cached_read", "cache_write", "cache_write_1h", "input_audio", "input_image", "input_video",
    "cached_audio", "cached_image", "output", "reasoning", "output_audio", "output_image", "output_video", "citation",
    "web_search", "file_search", "code_container", "request",
]
TOKENS = ORDER[: ORDER.index("web_search")]
# Dimensions that prices may depend on, in the order in which they are written.
DIMENSIONS = ["service_tier", "speed", "inference_geo", "processing", "search_type", "route"]
MODALITIES = ["text", "image", "audio", "video", "file", "embedding"]
EFFORTS = ["none", "default", "minimal", "low", "medium", "high", "xhigh", "max"]
# What is a dated snapshot of a model, behind the model's id.
DATED = re.compile(r"-(\d{4}-\d{2}-\d{2}|\d{8}|\d{4})$")


def table(path):
    """The rows of a table as dictionaries; comments left out."""
    with open(path, encoding="utf-8") as file:
        lines = [line.rstrip("\n").split("\t") for line in file if line.strip() and not line.startswith("#")]
    head, *rows = lines
    for row in rows:
        if len(row) != len(head):
            raise SystemExit(f"{path}: {len(row)} columns, not {len(head)}: {row}")
    return [dict(zip(head, row)) for row in rows]


def number(value):
    """A price as price lists have it: at most six decimals. The second is whether it had more of them."""
    exact = Decimal(value)
    rounded = exact.quantize(Decimal("0.000001"), ROUND_HALF_UP)
    text = format(rounded, "f").rstrip("0").rstrip(".")
    return text or "0", rounded != exact


class Rate:
    """A unit's price: for every prompt, and for longer ones."""

    def __init__(self, base, tiers=()):
        self.base, self.tiers = base, tuple(sorted(tiers))

    def __eq__(self, other):
        return isinstance(other, Rate) and (self.base, self.tiers) == (other.base, other.tiers)

    def __str__(self):
        return ";".join([self.base] + [f">{above}:{price}" for above, price in self.tiers])

    def __repr__(self):
        return str(self)

    @staticmethod
    def parse(text):
        base, *tiers = text.split(";")
        split = [tier.removeprefix(">").split(":") for tier in tiers]
        return Rate(base, [(int(above), price) for above, price in split])

    def times(self, factor):
        more = lambda price: number(Decimal(price) * factor)[0]
        return Rate(more(self.base), [(above, more(price)) for above, price in self.tiers])


def parse_rates(text):
    return {unit: Rate.parse(rate) for unit, rate in (entry.split("=", 1) for entry in text.split())}


def show_rates(rates):
    return " ".join(f"{unit}={rates[unit]}" for unit in ORDER if unit in rates)


def show_when(when):
    return " ".join(f"{name}={when[name]}" for name in DIMENSIONS if name in when)


class Genai:
    """The data of genai-prices."""

    def __init__(self, path):
        with open(path, encoding="utf-8") as file:
            providers = json.load(file, parse_float=Decimal, parse_int=Decimal)
        self.models = {provider["id"]: provider["models"] for provider in providers}
        self.rounded, self.unserved = [], []

    def find(self, provider, id):
        """The first model whose rule an id satisfies."""
        return next((model for model in self.models.get(provider, ()) if matches(model["match"], id)), None)

    def names(self, provider):
        """The ids that are models' own, and that their own rules match: others name families."""
        for model in self.models.get(provider, ()):
            yield model["id"], matches(model["match"], model["id"])

    def rates(self, provider, model, prices):
        """Rates in our names, and the names of units that no API has which this gateway serves."""
        rates, unserved = {}, []
        for key, value in prices.items():
            if key not in UNITS:
                unserved.append(key)
                continue
            tiers = value["tiers"] if isinstance(value, dict) else []
            base, rough = number(value["base"] if isinstance(value, dict) else value)
            tiers = [(int(tier["start"]), *number(tier["price"])) for tier in tiers]
            if rough or any(tier[2] for tier in tiers):
                self.rounded.append(f"{provider}:{model['id']} {UNITS[key]} {value} -> {base}")
            rates[UNITS[key]] = Rate(base, [tier[:2] for tier in tiers])
        return rates, unserved

    def standard(self, provider, model):
        """[(holds, rates)], the last one that holds counts."""
        prices = model["prices"]
        entries = prices if isinstance(prices, list) else [{"prices": prices}]
        periods = []
        for entry in entries:
            rates, unserved = self.rates(provider, model, entry["prices"])
            self.unserved += [(provider, model["id"], unit) for unit in unserved]
            if rates:
                periods.append((holds(entry.get("constraint")), rates))
        ordered = sorted(periods, key=lambda period: order(period[0]))
        assert [one[0] for one in ordered] == [one[0] for one in periods], f"{model['id']}: periods out of order"
        return periods

    def variants(self, provider, model):
        """[(when, holds, rates)], the first that fits and holds counts."""
        found = []
        for variant in model.get("price_variants", ()):
            when = {name: value for name, value in variant["when"].items() if value not in ("default", "standard")}
            rates, _ = self.rates(provider, model, variant["prices"])
            if when and rates:
                found.append((when, holds(variant.get("constraint")), rates))
        return found

    def snapshots(self, model, id):
        """The dated ids that are the same model as `id`."""
        rules = model["match"].get("or", [model["match"]])
        named = [rule["equals"].lower() for rule in rules if "equals" in rule]
        return [name for name in named if name.startswith(id.lower()) and DATED.fullmatch(name[len(id):])]


def holds(constraint):
    """When: `2027-01-01`, `01:00-04:00`, or nothing for always."""
    if not constraint:
        return ""
    if "start_date" in constraint:
        return constraint["start_date"]
    return "-".join(constraint[name][:5] for name in ("start_time", "end_time"))


def order(when):
    """Always, then by day, then the hours of days."""
    return (0 if not when else 2 if ":" in when else 1, when)


def matches(rule, id):
    ((operation, argument),) = rule.items()
    lower = id.lower()
    return {
        "or": lambda: any(matches(one, id) for one in argument),
        "and": lambda: all(matches(one, id) for one in argument),
        "equals": lambda: lower == argument.lower(),
        "starts_with": lambda: lower.startswith(argument.lower()),
        "ends_with": lambda: lower.endswith(argument.lower()),
        "contains": lambda: argument.lower() in lower,
        "regex": lambda: re.search(argument, id) is not None,
    }[operation]()


class ModelsDev:
    """The facts of models.dev: capabilities, limits, prices."""

    def __init__(self, path):
        self.models = {}
        for row in table(path):
            self.models.setdefault(row["provider"], {})[row["model"].lower()] = row

    def find(self, provider, id):
        return self.models.get(provider, {}).get(id.lower())

    @staticmethod
    def rates(row):
        """Rates in our names. A zero is what nobody looked up, or a plan with another price: unknown."""
        columns = {
            "input": "input", "output": "output", "cached_read": "cache_read", "cache_write": "cache_write",
            "input_audio": "input_audio", "output_audio": "output_audio",
        }
        tiers = {}
        for tier in json.loads(row["tiers"] or "[]", parse_float=Decimal, parse_int=Decimal):
            if tier["tier"].get("type", "context") == "context":
                for unit, column in columns.items():
                    if tier.get(column):
                        tiers.setdefault(unit, []).append((int(tier["tier"]["size"]), number(tier[column])[0]))
        rates = {}
        for unit, column in columns.items():
            if row[column] and Decimal(row[column]) > 0:
                rates[unit] = Rate(number(row[column])[0], tiers.get(unit, ()))
        return rates

    @staticmethod
    def capabilities(row):
        reasoning = {"efforts": "", "budget": ""}
        toggle = ""
        for option in row["reasoning_options"].split():
            name, _, value = option.partition(":")
            if name == "toggle":
                toggle = "yes"
            elif name == "effort":
                known = value.split("/")
                assert all(effort in EFFORTS for effort in known), f"{row['model']}: {option}"
                reasoning["efforts"] = ",".join(effort for effort in EFFORTS if effort in known)
            else:
                assert name == "budget", f"{row['model']}: {option}"
                reasoning["budget"] = value
        modalities = lambda cell: ",".join(
            sorted(("file" if word == "pdf" else word for word in cell.split()), key=MODALITIES.index)
        )
        return {
            "in": modalities(row["in"]),
            "out": modalities(row["out"]),
            "reasoning": row["reasoning"],
            "toggle": toggle,
            **reasoning,
            "temperature": row["temperature"],
            "tools": row["tools"],
            "structured_output": row["structured"],
            "thoughts": row["interleaved"],
        }


def read_reference(folder):
    path = lambda name: os.path.join(folder, name)
    return {
        "catalog": table(path("catalog.tsv")),
        "providers": table(path("providers.tsv")),
        "genai": Genai(path("genai-prices-0.2.1.json")),
        "models_dev": ModelsDev(path("model-facts.tsv")),
    }
