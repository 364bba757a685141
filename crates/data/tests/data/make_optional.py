"""Makes the DICOM and HDF5 files of tests/data/optional for tests/optional.rs. Needs `pip install pydicom h5py numpy pillow`.

Stored pixel (y, x) of frame i is 100 i + 10 y + x, 5 wide and 4 high.
"""

import io
import os

import h5py
import numpy as np
from PIL import Image
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.encaps import encapsulate
from pydicom.uid import CTImageStorage, ExplicitVRLittleEndian, JPEGBaseline8Bit, RLELossless, generate_uid

OUT = os.path.join(os.path.dirname(os.path.abspath(__file__)), "optional")


def stored(index, dtype=np.uint16):
    y, x = np.mgrid[0:4, 0:5]
    return (100 * index + 10 * y + x).astype(dtype)


def dicom(name, pixels, rle=False, jpeg=None, **elements):
    pixels = np.asarray(pixels)
    file = Dataset()
    file.file_meta = FileMetaDataset()
    file.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    file.file_meta.MediaStorageSOPClassUID = CTImageStorage
    file.file_meta.MediaStorageSOPInstanceUID = generate_uid(entropy_srcs=[name])
    file.SOPClassUID = CTImageStorage
    file.SOPInstanceUID = file.file_meta.MediaStorageSOPInstanceUID
    file.Modality = "OT"
    file.Rows, file.Columns = 4, 5
    file.SamplesPerPixel = 3 if pixels.shape[-1] == 3 else 1
    file.PhotometricInterpretation = "RGB" if file.SamplesPerPixel == 3 else "MONOCHROME2"
    bits = 8 * pixels.dtype.itemsize
    file.BitsAllocated, file.BitsStored, file.HighBit = bits, bits, bits - 1
    file.PixelRepresentation = int(pixels.dtype.kind == "i")
    for key, value in elements.items():
        setattr(file, key, value)
    if file.BitsStored != bits:
        file.HighBit = file.BitsStored - 1
    file.PixelData = pixels.tobytes()
    if rle:
        file.compress(RLELossless, pixels)
    if jpeg:
        file.file_meta.TransferSyntaxUID = JPEGBaseline8Bit
        file.PixelData = encapsulate([jpeg])
    path = os.path.join(OUT, name)
    os.makedirs(os.path.dirname(path), exist_ok=True)
    file.save_as(path, enforce_file_format=True)


CT = dict(Modality="CT", BitsStored=12, RescaleSlope="1", RescaleIntercept="-1024", RescaleType="HU", WindowCenter="40", WindowWidth="400")
for i in range(3):
    dicom(f"series/IM{i:04}", stored(i), **CT)
dicom("ct.dcm", stored(2), **CT)
dicom("half.dcm", stored(1), RescaleSlope="0.5", RescaleIntercept="-3")
dicom("inverted.dcm", stored(1), PhotometricInterpretation="MONOCHROME1", BitsStored=10)
dicom("frames.dcm", np.stack([stored(i) for i in range(3)]), NumberOfFrames="3")
dicom("rle.dcm", stored(3), rle=True)
jpeg = io.BytesIO()
Image.fromarray(np.full((4, 5), 77, np.uint8)).save(jpeg, "jpeg", quality=100)
dicom("jpeg.dcm", stored(0, np.uint8), jpeg=jpeg.getvalue())
dicom("signed.dcm", stored(0, np.int16) - 20)
dicom("rle-color.dcm", np.stack([stored(0, np.uint8) + 50 * c for c in range(3)], axis=-1), rle=True, PlanarConfiguration=0)
dicom("color.dcm", np.stack([stored(0, np.uint8) + 50 * c for c in range(3)], axis=-1), PlanarConfiguration=0)
dicom("planes.dcm", np.stack([stored(0, np.uint8) + 50 * c for c in range(3)]), SamplesPerPixel=3, PhotometricInterpretation="RGB", PlanarConfiguration=1)
dicom("palette.dcm", stored(0, np.uint8), PhotometricInterpretation="PALETTE COLOR")
for kind, index in [("benign", 0), ("benign", 1), ("malign", 2)]:
    dicom(f"classes/{kind}/{index}.dcm", stored(index))

with h5py.File(os.path.join(OUT, "digits.h5"), "w") as file:
    file["images"] = np.stack([stored(i, np.uint8) for i in range(2)])
    file["labels"] = np.array([1, 0])
    file["notes"] = "of no use"
with h5py.File(os.path.join(OUT, "groups.h5"), "w") as file:
    for part in ["train", "test"]:
        file.create_dataset(f"{part}/data", data=np.arange(24, dtype=">f8").reshape(6, 4), chunks=(2, 4), compression="gzip", shuffle=True)
        file.create_dataset(f"{part}/kind", data=[["a", "b"][i % 2] for i in range(6)])
    file["train/flags"] = np.array([[True, False]] * 6)
    file["loop"] = h5py.SoftLink("/")
with h5py.File(os.path.join(OUT, "bomb.h5"), "w") as file:
    file.create_dataset("x", shape=(1 << 16, 1 << 16), dtype="f8", chunks=(64, 64), compression="gzip")
# MATLAB's version 7.3: 512 bytes of its own before an HDF5 file, and sizes from the last to the first.
with h5py.File(os.path.join(OUT, "new.mat"), "w", userblock_size=512) as file:
    file["X"] = np.arange(6 * 3 * 5 * 4, dtype=np.uint8).reshape(6, 3, 5, 4)
with open(os.path.join(OUT, "new.mat"), "r+b") as file:
    file.write(b"MATLAB 7.3 MAT-file".ljust(124) + b"\0\2IM")
