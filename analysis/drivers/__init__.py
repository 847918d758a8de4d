"""Which context words drove a usage's sense, and the proof that they did.

response -> methods -> words            the words of a usage, of a sense, and between two senses
                  \\-> faithfulness      what the sense loses without them, against random words
"""
