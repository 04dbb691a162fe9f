"""A module for each dashboard, with `BOARD`: its rows of panels, and what each panel means to who looks at it."""
