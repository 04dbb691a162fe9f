"""Who wrote a commit: a person, an assistant or a bot, by the table below and by nothing else.

The first row that matches wins, and a co-author counts as the author: a commit that names an assistant was written
with it.
"""

import re
from dataclasses import dataclass
from typing import Literal

AuthorClass = Literal["human", "assistant", "bot"]


@dataclass(frozen=True)
class Author:
    """name: `human`, or the assistant's or bot's."""

    name: str
    author_class: AuthorClass


HUMAN = Author("human", "human")

# What is matched: one line of `Name <mail>` of the author, or the value of a trailer or a line that credits a tool.
_ROWS: tuple[tuple[str, AuthorClass, str], ...] = (
    ("dependabot", "bot", r"\bdependabot\b"),
    ("renovate", "bot", r"\brenovate(\[bot\]|-bot|\b.*@)|renovate@whitesource"),
    ("pre-commit-ci", "bot", r"\bpre-commit-ci\b"),
    ("github-actions", "bot", r"\bgithub-actions\b"),
    ("aider", "assistant", r"\(aider\)|\baider \(|@aider\.chat|@aider\.dev|^aider\b"),
    ("claude", "assistant", r"@anthropic\.com|^claude\b|\bclaude(\[bot\]| code\b)"),
    ("copilot", "assistant", r"\bcopilot\b"),
    ("cursor", "assistant", r"^cursor\b|cursoragent|@cursor\.(com|sh)|\bcursor agent\b"),
    ("devin", "assistant", r"devin-ai-integration|^devin ai\b|\bdevin\[bot\]"),
    ("codex", "assistant", r"\bcodex\b"),
    ("gemini", "assistant", r"gemini-code-assist|^gemini\b|\bgemini cli\b"),
    ("jules", "assistant", r"google-labs-jules|^jules\b.*google"),
    ("openhands", "assistant", r"\bopenhands\b|all-hands\.dev"),
    ("sweep", "assistant", r"^sweep(\[bot\]| ai)\b|sweep-ai|@sweep\.dev"),
    ("amazon-q", "assistant", r"amazon q developer|amazon-q-developer"),
    ("windsurf", "assistant", r"^windsurf\b|\bcodeium\b"),
    ("amp", "assistant", r"^amp\b.*@ampcode\.com|@ampcode\.com"),
    # Last: whatever else calls itself a bot, as GitHub's apps do.
    ("other-bot", "bot", r"\[bot\]"),
)
_TABLE = tuple((Author(name, kind), re.compile(pattern, re.IGNORECASE)) for name, kind, pattern in _ROWS)
_CREDIT = re.compile(
    r"^\W*(?:(?:co-authored-by|generated-by|assisted-by|generated-with|made-with):|generated (?:with|by)\b)\s*(.+)$",
    re.IGNORECASE | re.MULTILINE,
)


def author_of(name: str, mail: str, message: str) -> Author:
    """The author of a commit with this author line and message."""
    credited = [credit.strip("[]() \t\r") for credit in _CREDIT.findall(message)]
    for line in (f"{name} <{mail}>", *credited):
        for author, pattern in _TABLE:
            if pattern.search(line):
                return author
    return HUMAN
