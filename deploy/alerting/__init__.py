"""Whether an alert arrives: what fires in an Alertmanager, and one test alert on its whole way.

Entry points: `alertmanager.Alertmanager` speaks to one, by its API and its own metrics; `trial.fire` sends an alert
through it and says what became of it; `listener.Listener` is a receiver that sees it come.

**Invariant:** nothing here needs more than the standard library, and nothing changes an Alertmanager but by alerts.
**Invariant:** an alert counts as arrived when a receiver answered for it, never because it was accepted.
"""
