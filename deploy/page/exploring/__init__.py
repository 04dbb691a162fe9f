"""From a number to the suggestions behind it: lists, their sheets, and what users changed of one.

Lists hold no content: that is read for one generation at a time, and each such read is logged.
"""
