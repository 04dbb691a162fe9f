"""Single facts, beside the numbers of `reading`.

evidence      what users said last, one generation's story, what got lost
chain         the stages of the chain that a generation is one of, with their content
orphans       suggestions whose feedback waits for its generation
dead_letters  what was refused, why, and what was done about it
"""
