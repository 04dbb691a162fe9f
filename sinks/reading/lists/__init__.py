"""The suggestions behind a number, page after page: what one of a list must be, where to look, and the rows."""
