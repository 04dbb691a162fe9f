"""The report: what a scope's numbers are, gathered once, and shown in a terminal, as a page, as JSON or as CSV.

    gathering   reads all rows of a scope; JSON and CSV are these rows
    sheets      rows to tables: what stands in which column, whoever shows it
    terminal    the tables for a terminal of any width, and the retention curve
    curve       that curve, in characters
    document    the tables and the curve as one HTML file

**Invariant:** only `gathering` reads; the others present, and change nothing.
"""
