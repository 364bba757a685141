"""Makes lsun.mdb.gz, an LMDB file as in LSUN, for tests/on_disk.rs. Needs `pip install lmdb`.

Thirty images of 16x16 pixels as PNG. A comment enlarges most of them to a fifth of a page, so that there are several leaf pages below a
branch page, and every seventh to more than a page, so that it needs overflow pages. Some are written, removed, and written again.
"""

import gzip
import os
import struct
import tempfile
import zlib

import lmdb


def chunk(kind, data):
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def png(image):
    """Pixel (row, column), channel c of image i is (7 i + 5 row + 3 column + 11 c) mod 256."""
    lines = b""
    for row in range(16):
        lines += b"\0" + bytes((7 * image + 5 * row + 3 * column + 11 * c) % 256 for column in range(16) for c in range(3))
    comment = b"Comment\0" + bytes(33 + (image * 31 + k * k) % 90 for k in range(5000 if image % 7 == 3 else 400))
    header = struct.pack(">IIBBBBB", 16, 16, 8, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"tEXt", comment) + chunk(b"IDAT", zlib.compress(lines)) + chunk(b"IEND", b"")


with tempfile.TemporaryDirectory() as folder:
    with lmdb.open(folder, map_size=1 << 20) as environment:
        for image in range(30):
            with environment.begin(write=True) as transaction:
                # Keys are in another order than what was written first.
                transaction.put(b"%040x" % (image * 37 % 101), png(image))
        with environment.begin(write=True) as transaction:
            transaction.delete(b"%040x" % (5 * 37 % 101))
        with environment.begin(write=True) as transaction:
            transaction.put(b"%040x" % (5 * 37 % 101), png(5))
            print(transaction.stat())
    with open(os.path.join(folder, "data.mdb"), "rb") as source:
        target = os.path.join(os.path.dirname(os.path.abspath(__file__)), "lsun.mdb.gz")
        with gzip.GzipFile(target, "wb", mtime=0) as out:
            out.write(source.read())
