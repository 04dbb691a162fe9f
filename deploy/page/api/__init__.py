"""The API: what can be asked, how it is answered over HTTP, and what it says of itself for machines.

`questions` what can be asked of a selection, `asking` the same over HTTP, `description` the OpenAPI document made from
the routes, `shapes` and its neighbours the types of answers.
"""
