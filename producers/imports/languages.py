"""The language of a file, by its name: a closed set, since it is a dimension of the metrics."""

OTHER = "other"
_BY_NAME = {
    "makefile": "make",
    "dockerfile": "docker",
    "cmakelists.txt": "cmake",
    "gemfile": "ruby",
    "rakefile": "ruby",
}
_BY_EXTENSION = {
    extension: language
    for language, extensions in {
        "c": "c h",
        "clojure": "clj cljs cljc",
        "cpp": "cc cpp cxx hh hpp hxx",
        "csharp": "cs",
        "css": "css scss sass less",
        "dart": "dart",
        "elixir": "ex exs",
        "erlang": "erl hrl",
        "go": "go",
        "haskell": "hs",
        "html": "html htm jinja j2",
        "java": "java",
        "javascript": "js jsx mjs cjs",
        "json": "json jsonl",
        "julia": "jl",
        "kotlin": "kt kts",
        "lua": "lua",
        "markdown": "md mdx",
        "notebook": "ipynb",
        "objective-c": "m mm",
        "ocaml": "ml mli",
        "perl": "pl pm",
        "php": "php",
        "protobuf": "proto",
        "python": "py pyi pyx",
        "r": "r",
        "restructuredtext": "rst",
        "ruby": "rb",
        "rust": "rs",
        "scala": "scala sc",
        "shell": "sh bash zsh",
        "sql": "sql",
        "svelte": "svelte",
        "swift": "swift",
        "terraform": "tf tfvars",
        "text": "txt",
        "toml": "toml",
        "typescript": "ts tsx mts cts",
        "vue": "vue",
        "xml": "xml svg",
        "yaml": "yaml yml",
        "zig": "zig",
    }.items()
    for extension in extensions.split()
}


def language_of(path: str) -> str:
    """A language of the table, or `other`."""
    name = path.rpartition("/")[2].rstrip('"').lower()
    if name in _BY_NAME:
        return _BY_NAME[name]
    return _BY_EXTENSION.get(name.rpartition(".")[2], OTHER) if "." in name else OTHER
