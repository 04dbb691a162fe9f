"""The checks: read only, each an invariant of docs/delivery.md, each a list of `finding`s.

verification  all of them in one pass, for `keeprate verify` and the monitor
verify        outcomes say what their facts say; `agreement`, `backwards`, `accounting` are the others
recompute     outcomes from facts again, as verifying, repairing and replaying share it
settling      what a check has to know of a pipeline that is busy
places        rows are on the shards that their keys say
conflicts     two events under one id
reconcile     what each producer emitted, and where it ended
"""
