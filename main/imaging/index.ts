/**
 * The one door from an image file to its pixels, for import, encoders and the window
 * alike. It decides what a file is from its bytes, refuses what is too large before
 * decoding it, and turns what decoders throw into words. It only ever reads.
 */
export { measurePicture, type PictureMeasures } from './artefacts.ts';
export {
  decodeError,
  DEFAULT_MAX_PIXELS,
  isImageFile,
  openImage,
  openPixels,
  statFile,
  unreadable,
  type ImageFormat,
  type ImageHeader,
  type OpenImage,
} from './open.ts';
