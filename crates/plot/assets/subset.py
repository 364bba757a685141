"""Writes chinese.ttf: the characters of chinese.tsv that DejaVu Sans lacks, from Noto Sans SC (SIL Open Font License 1.1).

    npm pack @fontsource/noto-sans-sc@5.3.0 && tar xzf fontsource-noto-sans-sc-5.3.0.tgz
    pip install fonttools==4.68.0 brotli
    python subset.py package/files/noto-sans-sc-chinese-simplified-400-normal.woff2
"""

import sys
from pathlib import Path

from fontTools import subset
from fontTools.ttLib import TTFont

here = Path(__file__).parent
text = {letter for letter in (here / "chinese.tsv").read_text(encoding="utf-8") if ord(letter) >= 0x2E80}
font = TTFont(sys.argv[1])
missing = sorted(letter for letter in text if ord(letter) not in font.getBestCmap())
assert not missing, f"the font lacks {missing}"
options = subset.Options(hinting=False, layout_features=[], name_IDs=[0, 1, 2, 13, 14], notdef_outline=True)
subsetter = subset.Subsetter(options)
subsetter.populate(unicodes=[ord(letter) for letter in text])
subsetter.subset(font)
for tag in ("BASE", "GDEF", "GPOS", "GSUB", "STAT", "vhea", "vmtx"):
    if tag in font:
        del font[tag]
font.flavor = None
font.save(here / "chinese.ttf")
print(len(text), "characters,", (here / "chinese.ttf").stat().st_size, "bytes")
