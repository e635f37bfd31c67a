"""What a model is given: posts, their texts, their pictures, and the text drawn over the pictures.

It knows no weights but those of the picture reader.
"""
