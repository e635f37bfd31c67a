"""Why a post has its labels: ``mmorient explain``.

``words``        attention back onto the words of the original text
``heatmap``      attention over a picture's regions, drawn over the picture
``neighbours``   the nearest posts of the reference bank, with their known labels
``without``      how the answer moves without a modality, without a word
``explanation``  all of it for one post: ``explain_post``
``case``         a post as it was handed in, beside its explanation
``visible``      texts of anyone's, safe to show
``terminal``, ``html``, ``document``  the same for a person at a terminal, for a browser, for a program

Stage 1 of HIMA (section 2 of the specification; arXiv 2508.16300) comes before the tasks part ways: its weights are the
same for all of them. What tells one task from another is how its probabilities move when something is taken away.
"""
