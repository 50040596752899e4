"""Write the models of this folder and their vectors, with sentence-transformers itself.

Run once, in an environment of its own; what it wrote is committed, and
`tests/export/test_export.py` holds `hypernova export-embedder` to it:

    pip install sentence-transformers==6.2.0 transformers==5.24.0 torch==2.15.0
    python tests/golden/export/make.py

The weights are random and the vocabularies tiny: what is shown is that the export computes the
same as torch does, through the same files.
"""

import json
import shutil
from pathlib import Path

import torch
from sentence_transformers import SentenceTransformer
from sentence_transformers.sentence_transformer.modules import (
    Dense,
    Normalize,
    Pooling,
    Transformer,
)
from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, processors, trainers
from transformers import (
    BertConfig,
    BertModel,
    PreTrainedTokenizerFast,
    RobertaConfig,
    RobertaModel,
)

HERE = Path(__file__).parent
TEXTS = json.loads((HERE / "texts.json").read_text(encoding="utf-8"))
SIZES = {
    "hidden_size": 16,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "intermediate_size": 40,
    "initializer_range": 0.5,  # large enough that a wrong layer shows
}


def bert_tokenizer() -> PreTrainedTokenizerFast:
    special = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
    tokenizer = Tokenizer(models.WordPiece(unk_token="[UNK]"))
    tokenizer.normalizer = normalizers.BertNormalizer(lowercase=True)
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    trainer = trainers.WordPieceTrainer(vocab_size=300, special_tokens=special, show_progress=False)
    tokenizer.train_from_iterator(TEXTS, trainer)
    tokenizer.post_processor = processors.TemplateProcessing(
        single="[CLS] $A [SEP]",
        special_tokens=[(t, tokenizer.token_to_id(t)) for t in ("[CLS]", "[SEP]")],
    )
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        pad_token="[PAD]",
        unk_token="[UNK]",
        cls_token="[CLS]",
        sep_token="[SEP]",
    )


def roberta_tokenizer() -> PreTrainedTokenizerFast:
    special = ["<s>", "<pad>", "</s>", "<unk>", "<mask>"]
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    trainer = trainers.BpeTrainer(
        vocab_size=400,
        special_tokens=special,
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    tokenizer.train_from_iterator(TEXTS, trainer)
    tokenizer.post_processor = processors.RobertaProcessing(("</s>", 2), ("<s>", 0))
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        bos_token="<s>",
        eos_token="</s>",
        pad_token="<pad>",
        unk_token="<unk>",
        cls_token="<s>",
        sep_token="</s>",
    )


def make(name: str, model, tokenizer, after: list, *, length: int, **options) -> None:
    """Save the model as sentence-transformers does, and its vectors of the texts."""
    folder, plain = HERE / name, HERE / "plain"
    shutil.rmtree(folder, ignore_errors=True)
    model.eval()
    # Weights that a fresh model has alike: biases of 0, gains of 1.
    for parameter in model.parameters():
        if parameter.dim() == 1:
            parameter.data += 0.3 * torch.randn_like(parameter)
    model.save_pretrained(plain)
    tokenizer.save_pretrained(plain)
    transformer = Transformer(str(plain), max_seq_length=length)
    whole = SentenceTransformer(modules=[transformer, *after], device="cpu", **options)
    whole.save_pretrained(str(folder), create_model_card=False)
    shutil.rmtree(plain)
    vectors = whole.encode(TEXTS, batch_size=1, normalize_embeddings=True)
    rows = [[float(f"{x:.7g}") for x in row] for row in vectors.tolist()]
    (folder / "vectors.json").write_text(json.dumps(rows) + "\n", encoding="utf-8")


def main() -> None:
    torch.manual_seed(0)
    tokenizer = bert_tokenizer()
    bert = BertConfig(vocab_size=len(tokenizer), max_position_embeddings=48, **SIZES)
    make("bert-mean", BertModel(bert), tokenizer, [Pooling(16, "mean"), Normalize()], length=32)
    make(
        "bert-cls-dense",
        BertModel(bert),
        tokenizer,
        [Pooling(16, "cls"), Dense(16, 12), Dense(12, 8, activation_function=torch.nn.Identity())],
        length=48,
        prompts={"query": "query: ", "document": "passage: "},
        default_prompt_name="query",
    )
    make(
        "bert-mean-dense",
        BertModel(bert),
        tokenizer,
        [Pooling(16, "mean"), Dense(16, 24), Normalize()],
        length=48,
    )
    tokenizer = roberta_tokenizer()
    roberta = RobertaConfig(
        vocab_size=len(tokenizer),
        max_position_embeddings=66,
        type_vocab_size=1,
        pad_token_id=1,
        layer_norm_eps=1e-5,
        **SIZES,
    )
    make("roberta-mean", RobertaModel(roberta), tokenizer, [Pooling(16, "mean")], length=64)


if __name__ == "__main__":
    main()
