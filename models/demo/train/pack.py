"""Packs a trained ggml file into the folder above: the .gz, the vocabulary, and the sizes and sums in card.json."""

import hashlib
import json
import sys
from pathlib import Path

from corpus import Corpus
from export import packed

FOLDER = Path(__file__).parent.parent


if __name__ == "__main__":
    model = Path(sys.argv[1])
    out = packed(model).rename(FOLDER / "segue-demo-en.bin.gz")
    (FOLDER / "vocabulary.txt").write_text("\n".join(Corpus().vocabulary) + "\n")
    card = json.loads((FOLDER / "card.json").read_text())
    for path, size, checksum in ((out, "size", "sha256"), (model, "unpacked_size", "unpacked_sha256")):
        data = path.read_bytes()
        card[size], card[checksum] = len(data), hashlib.sha256(data).hexdigest()
    (FOLDER / "card.json").write_text(json.dumps(card, indent=2, ensure_ascii=False) + "\n")
