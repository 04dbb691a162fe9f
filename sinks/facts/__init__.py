"""Single facts, beside the numbers of `reading`.

evidence      whether events arrive, and what got lost
said          what users said last, and one generation's story
chain         the stages of the chain that a generation is one of, with their content
orphans       suggestions whose feedback waits for its generation
dead_letters  what was refused, why, and what was done about it
"""
