"""Stream processors: pure steps that join events into outcomes, and the Faust shell that feeds them."""
