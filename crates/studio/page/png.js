// Images: extracted from the server's PNG, saved with text chunks.

// Returns the images of a vertically stacked PNG, each on a canvas.
export async function cut(base64, shape, count) {
  const [height, width] = shape;
  const image = new Image();
  image.src = `data:image/png;base64,${base64}`;
  await image.decode();
  return Array.from({ length: count }, (_, at) => {
    const canvas = document.createElement("canvas");
    canvas.className = "pixel";
    [canvas.width, canvas.height] = [width, height];
    canvas.getContext("2d").drawImage(image, 0, at * height, width, height, 0, 0, width, height);
    return canvas;
  });
}

export function copy(from, to) {
  [to.width, to.height] = [from.width, from.height];
  to.getContext("2d").drawImage(from, 0, 0);
}

// Returns a PNG of a canvas with `tEXt` chunks.
export async function withTexts(canvas, texts) {
  const blob = await new Promise((done) => canvas.toBlob(done, "image/png"));
  const bytes = new Uint8Array(await blob.arrayBuffer());
  const end = bytes.length - 12; // The last chunk, IEND.
  const chunks = Object.entries(texts).map(([key, text]) => chunk(`${key}\0${text}`));
  return new Blob([bytes.slice(0, end), ...chunks, bytes.slice(end)], { type: "image/png" });
}

function chunk(text) {
  const data = Uint8Array.from(`tEXt${text}`, (character) => character.charCodeAt(0) & 255);
  const bytes = new Uint8Array(data.length + 8);
  const view = new DataView(bytes.buffer);
  view.setUint32(0, data.length - 4);
  bytes.set(data, 4);
  view.setUint32(data.length + 4, crc(data));
  return bytes;
}

function crc(bytes) {
  let sum = ~0;
  for (const byte of bytes) {
    sum ^= byte;
    for (let bit = 0; bit < 8; bit += 1) sum = (sum >>> 1) ^ (sum & 1 ? 0xedb88320 : 0);
  }
  return ~sum >>> 0;
}

export function save(blob, name) {
  const link = document.createElement("a");
  link.href = URL.createObjectURL(blob);
  link.download = name;
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 1000);
}
