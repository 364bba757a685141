"""Makes the files of tests/data/parquet for tests/parquet.rs, as pyarrow and the library `datasets` write them. Needs `pip install pyarrow pillow numpy`.

Channel c of pixel (y, x) of image i, 6 wide and 4 high, is 10 i + 20 y + x + c.
"""

import decimal
import io
import json
import os

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from PIL import Image

OUT = os.path.join(os.path.dirname(os.path.abspath(__file__)), "parquet")


def png(index, color=True):
    y, x = np.mgrid[0:4, 0:6]
    gray = 10 * index + 20 * y + x
    pixels = np.stack([gray, gray + 1, gray + 2], axis=-1) if color else gray
    out = io.BytesIO()
    Image.fromarray((pixels % 256).astype(np.uint8)).save(out, "png")
    return out.getvalue()


IMAGE = pa.struct([("bytes", pa.binary()), ("path", pa.string())])


def images(rows, column="image"):
    return pa.array([{"bytes": png(i), "path": f"{i}.png"} for i in rows], IMAGE), pa.field(column, IMAGE)


def huggingface(**features):
    return {"huggingface": json.dumps({"info": {"features": features}})}


def write(name, columns, metadata=None, **options):
    fields = [pa.field(key, value.type) for key, value in columns.items()]
    table = pa.Table.from_arrays(list(columns.values()), schema=pa.schema(fields, metadata=metadata))
    path = os.path.join(OUT, name)
    os.makedirs(os.path.dirname(path), exist_ok=True)
    pq.write_table(table, path, **options)


CLASSES = {"label": {"names": ["cat", "dog", "owl"], "_type": "ClassLabel"}, "image": {"_type": "Image"}}

# A repository of the Hub: two shards to train on, one to test on.
for shard in range(2):
    rows = range(5 * shard, 5 * shard + 5)
    write(f"hub/data/train-0000{shard}-of-00002.parquet",
          {"image": images(rows)[0], "label": pa.array([i % 3 for i in rows], pa.int64())},
          huggingface(**CLASSES), row_group_size=3)
write("hub/data/test-00000-of-00001.parquet",
      {"image": images([50])[0], "label": pa.array([-1], pa.int64())}, huggingface(**CLASSES))
with open(os.path.join(OUT, "hub", "README.md"), "w") as file:
    file.write("---\nlicense: mit\n---\n")

# Bytes by themselves, labels as text.
write("bytes.parquet", {"id": pa.array(range(4)), "photo": pa.array([png(i, False) for i in range(4)], pa.binary()),
                        "label": pa.array(["b", "a", "b", "a"])})
# CIFAR-100's two labels.
write("fine.parquet", {"img": images(range(4))[0], "fine_label": pa.array([0, 2, 0, 2]), "coarse_label": pa.array([0, 1, 0, 1])},
      huggingface(fine_label={"names": ["ant", "bee", "cow"]}, coarse_label={"names": ["insect", "mammal"]}))
# Which of two?
write("two-images.parquet", {"left": images(range(3))[0], "right": images(range(3, 6))[0]})
write("two-labels.parquet", {"image": images(range(3))[0], "smiling": pa.array([0, 1, 0]), "young": pa.array([1, 1, 0])},
      huggingface(smiling={"names": ["no", "yes"]}, young={"names": ["no", "yes"]}))
# Rows without an image, or without a class.
broken = [{"bytes": png(0), "path": None}, {"bytes": None, "path": "away.png"}]
write("null-image.parquet", {"image": pa.array(broken, IMAGE)})
write("unlabeled.parquet", {"image": images(range(3))[0], "label": pa.array([-1, -1, -1])}, huggingface(**CLASSES))

# Tables, in every way that writers have.
count = 40
numbers = {
    "whole": pa.array(range(count), pa.int64()),
    "half": pa.array([i / 2 for i in range(count)], pa.float64()),
    "small": pa.array([i % 3 - 1 for i in range(count)], pa.int8()),
    "single": pa.array([i / 4 for i in range(count)], pa.float32()),
    "flag": pa.array([i % 4 == 0 for i in range(count)], pa.bool_()),
    "money": pa.array([decimal.Decimal(i * 25 - 50) / 100 for i in range(count)], pa.decimal128(12, 2)),
    "kind": pa.array(["xyz"[i % 3] for i in range(count)]),
}
encodings = {"whole": "DELTA_BINARY_PACKED", "half": "BYTE_STREAM_SPLIT", "small": "PLAIN", "single": "PLAIN",
             "flag": "RLE", "money": "PLAIN", "kind": "DELTA_LENGTH_BYTE_ARRAY"}
for name, options in {
    "snappy": dict(compression="snappy", row_group_size=17),
    "gzip-v2": dict(compression="gzip", data_page_version="2.0", version="2.6"),
    "zstd": dict(compression="zstd", data_page_size=64, write_batch_size=5),
    "lz4": dict(compression="lz4"),
    "none": dict(compression="none", use_dictionary=False, write_page_checksum=True),
    "encodings": dict(compression="none", use_dictionary=False, column_encoding=encodings, data_page_version="2.0"),
}.items():
    write(f"table-{name}.parquet", numbers, **options)
write("table-brotli.parquet", {"a": pa.array([1.0, 2.0])}, compression="brotli")
write("table-delta-bytes.parquet", {"a": pa.array([1.0, 2.0]), "t": pa.array(["aa", "ab"])}, use_dictionary=False,
      column_encoding={"a": "PLAIN", "t": "DELTA_BYTE_ARRAY"})
write("null.parquet", {"a": pa.array([1.0, 2.0, None, 4.0]), "b": pa.array([1, 2, 3, 4])})
write("nan.parquet", {"a": pa.array([1.0, 2.0, 3.0]), "b": pa.array([1.0, float("nan"), 3.0])})
write("empty.parquet", {"a": pa.array([], pa.float64())})
write("dates.parquet", {"a": pa.array([1.0, 2.0]), "day": pa.array([1, 2], pa.timestamp("ms"))})

# Lists: vectors, and images as nested lists.
write("vectors.parquet", {"embedding": pa.array([[i, i + 0.5, -i] for i in range(4)], pa.list_(pa.float32())),
                          "label": pa.array([0, 1, 1, 0])})
write("ragged.parquet", {"x": pa.array([[1.0, 2.0], [3.0]])})
write("array2d.parquet", {"image": pa.array([[[10 * i + 3 * y + x for x in range(3)] for y in range(2)] for i in range(5)],
                                            pa.list_(pa.list_(pa.uint8())))})
write("lists-and-numbers.parquet", {"a": pa.array([1.0, 2.0]), "v": pa.array([[1.0], [2.0]])})
# Rows and megabytes that a few bytes stand for.
write("zeros.parquet", {"a": pa.array(np.zeros(20_000_000, np.float32))}, row_group_size=20_000_000,
      data_page_size=1 << 28, write_statistics=False)
write("bomb.parquet", {"image": pa.array([{"bytes": b"\0" * (1 << 20), "path": None}] * 64, IMAGE)}, compression="zstd")
