"""Reads the workspace's Rust sources as far as .ci/map, .ci/lines and .ci/public need: which file is which module,
what is test code, which paths the code names, and what is public.

It knows tokens, attributes, items and `use` trees, and nothing of types. Code that macros make is not seen.
"""

import bisect
import json
import os
import re
import signal
import subprocess
import sys
from dataclasses import dataclass, field

TOKEN = re.compile(
    r"""
    (?P<space>\s+)
  | (?P<comment>//[^\n]*)
  | (?P<block>/\*)
  | (?P<string>(?:br|cr|r)(?P<hashes>\#*)".*?"(?P=hashes) | [bc]?"(?:\\.|[^"\\])*")
  | (?P<char>b?'(?:\\(?:x[0-9a-fA-F]{2}|u\{[^}]*\}|.)|[^\\'\n])')
  | (?P<lifetime>'\w+)
  | (?P<name>(?:r\#)?[^\W\d]\w*)
  | (?P<number>\d\w*(?:\.\d\w*)?)
  | (?P<sign>::|->|=>|.)
    """,
    re.VERBOSE | re.DOTALL,
)
ITEMS = {"fn", "struct", "enum", "union", "trait", "type", "const", "static", "mod"}
QUALIFIERS = {"async", "unsafe", "default", "extern", "safe"}
CLOSING = {"(": ")", "[": "]", "{": "}"}


@dataclass(frozen=True)
class Token:
    kind: str
    text: str
    line: int

    @property
    def last_line(self):
        return self.line + self.text.count("\n")


def tokens(text):
    """The tokens of a source text, and the lines that comments are on."""
    starts = [0] + [at.end() for at in re.finditer("\n", text)]
    line = lambda at: bisect.bisect_right(starts, at)
    found, comments, at = [], set(), 0
    while at < len(text):
        match = TOKEN.match(text, at)
        kind, end = match.lastgroup, match.end()
        if kind == "hashes":
            kind = "string"
        if kind == "block":
            depth = 1
            for sign in re.finditer(r"/\*|\*/", text[end:]):
                depth += 1 if sign.group() == "/*" else -1
                if depth == 0:
                    end += sign.end()
                    break
        if kind in ("comment", "block"):
            comments.update(range(line(at), line(end - 1) + 1))
        elif kind != "space":
            found.append(Token(kind, match.group().removeprefix("r#"), line(at)))
        at = end
    return found, comments


@dataclass
class File:
    """A source file. Lines of code are those with a token; a line may be a test's."""

    path: str
    test: bool
    code: set = field(default_factory=set)
    comments: set = field(default_factory=set)
    tested: set = field(default_factory=set)


@dataclass
class Public:
    """A public item, or (kind `method`) a public method or constant of a type."""

    kind: str
    name: str
    file: str
    line: int


@dataclass(eq=False)
class Module:
    """A module that is not for tests. `uses` are the paths that its code names, with their lines; `imports` and
    `globs` are what it has by `use`."""

    crate: "Crate"
    path: tuple
    file: str
    parent: "Module" = None
    children: dict = field(default_factory=dict)
    items: set = field(default_factory=set)
    imports: dict = field(default_factory=dict)
    globs: list = field(default_factory=list)
    uses: list = field(default_factory=list)

    def is_above(self, other):
        return other.crate is self.crate and other.path[: len(self.path)] == self.path

    @property
    def room(self):
        return self.path[0] if self.path else None

    def resolve(self, path, seen=()):
        """Where a path leads that this module names: a module and None, or None and the path of another crate."""
        if (self, path) in seen:
            return self, None
        seen = (*seen, (self, path))
        at, rest = self, path
        if path[0] == "crate":
            at, rest = self.crate.root, path[1:]
        elif path[0] in ("self", "super"):
            while rest and rest[0] in ("self", "super"):
                at, rest = (at.parent or at) if rest[0] == "super" else at, rest[1:]
        elif not self.knows(path[0], seen) or self.imports.get(path[0], ())[:1] == path[:1]:
            return None, path  # another crate, which `use log::log` does not hide
        while rest:
            name = rest[0]
            if name in at.children:
                at, rest = at.children[name], rest[1:]
            elif name in at.items:
                break
            elif name in at.imports and at.imports[name][0] != name:
                return at.resolve(at.imports[name] + rest[1:], seen)
            else:
                for glob in at.globs:
                    target, _ = at.resolve(glob, seen)
                    if target and target is not at and target.knows(name, seen):
                        return target.resolve(("self", *rest), seen)
                break
        return at, None

    def knows(self, name, seen=()):
        if name in self.children or name in self.items or name in self.imports:
            return True
        for glob in self.globs:
            if (self, glob) in seen:
                continue
            asked = (*seen, (self, glob))
            target, _ = self.resolve(glob, asked) if glob[0] in ("crate", "self", "super") else (None, None)
            if target and target is not self and target.knows(name, asked):
                return True
        return False


