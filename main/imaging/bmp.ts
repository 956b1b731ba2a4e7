/**
 * Windows bitmaps, which libvips does not read: uncompressed with 1, 4, 8, 24 or 32 bits
 * a pixel, bottom-up or top-down, and 32 bits with the usual byte masks. Anything else is
 * refused by name. Every size is checked against the bytes that are there before
 * anything is allocated. Layout: Microsoft, "Bitmap Storage" (wingdi.h).
 */
import { EngineError } from '../domain/errors.ts';

export interface BmpHeader {
  width: number;
  height: number;
  topDown: boolean;
  bitsPerPixel: 1 | 4 | 8 | 24 | 32;
  pixelsAt: number;
  /** Bytes of one row, padded to four. */
  stride: number;
  paletteAt: number;
  paletteCount: number;
  /** 3 in the old OS/2 header, else 4. */
  paletteEntryBytes: number;
}

function damaged(reason: string): EngineError {
  return new EngineError(
    'file-damaged',
    `The bitmap is damaged: ${reason}.`,
    'Export the image again, for example as PNG.',
  );
}

/** Whether the bytes begin like a bitmap. */
export function isBmp(head: Uint8Array): boolean {
  if (head.length < 26 || head[0] !== 0x42 || head[1] !== 0x4d) return false;
  const headerBytes = head[14] | (head[15] << 8) | (head[16] << 16) | (head[17] << 24);
  return [12, 16, 40, 52, 56, 64, 108, 124].includes(headerBytes);
}

/** The header alone, from the first 138 bytes or more. Errors: `file-damaged`, `file-unsupported`. */
export function readBmpHeader(bytes: Uint8Array): BmpHeader {
  if (bytes.length < 54 && !(bytes.length >= 26 && bytes[14] === 12)) throw damaged('its header is cut off');
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const headerBytes = view.getUint32(14, true);
  const old = headerBytes === 12;
  const width = old ? view.getUint16(18, true) : view.getInt32(18, true);
  const signedHeight = old ? view.getUint16(20, true) : view.getInt32(22, true);
  const bitsPerPixel = view.getUint16(old ? 24 : 28, true);
  const compression = old ? 0 : view.getUint32(30, true);
  const coloursUsed = old ? 0 : view.getUint32(46, true);
  const height = Math.abs(signedHeight);
  if (width <= 0 || height === 0) throw damaged(`it claims ${width} × ${height} pixels`);
  const standardMasks =
    compression === 3 &&
    bitsPerPixel === 32 &&
    bytes.length >= 66 &&
    view.getUint32(54, true) === 0xff0000 &&
    view.getUint32(58, true) === 0xff00 &&
    view.getUint32(62, true) === 0xff;
  const readable =
    bitsPerPixel === 1 || bitsPerPixel === 4 || bitsPerPixel === 8 || bitsPerPixel === 24 || bitsPerPixel === 32;
  if (!readable || (compression !== 0 && !standardMasks)) {
    throw new EngineError(
      'file-unsupported',
      `The bitmap has ${bitsPerPixel} bits a pixel and compression ${compression}, which is not read.`,
      'Save the image as PNG, or as an uncompressed bitmap of 24 bits.',
    );
  }
  const paletteEntryBytes = old ? 3 : 4;
  const paletteAt = 14 + headerBytes;
  const pixelsAt = view.getUint32(10, true);
  const wanted =
    bitsPerPixel > 8 ? 0 : coloursUsed === 0 ? 2 ** bitsPerPixel : Math.min(coloursUsed, 2 ** bitsPerPixel);
  const paletteCount = Math.max(0, Math.min(wanted, Math.floor((pixelsAt - paletteAt) / paletteEntryBytes)));
  if (bitsPerPixel <= 8 && paletteCount === 0) throw damaged('it has no palette');
  const stride = Math.ceil((width * bitsPerPixel) / 32) * 4;
  return {
    width,
    height,
    topDown: signedHeight < 0,
    bitsPerPixel,
    pixelsAt,
    stride,
    paletteAt,
    paletteCount,
    paletteEntryBytes,
  };
}

/** All pixels as interleaved 8-bit RGB, top row first. Errors: `file-damaged` when the rows are not all there, `file-unsupported`. */
export function decodeBmp(bytes: Uint8Array): { width: number; height: number; data: Uint8Array } {
  const header = readBmpHeader(bytes);
  const { width, height, bitsPerPixel, pixelsAt, stride, paletteAt, paletteCount, paletteEntryBytes } = header;
  if (pixelsAt < 26 || pixelsAt + stride * height > bytes.length) {
    throw damaged(`its pixels need ${pixelsAt + stride * height} bytes and it has ${bytes.length}`);
  }
  const data = new Uint8Array(width * height * 3);
  let out = 0;
  for (let y = 0; y < height; y++) {
    const rowAt = pixelsAt + (header.topDown ? y : height - 1 - y) * stride;
    for (let x = 0; x < width; x++, out += 3) {
      let at: number;
      if (bitsPerPixel >= 24) {
        at = rowAt + x * (bitsPerPixel / 8);
      } else {
        const bit = x * bitsPerPixel;
        const index = (bytes[rowAt + (bit >> 3)] >> (8 - bitsPerPixel - (bit & 7))) & (2 ** bitsPerPixel - 1);
        if (index >= paletteCount) throw damaged(`a pixel names colour ${index} of ${paletteCount}`);
        at = paletteAt + index * paletteEntryBytes;
      }
      data[out] = bytes[at + 2];
      data[out + 1] = bytes[at + 1];
      data[out + 2] = bytes[at];
    }
  }
  return { width, height, data };
}
