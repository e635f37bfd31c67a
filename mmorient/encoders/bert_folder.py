"""BERT from a local folder in the Hugging Face layout: transformers reads it, our own ``Bert`` computes."""

from __future__ import annotations

from pathlib import Path

from transformers import BertConfig, BertModel

from mmorient.encoders.bert import Bert, BertSizes, from_hugging_face
from mmorient.encoders.hugging_face import CONFIG, load_config, load_model
from mmorient.errors import CheckpointError


def load_bert(folder: Path) -> tuple[Bert, BertSizes]:
    """Load a BERT without its pooler, and say its sizes.

    Raises:
        CheckpointError: A file is missing or damaged, or the model is another or computes otherwise.
    """
    theirs = load_config(BertConfig, folder)
    if theirs.hidden_act != "gelu" or getattr(theirs, "position_embedding_type", "absolute") != "absolute":
        raise CheckpointError(folder / CONFIG, "not BERT's activation (gelu) and positions (absolute)")
    sizes = BertSizes(
        vocabulary=theirs.vocab_size,
        positions=theirs.max_position_embeddings,
        width=theirs.hidden_size,
        heads=theirs.num_attention_heads,
        inner=theirs.intermediate_size,
        layers=theirs.num_hidden_layers,
        epsilon=theirs.layer_norm_eps,
    )
    # transformers knows every name that BERT's tensors have had. It computes differently where a batch has no
    # padding, so that a text's digits would depend on its neighbours; our own BERT does not.
    loaded = load_model(BertModel, folder, theirs, add_pooling_layer=False)
    bert = Bert(sizes)
    bert.load_state_dict(from_hugging_face(loaded.state_dict()))
    return bert, sizes