@dataclass(eq=False)
class Crate:
    """A library or a program of a package of the workspace."""

    package: str
    name: str
    is_library: bool
    root: Module = None
    modules: list = field(default_factory=list)
    public: list = field(default_factory=list)

    def modules_and_inline(self):
        """All modules that are not for tests, those written inside another's file too."""
        waiting = [self.root]
        while waiting:
            module = waiting.pop()
            yield module
            waiting += module.children.values()


@dataclass(eq=False)
class Package:
    name: str
    about: str  # ": " and its description
    manifest: str
    dependencies: list  # of what is built, by name; not of its tests
    crates: list


@dataclass(eq=False)
class Workspace:
    packages: list  # the one at the top first
    files: dict  # by path

    def crates(self):
        return [crate for package in self.packages for crate in package.crates]


def workspace():
    """The workspace around the current directory, with paths as seen from its top."""
    signal.signal(signal.SIGPIPE, signal.SIG_DFL)  # whoever reads may have had enough
    command = ["cargo", "metadata", "--no-deps", "--offline", "--format-version", "1"]
    said = subprocess.run(command, capture_output=True, text=True)
    if said.returncode != 0:
        sys.exit(said.stderr)
    metadata = json.loads(said.stdout)
    top = metadata["workspace_root"]
    os.chdir(top)
    files, packages = {}, []
    for package in metadata["packages"]:
        crates = []
        for target in package["targets"]:
            if target["kind"][0] in ("lib", "bin", "proc-macro"):
                crate = Crate(package["name"], target["name"].replace("-", "_"), target["kind"][0] != "bin")
                source = os.path.relpath(target["src_path"], top)
                crate.root = Module(crate, (), source)
                Reader(crate, crate.root, source, os.path.dirname(source), False, files).file()
                crates.append(crate)
        built = [one["name"] for one in package["dependencies"] if one["kind"] != "dev"]
        manifest = os.path.relpath(package["manifest_path"], top)
        about = f": {package['description']}" if package["description"] else ""
        packages.append(Package(package["name"], about, manifest, built, crates))
    packages.sort(key=lambda package: (package.manifest != "Cargo.toml", package.name))
    return Workspace(packages, files)


