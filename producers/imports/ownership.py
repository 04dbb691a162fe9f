"""Who owns which line of every file of a commit, as `git blame` says, kept up to date by applying patches.

A file is an array with a number for each line: its owner and its length. Arrays are never changed once they are in a
tree, so that trees share what they have in common.
"""

from array import array
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import TypeAlias

from keeprate.producers.imports.patches import FileChange, Hunk

Lines: TypeAlias = "array[int]"
Tree: TypeAlias = dict[str, Lines]
OwnerOf = Callable[[str], int]
"""The owner of the lines that a commit adds to the file of a path."""

_LENGTH_BITS = 24
_LENGTH_MASK = (1 << _LENGTH_BITS) - 1
NO_LINES = array("q")
NOBODY = 0
"""The owner of lines whose origin is not known: those of a file that was binary before."""


def owner(line: int) -> int:
    """The owner of a line."""
    return line >> _LENGTH_BITS


def units(line: int) -> int:
    """The length of a line in UTF-16 code units, its end included; at most 16 Mi."""
    return line & _LENGTH_MASK


def apply(tree: Tree, changes: Iterable[FileChange], owner_of: OwnerOf) -> Tree:
    """The tree after a patch. Leaves the old one as it is."""
    gone: set[str] = set()
    written: Tree = {}
    for change in changes:
        if change.old is not None and change.old != change.new:
            gone.add(change.old)
        if change.new is not None:
            written[change.new] = after(change, tree, owner_of)
    # Only then, because files may have changed names with each other.
    kept = {path: lines for path, lines in tree.items() if path not in gone} if gone else dict(tree)
    return kept | written


def after(change: FileChange, tree: Mapping[str, Lines], owner_of: OwnerOf) -> Lines:
    """The lines of a file after its change."""
    if change.binary or change.new is None:
        return array("q")
    old = NO_LINES if change.old is None else tree.get(change.old, NO_LINES)
    return _replace(old, change.hunks, owner_of(change.new)) if change.hunks else old


def _replace(old: Lines, hunks: Sequence[Hunk], added_owner: int) -> Lines:
    missing = hunks[-1].start + hunks[-1].removed - len(old)
    if missing > 0:
        old = old + array("q", [NOBODY]) * missing
    new, position, owned = array("q"), 0, added_owner << _LENGTH_BITS
    for hunk in hunks:
        new.extend(old[position : hunk.start])
        new.extend(array("q", [owned | min(length, _LENGTH_MASK) for length in hunk.added]))
        position = hunk.start + hunk.removed
    new.extend(old[position:])
    return new


def merge(parents: Sequence[Tree], comparisons: Sequence[list[FileChange]], owner_of: OwnerOf) -> Tree:
    """The tree of a merge: a file that one parent has as it is comes from there, and a line from the first that has it.

    comparisons: the changes from each parent to the merge.
    """
    tree = apply(parents[0], comparisons[0], owner_of)
    touched = {change.new for change in comparisons[0] if change.new is not None}
    for parent, changes in zip(parents[1:], comparisons[1:], strict=True):
        theirs = {change.new: change for change in changes if change.new is not None}
        for path in sorted(touched):
            if path not in theirs and path in parent:
                tree[path] = parent[path]
                touched.discard(path)
            elif path in theirs and not theirs[path].binary:
                tree[path] = _prefer(tree[path], after(theirs[path], parent, owner_of), owner_of(path))
    return tree


def _prefer(ours: Lines, theirs: Lines, merge_owner: int) -> Lines:
    """Our lines; where one seems to be new with the merge, theirs."""
    if len(ours) != len(theirs):
        return ours
    return array("q", [b if a >> _LENGTH_BITS == merge_owner else a for a, b in zip(ours, theirs, strict=True)])
