"""Whether what Keeprate stands on is as it must be, with a remedy for what is not: `keeprate doctor`.

`findings` what a check says, `surroundings` the environment, `kafka` and `store` each their own. They ask and change
nothing.
"""
