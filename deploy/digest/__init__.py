"""The digest: of all series, which have changed, with the false share controlled; the releases; what to look at.

gathering  what there is to say, from the store
words      each finding as a sentence, with a link into the page
rendering  the digest as text, as one HTML file, as a mail, and as a message for a chat
"""
