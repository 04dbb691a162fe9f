"""The write side: one member of a consumer group lands its partitions, exactly.

    run        a sink as a process, put together from settings
    sink       the member of the group: reads, cuts ranges, concludes them
    flush      the delivery protocol of one range, step by step; `flights` runs several
    intent     which range is about to land, and how often that was tried; pure
    partition  what one partition has in hand, and when it is due; pure
    rows       from a record to a row, a reject or nothing; pure
    shards     which shard of the store a row belongs to; pure
    starting   where a partition is taken up; `landed` asks what the store has of it; `births` whether it died
    identity   which topic a name stands for

Nothing here counts what users did: that is `reading`.
"""