class Reader:
    """Reads one file into its module, and the files of the modules below it."""

    def __init__(self, crate, module, path, folder, test, files):
        self.crate, self.module, self.path, self.folder, self.files = crate, module, path, folder, files
        with open(path, encoding="utf-8") as source:
            self.tokens, comments = tokens(source.read())
        code = {line for token in self.tokens for line in range(token.line, token.last_line + 1)}
        self.out = files[path] = File(path, test, code, comments)

    def file(self):
        if not self.out.test:
            self.crate.modules.append(self.module)
        self.block(0, self.module, self.folder, "module", self.out.test)

    def text(self, at):
        return self.tokens[at].text if at < len(self.tokens) else ""

    def is_name(self, at):
        return at < len(self.tokens) and self.tokens[at].kind == "name"

    def group_end(self, at):
        """Past the bracket that closes the one at `at`."""
        depth = 0
        while at < len(self.tokens):
            if self.tokens[at].kind == "sign":
                depth += (self.text(at) in "([{") - (self.text(at) in ")]}")
            at += 1
            if depth == 0:
                break
        return at

    def block(self, at, module, folder, where, test):
        """Reads up to the brace that closes the block. `where`: module, impl, trait, or body for all the rest."""
        start, attributes, depth = at, [], 0
        while at < len(self.tokens):
            text = self.text(at)
            if self.tokens[at].kind == "sign":
                if text == "}" and depth == 0:
                    return at + 1
                if text == "#" and self.text(at + 1) in ("[", "!"):
                    end = self.group_end(at + 1 + (self.text(at + 1) == "!"))
                    attributes.append(self.tokens[at:end])
                    self.attribute(at, end, module, test)
                    if self.text(at + 1) == "!":
                        test = test or self.needs_test(attributes.pop())
                        self.out.test = self.out.test or (test and start == 0)
                    start = at = end
                    continue
                if text in "([":
                    depth += 1
                elif text in ")]":
                    depth -= 1
            if attributes and not test and any(self.needs_test(one) for one in attributes):
                first = attributes[0][0].line
                at = self.tested(at, module, folder, where, attributes)
                self.out.tested.update(range(first, self.tokens[at - 1].last_line + 1))
                start, attributes = at, []
                continue
            if at == start and where != "body":
                self.item(at, module, where, test, attributes)
            if text == "use" and self.is_name(at) and self.text(at + 1) != "<":
                at = self.use(at + 1, module, where, test)
                start, attributes = at, []
            elif text == "mod" and self.is_name(at) and self.is_name(at + 1):
                at = self.module_at(at + 1, module, folder, test, attributes)
                start, attributes = at, []
            elif text == "{" and self.tokens[at].kind == "sign":
                at = self.block(at + 1, module, folder, self.kind_of(start, at), test)
                if depth == 0:
                    start, attributes = at, []
            elif text in (";", ",") and depth == 0 and self.tokens[at].kind == "sign":
                at += 1
                if text == ";" or where == "body":
                    start, attributes = at, []
            elif self.is_name(at):
                at = self.path_at(at, module, test)
            else:
                at += 1
        return at

    def kind_of(self, start, brace):
        """What a brace opens, by what stands before it."""
        head = [token.text for token in self.tokens[start:brace]]
        if "impl" in head and "fn" not in head:
            of_trait = any(text == "for" and after != "<" for text, after in zip(head, head[1:] + [""]))
            return "trait" if of_trait else "impl"
        return "trait" if "trait" in head and "fn" not in head else "body"

    def needs_test(self, attribute):
        """Whether an attribute keeps its item for tests: `cfg(test)`, `cfg(all(test, ..))`, `cfg(any(test, fuzzing))`."""
        texts = [token.text for token in attribute if token.text not in ("#", "!", "[", "]")]
        if texts[-1:] == ["test"] or texts == ["test"]:
            return True

        def needs(at):
            name = texts[at]
            if at + 1 >= len(texts) or texts[at + 1] != "(":
                return name in ("test", "fuzzing"), at + 1
            said, at = [], at + 2
            while texts[at] != ")":
                if texts[at] == ",":
                    at += 1
                    continue
                one, at = needs(at)
                said.append(one)
                while texts[at] not in (",", ")"):  # feature = "x"
                    at += 1
            return (any(said) if name in ("all", "cfg") else name == "any" and bool(said) and all(said)), at + 1

        return texts[0] == "cfg" and needs(0)[0]

    def tested(self, at, module, folder, where, attributes):
        """Past an item that is for tests only; the files of a module are read as tests."""
        first = at
        while self.text(first) == "pub" or self.text(first) == "(":
            first = self.group_end(first) if self.text(first) == "(" else first + 1
        if self.text(first) == "mod" and self.text(first + 2) == ";":
            return self.module_at(first + 1, module, folder, True, attributes)
        until_semicolon = self.text(first) in ("use", "const", "static", "let", "type") and self.text(first + 1) != "fn"
        is_item = self.text(first) in ITEMS | QUALIFIERS | {"impl", "use", "let", "macro_rules"}
        while at < len(self.tokens):
            text = self.text(at) if self.tokens[at].kind == "sign" else ""
            if text == "}":
                return at
            if text in CLOSING:
                at = self.group_end(at)
                if text == "{" and not until_semicolon:
                    return at
                continue
            at += 1
            if text == ";" or (text == "," and where == "body" and not is_item):
                break
        return at

    def attribute(self, at, end, module, test):
        """The paths that an attribute names, in strings too: `#[serde(with = "crate::wire::text")]`."""
        while at < end:
            token = self.tokens[at]
            if token.kind == "string" and re.fullmatch(r'"(\w+::)+\w+"', token.text) and not test:
                module.uses.append((tuple(token.text.strip('"').split("::")), token.line))
            at = self.path_at(at, module, test) if token.kind == "name" else at + 1

    def item(self, at, module, where, test, attributes):
        """Notes the item that begins here, if one does."""
        line, public = self.tokens[at].line, False
        if self.text(at) == "pub":
            public = self.text(at + 1) != "("
            at = at + 1 if public else self.group_end(at + 1)
        while self.text(at) in QUALIFIERS or (self.text(at) == "const" and self.text(at + 1) in QUALIFIERS | {"fn"}):
            at += 2 if self.tokens[at + 1].kind == "string" else 1
        kind, name = self.text(at), self.text(at + 1 + (self.text(at + 1) == "mut"))
        if kind == "macro_rules":
            public = any(token.text == "macro_export" for attribute in attributes for token in attribute)
            kind, name = "macro", self.text(at + 2)
        elif kind not in ITEMS or not self.is_name(at + 1):
            return
        if where == "module" and kind != "mod":
            module.items.add(name)
        if public and not test and where in ("module", "impl"):
            kind = "method" if where == "impl" else kind
            self.crate.public.append(Public(kind, name, self.path, line))

    def module_at(self, at, module, folder, test, attributes):
        """Reads the module whose name is at `at`."""
        name = self.text(at)
        child = Module(self.crate, (*module.path, name), self.path, module)
        if not test:
            module.children[name] = child
        if self.text(at + 1) == "{":
            return self.block(at + 2, child, os.path.join(folder, name), "module", test)
        named = [a[4].text.strip('"') for a in attributes if [t.text for t in a[2:4]] == ["path", "="]]
        places = [os.path.join(os.path.dirname(self.path), *named)] if named else [
            os.path.join(folder, name + ".rs"),
            os.path.join(folder, name, "mod.rs"),
        ]
        for place in places:
            if os.path.exists(place):
                child.file = os.path.normpath(place)
                Reader(self.crate, child, child.file, os.path.join(folder, name), test, self.files).file()
        return at + 2

    def use(self, at, module, where, test):
        """Reads a `use` tree, and goes past its semicolon."""

        def tree(at, before):
            path = before
            while True:
                text, line = self.text(at), self.tokens[at].line
                if text == "$":
                    at += 1
                elif text == "{":
                    at += 1
                    while self.text(at) != "}":
                        at = at + 1 if self.text(at) == "," else tree(at, path)
                    return at + 1
                elif text == "*":
                    leaf(path, None, line)
                    return at + 1
                elif text == "::":
                    at += 1
                elif self.is_name(at):
                    path, at = ((*path, text), at + 1) if text != "self" or not path else (path, at + 1)
                    if self.text(at) != "::":
                        name = path[-1]
                        if self.text(at) == "as":
                            name, at = self.text(at + 1), at + 2
                        leaf(path, name, line)
                        return at
                else:
                    return at + 1

        def leaf(path, name, line):
            if test or not path:
                return
            module.uses.append((path, line))
            if where == "module":
                if name is None:
                    module.globs.append(path)
                elif (name,) != path:
                    module.imports[name] = path

        at = tree(at, ())
        while self.text(at - 1) != ";" and self.text(at) != ";" and at < len(self.tokens):
            at += 1
        return at + (self.text(at) == ";")

    def path_at(self, at, module, test):
        """Notes the path that begins at a name, if it has more than one part, and goes past it."""
        line, path = self.tokens[at].line, [self.text(at)]
        end = at + 1
        while self.text(end) == "::" and self.is_name(end + 1):
            path.append(self.text(end + 1))
            end += 2
        begins = at == 0 or self.text(at - 1) not in ("::", ".")
        if len(path) > 1 and begins and not test:
            module.uses.append((tuple(path), line))
        return end
