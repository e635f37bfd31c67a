"""What a model is given: posts, their texts, pictures and the text drawn over them. It knows no weights but those of the picture reader."""
