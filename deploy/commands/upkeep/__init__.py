"""Commands that change what there is: tables, topics, keys, outcomes, a person's content."""
