"""Statements that would reach beyond the store, told from what the engine's own lexer makes of them.

The engine's rights keep a statement from files, URLs and other servers; what they do not cover is refused here: the
clauses that the engine's client part carries out (`INTO OUTFILE`, `FROM INFILE`), the function `file`, table functions
and engines with a path of their own, `ATTACH … FROM`, and a second statement behind the first. The lexer drops comments
and replaces literals, so nothing hides in them. A text that it cannot read to its end is refused, and so is a name that
is written with escapes or with quotes of print.
"""

import re
from typing import Final

from keeprate.deploy.store.request import DoorError
from keeprate.deploy.store.rights import ENGINES, OTHER_ENGINES, Names

_END: Final = "keeprate_end_of_statement"
_TOKEN: Final = re.compile(r'`(?:[^`\\]|\\.|``)*`|"(?:[^"\\]|\\.|"")*"|“[^”]*”|[\w$]+|\S', re.DOTALL)
_ACCESS_DENIED: Final = 497
_SYNTAX_ERROR: Final = 62
_FAMILY: Final = "MergeTree"


def with_end(statement: str) -> str:
    """The statement with a word behind it, which the lexer reaches only where it can read all that stands before."""
    return f"{statement}\n;{_END}"


def check(lexed: str, names: Names) -> None:
    """Raise DoorError for a statement that this door does not let through.

    lexed: `normalizeQueryKeepNames` of `with_end(statement)`, as the engine gave it.
    """
    # The lexer writes `?..` for literals in a row; its dots are no part of a name that follows.
    tokens: list[str] = _TOKEN.findall(lexed.replace("?..", "?"))
    if tokens[-2:] != [";", _END]:
        raise DoorError("the statement cannot be read to its end: is a quote or a comment open?", 400, _SYNTAX_ERROR)
    del tokens[-2:]
    while tokens and tokens[-1] == ";":
        tokens.pop()
    if ";" in tokens:
        raise DoorError("several statements in one request: send one at a time", 400, _SYNTAX_ERROR)
    if (name := next((token for token in tokens if _is_disguised(token)), None)) is not None:
        raise DoorError(
            f"the name {name} is refused: write it in backticks or double quotes, and without a backslash",
            400,
            _SYNTAX_ERROR,
        )
    if (reached := _reached(tokens, names)) is not None:
        raise DoorError(
            f"{reached} is refused: this store reads and writes no files, and reaches no other address",
            403,
            _ACCESS_DENIED,
        )


def _reached(tokens: list[str], names: Names) -> str | None:
    """What in a statement leads out of the store, as the message names it."""
    creates, data_at = False, _data_at(tokens)
    for at, token in enumerate(tokens):
        word, after = token.upper(), tokens[at + 1] if at + 1 < len(tokens) else ""
        name = _name(token).lower()
        creates = creates or word in ("CREATE", "ATTACH", "REPLACE")
        if word in ("OUTFILE", "INFILE") or (word == "ATTACH" and after.upper() not in ("PART", "PARTITION")):
            return f"{word} {after}"
        if name in names.table_functions and after == "(" and at != data_at:
            return f"{name}(…)"
        # As an argument, too: a function can be handed to another one by its name. A part of a longer name is a column.
        of_column = after == "." or (at > 0 and tokens[at - 1] == ".")
        if name in names.functions and (after == "(" or not of_column):
            return f"the name {name}"
        if word == "ENGINE" and creates and (engine := _engine(tokens[at + 1 : at + 4])) is not None:
            return f"ENGINE = {engine}"
    return None


def _data_at(tokens: list[str]) -> int | None:
    """Where the data of an INSERT begin: its VALUES, which is not the table function of that name."""
    words = [token.upper() for token in tokens]
    if words[:1] != ["INSERT"] or "VALUES" not in words:
        return None
    at = words.index("VALUES")
    return None if {"SELECT", "WITH", "FROM", "FUNCTION"} & set(words[:at]) else at


def _engine(after: list[str]) -> str | None:
    """The engine that is named behind the word ENGINE, where it is not one of the store's."""
    named = after[1:2] if after[:1] == ["="] else after[:1] if after[1:2] == ["("] else []
    if not named:
        return None
    engine = _name(named[0])
    known = engine in OTHER_ENGINES or (engine.endswith(_FAMILY) and engine.removesuffix(_FAMILY) in ENGINES)
    return None if known else engine


def _is_disguised(token: str) -> bool:
    """Whether only the engine knows what an identifier names: `\\N` stands for nothing, and “” are quotes to it."""
    return token[0] in "“”" or (token[0] in '`"' and "\\" in token)


def _name(token: str) -> str:
    """What an identifier names, its quotes undone."""
    return token[1:-1].replace(token[0] * 2, token[0]) if token[0] in '`"' else token
