"""What the API says of itself, for machines.

`shapes` and `shapes_of_facts` the types of its answers, `description` the OpenAPI document made from the routes.
"""
