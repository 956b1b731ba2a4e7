/**
 * Reads Windows bitmaps (BMP), which the image library does not: 1, 4, 8, 24 and 32 bits
 * per pixel, with or without a palette, uncompressed or run-length encoded at 8 bits,
 * bottom-up or top-down. Gives RGB. Follows the BITMAPINFOHEADER layout (Windows GDI).
 */

/** Whether bytes begin like a bitmap. */
export function isBitmap(bytes: Uint8Array): boolean {
  return bytes.length >= 2 && bytes[0] === 0x42 && bytes[1] === 0x4d;
}

/** Width, height and interleaved RGB. Throws an Error that says what is wrong. */
export function decodeBitmap(
  bytes: Uint8Array,
  pixelLimit: number,
): { width: number; height: number; data: Uint8Array } {
  if (bytes.length < 54) throw new Error('The bitmap is cut short');
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const headerSize = view.getUint32(14, true);
  if (headerSize < 40 || 14 + headerSize > bytes.length) throw new Error('The bitmap has an unknown header');
  const width = view.getInt32(18, true);
  const signedHeight = view.getInt32(22, true);
  const height = Math.abs(signedHeight);
  const bits = view.getUint16(28, true);
  const compression = view.getUint32(30, true);
  if (width <= 0 || height === 0) throw new Error('The bitmap has no pixels');
  if (width * height > pixelLimit) throw new Error('The bitmap exceeds the pixel limit');
  const start = view.getUint32(10, true);
  const plain = compression === 0 || (compression === 3 && bits === 32);
  if (![1, 4, 8, 24, 32].includes(bits) || !(plain || (compression === 1 && bits === 8))) {
    throw new Error(`The bitmap is of a kind that is not read here (${bits} bits, compression ${compression})`);
  }
  const paletteAt = 14 + headerSize;
  const colours = bits <= 8 ? view.getUint32(46, true) || 2 ** bits : 0;
  if (colours > 256 || paletteAt + colours * 4 > bytes.length) throw new Error('The bitmap has a damaged palette');
  const data = new Uint8Array(width * height * 3);
  const put = (x: number, line: number, index: number) => {
    const y = signedHeight < 0 ? line : height - 1 - line;
    const from = paletteAt + Math.min(index, colours - 1) * 4;
    const to = (y * width + x) * 3;
    data[to] = bytes[from + 2];
    data[to + 1] = bytes[from + 1];
    data[to + 2] = bytes[from];
  };
  if (compression === 1) {
    runs(bytes, start, width, height, put);
    return { width, height, data };
  }
  const stride = Math.ceil((width * bits) / 32) * 4;
  if (start + stride * height > bytes.length) throw new Error('The bitmap is cut short');
  for (let line = 0; line < height; line++) {
    const at = start + line * stride;
    if (bits >= 24) {
      const y = signedHeight < 0 ? line : height - 1 - line;
      const step = bits / 8;
      for (let x = 0; x < width; x++) {
        for (let c = 0; c < 3; c++) data[(y * width + x) * 3 + c] = bytes[at + x * step + 2 - c];
      }
    } else {
      const mask = 2 ** bits - 1;
      for (let x = 0; x < width; x++) {
        const shift = 8 - bits - ((x * bits) & 7);
        put(x, line, (bytes[at + ((x * bits) >> 3)] >> shift) & mask);
      }
    }
  }
  return { width, height, data };
}

/** 8-bit run-length encoding: pairs of count and value; count 0 escapes to end of line, end, jump or a literal run. */
function runs(
  bytes: Uint8Array,
  start: number,
  width: number,
  height: number,
  put: (x: number, line: number, index: number) => void,
): void {
  let x = 0;
  let line = 0;
  let at = start;
  while (line < height) {
    if (at + 2 > bytes.length) throw new Error('The bitmap is cut short');
    const count = bytes[at++];
    const value = bytes[at++];
    if (count > 0) {
      for (let i = 0; i < count && x < width; i++) put(x++, line, value);
    } else if (value === 0) {
      x = 0;
      line++;
    } else if (value === 1) return;
    else if (value === 2) {
      if (at + 2 > bytes.length) throw new Error('The bitmap is cut short');
      x += bytes[at++];
      line += bytes[at++];
    } else {
      if (at + value > bytes.length) throw new Error('The bitmap is cut short');
      for (let i = 0; i < value; i++) if (x < width) put(x++, line, bytes[at + i]);
      at += value + (value & 1);
    }
  }
}
